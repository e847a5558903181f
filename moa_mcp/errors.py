"""Everything that can go wrong, as one tree.

::

    MoaError
    ├── ConfigError             the configuration can't be used; holds every problem found
    ├── StepFailed              too few answers, or none that can be read
    │   ├── PromptTooLong           some of its prompts do not fit their models' windows, and it can write others
    │   ├── StepLeftOut             too few of its calls were made at all; the run may do without the step
    │   └── DeadlinePassed          the run's time was up before enough of its calls were answered
    ├── RunNotFound             the journal has no run of that id
    ├── RunNotResumable         the run can't be resumed or forked: it is complete, active, or lacks what that needs
    ├── ChangeRefused           a fork can't have its pipeline changed so
    ├── JournalError            the journal can't be read or written
    │   ├── JournalDamaged          what it holds, or one run of it, makes no sense
    │   └── LeaseLost               another process drives the run now, or it was cancelled there
    └── CallError               one model call failed
        ├── Unrecorded          the journal did not take it, and so it was not made
        ├── CallSkipped         it was not made, because a budget or setting does not allow it
        │   ├── BudgetReached       it could cost more than a budget has left
        │   └── Unpriced            nobody knows what it costs, and the configuration wants that known
        ├── MissingKey          no route can be used; names the variables that would make one usable
        ├── AuthFailed          the provider refuses the key
        ├── QuotaExceeded       the account has no money left
        ├── ModelNotFound       the provider does not serve that model
        ├── RequestRefused      the request itself is at fault
        │   ├── ParameterRefused    one parameter is; it can be left out, renamed or brought within its bounds
        │   ├── SystemRoleRefused   the model takes no system message
        │   └── ContextTooLong      the prompt does not fit the model's window
        ├── AnswerRefused       the model or its filter declined to answer
        ├── AnswerEmpty         no text came
        ├── RateLimited         too many requests; may say how long to wait
        ├── ServerFailed        the provider's fault
        ├── ConnectionFailed    nobody answered, or the line broke
        ├── TimedOut            the attempt took longer than it may
        ├── UnexpectedFault     a reply or a library did what nobody foresaw
        └── StragglerDropped    the step did not wait for it

A call error says three things of itself: may the same call be tried again (``retryable``), may another route
do better (``elsewhere``), and was it paid (``paid``: True, False, or None where nobody can know).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

from moa_mcp.text.visible import quoted
from moa_mcp.values import Answer, FailureReason, Usage, Word


class MoaError(Exception):
    """The root. Its text is written for the person who reads it, and holds no key and no stack trace."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration: where it stands, what is wrong and what would be right."""

    place: str
    """Table and key, ``pipelines.vote, step 2, n``; empty for the file as a whole."""
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class ConfigError(MoaError):
    """The configuration can't be used."""

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
    """There is no run of that id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {quoted(run_id)} in the journal")


class RunNotResumable(MoaError):
    """The run can't be resumed or forked from here; the text says why."""


class ChangeRefused(MoaError):
    """A run's pipeline can't be changed so."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class JournalError(MoaError):
    """The journal can't be read or written; no call is made that could not be recorded."""


class JournalDamaged(JournalError):
    """What the journal holds, or one run of it, makes no sense; the text quotes none of it."""


class LeaseLost(JournalError):
    """Another process drives the run now, or it was cancelled there."""


class CallError(MoaError):
    """One model call failed."""

    retryable = False
    elsewhere = True
    paid: bool | None = False
    usage: Usage | None = None
    """What the provider billed for it, if it said so."""
    cost_usd: Decimal | None = None
    reasoning: str = ""
    """What the model thought before it gave no answer."""

    @property
    def kind(self) -> str:
        """The class's name, as traces show it."""
        return type(self).__name__


class Unrecorded(CallError):
    """The journal did not take the call, and so it was not made."""

    elsewhere = False


class CallSkipped(CallError):
    """The call was not made, because a budget or setting does not allow it. The run may then skip the step."""

    elsewhere = False


class BudgetReached(CallSkipped):
    """The call could cost more than a budget has left."""


class Unpriced(CallSkipped):
    """Nobody knows what the call costs, and the configuration wants that known."""

    elsewhere = True


class MissingKey(CallError):
    """No route of the model can be used from here."""

    elsewhere = False


class AuthFailed(CallError):
    """The provider refuses the key, or the key may not use the model."""


