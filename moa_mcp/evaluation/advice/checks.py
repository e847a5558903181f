"""What might be recommended, and the one correction for all of it.

Every check is an effect with an interval and a threshold. All checks of an advice share one level: each interval is of
level 1 - 0.05 / checks (Bonferroni), so that with a probability of at most 5 % anything is recommended without reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct, field

from moa_mcp.evaluation.advice.panel import measured
from moa_mcp.evaluation.advice.values import AIMS, Kind, PriceEffect, Recommendation, Undecided
from moa_mcp.evaluation.statistics import Figure, PairedGain
from moa_mcp.evaluation.statistics.enough import enough_questions

LEVEL = 0.95
LEAST = 20
"""Questions, calls or runs below which nothing is recommended, however clear they are."""


class Check(Struct, frozen=True):
    """An effect that is recommended to act on if its interval is above a threshold."""

    kind: Kind
    pipeline: str
    subjects: tuple[str, ...]
    n: int
    measure: Callable[[float], Figure | PairedGain]
    """Returns the effect, for which more is a stronger reason, with an interval of a level. The p value of a gain must
    be as small as the level asks, too."""
    threshold: float = 0.0
    matters: float = 0.05
    """The least effect above the threshold that a user would act on."""
    price: PriceEffect = field(default_factory=PriceEffect)
    eligible: bool = True
    """Whether the rest of what is needed for the recommendation is there."""
    toml: Callable[[], str | None] = lambda: None
    reverse: bool = False
    """Whether the effect is shown with the opposite sign: a share that is to be small."""


class Decided(Struct, frozen=True):
    """A check with its simultaneous interval."""

    check: Check
    figure: Figure
    p_value: float
    """0 for an effect that is not a gain."""
    level: float

    @property
    def is_found(self) -> bool:
        """Whether the effect is certain."""
        check = self.check
        return check.n >= LEAST and self.figure.low > check.threshold and self.p_value <= 1 - self.level

    def recommendation(self) -> Recommendation:
        """Return what follows from a certain effect."""
        check = self.check
        return Recommendation(
            kind=check.kind,
            aim=AIMS[check.kind],
            pipeline=check.pipeline,
            subjects=check.subjects,
            effect=measured(self._shown, check.n),
            threshold=self._sign * check.threshold,
            certain=self.figure.low - check.threshold,
            price=check.price,
            toml=check.toml(),
        )

    def undecided(self) -> Undecided | None:
        """Return how many questions would do; None if no effect that matters is left open."""
        check, figure = self.check, self.figure
        apparent = figure.value - check.threshold
        if apparent <= 0 or figure.high < check.threshold + check.matters:
            return None
        sought = max(apparent, check.matters)
        return Undecided(
            kind=check.kind,
            pipeline=check.pipeline,
            subjects=check.subjects,
            effect=measured(self._shown, check.n),
            threshold=self._sign * check.threshold,
            sought=sought,
            needed=max(LEAST, enough_questions(figure, check.n, sought, level=self.level)),
        )

    @property
    def _sign(self) -> float:
        return -1.0 if self.check.reverse else 1.0

    @property
    def _shown(self) -> Figure:
        return self.figure.mapped(scale=self._sign)


def decided(checks: Sequence[Check]) -> list[Decided]:
    """Return all checks with intervals that hold together."""
    level = 1 - (1 - LEVEL) / max(1, len(checks))
    return [_decided(each, each.measure(level), level) for each in checks if each.n]


def _decided(check: Check, effect: Figure | PairedGain, level: float) -> Decided:
    if isinstance(effect, PairedGain):
        return Decided(check, effect.mean, effect.p_value if check.threshold == 0 else 0.0, level)
    return Decided(check, effect, 0.0, level)


_ORDER = ("better", "cheaper", "sounder")
_ONE: frozenset[Kind] = frozenset({"single", "self"})
"""Of several models that are better than a pipeline, the best is recommended."""


def recommendations(found: Sequence[Decided]) -> tuple[Recommendation, ...]:
    """Return what is recommended: first for better answers, then for less money, then for sounder results.

    Within each, the largest certain effect comes first. A member is named once as the weaker one.
    """
    made = [each.recommendation() for each in found if each.is_found and each.check.eligible]
    ordered = sorted(made, key=lambda each: (_ORDER.index(each.aim), -each.certain))
    return tuple(_once(ordered))


def _once(ordered: Sequence[Recommendation]) -> Iterator[Recommendation]:
    """Yield recommendations without those that change the same thing for a smaller effect."""
    seen: set[tuple[str, ...]] = set()
    for each in ordered:
        one = () if each.kind in _ONE else each.subjects[:1]
        what = (each.kind, each.pipeline, *one)
        if what not in seen:
            seen.add(what)
            yield each


def undecided(found: Sequence[Decided]) -> tuple[Undecided, ...]:
    """Return what more questions would decide, the fewest first."""
    left = [each.undecided() for each in found if not each.is_found and each.check.eligible]
    return tuple(sorted((each for each in left if each is not None), key=lambda each: each.needed))
