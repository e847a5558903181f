"""Requests per minute of each caller: to all servers that share a journal which knows rates, else to this process.

A minute's requests may come at once; their places are free again one by one, in even intervals.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict

import anyio

from moa_mcp.callers import Caller
from moa_mcp.errors import JournalError
from moa_mcp.journal.rates import RateStore
from moa_mcp.server.auth.challenges import Denied

PATIENCE_S = 1.0
"""Seconds for which a request waits for the journal. Without its answer, the requests to this process count."""
_MOST = 10_000
_MINUTE_S = 60.0

_log = logging.getLogger(__name__)


class RequestRates:
    """Until when the rate of each caller is booked, as far as this process knows.

    What it knows suffices to refuse a request; only others are booked in the journal. So a caller with too many
    requests causes no work there.
    """

    def __init__(self, store: RateStore | None = None) -> None:
        """`store` has the bookings of all processes, if they share any."""
        self._store = store
        self._until: OrderedDict[str, float] = OrderedDict()
        self._alone = False

    async def take(self, caller: Caller) -> None:
        """Count a request. Raises `Denied` if there were too many."""
        limit = caller.permissions.requests_per_minute
        if limit is None:
            return
        cost_s = _MINUTE_S / limit
        wait_s = self._wait_s(caller.name, cost_s)
        if wait_s <= 0:
            self._book(caller.name, cost_s)
            wait_s = await self._elsewhere(caller.name, cost_s)
            if wait_s > 0:
                self._until[caller.name] = time.monotonic() + wait_s + _MINUTE_S - cost_s
        if wait_s > 0:
            why = f"more than {limit} requests per minute"
            raise Denied("rate_limited", why, retry_after_s=wait_s, caller=caller.name)

    def _wait_s(self, name: str, cost_s: float) -> float:
        return self._until.get(name, 0.0) - time.monotonic() + cost_s - _MINUTE_S

    def _book(self, name: str, cost_s: float) -> None:
        self._until[name] = max(time.monotonic(), self._until.pop(name, 0.0)) + cost_s
        while len(self._until) > _MOST:
            self._until.popitem(last=False)

    async def _elsewhere(self, name: str, cost_s: float) -> float:
        """Book a request in the journal; return in how many seconds it would fit, 0 if it does."""
        if self._store is None:
            return 0.0
        wait_s: float | None = None
        with anyio.move_on_after(PATIENCE_S):
            try:
                wait_s = await self._store.take(_account(name), cost_s, _MINUTE_S)
            except JournalError as error:
                _log.debug("%s", error)
        if wait_s is None and not self._alone:  # once for an outage
            _log.warning("requests_per_minute of callers holds for this process alone: the journal does not answer")
        self._alone = wait_s is None
        return wait_s or 0.0


def _account(name: str) -> str:
    """Return a name for the rate of a caller that no key of a provider has."""
    return hashlib.sha256(f"caller\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
