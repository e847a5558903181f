"""What happened in a run, as a stream. Trace, progress, journal and display are views of it; it knows none of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from moa_mcp.errors import Failure
from moa_mcp.values import (
    Answer,
    Completion,
    Dollars,
    FailureReason,
    Message,
    Note,
    Parameters,
    Place,
    Question,
    Status,
    Tally,
    Tokens,
    Word,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Carries the moment, in seconds since the epoch."""

    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Happened):
    """A run began."""

    kind: Literal["run_started"] = "run_started"
    run_id: Word
    pipeline: Word
    question: Question
    seed: int
    steps: tuple[Word, ...]
    """The kind of every step that will run, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEstimated(Happened):
    """What a run was reckoned to take, before it asked anybody."""

    kind: Literal["run_estimated"] = "run_estimated"
    calls: int
    tokens: Tokens
    """Of prompts and answers."""
    cost_usd: Dollars | None
    """None where a price is not known."""
    unpriced: tuple[Word, ...]
    """The models whose price is not known."""
    max_cost_usd: Decimal | None
    """What it may cost, in US dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResumed(Happened):
    """A run that was left unfinished goes on."""

    kind: Literal["run_resumed"] = "run_resumed"
    finished_steps: int
    """How many of its steps need not be done again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForked(Happened):
    """A run took over the first steps of another; what happened in them follows, and was paid for there."""

    kind: Literal["run_forked"] = "run_forked"
    from_run: Word
    steps: int
    """How many steps it took over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Happened):
    """A step began to work on the answers before it."""

    kind: Literal["step_started"] = "step_started"
    step: int
    step_kind: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(Happened):
    """A step asked an agent."""

    kind: Literal["call_started"] = "call_started"
    place: Place
    agent: Word
    messages: tuple[Message, ...]
    window: Word = ""
    """Which of the answers before it stand in its prompt, where not all do: ``window 2, answers 7 to 11 of 12``."""


class Joined(NamedTuple):
    """A further call that a request asks for, and which of its attempts that is."""

    place: Place
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(Happened):
    """A request went out to a provider."""

    kind: Literal["attempt_started"] = "attempt_started"
    place: Place
    attempt: int
    model: Word
    parameters: Parameters
    others: tuple[Joined, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReceived(Happened):
    """A piece of a streamed answer arrived. A later attempt of the same call starts the text anew."""

    kind: Literal["text_received"] = "text_received"
    place: Place
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFinished(Happened):
    """The provider answered."""

    kind: Literal["attempt_finished"] = "attempt_finished"
    place: Place
    attempt: int
    completion: Completion
    seconds: float
    others: tuple[Joined, ...] = ()
    """Whose answers are the completion's others, in order; the last of them have none if fewer came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed(Happened):
    """The request failed; what follows (another try, another route) is told by the attempts after it."""

    kind: Literal["attempt_failed"] = "attempt_failed"
    place: Place
    attempt: int
    failure: Failure
    seconds: float
    others: tuple[Joined, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished(Happened):
    """An agent's answer is there."""

    kind: Literal["call_finished"] = "call_finished"
    place: Place
    completion: Completion
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailed(Happened):
    """An agent gave no answer, after all that could be tried."""

    kind: Literal["call_failed"] = "call_failed"
    place: Place
    failure: Failure
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(Happened):
    """A step handed on its answers."""

    kind: Literal["step_finished"] = "step_finished"
    step: int
    answers: tuple[Answer, ...]
    notes: tuple[Note, ...]
    seconds: float
    tally: Tally | None = None
    """What it counted, if it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Happened):
    """A run ended; nothing follows."""

    kind: Literal["run_finished"] = "run_finished"
    status: Status
    answer: str | None
    error: str | None
    seconds: float
    reason: FailureReason | None = None
    """Why it failed; None if it did not, or if an earlier version of moa-mcp recorded it."""


Event: TypeAlias = (
    RunStarted
    | RunEstimated
    | RunResumed
    | RunForked
    | StepStarted
    | CallStarted
    | AttemptStarted
    | TextReceived
    | AttemptFinished
    | AttemptFailed
    | CallFinished
    | CallFailed
    | StepFinished
    | RunFinished
)

Emit: TypeAlias = Callable[[Event], None]
"""Takes an event and returns at once; it never raises."""


def tee(*emits: Emit) -> Emit:
    """Return an emit that tells all of these, in order."""
    if len(emits) == 1:
        return emits[0]

    def emit(event: Event) -> None:
        for each in emits:
            each(event)

    return emit
