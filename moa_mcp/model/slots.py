"""The slots of all runs of a process: which call may start now, and what the others wait for.

Three things bound a call: its lane (one model at one account), its account (one key at one server of a provider), and
the process. What waits holds nothing of any of them, so a lane that is full or held back stands in nobody's way.
Calls start in the order in which they came, but past those that wait for another lane or account.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import ceil, inf
from typing import TypeAlias

import anyio

from moa_mcp.errors import RateLimited
from moa_mcp.model.clock import Clock
from moa_mcp.model.limits import Allowance, Limits, Minute, Pace, Spent
from moa_mcp.model.retried import LARGEST_WAIT_S
from moa_mcp.values import Target

_LONGEST_HOLD_S = 600.0
"""A provider may ask for a day's pause, but an account can be topped up: it is tried again now and then."""
_NOTABLE_S = 5.0
"""Who waited longer is told so."""


class Account:
    """One key at one server of a provider: whose limits the configuration states."""

    def __init__(self, provider: str, limits: Limits) -> None:
        self.provider = provider
        self.most = limits.provider_concurrency
        self.under_way = 0
        self.held_until = 0.0
        requests = limits.requests_per_minute.get(provider)
        tokens = limits.tokens_per_minute.get(provider)
        self.pace = Pace(requests) if requests else None
        self.minute = Minute(tokens) if tokens else None
        self.lanes: list[Lane] = []

    def opens_at(self, tokens: int, now: float) -> float:
        """Return when a call with so many tokens may start: a moment that is past if now, `inf` if a slot must free."""
        if self.under_way >= self.most:
            return inf
        paced = self.pace.opens_at if self.pace else 0.0
        return max(self.held_until, paced, self.minute.opens_at(tokens, now) if self.minute else 0.0)


class Lane:
    """One model at one account: most providers count per model, so what refusals teach is kept per model.

    When a second model is held back while the first is, it may be the account that is counted, and all its models are
    held back, as long as a call waits at most: then another is asked, and tells.
    """

    def __init__(self, model: str, account: Account) -> None:
        self.model = model
        self.account = account
        self.allowance = Allowance(account.most)
        self.waiting: deque[Waiter] = deque()
        self.asked_until = 0.0
        """Until when the provider asked for a pause, of this lane alone."""
        account.lanes.append(self)

    @property
    def held_until(self) -> float:
        """Until when no call of it starts, since the provider asked for a pause."""
        return max(self.asked_until, self.account.held_until)

    @property
    def opens_at(self) -> float:
        """When its next call may start, as `Account.opens_at`."""
        return inf if self.allowance.full else self.asked_until

    def hold(self, until: float, now: float) -> None:
        """Let none of its calls start before a moment."""
        self.asked_until = max(self.asked_until, until)
        held = sorted(lane.asked_until for lane in self.account.lanes if lane.asked_until > now)
        if len(held) > 1:
            self.account.held_until = max(self.account.held_until, min(held[0], now + LARGEST_WAIT_S))


@dataclass(slots=True, eq=False)
class Slot:
    """What a call holds while it is under way."""

    lane: Lane
    number: int
    """The call's, among those of its lane."""
    spent: Spent | None
    note: str | None = None
    """Tells that the call waited long for it, and why."""


@dataclass(slots=True, eq=False)
class Waiter:
    """A call that may not start yet."""

    number: int
    """Of all calls, in the order in which they came."""
    tokens: int
    looks_at: float = inf
    """When to look again, if nobody wakes it before."""
    slot: Slot | None = None
    _woken: anyio.Event | None = None
    _scope: anyio.CancelScope | None = None

    async def rest(self) -> None:
        """Return when it is woken, or when it is time to look again."""
        self._woken = anyio.Event()
        if self.looks_at == inf:
            await self._woken.wait()
        else:
            with anyio.CancelScope(deadline=self.looks_at) as self._scope:
                await self._woken.wait()
            self._scope = None

    def wake(self) -> None:
        """Let it look now."""
        if self._woken:
            self._woken.set()

    def look_again(self, at: float) -> None:
        """Set when it is time to look again."""
        self.looks_at = at
        if self._scope:
            self._scope.deadline = at
        elif at < inf:
            self.wake()  # it rests without a clock


