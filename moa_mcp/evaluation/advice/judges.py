"""What judges of evaluations do with the places of answers: both orders of a pair tell it from quality."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from moa_mcp.evaluation.advice.checks import Check
from moa_mcp.evaluation.advice.panel import measured
from moa_mcp.evaluation.advice.values import JudgeFindings
from moa_mcp.evaluation.result import Evaluation, Verdict
from moa_mcp.evaluation.statistics import Figure, Preference, preference

BIASED = 0.05
"""The position bias above which another judge is recommended: the first place wins in more than 55 %."""


class JudgedPairs(NamedTuple):
    """The verdicts of a judge on two contestants."""

    judge: str
    contestant: str
    against: str
    first: list[float | None]
    """By question: the verdict with the contestant first."""
    second: list[float | None]
    longer: list[int]
    clusters: list[str] | None

    def at(self, level: float) -> Preference:
        """Return what they say, with intervals of a level."""
        return preference(self.first, self.second, self.longer, self.clusters, level=level)


def judged(evaluations: Iterable[Evaluation]) -> Iterator[JudgedPairs]:
    """Yield the pairs of contestants that a judge compared."""
    for evaluation in evaluations:
        names = dict.fromkeys((each.contestant, each.against) for each in evaluation.verdicts)
        for contestant, against in names:
            found = _judged(evaluation, contestant, against)
            if any(a is not None and b is not None for a, b in zip(found.first, found.second, strict=True)):
                yield found


def _judged(evaluation: Evaluation, contestant: str, against: str) -> JudgedPairs:
    by_place: dict[tuple[str, str], Verdict] = {
        (each.question, each.first): each
        for each in evaluation.verdicts
        if (each.contestant, each.against) == (contestant, against) and each.run_id is not None
    }
    both = [each for each in evaluation.questions if {(each.id, "contestant"), (each.id, "against")} <= by_place.keys()]
    labelled = any(each.cluster for each in both)
    return JudgedPairs(
        evaluation.settings.judge or "judge",
        contestant,
        against,
        [by_place[each.id, "contestant"].preferred for each in both],
        [by_place[each.id, "against"].preferred for each in both],
        [by_place[each.id, "contestant"].longer_by for each in both],
        [each.cluster or f"question {each.id}" for each in both] if labelled else None,
    )


def judge_findings(pairs: Iterable[JudgedPairs]) -> tuple[JudgeFindings, ...]:
    """Return the position bias and the consistency of judges."""
    return tuple(_findings(each, each.at(0.95)) for each in pairs)


def _findings(pairs: JudgedPairs, found: Preference) -> JudgeFindings:
    return JudgeFindings(
        judge=pairs.judge,
        contestant=pairs.contestant,
        against=pairs.against,
        position_bias=measured(found.position_bias, found.pairs),
        consistency=measured(found.consistency, found.pairs),
    )


def judge_checks(pairs: Iterable[JudgedPairs]) -> Iterator[Check]:
    """Yield whether a judge prefers a place."""
    for each in pairs:
        found = each.at(0.95)
        sign = 1.0 if found.position_bias.value >= 0 else -1.0

        def measure(level: float, pairs: JudgedPairs = each, sign: float = sign) -> Figure:
            return pairs.at(level).position_bias.mapped(scale=sign)

        yield Check(
            "other_judge",
            "",
            (each.judge, "first" if sign > 0 else "second", each.contestant, each.against),
            found.pairs,
            measure,
            threshold=BIASED,
        )
