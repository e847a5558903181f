"""All errors of the package, as one tree.

::

    MoaError
    ├── ConfigError             the configuration is invalid; has every problem found
    ├── StepFailed              a step got too few answers, or none that it could parse
    │   ├── PromptTooLong           prompts exceed context windows; the step can write shorter ones
    │   ├── StepLeftOut             too few of its calls could be made; the run may skip the step
    │   └── DeadlinePassed          the deadline passed before enough calls were answered
    ├── RunNotFound             the journal has no run with that ID
    ├── RunAmbiguous            several runs have an ID with that start
    ├── RunNotResumable         the run can't be resumed or forked: it is complete or incomplete in the journal
    │   └── RunActive               another process executes it, or did so until a moment ago
    ├── BatchActive             another process executes the batch
    ├── TooManyRuns             a caller has as many runs at the same time as it may
    ├── ChangeRefused           an override of a fork is invalid
    ├── JournalError            the journal can't be read or written
    │   ├── JournalDamaged          the journal, or one run in it, is inconsistent
    │   └── LeaseLost               another process claimed or cancelled the run
    └── CallError               one model call failed
        ├── Unrecorded          the journal could not record it, so it was not sent
        ├── CallSkipped         it was not sent, because a budget or setting does not allow it
        │   ├── BudgetReached       its worst-case cost exceeds the rest of a budget
        │   └── Unpriced            its price is unknown, and the configuration requires a price
        ├── MissingKey          no route is usable; names the variables to set
        ├── AuthFailed          the provider rejects the key
        ├── QuotaExceeded       the account has no credit left
        ├── ModelNotFound       the provider does not serve that model
        ├── RequestRefused      the provider rejects the request itself
        │   ├── ParameterRefused    it rejects one parameter, which can be omitted, renamed or limited
        │   ├── SystemRoleRefused   the model accepts no system message
        │   └── ContextTooLong      the prompt exceeds the model's context window
        ├── AnswerRefused       the model or its filter declined to answer
        ├── AnswerEmpty         the answer has no text
        ├── RateLimited         too many requests; may have the time to wait
        ├── ServerFailed        the provider had an internal error
        ├── ConnectionFailed    the provider was unreachable, or the connection broke
        ├── TimedOut            the attempt exceeded its timeout
        ├── UnexpectedFault     a reply, a library or moa-mcp failed in an unexpected way
        └── StragglerDropped    the step stopped waiting for it

A call error has three properties: whether a retry can help (``retryable``), whether another route can help
(``elsewhere``), and whether the call was billed (``paid``: True, False, or None if unknown).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from msgspec import Struct

from moa_mcp.text.visible import quoted
from moa_mcp.values import Answer, FailureReason, Usage, Word

_MOST_IDS = 5
"""Runs that a message lists."""


class MoaError(Exception):
    """The root of the tree. Messages are written for users, and contain no keys and no stack traces."""


class Problem(Struct, frozen=True):
    """A problem in a configuration: its place, what is wrong, and a valid value."""

    place: str
    """Table and key, such as ``pipelines.vote, step 2, n``; empty for the whole file."""
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class ConfigError(MoaError):
    """The configuration is invalid."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(self._text())

    def _text(self) -> str:
        if len(self.problems) == 1:
            return f"{self.source}: {self.problems[0]}"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        return f"{self.source}: {len(self.problems)} problems{lines}"


class RunNotFound(MoaError):
    """The journal has no run with that ID."""

    def __init__(self, run_id: str, near: str | None = None) -> None:
        """`near` is a similar ID that is recorded; None if there is none."""
        if run_id == "last":
            super().__init__("there are no runs yet")
            return
        meant = f"; did you mean {quoted(near)}?" if near else ""
        super().__init__(f"there is no run {quoted(run_id)} in the journal{meant}")


