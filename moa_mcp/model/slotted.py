"""How much may be under way at once and how often something may start, over all runs of a process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio

from moa_mcp.model.interface import Model
from moa_mcp.values import Call, Completion


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be under way at once, and how often a call may be tried."""

    attempts: int = 4
    concurrency: int = 256
    provider_concurrency: int = 64
    requests_per_minute: Mapping[str, int] = field(default_factory=dict[str, int])
    """By provider; a provider that is not named has no limit."""


class Slots:
    """The slots and the pace of every provider."""

    def __init__(self, limits: Limits) -> None:
        self.everything = anyio.CapacityLimiter(limits.concurrency)
        self.providers: defaultdict[str, anyio.CapacityLimiter] = defaultdict(
            lambda: anyio.CapacityLimiter(limits.provider_concurrency)
        )
        self.paces = {name: Pace(rate) for name, rate in limits.requests_per_minute.items()}


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


class Slotted:
    """Holds a slot of the provider and one of the process while the call is under way.

    What waits for its provider, in a queue or for its minute, holds no slot of the process.
    """

    def __init__(self, inner: Model, slots: Slots) -> None:
        self._inner = inner
        self._slots = slots

    async def __call__(self, call: Call) -> Completion:
        provider = call.target.provider if call.target else ""
        pace = self._slots.paces.get(provider)
        async with self._slots.providers[provider]:
            if pace is not None:
                await pace.wait()
            async with self._slots.everything:
                return await self._inner(call)
