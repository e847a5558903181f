"""How many active runs a caller may have. A journal checks it in the transaction in which a run becomes active."""

from __future__ import annotations

from collections.abc import Iterable

from moa_mcp.errors import TooManyRuns
from moa_mcp.journal import RunRecord


def require_room(run_id: str, records: Iterable[RunRecord], max_runs: int) -> None:
    """Raise `TooManyRuns` if so many other runs are active; `records` are those of the caller of a run."""
    others = [each.run_id for each in records if each.is_active and each.run_id != run_id]
    if len(others) >= max_runs:
        raise TooManyRuns(max_runs, sorted(others))