class Slots:
    """The slots of the process, of every account and of every lane."""

    def __init__(self, limits: Limits, now: Clock) -> None:
        self._limits = limits
        self._now = now
        self._under_way = 0
        self._came = 0
        self._accounts: dict[_Key, Account] = {}
        self._lanes: dict[tuple[str, _Key], Lane] = {}
        self._waited_for: set[Lane] = set()

    def lane(self, target: Target | None) -> Lane:
        """Return the lane of the calls that are served at a target."""
        model, account = ("", _NOWHERE) if target is None else (target.model, _account(target))
        lane = self._lanes.get((model, account))
        if lane is None:
            if account not in self._accounts:
                self._accounts[account] = Account(account[0], self._limits)
            lane = self._lanes[model, account] = Lane(model, self._accounts[account])
        return lane

    async def take(self, lane: Lane, tokens: int) -> Slot:
        """Return a slot as soon as there is one.

        Raises:
            RateLimited: the provider asked for a pause that is longer than a call is to wait.

        """
        self._came += 1
        now = self._now()
        queued = self._waited_for and any(each.account is lane.account for each in self._waited_for)
        if not queued and self._opens_at(lane, tokens, now) <= now:
            return self._start(lane, tokens, now)
        reason = self._reason(lane, tokens, now)
        slot = await self._wait(lane, Waiter(self._came, tokens))
        waited_s = self._now() - now
        slot.note = f"waited {waited_s:.0f} s: {reason}" if waited_s > _NOTABLE_S else None
        return slot

    def give_back(self, slot: Slot, tokens: int | None) -> None:
        """Take a slot back; `tokens` is what its call took, None if nobody knows."""
        now = self._now()
        account = slot.lane.account
        self._under_way -= 1
        account.under_way -= 1
        slot.lane.allowance.end(now)
        if account.minute and slot.spent and tokens is not None:
            account.minute.correct(slot.spent, tokens)
        self._admit(now)

    def hold(self, lane: Lane, seconds: float) -> None:
        """Let no call of a lane start for some time; those that wait and would wait too long are told so."""
        now = self._now()
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
                now = self._now()
                self._admit(now)
                if waiter.slot is None:
                    _give_up_if_held(lane, now)
                    await waiter.rest()
        except BaseException:
            self._leave(lane, waiter)
            raise
        return waiter.slot

    def _leave(self, lane: Lane, waiter: Waiter) -> None:
        """Let go of a call that will not start, though its slot may be there."""
        if waiter.slot is not None:
            self.give_back(waiter.slot, 0)
            return
        lane.waiting.remove(waiter)
        if not lane.waiting:
            self._waited_for.remove(lane)
        self._admit(self._now())

    def _admit(self, now: float) -> None:
        """Start what may start, in the order in which it came; set when the first of each lane looks again."""
        if not self._waited_for:
            return
        heads = [(lane.waiting[0].number, lane) for lane in self._waited_for]
        heapify(heads)
        closed: set[Account] = set()  # whose first call waits for it; no later one takes what that waits for
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
        return Slot(lane, lane.allowance.start(now), spent)

    def _reason(self, lane: Lane, tokens: int, now: float) -> str:
        account, limits = lane.account, self._limits
        provider, learned = account.provider, lane.allowance
        minute, pace = account.minute, account.pace
        reasons = {
            f"{provider} asked for a pause": lane.held_until > now,
            f"concurrency = {limits.concurrency}": self._under_way >= limits.concurrency,
            f"provider_concurrency = {account.most} at {provider}": account.under_way >= account.most,
            f"{provider} had too many requests for {lane.model}, {learned.size} at once are tried now": learned.full,
            f"tokens_per_minute = {limits.tokens_per_minute.get(provider)} at {provider}": (
                minute is not None and minute.opens_at(tokens, now) > now
            ),
            f"requests_per_minute = {limits.requests_per_minute.get(provider)} at {provider}": (
                pace is not None and pace.opens_at > now
            ),
        }
        return next((reason for reason, holds in reasons.items() if holds), f"others came first to {provider}")


_Key: TypeAlias = tuple[str, str | None, str | None]
_NOWHERE: _Key = ("", None, None)


def _account(target: Target) -> _Key:
    return target.provider, target.api_base, target.api_key


def _give_up_if_held(lane: Lane, now: float) -> None:
    remaining_s = lane.held_until - now
    if remaining_s > LARGEST_WAIT_S:
        provider = lane.account.provider
        message = f"{lane.model} was not asked: {provider} wants a pause, of which {ceil(remaining_s)} s remain"
        raise RateLimited(message, retry_after_s=remaining_s)
