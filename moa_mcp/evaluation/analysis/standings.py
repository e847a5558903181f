"""What each contestant scored and cost, and which of them are on the frontier of score against cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from statistics import median

from moa_mcp.evaluation.analysis.scores import NOT_STARTED, by_contestant, clusters, is_failed, scores
from moa_mcp.evaluation.result import Contestant, ContestantStanding, Evaluation, Interval, Outcome
from moa_mcp.evaluation.statistics.intervals import MeanScore, mean_score


def standings(evaluation: Evaluation) -> tuple[ContestantStanding, ...]:
    """Return the standing of each contestant, in the order of the contestants."""
    by_question, labels = scores(evaluation), clusters(evaluation)
    asked = len(evaluation.questions)
    rows = [
        _standing(name, outcomes, mean_score(by_question[name], labels), asked)
        for name, outcomes in by_contestant(evaluation).items()
    ]
    best = frontier(rows, evaluation.contestants)
    return tuple(each.model_copy(update={"on_frontier": each.contestant in best}) for each in rows)


def frontier(rows: Iterable[ContestantStanding], contestants: Iterable[Contestant]) -> frozenset[str]:
    """Return the names of those that no other beats: none scores at least as much for less, or more for as much."""
    runnable = {each.name for each in contestants if each.kind != "best_of"}
    placed = [
        (each.contestant, each.score, each.usd_per_1000)
        for each in rows
        if each.score is not None and each.usd_per_1000 is not None
        if each.contestant in runnable and not each.unknown_costs
    ]
    return frozenset(
        name
        for name, score, usd in placed
        if not any((other >= score and cost < usd) or (other > score and cost <= usd) for _, other, cost in placed)
    )


def _standing(name: str, outcomes: Sequence[Outcome], mean: MeanScore, asked: int) -> ContestantStanding:
    begun = [each for each in outcomes if each.status not in NOT_STARTED]
    took = [each.seconds for each in begun if each.seconds is not None]
    figure = mean.mean if mean.questions else None
    return ContestantStanding(
        contestant=name,
        n=mean.questions,
        score=None if figure is None else figure.value,
        interval=None if figure is None else Interval(figure.low, figure.high),
        calls=sum(each.calls for each in begun) / max(1, len(begun)),
        usd_per_1000=_usd_per_1000(begun),
        seconds=median(took) if took else None,
        degraded=sum(each.status == "degraded" for each in begun),
        failed=sum(map(is_failed, begun)),
        unscored=sum(not is_failed(each) and each.score is None for each in begun),
        unknown_costs=sum(each.unknown_costs for each in begun),
        not_started=asked - len(begun),
    )


def _usd_per_1000(begun: Sequence[Outcome]) -> float | None:
    """Return the known cost of 1000 questions; None if no cost is known."""
    known = [each.cost_usd for each in begun if each.cost_usd is not None]
    return float(1000 * sum(known, Decimal(0)) / len(begun)) if known else None
