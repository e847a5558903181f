"""What a reader must know of the figures, in words: what is left out of them, and what that may hide."""

from __future__ import annotations

import re
from collections.abc import Iterator

from moa_mcp.evaluation.analysis.comparisons import gains
from moa_mcp.evaluation.report.numbers import counted, points, spread
from moa_mcp.evaluation.result import Comparison, ContestantStanding, Evaluation, Interval, Outcome
from moa_mcp.evaluation.statistics import CorrectedGain
from moa_mcp.extraction.texts import whole_text

_FEW_CLUSTERS = 20
"""Below this number of clusters, intervals from them are known to be rough."""
_WHOLE_TEXTS = {"auto", "text"}
"""The ways of scoring that compare whole texts."""


def cautions(evaluation: Evaluation) -> Iterator[str]:
    """Yield the notes on an evaluation with standings and comparisons."""
    yield from _left_out(evaluation)
    yield from _failures(evaluation)
    yield from _unknown_costs(evaluation)
    yield from _few_clusters(evaluation)
    yield from _among_words(evaluation)


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


def _among_words(evaluation: Evaluation) -> Iterator[str]:
    """Yield how many answers are wrong only because whole texts are compared, as far as one can tell."""
    if evaluation.settings.scoring not in _WHOLE_TEXTS:
        return
    right = {each.id: whole_text(each.answer) for each in evaluation.questions if each.answer is not None}
    wrong = [each for each in evaluation.outcomes if each.score == 0]
    found = sum(_has_among_words(each, right.get(each.question)) for each in wrong)
    if found:
        yield (
            f"Of {counted(len(wrong), 'wrong answer')}, {found} contain the right text among other words. Texts are "
            "compared as a whole: ask for the text alone with --system, or score with --judge or --extract."
        )


def _has_among_words(outcome: Outcome, right: str | None) -> bool:
    value = outcome.extracted
    if right is None or value is None or outcome.answer is None or right not in value:
        return False
    return re.search(rf"(?<!\w){re.escape(right)}(?!\w)", value) is not None and value == whole_text(outcome.answer)