class RunAmbiguous(MoaError):
    """Several runs have an ID with that start; the message lists the newest."""

    def __init__(self, given: str, run_ids: Sequence[str]) -> None:
        ids = ", ".join(run_ids[:_MOST_IDS])
        more = ", …" if len(run_ids) > _MOST_IDS else ""
        super().__init__(f"{quoted(given)} matches {len(run_ids)} runs: {ids}{more}; use more characters of the ID")


class RunNotResumable(MoaError):
    """The run can't be resumed, forked or followed by a question from here; the message has the reason."""


class RunActive(RunNotResumable):
    """Another process owns the run, or its death is not noticed yet."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is active in another process; wait for it, or cancel it")


class BatchActive(MoaError):
    """Another process executes the batch, so that a budget would not limit both."""

    def __init__(self) -> None:
        super().__init__("another process executes this batch, and they can't share --max-cost; wait, or leave it out")


class TooManyRuns(MoaError):
    """A caller has as many runs at the same time as it may. The message names them."""

    def __init__(self, limit: int, run_ids: Sequence[str]) -> None:
        runs = f"{len(run_ids)} of your runs are" if len(run_ids) > 1 else "1 of your runs is"
        ids = ", ".join(run_ids[:_MOST_IDS])
        more = ", …" if len(run_ids) > _MOST_IDS else ""
        super().__init__(
            f"not started: {runs} in progress, and your limit is {limit} (max_runs): {ids}{more}; wait for one with "
            "moa_wait or cancel one with moa_cancel, then call again"
        )


class ChangeRefused(MoaError):
    """An override of a fork is invalid."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class JournalError(MoaError):
    """The journal can't be read or written. A call that can't be recorded is not sent."""


class JournalDamaged(JournalError):
    """The journal, or one run in it, is inconsistent. The message quotes no content."""


class LeaseLost(JournalError):
    """Another process claimed or cancelled the run."""


class CallError(MoaError):
    """One model call failed."""

    retryable = False
    elsewhere = True
    paid: bool | None = False
    usage: Usage | None = None
    """The billed tokens, if the provider reported them."""
    cost_usd: Decimal | None = None
    reasoning: str = ""
    """The model's reasoning, although it returned no answer."""

    @property
    def kind(self) -> str:
        """The name of the class, as in traces."""
        return type(self).__name__


class Unrecorded(CallError):
    """The journal could not record the call, so it was not sent."""

    elsewhere = False


class CallSkipped(CallError):
    """The call was not sent, because a budget or setting does not allow it. The run may then skip the step."""

    elsewhere = False


class BudgetReached(CallSkipped):
    """The worst-case cost of the call exceeds the rest of a budget."""


class Unpriced(CallSkipped):
    """The price of the call is unknown, and the configuration requires a price."""

    elsewhere = True


class MissingKey(CallError):
    """No route of the model is usable."""

    elsewhere = False

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
        """What would make a route usable; empty if it is not known."""


class AuthFailed(CallError):
    """The provider rejects the key, or the key has no access to the model."""


class QuotaExceeded(CallError):
    """The account has no credit left, or too little for the requested answer length."""

    def __init__(self, message: str, *, affordable: int | None = None) -> None:
        super().__init__(message)
        self.affordable = affordable
        """Number of tokens that the account can pay for, if the provider states it."""


class ModelNotFound(CallError):
    """The provider does not serve that model, or is no longer at that address."""


class RequestRefused(CallError):
    """The provider rejects the request itself."""

    elsewhere = False


class Bounds(NamedTuple):
    """The range of values that a provider accepts for a parameter; None if not stated."""

    least: float | None = None
    most: float | None = None
    least_excluded: bool = False
    most_excluded: bool = False


Reason = Literal["unknown", "value", "together", "room"]
"""Why a parameter is rejected: the model does not support it, not this value, not together with another one, or not
within the token limit."""


