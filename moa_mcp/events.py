"""The events of a run. Trace, progress, journal and display are computed from them."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct, field

from moa_mcp.errors import Failure
from moa_mcp.values import (
    Analysis,
    Answer,
    Completion,
    Dollars,
    FailureReason,
    Message,
    Note,
    Parameters,
    PeerReview,
    Place,
    Question,
    Status,
    Tally,
    Tokens,
    Word,
)


class Happened(Struct, frozen=True, kw_only=True):
    """The base of all events."""

    at: float = field(default_factory=time.time)
    """Seconds since the epoch."""


class RunStarted(Happened, frozen=True, kw_only=True):
    """A run started."""

    kind: Literal["run_started"] = "run_started"
    run_id: Word
    pipeline: Word
    question: Question
    seed: int
    steps: tuple[Word, ...]
    """The kinds of all its steps, in order."""
    notes: tuple[Word, ...] = ()
    """What a reader of the result should know about its models, such as which of them are stand-ins."""
    continues: Word = ""
    """The earlier run that its question follows; empty for none."""
    traceparent: Word = ""
    """W3C trace context of its span; empty without telemetry."""


class RunEstimated(Happened, frozen=True, kw_only=True):
    """Cost estimate at the start of a run."""

    kind: Literal["run_estimated"] = "run_estimated"
    calls: int
    tokens: Tokens
    """Expected tokens of prompts and answers."""
    cost_usd: Dollars | None
    """None if a price is unknown."""
    unpriced: tuple[Word, ...]
    """The models whose price is unknown."""
    max_cost_usd: Decimal | None
    """The budget of the run, in US dollars; None if it has none."""


class RunResumed(Happened, frozen=True, kw_only=True):
    """An unfinished run was resumed."""

    kind: Literal["run_resumed"] = "run_resumed"
    finished_steps: int
    """Number of finished steps, which are not repeated."""
    traceparent: Word = ""
    """W3C trace context of its span; empty without telemetry."""


class RunForked(Happened, frozen=True, kw_only=True):
    """A run was forked from another. The events of the inherited steps follow; the other run paid for them."""

    kind: Literal["run_forked"] = "run_forked"
    from_run: Word
    steps: int
    """Number of inherited steps."""


class StepStarted(Happened, frozen=True, kw_only=True):
    """A step started."""

    kind: Literal["step_started"] = "step_started"
    step: int
    step_kind: Word


class CallStarted(Happened, frozen=True, kw_only=True):
    """A step called an agent."""

    kind: Literal["call_started"] = "call_started"
    place: Place
    agent: Word
    messages: tuple[Message, ...]
    window: Word = ""
    """The answers in its prompt, such as ``window 2, answers 7 to 11 of 12``; empty if the prompt has all of them."""


class Joined(NamedTuple):
    """A further call that a request answers, and the number of its attempt."""

    place: Place
    attempt: int


class AttemptStarted(Happened, frozen=True, kw_only=True):
    """A request was sent to a provider."""

    kind: Literal["attempt_started"] = "attempt_started"
    place: Place
    attempt: int
    model: Word
    parameters: Parameters
    others: tuple[Joined, ...] = ()
    server: Word = ""
    """Host and port of the server, such as ``api.openai.com:443``; empty if unknown, or if a program answers."""


class CallWaits(Happened, frozen=True, kw_only=True):
    """A call waits before its next request. The next event of the call ends the wait."""

    kind: Literal["call_waits"] = "call_waits"
    place: Place
    reason: str
    """What it waits for, such as ``a retry after RateLimited``."""
    until: float | None = None
    """Seconds since the epoch; None if unknown."""


class TextReceived(Happened, frozen=True, kw_only=True):
    """A piece of a streamed answer arrived. A later attempt of the same call replaces the text."""

    kind: Literal["text_received"] = "text_received"
    place: Place
    text: str


class AttemptFinished(Happened, frozen=True, kw_only=True):
    """The provider answered."""

    kind: Literal["attempt_finished"] = "attempt_finished"
    place: Place
    attempt: int
    completion: Completion
    seconds: float
    first_text_s: float | None = None
    """Seconds until the first text arrived; None if the answer was not streamed."""
    others: tuple[Joined, ...] = ()
    """The calls that get the further answers of the completion, in order. The last ones get none if it has fewer."""


class AttemptFailed(Happened, frozen=True, kw_only=True):
    """The request failed. A retry, or a request on another route, has its own events."""

    kind: Literal["attempt_failed"] = "attempt_failed"
    place: Place
    attempt: int
    failure: Failure
    seconds: float
    first_text_s: float | None = None
    """As in `AttemptFinished`; None if no text arrived."""
    others: tuple[Joined, ...] = ()


class CallFinished(Happened, frozen=True, kw_only=True):
    """An agent answered."""

    kind: Literal["call_finished"] = "call_finished"
    place: Place
    completion: Completion
    seconds: float


class CallFailed(Happened, frozen=True, kw_only=True):
    """An agent did not answer, after all retries and routes."""

    kind: Literal["call_failed"] = "call_failed"
    place: Place
    failure: Failure
    seconds: float


class StepFinished(Happened, frozen=True, kw_only=True):
    """A step ended and returned its answers."""

    kind: Literal["step_finished"] = "step_finished"
    step: int
    answers: tuple[Answer, ...]
    notes: tuple[Note, ...]
    seconds: float
    tally: Tally | None = None
    """The votes that it counted; None if it does not count."""
    analysis: Analysis | None = None
    """Its comparison of the answers; None if it does not compare."""
    review: PeerReview | None = None
    """Its ranking by reviewers; None if it has none."""
    verdict: Word = ""
    """What its judge said, in words; empty if it has none."""
    final: bool = False
    """Whether the run ends with it, because the later steps are not needed."""


class RunFinished(Happened, frozen=True, kw_only=True):
    """A run ended. This is its last event, unless it is resumed."""

    kind: Literal["run_finished"] = "run_finished"
    status: Status
    answer: str | None
    error: str | None
    seconds: float
    reason: FailureReason | None = None
    """Why it failed; None if it did not, or if an earlier version of moa-mcp recorded it."""
    in_json: bool = False
    """Whether the answer is JSON that the answer schema accepts."""


Event: TypeAlias = (
    RunStarted
    | RunEstimated
    | RunResumed
    | RunForked
    | StepStarted
    | CallStarted
    | CallWaits
    | AttemptStarted
    | TextReceived
    | AttemptFinished
    | AttemptFailed
    | CallFinished
    | CallFailed
    | StepFinished
    | RunFinished
)

PASSING = (TextReceived, CallWaits)
"""Events that are not recorded: later events make them redundant."""

Emit: TypeAlias = Callable[[Event], None]
"""Handles an event. It returns at once and never raises."""


def tee(*emits: Emit) -> Emit:
    """Return an emit that calls all of these, in order."""
    if len(emits) == 1:
        return emits[0]

    def emit(event: Event) -> None:
        for each in emits:
            each(event)

    return emit
