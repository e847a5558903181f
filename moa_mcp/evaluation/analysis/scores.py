"""The scores of all contestants on the same questions, in the order of the questions. It knows no statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import nan

from moa_mcp.evaluation.result import Evaluation, Outcome
from moa_mcp.values import ACTIVE, COMPLETE

NOT_STARTED = frozenset({"not_started", *ACTIVE})
"""The statuses of outcomes whose run has not ended."""


def by_contestant(evaluation: Evaluation) -> Mapping[str, Sequence[Outcome]]:
    """Return the outcomes of each contestant, in the order of the contestants."""
    found: dict[str, list[Outcome]] = {each.name: [] for each in evaluation.contestants}
    for each in evaluation.outcomes:
        found[each.contestant].append(each)
    return found


def scores(evaluation: Evaluation, *, failures_are_wrong: bool = False) -> Mapping[str, list[float]]:
    """Return the scores of each contestant, one for each question of the evaluation; NaN where there is none.

    A failure has no score, or 0 if it is counted as wrong.
    """
    places = {each.id: place for place, each in enumerate(evaluation.questions)}
    found = {each.name: [nan] * len(places) for each in evaluation.contestants}
    for each in evaluation.outcomes:
        wrong = failures_are_wrong and is_failed(each)
        found[each.contestant][places[each.question]] = 0.0 if wrong else nan if each.score is None else each.score
    return found


def clusters(evaluation: Evaluation, questions: Iterable[str] | None = None) -> list[tuple[str, str]] | None:
    """Return a label for each of these questions, by default for all; None if no question has a cluster.

    A question without a cluster is its own.
    """
    named = {each.id: each.cluster for each in evaluation.questions}
    if not any(each is not None for each in named.values()):
        return None
    asked = named if questions is None else questions
    return [("question", each) if (name := named[each]) is None else ("cluster", name) for each in asked]


def is_failed(outcome: Outcome) -> bool:
    """Whether its run ended without an answer."""
    return outcome.status not in {*COMPLETE, *NOT_STARTED}
