"""What a reader must know of the figures, in words: what is left out of them, and what that may hide."""

from __future__ import annotations

from collections.abc import Iterator

from moa_mcp.evaluation.analysis.comparisons import gains
from moa_mcp.evaluation.report.numbers import counted, points, spread
from moa_mcp.evaluation.result import Comparison, ContestantStanding, Evaluation, Interval
from moa_mcp.evaluation.statistics import CorrectedGain

_FEW_CLUSTERS = 20
"""Below this number of clusters, intervals from them are known to be rough."""


def cautions(evaluation: Evaluation) -> Iterator[str]:
    """Yield the notes on an evaluation with standings and comparisons."""
    yield from _left_out(evaluation)
    yield from _failures(evaluation)
    yield from _unknown_costs(evaluation)
    yield from _few_clusters(evaluation)


def _left_out(evaluation: Evaluation) -> Iterator[str]:
    for each in evaluation.standings:
        if each.not_started:
            yield f"{each.contestant}: {counted(each.not_started, 'question')} not asked or not finished yet."
        if each.unscored and each.n:
            yield f"{each.contestant}: {counted(each.unscored, 'answer')} could not be scored and count nowhere."


def _failures(evaluation: Evaluation) -> Iterator[str]:
    """Yield what each gain would be if each failure counted as wrong."""
    failed = {each.contestant: each.failed for each in evaluation.standings}
    if not any(failed.values()) or not evaluation.comparisons:
        return
    pessimistic = gains(evaluation, failures_are_wrong=True)
    for known, other in zip(evaluation.comparisons, pessimistic, strict=True):
        one, two = failed[known.contestant], failed[known.against]
        if one or two:
            yield _sensitivity(known, other, one, two)


def _sensitivity(known: Comparison, other: CorrectedGain, one: int, two: int) -> str:
    interval = Interval(other.simultaneous.low, other.simultaneous.high)
    instead = "" if known.gain is None else f" instead of {points(known.gain)}"
    return (
        f"{known.contestant} failed on {counted(one, 'question')}, {known.against} on {two}; these are left out of the "
        f"comparison. If each failure counted as wrong, the gain would be {points(other.gain.mean.value)} points "
        f"({spread(interval)}){instead}."
    )


def _unknown_costs(evaluation: Evaluation) -> Iterator[str]:
    asked = (each for each in evaluation.standings if each.calls)
    unpriced = [each for each in asked if each.unknown_costs or each.usd_per_1000 is None]
    if unpriced:
        yield (
            f"Not all costs are known for {', '.join(map(_unpriced, unpriced))}: the dollars are those of calls with a "
            "known price, and the frontier is without these contestants."
        )


def _unpriced(standing: ContestantStanding) -> str:
    return f"{standing.contestant} ({counted(standing.unknown_costs, 'call')} of unknown cost)"


def _few_clusters(evaluation: Evaluation) -> Iterator[str]:
    few = [each.clusters for each in evaluation.comparisons if each.clusters is not None]
    if few and min(few) < _FEW_CLUSTERS:
        yield (
            f"The questions are in only {counted(min(few), 'cluster')}: intervals and p values are rough below "
            f"{_FEW_CLUSTERS}."
        )
