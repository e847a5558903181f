"""Which reasoning effort replaces one that a model does not take. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from moa_mcp.parameters import EFFORTS

_RANKS = {effort: rank for rank, effort in enumerate(EFFORTS)}
_RANKS["default"] = _RANKS["medium"]
"""Some providers only switch reasoning on and off: "none" or "default"."""
_LEAST = "low"
"""The lowest effort that is sent in place of a higher one. Below it, the provider decides."""


def nearest(asked: str, allowed: Sequence[str]) -> str | None:
    """Return the allowed effort that is closest to `asked`, of two the lower one; None if none replaces it.

    "none" only replaces itself: it switches reasoning off.
    """
    known = [each for each in allowed if each in _RANKS and (each != "none" or asked == "none")]
    rank = _RANKS.get(asked)
    if rank is None or not known:
        return None
    return min(known, key=lambda each: (abs(_RANKS[each] - rank), _RANKS[each]))


def below(effort: str) -> str | None:
    """Return the next lower effort; None if the provider should decide."""
    rank = _RANKS.get(effort, 0)
    return EFFORTS[rank - 1] if rank > _RANKS[_LEAST] else None
