"""The one interface through which questions are answered, and the layers around a provider that share it.

Each layer is a model that knows only the one inside. `stack` composes them; `Shared` holds what all runs of a
process have in common: the slots, and what was learned about models.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import anyio
from anyio.lowlevel import checkpoint_if_cancelled
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from moa_mcp.errors import (
    AnswerEmpty,
    CallError,
    Failure,
    JournalError,
    LeaseLost,
    ParameterRefused,
    TimedOut,
    Unrecorded,
)
from moa_mcp.events import AttemptFailed, AttemptFinished, AttemptStarted, Emit, Event, TextReceived
from moa_mcp.values import Call, Completion, Message, Parameters, Place, Target

LARGEST_WAIT_S = 60.0
"""A provider that asks to wait longer is given up on, so that another route or a quorum can help."""


class Model(Protocol):
    """Anything that answers a call."""

    async def __call__(self, call: Call) -> Completion:
        """Answer the call.

        Raises:
            CallError: no answer came.

        """
        ...


Usable = Callable[[str], Awaitable[tuple[Target, ...]]]
"""Returns where an alias can be served now, best first; raises `MissingKey` when nowhere."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be under way at once, and how often a call may be tried."""

    attempts: int = 4
    concurrency: int = 256
    provider_concurrency: int = 64
    requests_per_minute: Mapping[str, int] = field(default_factory=dict[str, int])
    """By provider; a provider that is not named has no limit."""


Keep = Callable[[Event], Awaitable[None]]
"""Puts an event on record and tells it; raises `JournalError` if it can't be recorded."""


class Paid(NamedTuple):
    """An answer on record, and the question it answers."""

    agent: str
    messages: tuple[Message, ...]
    completion: Completion


@dataclass(frozen=True, slots=True)
class Before:
    """What a run had done when it was left: what is paid is not paid again."""

    paid: Mapping[Place, Paid] = field(default_factory=dict[Place, Paid])
    attempts: Mapping[Place, int] = field(default_factory=dict[Place, int])
    """How many attempts were made at each place."""


def stack(
    provider: Model, usable: Usable, shared: Shared, emit: Emit, keep: Keep | None = None, before: Before | None = None
) -> Model:
    """Compose the layers of one run, outermost last.

    The timeout is innermost, so that it bounds one request and not the waiting for a slot. Record is around it, so
    that every single request has its events and one that took too long is told as such. Negotiation is outside
    both: what it sends again is a request of its own. A slot is held while requests are under way, not while a
    retry waits. Retries stay on one route; the routes layer moves on when they are used up. What is paid needs none
    of this, neither a slot nor a key, so replay is outermost.
    """
    before = before or Before()
    model: Model = Timed(provider)
    model = Recorded(model, emit, keep, before.attempts)
    model = Negotiated(model, shared)
    model = Slotted(model, shared)
    model = Retried(model, shared.limits.attempts)
    model = Routed(model, usable)
    return Replayed(model, before.paid)


class Shared:
    """What the runs of a process share: slots for requests, and what models were found to refuse."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.everything = anyio.CapacityLimiter(self.limits.concurrency)
        self.providers: defaultdict[str, anyio.CapacityLimiter] = defaultdict(
            lambda: anyio.CapacityLimiter(self.limits.provider_concurrency)
        )
        self.paces = {name: Pace(rate) for name, rate in self.limits.requests_per_minute.items()}
        self.refused: defaultdict[str, dict[str, str | None]] = defaultdict(dict)
        """By model: the parameters it refuses, each with the name it wants instead, if any."""


class Pace:
    """Spaces requests so that no minute sees more than a given number of them start."""

    def __init__(self, per_minute: int) -> None:
        self._gap_s = 60.0 / per_minute
        self._next = 0.0

    async def wait(self) -> None:
        """Return when the next request may start."""
        now = anyio.current_time()
        start = max(now, self._next)
        self._next = start + self._gap_s
        await anyio.sleep(start - now)


class Replayed:
    """Answers from the record what is paid, and asks for what is not."""

    def __init__(self, inner: Model, paid: Mapping[Place, Paid]) -> None:
        self._inner = inner
        self._paid = paid

    async def __call__(self, call: Call) -> Completion:
        paid = self._paid.get(call.place)
        if paid is not None and (paid.agent, paid.messages) == (call.agent, call.messages):
            return paid.completion
        return await self._inner(call)


class Routed:
    """Tries the routes of the call's model in order; what failed on the way is noted on the answer."""

    def __init__(self, inner: Model, usable: Usable) -> None:
        self._inner = inner
        self._usable = usable

    async def __call__(self, call: Call) -> Completion:
        failed: list[str] = []
        targets = await self._usable(call.agent)
        for target in targets[:-1]:
            try:
                completion = await self._inner(replace(call, target=target))
            except CallError as error:
                if not error.elsewhere:
                    raise
                failed.append(f"{target.model} failed and the next route was taken: {error}")
            else:
                return completion.noted(*failed)
        return (await self._inner(replace(call, target=targets[-1]))).noted(*failed)


class Retried:
    """Tries again what may succeed on a later try, waiting as long as the provider asks."""

    def __init__(self, inner: Model, attempts: int) -> None:
        self._inner = inner
        self._attempts = attempts

    async def __call__(self, call: Call) -> Completion:
        retrying = AsyncRetrying(
            sleep=anyio.sleep,
            stop=stop_after_attempt(self._attempts),
            retry=retry_if_exception(_worth_retrying),
            wait=_wait,
            reraise=True,
        )
        return await retrying(self._inner, call)


_backoff = wait_random_exponential(multiplier=0.5, max=20)


def _asked_wait(error: BaseException | None) -> float | None:
    return getattr(error, "retry_after_s", None)


