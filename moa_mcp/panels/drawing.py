"""Chooses the members of a panel from the models that can be called here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, cycle, islice

from moa_mcp.panels.candidates import Candidate
from moa_mcp.steps.panel import Tier

_NEAR: Mapping[Tier, tuple[Tier, ...]] = {
    "fast": ("fast", "balanced"),
    "balanced": ("balanced", "strong", "fast"),
    "strong": ("strong", "reasoning", "balanced"),
    "reasoning": ("reasoning", "strong"),
}
"""The tiers that serve a panel, best first."""


def drawn(
    candidates: Sequence[Candidate], tier: Tier, count: int, taken: Collection[Candidate] = ()
) -> tuple[Candidate, ...]:
    """Return the members of a panel; empty if there are no candidates.

    Models of different makers come first, then further models of the same makers; if there are fewer models than
    members, they are repeated. All of them are of the tier or of one near to it, unless there is none. The makers of
    `taken` models count as represented, and these models come last.
    """
    pool = _pool(candidates, tier)
    order = list(dict.fromkeys(chain(_by_maker(pool, taken), pool)))
    return tuple(islice(cycle(order), count)) if order else ()


def _pool(candidates: Sequence[Candidate], tier: Tier) -> list[Candidate]:
    """Return the candidates for a tier, best first."""
    near = [each for wanted in _NEAR[tier] for each in candidates if each.tier == wanted]
    local = [each for each in candidates if each.tier is None]
    return [*near, *local] or list(candidates)


def _by_maker(pool: Sequence[Candidate], taken: Collection[Candidate]) -> Iterator[Candidate]:
    """Yield the models that are not taken: one of each new maker, then the others."""
    makers = {each.maker for each in taken}
    free = [each for each in pool if each not in taken]
    for each in free:
        if each.maker not in makers:
            makers.add(each.maker)
            yield each
    yield from free
