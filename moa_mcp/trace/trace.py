"""The trace of a run, built from its events alone: steps, calls, answers, tokens, seconds and cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import zip_longest

from msgspec import Struct, field
from msgspec.structs import replace
from pydantic import JsonValue

from moa_mcp.errors import STOPPED, ContextTooLong, Failure
from moa_mcp.events import (
    AttemptFailed,
    AttemptFinished,
    AttemptStarted,
    CallFailed,
    CallFinished,
    CallStarted,
    CallWaits,
    Event,
    RunEstimated,
    RunFinished,
    RunForked,
    RunResumed,
    RunStarted,
    StepFinished,
    StepStarted,
)
from moa_mcp.middleware.shares import shares
from moa_mcp.schemas import NotJson, parsed
from moa_mcp.values import (
    Analysis,
    Answer,
    Completion,
    FailureReason,
    Message,
    Note,
    Parameters,
    PeerReview,
    Place,
    Question,
    Status,
    Tally,
    Usage,
)


class AttemptTrace(Struct):
    """One request to a provider. It is in progress while it has neither completion nor failure."""

    model: str
    parameters: Parameters
    completion: Completion | None = None
    failure: Failure | None = None
    seconds: float | None = None
    started_at: float = 0.0
    """Seconds since the epoch. A call waits for its turn before its first attempt, and between attempts."""
    first_text_s: float | None = None
    """Seconds until the first text arrived; None if none did, or if the answer was not streamed."""
    joined: Place | None = None
    """The call that sent the request, if this call only shares it. The cost is in that call's attempt."""

    def fail(self, failure: Failure) -> None:
        """Record why there is no answer."""
        self.failure = replace(failure, paid=False, usage=None, cost_usd=None) if self.joined else failure


class CallTrace(Struct):
    """One call of one agent, with all its attempts."""

    place: Place
    agent: str
    messages: tuple[Message, ...]
    attempts: list[AttemptTrace] = field(default_factory=list[AttemptTrace])
    completion: Completion | None = None
    failure: Failure | None = None
    seconds: float | None = None
    started_at: float = 0.0
    """Seconds since the epoch; after a resume, of its repetition."""
    window: str = ""
    """Which of the previous answers its prompt includes; empty if all."""
    waits: CallWaits | None = None
    """What it waits for before its next request, in the process that runs it; None if it does not wait."""

    @property
    def usage(self) -> Usage:
        """Return the tokens of all attempts. Failed attempts may have used tokens that no provider reports."""
        return sum((each.usage for each in self.paid() if each.usage is not None), Usage())

    @property
    def cost_usd(self) -> Decimal | None:
        """Return the cost in US dollars; None if any attempt's price is unknown."""
        costs = [each.cost_usd for each in self.paid()]
        known = [cost for cost in costs if cost is not None]
        return sum(known, Decimal(0)) if len(known) == len(costs) else None

    @property
    def unknown(self) -> list[Failure]:
        """Return the failures that may or may not have been paid for."""
        return [end for end in self.paid() if isinstance(end, Failure) and end.paid is None and end.cost_usd is None]

    def paid(self) -> list[Completion | Failure]:
        """Return the outcomes of attempts that were, or may have been, paid for."""
        ends = [attempt.completion or attempt.failure for attempt in self.attempts]
        return [end for end in ends if isinstance(end, Completion) or (end is not None and end.paid is not False)]


class StepTrace(Struct):
    """One step: its calls and the answers that it returned."""

    step: int
    kind: str
    calls: list[CallTrace] = field(default_factory=list[CallTrace])
    answers: tuple[Answer, ...] = ()
    notes: tuple[Note, ...] = ()
    tally: Tally | None = None
    """The votes that it counted, if it did."""
    analysis: Analysis | None = None
    """Its comparison of the answers, if it compared them."""
    review: PeerReview | None = None
    """Its ranking by reviewers, if it has one."""
    verdict: str = ""
    """What its judge said, in words; empty if it has none."""
    final: bool = False
    """Whether the run ended with it, because the later steps were not needed."""
    seconds: float | None = None
    """None while the step runs, or if it failed."""

    @property
    def answered(self) -> int:
        """How many calls were answered."""
        return sum(call.completion is not None for call in self.calls)

    @property
    def failed(self) -> int:
        """How many calls failed."""
        return sum(call.failure is not None for call in self.calls)

    @property
    def window(self) -> str:
        """Which of the previous answers the prompt of its last call includes; empty if all."""
        return self.calls[-1].window if self.calls else ""

    @property
    def saved(self) -> int:
        """How many calls were skipped because they could not change the result."""
        return sum(note.saved for note in self.notes)

    @property
    def models(self) -> tuple[str, ...]:
        """Return the aliases of the models that it called, each once, in order."""
        return tuple(dict.fromkeys(call.agent for call in self.calls))

    @property
    def usage(self) -> Usage:
        """Return the tokens of all calls."""
        return sum((call.usage for call in self.calls), Usage())

    @property
    def cost_usd(self) -> Decimal | None:
        """Return the cost in US dollars; None if any call's price is unknown."""
        return _total(call.cost_usd for call in self.calls)


