"""One small call of each route, to see that it answers, how fast, and at what cost. Nothing is stored."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

import anyio
from msgspec import Struct

from moa_mcp.budget.worst_case import most_tokens, worst_case
from moa_mcp.errors import AnswerEmpty, CallError
from moa_mcp.middleware.limits import Limits
from moa_mcp.middleware.parameters import Negotiated
from moa_mcp.middleware.rate_limit import Slotted
from moa_mcp.middleware.stack import Shared
from moa_mcp.middleware.timeout import Timed
from moa_mcp.model import Model
from moa_mcp.planning.plan import Reach
from moa_mcp.routing import catalog
from moa_mcp.values import Call, Completion, Message, Parameters, Place, Target

TIMEOUT_S = 30.0
AT_ONCE = 8
_MESSAGES = (Message("user", "Say OK."),)
_TOKENS = 16
"""OpenAI accepts no smaller limit for some models."""
_REASONING_TOKENS = 256
"""OpenAI's reasoning models reject a limit that does not leave room for an answer."""
_NANO = Decimal(10**9)


class Ping(Struct, frozen=True):
    """A call to make: a route, and the aliases that it would answer."""

    aliases: tuple[str, ...]
    target: Target

    @property
    def parameters(self) -> Parameters:
        """The parameters of the call."""
        return {"max_tokens": _REASONING_TOKENS if catalog.reasons(self.target) else _TOKENS}

    @property
    def most_usd(self) -> Decimal | None:
        """The worst-case cost in US dollars; None if the price is unknown."""
        price = catalog.price_at(self.target)
        if price is None:
            return None
        return worst_case(price, self.target.model, most_tokens(_MESSAGES), self.parameters).nanodollars / _NANO


class Pinged(Struct, frozen=True):
    """The outcome of a call."""

    ping: Ping
    seconds: float
    """Until the answer or failure, without the wait for other calls."""
    outcome: Completion | CallError

    @property
    def error(self) -> CallError | None:
        """Why the route did not answer; None if it did, even with an empty text."""
        return self.outcome if isinstance(self.outcome, CallError) else None

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost in US dollars; None if unknown."""
        if self.error is not None and self.error.paid is False:
            return Decimal(0)
        return self.outcome.cost_usd


def pings(reached: Iterable[Reach]) -> tuple[Ping, ...]:
    """Return a call for the first usable route of each alias. Aliases with the same route share a call."""
    targets: dict[tuple[object, ...], Target] = {}
    aliases: defaultdict[tuple[object, ...], dict[str, None]] = defaultdict(dict)
    for each in reached:
        if each.route is not None and (target := each.route.target) is not None:
            key = (target.model, target.api_base, target.program)
            targets.setdefault(key, target)
            aliases[key][each.alias] = None
    return tuple(Ping(tuple(aliases[key]), target) for key, target in targets.items())


async def pinged(provider: Model, wanted: Sequence[Ping], limits: Limits) -> tuple[Pinged, ...]:
    """Make the calls, at most `AT_ONCE` at the same time, without retries.

    A request with a rejected parameter is sent again without it, which costs nothing.
    """
    shared = Shared(limits)
    measured = _Measured(provider)
    model = Negotiated(Slotted(Timed(measured, shared.clock), shared.slots), shared.learned)
    found: dict[Ping, Pinged] = {}
    slots = anyio.CapacityLimiter(AT_ONCE)

    async def ping(number: int, each: Ping) -> None:
        async with slots:
            place = Place(1, number)
            outcome = await _outcome(model, place, each)
            found[each] = Pinged(each, measured.seconds.get(place, 0.0), outcome)

    async with anyio.create_task_group() as tasks:
        for number, each in enumerate(wanted, 1):
            tasks.start_soon(ping, number, each)
    return tuple(found[each] for each in wanted)


async def _outcome(model: Model, place: Place, ping: Ping) -> Completion | CallError:
    try:
        return await model(
            Call("ping", place, ping.aliases[0], _MESSAGES, ping.parameters, 0, TIMEOUT_S, target=ping.target)
        )
    except CallError as error:
        return error


class _Measured:
    """Measures each request without the wait for its slot, and returns an empty answer as an answer.

    An empty answer shows that the route works, so the call is not repeated with a larger limit.
    """

    def __init__(self, inner: Model) -> None:
        self._inner = inner
        self.seconds: dict[Place, float] = {}
        """The time of the last request of each call."""

    async def __call__(self, call: Call) -> Completion:
        began = time.monotonic()
        try:
            return await self._inner(call)
        except AnswerEmpty as error:
            model = call.target.model if call.target else call.agent
            return Completion("", model, "length", error.usage, error.cost_usd)
        finally:
            self.seconds[call.place] = time.monotonic() - began