class ParameterRefused(RequestRefused):
    """The model does not accept one of the parameters, or not with that value."""

    def __init__(
        self,
        message: str,
        *,
        parameter: str,
        instead: str | None = None,
        reason: Reason = "unknown",
        bounds: Sequence[Bounds] = (),
        words: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.instead = instead
        """The parameter to use instead, if the provider names one."""
        self.reason = reason
        self.bounds = tuple(bounds)
        """Possible bounds, the most likely first: the provider's message can be ambiguous."""
        self.words = tuple(words)
        """The accepted words, if the provider lists them."""


class SystemRoleRefused(RequestRefused):
    """The model accepts no system message."""


class ContextTooLong(RequestRefused):
    """The prompt exceeds the model's context window, or leaves too little of it for the requested answer length."""

    def __init__(self, message: str, *, room: int | None = None) -> None:
        super().__init__(message)
        self.room = room
        """Number of tokens left for the answer, if the provider states it."""


class AnswerRefused(CallError):
    """The model, or a filter of its provider, declined to answer."""

    elsewhere = False
    paid = None


class AnswerEmpty(CallError):
    """The model returned no text."""

    elsewhere = False
    paid = True

    def __init__(self, message: str, *, at_limit: bool) -> None:
        super().__init__(message)
        self.at_limit = at_limit
        """Whether the token limit was reached before any text, as can happen with reasoning models."""


class RateLimited(CallError):
    """The provider got too many requests."""

    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds to wait; None if the provider did not state them."""


class ServerFailed(CallError):
    """The provider had an internal error."""

    retryable = True
    paid: bool | None = False

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConnectionFailed(CallError):
    """The provider was unreachable, or the connection broke."""

    retryable = True
    paid: bool | None = None


class TimedOut(CallError):
    """The attempt exceeded its timeout."""

    retryable = True
    paid = None


class UnexpectedFault(CallError):
    """A reply, a library or moa-mcp failed in an unexpected way."""

    paid = None


class StragglerDropped(CallError):
    """The step stopped waiting for the call, because of its quorum and grace period, or the deadline."""

    elsewhere = False
    paid = None

    def __init__(self, waited_s: float, why: str, *, by_default: bool = False) -> None:
        super().__init__(f"dropped after {waited_s:.1f} s: {why}")
        self.by_default = by_default
        """Whether it was one of the last calls, for which nobody set a limit. The result is not degraded by it."""


class Failure(Struct, frozen=True):
    """A failed call or attempt, as stored in the trace."""

    kind: Word
    message: str
    retryable: bool
    paid: bool | None
    """Whether it was billed; None if unknown."""
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    reasoning: str = ""
    """The model's reasoning, although it returned no answer."""

    @classmethod
    def of(cls, error: CallError) -> Failure:
        """Return the failure for an error."""
        return cls(error.kind, str(error), error.retryable, error.paid, error.usage, error.cost_usd, error.reasoning)


STOPPED = Failure("Stopped", "stopped before it was answered", retryable=False, paid=None)
"""The failure of an attempt that was in progress when it was cancelled, or its process died."""


class StepFailed(MoaError):
    """A step failed, so the run can't continue."""

    def __init__(self, message: str, reason: FailureReason = "step") -> None:
        super().__init__(message)
        self.reason: FailureReason = reason


class PromptTooLong(StepFailed):
    """Some of a step's prompts exceed the context windows of their models."""

    def __init__(self, replies: Sequence[Answer | None], too_long: Iterable[int]) -> None:
        super().__init__("the prompt exceeds the model's context window")
        self.replies = tuple(replies)
        """The reply to each request, in order; None if it has none."""
        self.too_long = frozenset(too_long)
        """The positions of the requests that were too long."""


class StepLeftOut(StepFailed):
    """Too few of the step's calls could be made within budget and settings; the run may skip the step."""

    def __init__(self, message: str, reason: FailureReason = "budget") -> None:
        super().__init__(message, reason)


class DeadlinePassed(StepFailed):
    """The deadline passed before enough of the step's calls were answered."""

    def __init__(self, deadline: str, what: str, answers: Sequence[Answer] = ()) -> None:
        super().__init__(f"{deadline} passed: {what}", "deadline")
        self.deadline = deadline
        self.answers = tuple(answers)
        """The answers that arrived in time."""
