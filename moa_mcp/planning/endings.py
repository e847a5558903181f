"""Warns of models that their providers are about to shut down."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from datetime import UTC, date, datetime

from moa_mcp.config.problems import as_key
from moa_mcp.panels.table import KnownModel, known_models
from moa_mcp.planning.plan import Lint, Reach
from moa_mcp.routing import catalog

WARNED_DAYS = 60


def endings(reached: Iterable[Reach], stand_ins: Container[str]) -> Iterator[Lint]:
    """Yield a warning for each model whose route ends within 60 days, and for each route that has ended.

    It names the successor, if the table has one; else whether the alias is in `stand_ins`.
    """
    today = datetime.now(UTC).date()
    for each in reached:
        place = f"models.{as_key(each.alias)}"
        for state in each.routes:
            if state.ended:
                yield Lint(place, f"skips {state.missing}")
        if each.route is not None:
            name = each.route.route.model
            ends = catalog.end_date(name)
            if ends is not None and (ends - today).days <= WARNED_DAYS:
                yield Lint(place, _ending(name, ends, today, stand_in=each.alias in stand_ins))


def _ending(route: str, ends: date, today: date, *, stand_in: bool) -> str:
    successor = _successor(route)
    if ends <= today:  # a route at its provider would be skipped
        return f"{route} ended at its provider on {ends}; another server may still have it{successor}"
    then = successor or ("; then its stand-in answers" if stand_in else "")
    return f"{route} ends on {ends}, in {_days(ends, today)}{then}"


def _days(ends: date, today: date) -> str:
    left = (ends - today).days
    return "1 day" if left == 1 else f"{left} days"


def _successor(route: str) -> str:
    """Return the successor of the model that a route serves; empty if none is known."""
    known = known_models()
    served = next((each for each in known.values() if any(route == own.model for own in each.routes)), None)
    successor: KnownModel | None = known.get(served.successor or "") if served else None
    return f"; its successor is {successor.routes[0].model}" if successor else ""