def _worth_retrying(error: BaseException) -> bool:
    return isinstance(error, CallError) and error.retryable and (_asked_wait(error) or 0.0) <= LARGEST_WAIT_S


def _wait(state: RetryCallState) -> float:
    asked = _asked_wait(state.outcome.exception() if state.outcome else None)
    return _backoff(state) if asked is None else asked


class Slotted:
    """Holds a slot of the provider and one of the process while the call is under way.

    What waits for its provider, in a queue or for its minute, holds no slot of the process.
    """

    def __init__(self, inner: Model, shared: Shared) -> None:
        self._inner = inner
        self._shared = shared

    async def __call__(self, call: Call) -> Completion:
        provider = call.target.provider if call.target else ""
        pace = self._shared.paces.get(provider)
        async with self._shared.providers[provider]:
            if pace is not None:
                await pace.wait()
            async with self._shared.everything:
                return await self._inner(call)


class Negotiated:
    """Leaves out or renames what a model refuses, and remembers it; gives more room when thinking used it all up."""

    def __init__(self, inner: Model, shared: Shared) -> None:
        self._inner = inner
        self._refused = shared.refused

    async def __call__(self, call: Call) -> Completion:
        name = call.target.model if call.target else call.agent
        while True:
            refused = self._refused[name]
            adapted = replace(call, parameters=_adapted(call.parameters, refused))
            try:
                completion = await self._with_room(adapted)
            except ParameterRefused as error:
                if error.parameter not in adapted.parameters:
                    raise
                _learn(refused, error)
            else:
                return completion.noted(*_told(name, call.parameters, refused))

    async def _with_room(self, call: Call) -> Completion:
        try:
            return await self._inner(call)
        except AnswerEmpty as error:
            larger = {
                key: min(4 * int(value), max(16_384, int(value))) if key in _TOKEN_LIMITS else value
                for key, value in call.parameters.items()
            }
            if not error.at_limit or larger == call.parameters:
                raise
            completion = await self._inner(replace(call, parameters=larger))
            limit = next(larger[key] for key in _TOKEN_LIMITS if key in larger)
            return completion.noted(f"no text came within the token limit; asked again with {limit} tokens")


_TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")


def _adapted(parameters: Parameters, refused: Mapping[str, str | None]) -> Parameters:
    renamed = {refused.get(key, key): value for key, value in parameters.items()}
    return {key: value for key, value in renamed.items() if key is not None}


def _learn(refused: dict[str, str | None], error: ParameterRefused) -> None:
    """Keep what a model refuses; a new name that it refuses too is not exchanged again, but left out."""
    originals = [key for key, instead in refused.items() if instead == error.parameter]
    if originals:
        refused[originals[0]] = None
    else:
        refused[error.parameter] = None if error.instead == error.parameter else error.instead


def _told(model: str, parameters: Parameters, refused: Mapping[str, str | None]) -> list[str]:
    return [
        f"{model} does not take {key}; " + (f"sent as {refused[key]}" if refused[key] else "left out")
        for key in parameters
        if key in refused
    ]


class Timed:
    """Ends an attempt that takes longer than its step allows."""

    def __init__(self, inner: Model) -> None:
        self._inner = inner

    async def __call__(self, call: Call) -> Completion:
        with anyio.move_on_after(call.timeout_s):
            return await self._inner(call)
        model = call.target.model if call.target else call.agent
        raise TimedOut(f"{model} did not answer within {call.timeout_s:g} s")


class Recorded:
    """Puts every attempt on record: that it goes out, before it does, and what came of it, before anybody sees that."""

    def __init__(
        self, inner: Model, emit: Emit, keep: Keep | None = None, attempts: Mapping[Place, int] | None = None
    ) -> None:
        """Count on from `attempts`, those that were made before."""
        self._inner = inner
        self._emit = emit
        self._keep = keep or _telling(emit)
        self._attempts: defaultdict[Place, int] = defaultdict(int, attempts or {})

    async def __call__(self, call: Call) -> Completion:
        place = call.place
        self._attempts[place] += 1
        attempt = self._attempts[place]
        model = call.target.model if call.target else call.agent
        began = time.monotonic()
        try:
            with anyio.CancelScope(shield=True):  # what is on record as begun is told, and gets its end
                await self._keep(AttemptStarted(place=place, attempt=attempt, model=model, parameters=call.parameters))
        except JournalError as error:
            raise Unrecorded(str(error)) from error
        try:
            await checkpoint_if_cancelled()
            completion = await self._inner(call)
        except CallError as error:
            self._failed(place, attempt, Failure.of(error), began)
            raise
        except anyio.get_cancelled_exc_class():
            self._failed(place, attempt, STOPPED, began)
            raise
        seconds = time.monotonic() - began
        finished = AttemptFinished(place=place, attempt=attempt, completion=completion, seconds=seconds)
        try:
            with anyio.CancelScope(shield=True):
                await self._keep(finished)
        except LeaseLost as error:
            raise Unrecorded(str(error)) from error
        except JournalError as error:  # it is paid for and here: better used than lost
            self._emit(finished)
            return completion.noted(f"not on record: {error}")
        return completion

    def _failed(self, place: Place, attempt: int, failure: Failure, began: float) -> None:
        seconds = time.monotonic() - began
        self._emit(AttemptFailed(place=place, attempt=attempt, failure=failure, seconds=seconds))


def _telling(emit: Emit) -> Keep:
    async def keep(event: Event) -> None:
        emit(event)

    return keep


STOPPED = Failure("Stopped", "stopped before an answer came", retryable=False, paid=None)


def watched(call: Call, emit: Emit) -> Call:
    """Return the call with its text told piece by piece as it arrives."""

    def on_text(text: str) -> None:
        emit(TextReceived(place=call.place, text=text))

    return replace(call, on_text=on_text)
