"""What a journal that processes share on several machines knows about rates: until when each account is booked.

An account is one key at a provider, or a caller of servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable


class Share(NamedTuple):
    """A share of the rate of an account: how many seconds of it are taken."""

    requests_s: float = 0.0
    tokens_s: float = 0.0

    def plus(self, other: Share) -> Share:
        """Return the sum."""
        return Share(self.requests_s + other.requests_s, self.tokens_s + other.tokens_s)


@runtime_checkable
class RateStore(Protocol):
    """Knows until when the rate of each account is booked."""

    async def book(self, shares: Mapping[str, Share]) -> Mapping[str, Share]:
        """Book shares by account, in one transaction; return for how many seconds from now each was booked before.

        Raises:
            JournalError: the store can't be reached.

        """
        ...

    async def take(self, account: str, cost_s: float, most_s: float) -> float:
        """Book requests, unless more than `most_s` seconds would then be booked.

        Returns 0 if they are booked, else in how many seconds they would fit.

        Raises:
            JournalError: the store can't be reached.

        """
        ...

    def correct(self, account: str, share: Share) -> None:
        """Add to what is booked, or take from it, soon. Returns at once and raises nothing."""
        ...


def rates_of(store: object) -> RateStore | None:
    """Return a journal that knows rates; None for one that a single process or machine uses."""
    return store if isinstance(store, RateStore) else None
