"""What members found about their answers, for the terminal: where these differ, and how members ranked them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from moa_mcp.cli.text import counted, line, shortened
from moa_mcp.findings import Analysis, PeerReview, Point
from moa_mcp.trace.findings import members_of
from moa_mcp.trace.trace import Trace

_MOST = 4
"""Most lines of each part."""
_LONGEST = 240
"""Most characters of a statement."""


def findings(trace: Trace) -> Iterator[Text]:
    """Yield the analyses and reviews of a run, a line for each statement and each answer."""
    for step in trace.steps:
        if step.analysis:
            yield Text(f"Analysis (step {step.step})", "bold")
            yield from _analysis(step.analysis, [answer.agent for answer in step.answers])
        if step.review:
            yield Text(f"Review (step {step.step})", "bold")
            yield from _review(step.review)


def _analysis(analysis: Analysis, agents: Sequence[str]) -> Iterator[Text]:
    def described(point: Point) -> str:
        members = members_of(point.answers, agents)
        return f"{point.text} ({', '.join(members)})" if members else point.text

    opposed = [
        ": ".join(filter(None, [each.topic, "; ".join(map(described, each.positions))]))
        for each in analysis.contradictions
    ]
    yield from _part("agreement", map(described, analysis.consensus))
    yield from _part("contradiction", opposed)
    yield from _part("some only", map(described, analysis.partial_coverage))
    yield from _part("one only", map(described, analysis.unique_insights))
    yield from _part("missing in all", analysis.blind_spots)


def _part(name: str, texts: Iterable[str]) -> Iterator[Text]:
    listed = [*texts]
    for text in listed[:_MOST]:
        yield Text.assemble(("- ", "dim"), (f"{name}: ", "cyan"), shortened(text, _LONGEST))
    if len(listed) > _MOST:
        yield Text(f"- {name}: {len(listed) - _MOST} more in the JSON output", "dim")


def _review(review: PeerReview) -> Iterator[Text]:
    for place, each in enumerate(review.standings, 1):
        facts = f"  {each.points:.2f} points, first in {each.firsts} of {counted(each.ballots, 'review')}"
        yield Text.assemble(f"{place}. ", f"answer {each.number}, {line(each.agent)}", (facts, "dim"))
