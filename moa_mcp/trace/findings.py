"""The analysis and the review of a step as plain JSON data, with the names of the members."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from moa_mcp.findings import Point
from moa_mcp.trace.trace import StepTrace


def analysis_of(step: StepTrace, longest: int = sys.maxsize) -> dict[str, object] | None:
    """Return the comparison of the answers that a step made; None if it made none. Longer texts are shortened."""
    analysis = step.analysis
    if analysis is None:
        return None
    agents = [answer.agent for answer in step.answers]

    def text(whole: str) -> str:
        return whole if len(whole) <= longest else f"{whole[: longest - 1]}…"

    def points(of: Iterable[Point], name: str = "point") -> list[dict[str, object]]:
        return [
            {name: text(each.text), "answers": [*each.answers], "members": members_of(each.answers, agents)}
            for each in of
        ]

    return {
        "step": step.step,
        "consensus": points(analysis.consensus),
        "contradictions": [
            {"topic": text(each.topic), "positions": points(each.positions, "position")}
            for each in analysis.contradictions
        ],
        "partial_coverage": points(analysis.partial_coverage),
        "unique_insights": points(analysis.unique_insights),
        "blind_spots": [text(each) for each in analysis.blind_spots],
    }


def members_of(numbers: Iterable[int], agents: Sequence[str]) -> list[str]:
    """Return the authors of the answers with these numbers, each once."""
    return [*dict.fromkeys(agents[number - 1] for number in numbers if number <= len(agents))]


def review_of(step: StepTrace) -> dict[str, object] | None:
    """Return the ranking of the answers by reviewers; None if the step made none."""
    review = step.review
    if review is None:
        return None
    return {
        "step": step.step,
        "reviews": review.ballots,
        "answers": [
            {
                "answer": each.number,
                "member": each.agent,
                "points": each.points,
                "ballots": each.ballots,
                "firsts": each.firsts,
            }
            for each in review.standings
        ],
    }
