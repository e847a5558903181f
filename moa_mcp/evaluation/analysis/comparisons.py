"""Each pipeline against each baseline, on the questions that both have a score for: one family of comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from moa_mcp.evaluation.analysis.scores import clusters, scores
from moa_mcp.evaluation.result import Comparison, Conclusion, ContestantStanding, Evaluation, Interval
from moa_mcp.evaluation.statistics import Clusters, CorrectedGain, compared, detectable

_POINT = 0.01
_COMPARED = frozenset({"pipeline", "model"})
"""The kinds that are compared with baselines. Those from samples are baselines, or have a standing alone: each more
comparison would widen the intervals of all."""


def pairs(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return what is compared with what: the names of a contestant and of a baseline."""
    baselines = [each.name for each in evaluation.contestants if each.baseline]
    others = [each.name for each in evaluation.contestants if each.kind in _COMPARED and not each.baseline]
    return [(each, baseline) for each in others for baseline in baselines]


def gains(evaluation: Evaluation, *, failures_are_wrong: bool = False) -> tuple[CorrectedGain, ...]:
    """Return the gain of each pair, with intervals and p values that are corrected for their number."""
    by_name = scores(evaluation, failures_are_wrong=failures_are_wrong)
    return compared(by_name, pairs(evaluation), clusters(evaluation), seed=evaluation.settings.seed)


def comparisons(evaluation: Evaluation, standings: Sequence[ContestantStanding]) -> tuple[Comparison, ...]:
    """Return all comparisons; none if nothing has a score. `standings` have the costs."""
    if not any(each.n for each in standings):
        return ()
    by_name, labels = scores(evaluation), clusters(evaluation)
    rows = {each.contestant: each for each in standings}
    found = [replace(each, conclusion=conclusion) for each, conclusion in _concluded(evaluation, standings)]
    return tuple(_comparison(each, by_name, labels, rows, len(found)) for each in found)


def _concluded(
    evaluation: Evaluation, standings: Sequence[ContestantStanding]
) -> list[tuple[CorrectedGain, Conclusion]]:
    """Return each gain with its conclusion, which must be the same where failures count as wrong.

    A contestant that fails on questions on which it would be wrong is not better for that.
    """
    found = gains(evaluation)
    if not any(each.failed for each in standings):
        return [(each, each.conclusion) for each in found]
    others = gains(evaluation, failures_are_wrong=True)
    return [
        (each, each.conclusion if other.conclusion == each.conclusion else "undecided")
        for each, other in zip(found, others, strict=True)
    ]


def _comparison(
    found: CorrectedGain,
    by_name: Mapping[str, list[float]],
    labels: Clusters,
    standings: Mapping[str, ContestantStanding],
    number: int,
) -> Comparison:
    gain, wide = found.gain, found.simultaneous
    if not gain.questions:
        return _nothing(found, labels)
    could = detectable(by_name[found.first], by_name[found.second], labels, comparisons=number)
    price = _price(standings[found.first], standings[found.second]) if found.conclusion == "better" else None
    comparison = Comparison(
        contestant=found.first,
        against=found.second,
        n=gain.questions,
        clusters=None if labels is None else gain.clusters,
        gain=gain.mean.value,
        interval=Interval(wide.low, wide.high),
        won=gain.won,
        lost=gain.lost,
        tied=gain.tied,
        p=gain.p_value,
        p_adjusted=found.adjusted_p,
        conclusion=found.conclusion,
        detectable=could.gain,
        usd_per_point=None if price is None else price / (gain.mean.value / _POINT),
    )
    sought = comparison.sought
    return comparison if sought is None else comparison.model_copy(update={"needed": could.needed(sought)})


def _nothing(found: CorrectedGain, labels: Clusters) -> Comparison:
    return Comparison(
        contestant=found.first,
        against=found.second,
        n=0,
        clusters=None if labels is None else 0,
        gain=None,
        interval=None,
        won=0,
        lost=0,
        tied=0,
        p=None,
        p_adjusted=None,
        conclusion="undecided",
        detectable=None,
    )


def _price(one: ContestantStanding, other: ContestantStanding) -> float | None:
    """Return what 1000 questions cost more; None if a cost is unknown."""
    if one.usd_per_1000 is None or other.usd_per_1000 is None or one.unknown_costs or other.unknown_costs:
        return None
    return one.usd_per_1000 - other.usd_per_1000
