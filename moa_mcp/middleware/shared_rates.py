"""Requests and tokens per minute of all processes that share a store, which has the clock.

This is the generic cell rate algorithm (ITU-T I.371): of each account, the store knows until when its rate is booked. A
call books its share behind that and waits for its turn. So calls are served in order of arrival, and none asks again.
The bookings of a process that come while the store is asked go there together.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence

import anyio

from moa_mcp.errors import JournalError, Unrecorded
from moa_mcp.journal.rates import RateStore, Share
from moa_mcp.middleware.limits import Limits, most_tokens
from moa_mcp.middleware.slots import NOTABLE_S
from moa_mcp.values import Call, Target

_BURST_S = 6.0
"""Tokens that may start ahead of their rate, in seconds of it: a tenth of a minute. A call with more tokens than that
waits until nothing is booked."""


class Booking:
    """The share of a call. It is released if the call does not start."""

    def __init__(self, store: RateStore, account: str, share: Share, per_token_s: float) -> None:
        self._store = store
        self._per_token_s = per_token_s
        self.account = account
        self.share = share
        self.wait_s: float | None = None
        """When the call starts, in seconds after it was booked; None until it is."""
        self.note: str | None = None
        """A note that the call waited long, and why."""
        self.left = False
        """Whether the call was cancelled before it was booked."""

    def settle(self, tokens: int | None) -> None:
        """Correct the tokens of the call, which has ended; None if they are unknown."""
        difference_s = 0.0 if tokens is None else tokens * self._per_token_s - self.share.tokens_s
        if difference_s:
            self._store.correct(self.account, Share(0.0, difference_s))

    def release(self) -> None:
        """Release the share of the call, which does not start."""
        if self.wait_s is None:
            self.left = True
        else:
            self._store.correct(self.account, Share(-self.share.requests_s, -self.share.tokens_s))


class SharedRates:
    """Books the calls of a process."""

    def __init__(self, store: RateStore, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._waiting: list[Booking] = []
        self._turn = anyio.Lock()

    async def take(self, call: Call, target: Target, waits: Callable[[str, float | None], None]) -> Booking | None:
        """Book a call, and return when it may start; None if its account has no limit.

        Before a wait, `waits` is called with its reason and its end in seconds since the epoch.

        Raises:
            Unrecorded: the store can't be reached.

        """
        requests = self._limits.requests_per_minute.get(target.provider)
        tokens = self._limits.tokens_per_minute.get(target.provider)
        if not (requests or tokens):
            return None
        per_token_s = 60.0 / tokens if tokens else 0.0
        share = Share(60.0 / requests if requests else 0.0, most_tokens(call) * per_token_s if tokens else 0.0)
        booking = Booking(self._store, _name(target), share, per_token_s)
        try:
            wait_s = await self._booked(booking)
            if wait_s > 0:
                limits = {"requests_per_minute": requests, "tokens_per_minute": tokens}
                names = " and ".join(f"{name} = {limit}" for name, limit in limits.items() if limit)
                reason = f"{names} at {target.provider} for all processes"
                waits(reason, time.time() + wait_s)
                await anyio.sleep(wait_s)
                booking.note = f"waited {wait_s:.0f} s: {reason}" if wait_s > NOTABLE_S else None
        except JournalError as error:
            raise Unrecorded(str(error)) from error
        except BaseException:
            booking.release()
            raise
        return booking

    async def _booked(self, booking: Booking) -> float:
        """Book a call, together with those that came meanwhile; return in how many seconds it starts."""
        self._waiting.append(booking)
        async with self._turn:
            if booking.wait_s is None:
                together, self._waiting = [each for each in self._waiting if not each.left], []
                try:
                    before = await self._store.book(_sums(together))
                except BaseException:
                    self._waiting = [*(each for each in together if each is not booking), *self._waiting]
                    raise
                _start(together, before)
        return booking.wait_s or 0.0


def _sums(bookings: Sequence[Booking]) -> dict[str, Share]:
    """Return what calls book together, by account."""
    sums: dict[str, Share] = {}
    for each in bookings:
        sums[each.account] = sums.get(each.account, Share()).plus(each.share)
    return sums


def _start(bookings: Sequence[Booking], before: Mapping[str, Share]) -> None:
    """Set when calls start that were booked together, in order."""
    booked = dict(before)
    for each in bookings:
        each.wait_s = _starts_in(each.share, booked[each.account])
        booked[each.account] = booked[each.account].plus(each.share)
        if each.left:
            each.release()


def _starts_in(share: Share, booked: Share) -> float:
    """Return in how many seconds a call with this share starts, if that is booked before it."""
    requests_s = booked.requests_s if share.requests_s else 0.0
    tokens_s = booked.tokens_s + min(0.0, share.tokens_s - _BURST_S) if share.tokens_s else 0.0
    return max(0.0, requests_s, tokens_s)


def _name(target: Target) -> str:
    """Return a name for one key at one server of a provider, which does not reveal the key."""
    parts = (target.provider, target.api_base or "", target.api_key or "")
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
