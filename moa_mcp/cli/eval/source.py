"""The questions of an evaluation: from a file or stdin, with the context and system prompt of the command, sampled."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.batch.rows import Format
from moa_mcp.cli.batch.source import STDIN, read_file
from moa_mcp.evaluation.inspecting.source import is_task
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.questions import QuestionFile, read_questions, sampled


class Source(Struct, frozen=True):
    """Which questions are asked."""

    path: str
    """A file, or ``-``."""
    form: Format | None
    context: str | None
    system: str | None
    sample: int | None
    seed: int
    arguments: tuple[str, ...] = ()
    """Those of a task, as ``NAME=VALUE``."""

    @property
    def is_task(self) -> bool:
        """Whether it is a task of Inspect."""
        return is_task(self.path)

    @property
    def name(self) -> str:
        """How the result names it."""
        return "stdin" if self.path == STDIN else Path(self.path).name


class Chosen(Struct, frozen=True):
    """The questions that are asked, and what a reader must know about them."""

    questions: tuple[EvalQuestion, ...]
    total: int
    notes: tuple[str, ...]


def chosen_from(source: Source, *, metadata: bool) -> Chosen:
    """Return the questions of a file; with `metadata`, a function of the user reads other fields.

    Raises `Refused` if it can't be read or has problems.
    """
    found = QuestionFile()
    read_file(source.path, source.form, lambda lines, form: read_questions(lines, form, found, metadata=metadata))
    every = [_with_shared(each, source) for each in found.questions]
    questions = sampled(every, source.sample, source.seed)
    return Chosen(questions, len(every), (*found.notes, *about_sample(len(questions), len(every), source)))


def _with_shared(question: EvalQuestion, source: Source) -> EvalQuestion:
    """Return a question with the context and system prompt of all where it has none."""
    item = question.item
    shared = replace(item, context=item.context or source.context, system=item.system or source.system)
    return dataclasses.replace(question, item=shared)


def about_sample(asked: int, total: int, source: Source) -> Iterator[str]:
    """Yield what a reader must know about a sample."""
    if asked < total:
        yield f"{asked} of {total} questions were asked, a random sample with seed {source.seed}."
    elif source.sample is not None and source.sample > total:
        yield f"All {total} questions were asked: there are no {source.sample} for a sample."
