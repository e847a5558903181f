"""What the picture of an evaluation shows, as values and in words. It knows no drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from moa_mcp.evaluation.report.numbers import dollars, points, spread
from moa_mcp.evaluation.result import Contestant, ContestantKind, ContestantStanding, Evaluation, Interval

_EVEN = 0.5
_Value: TypeAlias = "tuple[float, Interval | None]"


class Plotted(NamedTuple):
    """A contestant in the picture."""

    name: str
    kind: ContestantKind
    score: float
    """From 0 to 1: its score, or its win rate against the only baseline where nothing has a score."""
    interval: Interval | None
    usd_per_1000: float | None
    """None if no cost is known."""
    at_least: bool
    """Whether the costs of some calls are unknown."""
    on_frontier: bool


class PictureContent(NamedTuple):
    """All that the picture shows."""

    measure: str
    """What the vertical axis has."""
    contestants: tuple[Plotted, ...]
    left_out: tuple[str, ...]
    """The names of those that have nothing to show."""
    simulated: bool


def content_of(evaluation: Evaluation) -> PictureContent:
    """Return what the picture of an analysed evaluation shows."""
    measure, values = _values(evaluation)
    rows = {each.contestant: each for each in evaluation.standings}
    shown = tuple(_plotted(each, rows[each.name], values) for each in evaluation.contestants if each.name in values)
    left_out = tuple(each.name for each in evaluation.contestants if each.name not in values)
    return PictureContent(measure, shown, left_out, evaluation.settings.simulated)


def _plotted(contestant: Contestant, row: ContestantStanding, values: Mapping[str, _Value]) -> Plotted:
    score, interval = values[contestant.name]
    at_least = row.unknown_costs > 0 and row.usd_per_1000 is not None
    return Plotted(contestant.name, contestant.kind, score, interval, row.usd_per_1000, at_least, row.on_frontier)


def described(evaluation: Evaluation) -> str:
    """Return the picture in words, for those who can't see it."""
    content = content_of(evaluation)
    if not content.contestants:
        return "An empty picture: nothing has a score."
    return f"{content.measure} against cost for 1,000 questions. {' '.join(map(_sentence, content.contestants))}"


def _values(evaluation: Evaluation) -> tuple[str, Mapping[str, _Value]]:
    scored = {each.contestant: (each.score, each.interval) for each in evaluation.standings if each.score is not None}
    if scored or len({each.against for each in evaluation.duels}) != 1:
        return "Score in points", scored
    baseline = evaluation.duels[0].against
    rates = {each.contestant: (each.win_rate, each.interval) for each in evaluation.duels if each.win_rate is not None}
    return f"Win rate against {baseline}, percent", {**rates, baseline: (_EVEN, None)} if rates else {}


def _sentence(each: Plotted) -> str:
    return f"{each.name}: {', '.join(_facts(each))}."


def _facts(each: Plotted) -> Iterator[str]:
    yield points(each.score) + ("" if each.interval is None else f" ({spread(each.interval)})")
    cost = dollars(each.usd_per_1000)
    yield "cost unknown" if each.usd_per_1000 is None else f"at least {cost}" if each.at_least else cost
    if each.on_frontier:
        yield "on the frontier"