class Trace(Struct):
    """A whole run up to now."""

    run_id: str = ""
    pipeline: str = ""
    question: Question = field(default_factory=lambda: Question(""))
    seed: int = 0
    planned: tuple[str, ...] = ()
    """The kinds of all steps, including those that have not started."""
    about_models: tuple[str, ...] = ()
    """Notes about its models at its start, such as which of them are stand-ins."""
    estimated: RunEstimated | None = None
    """Cost estimate at start; None for a forked run."""
    started_at: float = 0.0
    """Seconds since the epoch."""
    status: Status = "running"
    answer: str | None = None
    in_json: bool = False
    """Whether the answer is JSON that the answer schema accepts."""
    error: str | None = None
    reason: FailureReason | None = None
    """Why it failed; None if it did not, or if an earlier version of moa-mcp recorded it."""
    seconds: float | None = None
    """Duration in seconds, without pauses before it was resumed; None while it runs."""
    steps: list[StepTrace] = field(default_factory=list[StepTrace])
    interrupted: bool = False
    """Whether it is unfinished and no process runs it."""
    waiting: str = ""
    """What it waits for before its next call, as its process reports; empty if it does not wait."""
    forked_from: str | None = None
    """The run that it inherited its first steps from."""
    inherited: int = 0
    """How many steps it inherited; they add no cost to this run."""
    resumed: int = 0
    """How often it was resumed."""
    continues: str | None = None
    """The earlier run that its question follows; None if it follows none."""
    _earlier_s: float = 0.0
    """Its duration before it was last resumed."""
    _since: float = 0.0
    """When it was started or last resumed, in seconds since the epoch."""
    _until: float = 0.0
    """The time of the last event."""

    @property
    def usage(self) -> Usage:
        """Return the tokens of the run."""
        return sum((step.usage for step in self.steps[self.inherited :]), Usage())

    @property
    def cost_usd(self) -> Decimal | None:
        """Return the cost in US dollars; None if any call's price is unknown."""
        return _total(step.cost_usd for step in self.steps[self.inherited :])

    @property
    def not_needed(self) -> tuple[str, ...]:
        """Return the kinds of the steps that were not needed, because an earlier one ended the run."""
        return self.planned[len(self.steps) :] if self.steps and self.steps[-1].final else ()

    @property
    def saved(self) -> int:
        """Return how many calls were not needed."""
        return sum(step.saved for step in self.steps)

    @property
    def answer_json(self) -> JsonValue:
        """Return the value of an answer that is JSON by the answer schema; None without a schema, or if it is not."""
        try:
            return parsed(self.answer) if self.in_json and self.answer is not None else None
        except NotJson:  # the text is not stored
            return None

    @property
    def is_valid(self) -> bool:
        """Whether the answer, if there is one, is what the answer schema asks for."""
        return self.question.answer_schema is None or self.answer is None or self.in_json

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the notes of steps and calls, in order, each once."""
        lines = [*self.about_models, *self._unpriced()]
        for step in self.steps:
            for call in step.calls:
                lines += call.completion.notes if call.completion else ()
                lines += [f"{call.agent} was cut off at its token limit"] if _cut(call) else []
            lines += [f"{step.kind}: {note.text}" for note in step.notes]
        lines += self._unknown()
        return tuple(dict.fromkeys(lines))

    @property
    def too_long_for(self) -> tuple[str, ...]:
        """Return the models whose windows a prompt with earlier turns exceeds; without such turns, none."""
        calls = (call for step in self.steps for call in step.calls if self.question.turns)
        kinds = ((call.agent, call.failure.kind) for call in calls if call.failure)
        return tuple(dict.fromkeys(agent for agent, kind in kinds if kind == ContextTooLong.__name__))

    def _unpriced(self) -> Iterator[str]:
        if self.estimated is not None and self.estimated.max_cost_usd is not None:
            for model in self.estimated.unpriced:
                yield f"the price of {model} is unknown: only max_run_tokens limits its use, not max_cost_usd"

    def _unknown(self) -> Iterator[str]:
        calls = (call for step in self.steps[self.inherited :] for call in step.calls)
        count = sum(len(call.unknown) for call in calls)
        if count:
            requests = "1 request" if count == 1 else f"{count} requests"
            yield f"{requests} may have been billed without an answer: the cost is unknown"

    @property
    def degradations(self) -> tuple[str, ...]:
        """Return why the result is degraded; empty if it is not."""
        reasons = [f"{step.kind}: {note.text}" for step in self.steps for note in step.notes if note.degrades]
        last = self.steps[-1].answers if self.steps else ()
        return (*reasons, *("the answer was cut off at its token limit" for answer in last if answer.cut))

    def add(self, event: Event) -> None:  # noqa: C901, PLR0912  a case for each kind of event
        """Record the next event."""
        match event:  # the most frequent events come first
            case CallStarted():
                self._begin(event)
            case AttemptStarted():
                self._join(event, event.place)
                for other in event.others:
                    self._join(event, other.place, event.place)
            case AttemptFinished():
                answers = shares(event.completion)
                for attempt, answer in zip_longest(self._attempts(event), answers[: 1 + len(event.others)]):
                    attempt.completion, attempt.seconds = answer, event.seconds
                    attempt.first_text_s = event.first_text_s
                    attempt.failure = None if answer else _NOT_BROUGHT
            case CallFinished(place=place):
                call = self.steps[place.step - 1].calls[place.number - 1]
                call.completion, call.seconds, call.waits = event.completion, event.seconds, None
            case RunStarted():
                self.run_id, self.pipeline, self.seed = event.run_id, event.pipeline, event.seed
                self.question, self.planned, self.started_at = event.question, event.steps, event.at
                self._since, self.about_models = event.at, event.notes
                self.continues = event.continues or None
            case RunEstimated():
                self.estimated = event
            case RunResumed():
                self._resume(event)
            case RunForked():
                self.forked_from, self.inherited = event.from_run, event.steps
            case StepStarted():
                if event.step > len(self.steps):  # else an unfinished step continues after a resume
                    self.steps.append(StepTrace(event.step, event.step_kind))
            case AttemptFailed():
                for attempt in self._attempts(event):
                    attempt.fail(event.failure)
                    attempt.seconds, attempt.first_text_s = event.seconds, event.first_text_s
            case CallFailed():
                call = self._call(event.place)
                call.failure, call.seconds, call.waits = event.failure, event.seconds, None
            case CallWaits():
                call = self._call(event.place)
                call.waits = event if call.seconds is None else None
            case StepFinished():
                step = self.steps[-1]
                step.answers, step.notes, step.seconds = event.answers, event.notes, event.seconds
                step.tally, step.analysis, step.review = event.tally, event.analysis, event.review
                step.verdict, step.final = event.verdict, event.final
            case RunFinished():
                self.status, self.answer = event.status, event.answer
                self.error, self.reason, self.in_json = event.error, event.reason, event.in_json
                self.seconds = self._earlier_s + event.seconds
            case _:
                pass
        self._until = event.at

    def _resume(self, event: RunResumed) -> None:
        # An interrupted run has no recorded duration. Clocks may be set back.
        cut_off_s = self._earlier_s + max(0.0, self._until - self._since)
        self._earlier_s = cut_off_s if self.seconds is None else self.seconds
        self.seconds, self._since = None, event.at
        self.status, self.error, self.reason, self.resumed = "running", None, None, self.resumed + 1
        self.leave()

    def leave(self) -> None:
        """Mark attempts in progress as stopped, since no process runs the run. They may have been paid for."""
        for attempt in (attempt for step in self.steps for call in step.calls for attempt in call.attempts):
            if attempt.completion is None and attempt.failure is None:
                attempt.fail(STOPPED)

    def _begin(self, event: CallStarted) -> None:
        calls = self.steps[event.place.step - 1].calls
        fresh = CallTrace(event.place, event.agent, event.messages, started_at=event.at, window=event.window)
        if event.place.number > len(calls):
            calls.append(fresh)
        else:  # repeated after a resume: the cost of earlier attempts remains
            fresh.attempts = calls[event.place.number - 1].attempts
            calls[event.place.number - 1] = fresh

    def _join(self, event: AttemptStarted, place: Place, joined: Place | None = None) -> None:
        call = self.steps[place.step - 1].calls[place.number - 1]
        call.waits = None
        call.attempts.append(AttemptTrace(event.model, event.parameters, started_at=event.at, joined=joined))

    def _attempts(self, event: AttemptFinished | AttemptFailed) -> list[AttemptTrace]:
        """Return the attempts that ended with a request, first that of the call that sent it."""
        place = event.place
        first = self.steps[place.step - 1].calls[place.number - 1].attempts[event.attempt - 1]
        if not event.others:
            return [first]
        return [first, *[self._call(place).attempts[attempt - 1] for place, attempt in event.others]]

    def _call(self, place: Place) -> CallTrace:
        return self.steps[place.step - 1].calls[place.number - 1]


def trace_of(events: Iterable[Event]) -> Trace:
    """Return the trace of a run from its events."""
    trace = Trace()
    for event in events:
        trace.add(event)
    return trace


_NOT_BROUGHT = Failure("NotBrought", "the response has fewer answers than requested", retryable=True, paid=False)


def _cut(call: CallTrace) -> bool:
    return call.completion is not None and call.completion.cut


def _total(costs: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for cost in costs:
        if cost is None:
            return None
        total += cost
    return total
