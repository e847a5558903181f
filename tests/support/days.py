"""Days in UTC, by which budgets are counted, as tests see them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

LONGEST_TEST_S: Final = 45.0
_DAY_S: Final = 86_400


def days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).date().isoformat()


def today() -> str:
    return days_ago(0)


def begin_after_midnight() -> None:
    """Wait until midnight is past if it is so near that a test could run across it: what it spends is of one day."""
    left_s = _DAY_S - time.time() % _DAY_S
    if left_s < LONGEST_TEST_S:
        time.sleep(left_s)