class QuotaExceeded(CallError):
    """The account behind the key has nothing left, or not enough for as long an answer."""

    def __init__(self, message: str, *, affordable: int | None = None) -> None:
        super().__init__(message)
        self.affordable = affordable
        """Number of tokens that the account can pay for, if the provider states it."""


class ModelNotFound(CallError):
    """The provider does not serve a model of that name, or is not at that address any more."""


class RequestRefused(CallError):
    """The provider can't take the request as it is."""

    elsewhere = False


class Bounds(NamedTuple):
    """Between which values a provider takes a parameter, as far as it says so."""

    least: float | None = None
    most: float | None = None
    least_excluded: bool = False
    most_excluded: bool = False


Reason = Literal["unknown", "value", "together"]
"""Why a parameter is refused: the model does not take it, or not this value, or not beside another one."""


class ParameterRefused(RequestRefused):
    """The model does not take one of the parameters, or not with that value."""

    def __init__(
        self,
        message: str,
        *,
        parameter: str,
        instead: str | None = None,
        reason: Reason = "unknown",
        bounds: Sequence[Bounds] = (),
    ) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.instead = instead
        """The name the provider wants in its place, if it said one."""
        self.reason = reason
        self.bounds = tuple(bounds)
        """What may be the bounds, the surest first: the provider's words can be read in several ways."""


class SystemRoleRefused(RequestRefused):
    """The model takes no system message."""


class ContextTooLong(RequestRefused):
    """The prompt does not fit the model's context window, or leaves no room there for as long an answer."""

    def __init__(self, message: str, *, room: int | None = None) -> None:
        super().__init__(message)
        self.room = room
        """How many tokens the prompt leaves for the answer, where the provider says so."""


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
        """The token limit was used up before any text came, as reasoning models do."""


class RateLimited(CallError):
    """The provider has had too many requests."""

    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds the provider asks to wait; None if it did not say."""


class ServerFailed(CallError):
    """The provider failed on its side."""

    retryable = True
    paid: bool | None = False

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConnectionFailed(CallError):
    """The provider could not be reached, or the connection broke."""

    retryable = True
    paid: bool | None = None


class TimedOut(CallError):
    """The attempt took longer than it may."""

    retryable = True
    paid = None


class UnexpectedFault(CallError):
    """A reply or a library did what nobody foresaw."""

    paid = None


class StragglerDropped(CallError):
    """The step did not wait for the call: its quorum and grace, or the deadline, were reached."""

    elsewhere = False
    paid = None

    def __init__(self, waited_s: float, why: str) -> None:
        super().__init__(f"not waited for after {waited_s:.1f} s: {why}")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call or attempt, as the trace keeps it."""

    kind: Word
    message: str
    retryable: bool
    paid: bool | None
    """None where nobody can know."""
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    reasoning: str = ""
    """What the model thought before it gave no answer."""

    @classmethod
    def of(cls, error: CallError) -> Failure:
        """Return what is to be kept of an error."""
        return cls(error.kind, str(error), error.retryable, error.paid, error.usage, error.cost_usd, error.reasoning)


STOPPED = Failure("Stopped", "stopped before an answer came", retryable=False, paid=None)
"""Of an attempt that was under way when it was cancelled, or its process died."""


class StepFailed(MoaError):
    """A step could not do its work; nothing that follows it can."""

    def __init__(self, message: str, reason: FailureReason = "step") -> None:
        super().__init__(message)
        self.reason: FailureReason = reason


class PromptTooLong(StepFailed):
    """Some of a step's prompts do not fit their models' windows."""

    def __init__(self, replies: Sequence[Answer | None], too_long: Iterable[int]) -> None:
        super().__init__("the prompt does not fit the model's window")
        self.replies = tuple(replies)
        """What came of all requests, in their order."""
        self.too_long = frozenset(too_long)
        """The positions of those that were too long."""


class StepLeftOut(StepFailed):
    """Too few of the step's calls could be made, for want of means; the answers before it can go on without it."""

    def __init__(self, message: str, reason: FailureReason = "budget") -> None:
        super().__init__(message, reason)


class DeadlinePassed(StepFailed):
    """The run's time was up before enough of the step's calls were answered."""

    def __init__(self, deadline: str, what: str, answers: Sequence[Answer] = ()) -> None:
        super().__init__(f"{deadline} passed: {what}", "deadline")
        self.deadline = deadline
        self.answers = tuple(answers)
        """Those that came."""
