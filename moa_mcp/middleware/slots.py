"""Slots for the requests of all runs of a process: which call may start now, and what the others wait for.

Three things limit a call: its lane (one model of one account), its account (one key at one server of a provider), and
the process. A waiting call holds no slot, so a full or paused lane does not block others. Calls start in order of
arrival, except that they pass those that wait for another lane or account.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import ceil, inf
from typing import TypeAlias

import anyio
from msgspec import Struct

from moa_mcp.errors import RateLimited
from moa_mcp.middleware.clock import Clock
from moa_mcp.middleware.limits import AdaptiveLimit, Limits, Minute, Pace, Spent
from moa_mcp.middleware.retry import LARGEST_WAIT_S
from moa_mcp.values import Target

_LONGEST_HOLD_S = 600.0
"""Maximum seconds that a pause is respected. A provider may request a day, but the account can be topped up earlier."""
NOTABLE_S = 5.0
"""Seconds from which waiting is noted."""


class Account:
    """One key at one server of a provider, with its configured limits."""

    def __init__(self, provider: str, limits: Limits) -> None:
        self.provider = provider
        self.setting, self.most = limits.concurrency_at(provider)
        self.under_way = 0
        self.held_until = 0.0
        requests = limits.requests_per_minute.get(provider)
        tokens = limits.tokens_per_minute.get(provider)
        self.pace = Pace(requests) if requests else None
        self.minute = Minute(tokens) if tokens else None
        self.lanes: list[Lane] = []

    def opens_at(self, tokens: int, now: float) -> float:
        """Return when a call may start: a time in the past if now, `inf` if it needs a free slot."""
        if self.under_way >= self.most:
            return inf
        if self.pace is None and self.minute is None:
            return self.held_until
        paced = self.pace.opens_at if self.pace else 0.0
        return max(self.held_until, paced, self.minute.opens_at(tokens, now) if self.minute else 0.0)


class Lane:
    """One model of one account. Most providers count per model, so the adaptive limit is per model.

    If two models of an account are paused, the provider may count per account. Then all models of the account pause,
    for as long as a call may wait at most; after that, one of them is tried.
    """

    def __init__(self, model: str, account: Account) -> None:
        self.model = model
        self.account = account
        self.adaptive_limit = AdaptiveLimit(account.most)
        self.waiting: deque[Waiter] = deque()
        self.asked_until = 0.0
        """End of the pause that the provider requested for this lane."""
        account.lanes.append(self)

    @property
    def held_until(self) -> float:
        """End of the pause for its calls."""
        return max(self.asked_until, self.account.held_until)

    @property
    def opens_at(self) -> float:
        """When its next call may start, like `Account.opens_at`."""
        return inf if self.adaptive_limit.full else self.asked_until

    def hold(self, until: float, now: float) -> None:
        """Pause the lane until this time."""
        self.asked_until = max(self.asked_until, until)
        held = sorted(lane.asked_until for lane in self.account.lanes if lane.asked_until > now)
        if len(held) > 1:
            self.account.held_until = max(self.account.held_until, min(held[0], now + LARGEST_WAIT_S))


class Slot(Struct, eq=False):
    """Held by a call while it is in progress."""

    lane: Lane
    number: int
    """Number of the call in its lane."""
    spent: Spent | None
    note: str | None = None
    """A note that the call waited long, and why."""


class Waiter(Struct, eq=False):
    """A call that waits for a slot."""

    number: int
    """Order of arrival among all calls."""
    tokens: int
    looks_at: float = inf
    """When to check again if it is not woken earlier."""
    slot: Slot | None = None
    _woken: anyio.Event | None = None
    _scope: anyio.CancelScope | None = None

    async def rest(self) -> None:
        """Return when it is woken, or when it is time to check again."""
        self._woken = anyio.Event()
        if self.looks_at == inf:
            await self._woken.wait()
        else:
            with anyio.CancelScope(deadline=self.looks_at) as self._scope:
                await self._woken.wait()
            self._scope = None

    def wake(self) -> None:
        """Wake the call to check again."""
        if self._woken:
            self._woken.set()

    def look_again(self, at: float) -> None:
        """Set when to check again."""
        self.looks_at = at
        if self._scope:
            self._scope.deadline = at
        elif at < inf:
            self.wake()  # it waits without a deadline


class Slots:
    """The slots of the process, its accounts and lanes."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._under_way = 0
        self._came = 0
        self._accounts: dict[_Key, Account] = {}
        self._lanes: dict[tuple[str, _Key], Lane] = {}
        self._waited_for: set[Lane] = set()

    def lane(self, target: Target | None) -> Lane:
        """Return the lane of a target's calls."""
        model, account = "", _NOWHERE
        if target is not None:
            model, account = target.model, (target.provider, target.api_base, target.api_key)
        lane = self._lanes.get((model, account))
        if lane is None:
            if account not in self._accounts:
                self._accounts[account] = Account(account[0], self._limits)
            lane = self._lanes[model, account] = Lane(model, self._accounts[account])
        return lane

    async def take(self, lane: Lane, tokens: int, waits: Callable[[str, float | None], None] | None = None) -> Slot:
        """Return a slot as soon as one is free.

        Before a wait, `waits` is called with its reason and its end in seconds since the epoch; None if unknown.

        Raises:
            RateLimited: the provider requested a longer pause than a call may wait.

        """
        self._came += 1
        now = self._clock.time()
        queued = self._waited_for and any(each.account is lane.account for each in self._waited_for)
        if not queued and self._opens_at(lane, tokens, now) <= now:
            return self._start(lane, tokens, now)
        reason = self._reason(lane, tokens, now)
        if waits is not None:
            left_s = self._opens_at(lane, tokens, now) - now
            waits(reason, time.time() + left_s if 0 < left_s < inf else None)
        slot = await self._wait(lane, Waiter(self._came, tokens))
        waited_s = self._clock.time() - now
        slot.note = f"waited {waited_s:.0f} s: {reason}" if waited_s > NOTABLE_S else None
        return slot

    def give_back(self, slot: Slot, tokens: int | None) -> None:
        """Release a slot. `tokens` is the actual number of the call, None if unknown."""
        now = self._clock.time()
        account = slot.lane.account
        self._under_way -= 1
        account.under_way -= 1
        slot.lane.adaptive_limit.end(now)
        if account.minute and slot.spent and tokens is not None:
            account.minute.correct(slot.spent, tokens)
        if self._waited_for:
            self._admit(now)

    def hold(self, lane: Lane, seconds: float) -> None:
        """Pause a lane. Waiting calls for which the pause is too long fail."""
        now = self._clock.time()
        lane.hold(now + min(seconds, _LONGEST_HOLD_S), now)
        for each in lane.account.lanes:
            if each.held_until - now > LARGEST_WAIT_S:
                for waiter in each.waiting:
                    waiter.wake()

    async def _wait(self, lane: Lane, waiter: Waiter) -> Slot:
        lane.waiting.append(waiter)
        self._waited_for.add(lane)
        try:
            while waiter.slot is None:
                now = self._clock.time()
                self._admit(now)
                if waiter.slot is None:
                    _give_up_if_held(lane, now)
                    await waiter.rest()
        except BaseException:
            self._leave(lane, waiter)
            raise
        return waiter.slot

    def _leave(self, lane: Lane, waiter: Waiter) -> None:
        """Remove a call that was cancelled, and release its slot if it has one."""
        if waiter.slot is not None:
            self.give_back(waiter.slot, 0)
            return
        lane.waiting.remove(waiter)
        if not lane.waiting:
            self._waited_for.remove(lane)
        self._admit(self._clock.time())

    def _admit(self, now: float) -> None:
        """Start all calls that may start, in order of arrival; set when the first call of each lane checks again."""
        heads = [(lane.waiting[0].number, lane) for lane in self._waited_for]
        heapify(heads)
        closed: set[Account] = set()  # their first call waits for the account, so later ones must not overtake it
        while heads:
            lane = heappop(heads)[1]
            waiter = lane.waiting[0]
            opens_at = inf if lane.account in closed else self._opens_at(lane, waiter.tokens, now)
            if opens_at > now:
                waiter.look_again(opens_at)
                if lane.opens_at <= now:
                    closed.add(lane.account)
                continue
            waiter.slot = self._start(lane, waiter.tokens, now)
            waiter.wake()
            lane.waiting.popleft()
            if lane.waiting:
                heappush(heads, (lane.waiting[0].number, lane))
            else:
                self._waited_for.remove(lane)

    def _opens_at(self, lane: Lane, tokens: int, now: float) -> float:
        if self._under_way >= self._limits.concurrency:
            return inf
        return max(lane.opens_at, lane.account.opens_at(tokens, now))

    def _start(self, lane: Lane, tokens: int, now: float) -> Slot:
        account = lane.account
        self._under_way += 1
        account.under_way += 1
        if account.pace:
            account.pace.start(now)
        spent = account.minute.start(tokens, now) if account.minute else None
        return Slot(lane, lane.adaptive_limit.start(now), spent)

    def _reason(self, lane: Lane, tokens: int, now: float) -> str:
        account, limits = lane.account, self._limits
        provider, learned = account.provider, lane.adaptive_limit
        minute, pace = account.minute, account.pace
        reasons = {
            f"{provider} requested a pause": lane.held_until > now,
            f"concurrency = {limits.concurrency}": self._under_way >= limits.concurrency,
            f"{account.setting} = {account.most} at {provider}": account.under_way >= account.most,
            f"{provider} limits requests for {lane.model}, now trying {learned.size} at once": learned.full,
            f"tokens_per_minute = {limits.tokens_per_minute.get(provider)} at {provider}": (
                minute is not None and minute.opens_at(tokens, now) > now
            ),
            f"requests_per_minute = {limits.requests_per_minute.get(provider)} at {provider}": (
                pace is not None and pace.opens_at > now
            ),
        }
        return next((reason for reason, holds in reasons.items() if holds), f"earlier calls to {provider}")


_Key: TypeAlias = tuple[str, str | None, str | None]
_NOWHERE: _Key = ("", None, None)


def _give_up_if_held(lane: Lane, now: float) -> None:
    remaining_s = lane.held_until - now
    if remaining_s > LARGEST_WAIT_S:
        provider = lane.account.provider
        message = f"{lane.model} was not called: {provider} requested a pause, {ceil(remaining_s)} s remain"
        raise RateLimited(message, retry_after_s=remaining_s)
