"""What the words of `ask` and `chat` mean: the pipeline and the question.

Two words are the pipeline and the question. A single one is the pipeline if it is the name of one, and then the
question is read from stdin; otherwise it is the question, for the pipeline of the run that it follows or the default.
"""

from __future__ import annotations

import re
import shlex

import anyio

from moa_mcp.cli.options import Refused, named
from moa_mcp.cli.runs.record import find, journal_of
from moa_mcp.cli.text import shortened
from moa_mcp.config import Config, Pipeline
from moa_mcp.journal import RunRecord
from moa_mcp.text.suggest import closest

_NAME = re.compile(r"[\w-]+")
_EXAMPLE = "vote"


def earlier_run(given: str | None, journal: str | None) -> RunRecord | None:
    """Return the run of --continue; None if the option is not given. Raises `Refused`."""
    if given is None:
        return None
    with journal_of(journal) as kept:
        return anyio.run(find, kept, given)


def understood(
    config: Config, first: str | None, second: str | None, earlier: RunRecord | None
) -> tuple[Pipeline, str | None]:
    """Return the pipeline and the question, or None for a question on stdin. Raises `Refused`."""
    if second is not None or first in config.pipelines:
        return _named(config, str(first), second), second
    usual = usual_pipeline(config, earlier)
    if usual is None:
        raise _unnamed(config, first, second)
    if first is not None and _NAME.fullmatch(first) and closest(first, config.pipelines):
        named(config, first)  # a mistyped name rather than a question
    return usual, first


def usual_pipeline(config: Config, earlier: RunRecord | None) -> Pipeline | None:
    """Return the pipeline of the run that a question follows, or else the default; None if there is neither."""
    if earlier is None:
        return None if config.defaults.pipeline is None else config.pipelines[config.defaults.pipeline]
    found = config.pipelines.get(earlier.pipeline)
    if found is None:
        raise Refused(
            f"run {earlier.run_id} is of the pipeline {earlier.pipeline!r}, which is not in the configuration",
            f"Name another one before the question. Pipelines: {', '.join(config.pipelines)}.",
        )
    return found


def missing_pipeline(config: Config, command: str) -> Refused:
    """Return the error for a command without the name of a pipeline, where there is no default."""
    first = _example(config)
    return Refused("the pipeline is missing", f"For example: moa-mcp {command} {first}. {_others(config, first)}")


def missing_pipelines(config: Config) -> Refused:
    """Return the error for an evaluation without pipelines, where there is no default."""
    first = _example(config)
    return Refused("the pipelines are missing", f"For example: --pipelines {first}. {_others(config, first)}")


def _example(config: Config) -> str:
    return _EXAMPLE if _EXAMPLE in config.pipelines else next(iter(config.pipelines))


def _others(config: Config, example: str) -> str:
    return f'To leave it out, set pipeline = "{example}" in [defaults]. Pipelines: {", ".join(config.pipelines)}.'


def _named(config: Config, name: str, question: str | None) -> Pipeline:
    if name in config.pipelines:
        return config.pipelines[name]
    if not _NAME.fullmatch(name):
        raise _unnamed(config, name, question)
    if config.defaults.pipeline is None or closest(name, config.pipelines):
        return named(config, name)  # raises
    raise Refused(
        f"there is no pipeline {name!r}",
        f"Write the whole question in quotes, or name a pipeline before it. Pipelines: {', '.join(config.pipelines)}.",
    )


def _unnamed(config: Config, name: str | None, question: str | None) -> Refused:
    """Return the error for words without the name of a pipeline."""
    first = _example(config)
    others = _others(config, first)
    if name is None:
        return Refused(
            "the pipeline and the question are missing",
            f'For example: moa-mcp ask {first} "Why is the sky blue?". {others}',
        )
    if question is None and _NAME.fullmatch(name):
        named(config, name)  # raises
    asked, pipeline = (name, question) if question in config.pipelines else (name, first)
    return Refused(
        f"the pipeline is missing: {shortened(name)!r} is not the name of a pipeline",
        f"Put it before the question: {shlex.join(['moa-mcp', 'ask', str(pipeline), asked])}. {others}",
    )
