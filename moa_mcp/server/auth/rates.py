"""Requests per minute of each caller, to this process."""

from __future__ import annotations

import time
from collections import OrderedDict

from moa_mcp.callers import Caller
from moa_mcp.server.auth.challenges import Denied

_MOST = 10_000
_MINUTE_S = 60.0


class RequestRates:
    """A token bucket for each caller: a minute's requests may come at once, and are refilled evenly."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By caller: the requests that are left, and when that was."""

    def take(self, caller: Caller) -> None:
        """Count a request. Raises `Denied` if there were too many."""
        limit = caller.permissions.requests_per_minute
        if limit is None:
            return
        now, rate = time.monotonic(), limit / _MINUTE_S
        left, then = self._buckets.pop(caller.name, (float(limit), now))
        left = min(float(limit), left + (now - then) * rate)
        self._buckets[caller.name] = left - (left >= 1), now
        while len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        if left < 1:
            why = f"more than {limit} requests per minute"
            raise Denied("rate_limited", why, retry_after_s=(1 - left) / rate, caller=caller.name)
