"""A conversation in the terminal: each question is a run that follows the one before, as `ask --continue` does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

import anyio
from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.cli.asked import answered
from moa_mcp.cli.options import closing
from moa_mcp.cli.runs.record import explained
from moa_mcp.cli.screen import DisplayOptions
from moa_mcp.cli.text import counted, say, shortened
from moa_mcp.cli.watch import Seen, conclude
from moa_mcp.config import Config, Pipeline
from moa_mcp.journal import Journal
from moa_mcp.providers.backend import Backend
from moa_mcp.routing.routes import Routes
from moa_mcp.runs import NewRun, traced, turns_of
from moa_mcp.text.money import dollars
from moa_mcp.trace.trace import Trace

_TITLE = 60


class Exchange(NamedTuple):
    """A question of the conversation, and its run."""

    run_id: str
    question: str
    pipeline: str
    status: str
    cost_usd: Decimal | None
    """None if it is unknown."""


class ChatSetup(Struct, frozen=True):
    """What all runs of a conversation share."""

    config: Config
    journal: Callable[[], Journal]
    """Opens the journal."""
    texts: bool
    """Whether it stores texts. Otherwise the turns are kept here."""
    providers: tuple[Backend, Routes | None]
    options: DisplayOptions


class Conversation:
    """The runs of a conversation so far, and the next one."""

    def __init__(self, setup: ChatSetup, template: NewRun) -> None:
        """`template` has the pipeline, the run that the first question follows, and the settings of all runs."""
        self._setup = setup
        self._template = template
        self._next = template
        self.exchanges: list[Exchange] = []

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline of the next question."""
        return self._next.pipeline

    @property
    def last(self) -> str:
        """The ID of the run that the next question follows; empty for none."""
        return self._next.continues

    def use(self, pipeline: Pipeline) -> None:
        """Send the next questions to another pipeline."""
        self._template = replace(self._template, pipeline=pipeline)
        self._next = replace(self._next, pipeline=pipeline)

    def begin_anew(self) -> None:
        """Let the next question follow no other."""
        question = dataclasses.replace(self._template.question, context=None)
        self._next = replace(self._template, question=question, continues="")

    def ask(self, text: str) -> None:
        """Run a question and show its answer; the next one follows it.

        Raises:
            Interrupted: a signal or Ctrl-C stopped the run.
            Refused: the run can't start, or has no answer. The next question then follows the same run as this one.

        """
        where = self._setup
        request = replace(self._next, question=dataclasses.replace(self._next.question, text=text))
        with closing(where.journal()) as journal:
            seen = answered(where.config, journal, request, where.providers, where.options)
        self._end(seen, request)

    def _end(self, seen: Seen, request: NewRun) -> None:
        trace = seen.trace
        self._add(trace)
        if trace.answer is not None:
            self._follow(trace, request)
        conclude(seen, self._setup.options)
        if not self._setup.options.quiet:
            say(f"Conversation: {self.total()}.")

    def _follow(self, trace: Trace, request: NewRun) -> None:
        if self._setup.texts:
            question = dataclasses.replace(self._template.question, context=None)
            self._next = replace(request, question=question, continues=trace.run_id)
        else:  # the journal does not have what the next run would read
            question = dataclasses.replace(trace.question, context=None, images=(), turns=turns_of(trace))
            self._next = replace(request, question=question, continues="")

    def cancel(self, run_ids: Sequence[str]) -> None:
        """Mark runs that were stopped as cancelled, so that no server resumes them. Raises `Refused`.

        No question follows them.
        """
        for run_id in run_ids:
            with closing(self._setup.journal()) as journal, explained():
                self._add(anyio.run(_cancelled, journal, run_id))

    def _add(self, trace: Trace) -> None:
        question = shortened(trace.question.text, _TITLE)
        self.exchanges.append(Exchange(trace.run_id, question, trace.pipeline, trace.status, trace.cost_usd))

    def total(self) -> str:
        """Return the number of questions and what they cost."""
        costs = [each.cost_usd for each in self.exchanges]
        known = sum((cost for cost in costs if cost is not None), Decimal(0))
        unknown = sum(cost is None for cost in costs)
        more = f" and {counted(unknown, 'run')} of unknown cost" if unknown else ""
        return f"{counted(len(costs), 'question')}, cost {dollars(known)}{more}"


async def _cancelled(journal: Journal, run_id: str) -> Trace:
    await journal.cancel(run_id)
    page = await journal.events(run_id)
    return traced(page.record, page.events)
