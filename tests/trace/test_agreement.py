"""What a result says of the agreement of its answers, and of those that differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.steps.sides import reason
from moa_mcp.testing import ScriptedModel, run_pipeline
from moa_mcp.trace.agreement import agreement, dissent_lines, wilson
from moa_mcp.trace.json import summary
from moa_mcp.trace.trace import Trace
from tests.support.tables import AGGREGATE, steps

pytestmark = pytest.mark.anyio

VOTE = '{ step = "vote", method = "majority", extract = "last_number" }'


async def voted(*replies: str, then: str = VOTE) -> Trace:
    agents = [f"m{number}" for number, _ in enumerate(replies, 1)]
    model = ScriptedModel({**dict(zip(agents, replies, strict=True)), "z": '{"answer": 1}'})
    return await run_pipeline(steps(f'{{ step = "propose", agents = {agents} }}', then), "Why?", model)


async def test_a_majority_has_its_share_its_members_and_an_interval_and_the_minority_its_line() -> None:
    trace = await voted("It is clearly 7.", "7", "# Result\n\nThe sum of both parts is 8.", "7", "none")
    told = summary(trace)
    assert told["agreement"] == {
        "step": 2,
        "of": "extracted answers",
        "verdict": "majority",
        "value": "7",
        "count": 3,
        "total": 5,
        "share": 0.6,
        "interval": [0.231, 0.882],
        "members": ("m1", "m2", "m4"),
        "says": "It is clearly 7.",
        "confidence": None,
    }
    said = "The sum of both parts is 8."
    assert told["dissent"] == [{"value": "8", "count": 1, "members": ("m3",), "says": said, "confidence": None}]
    assert [*dissent_lines(trace)] == [f"dissent: 8 (m3): {said}"]


async def test_a_tie_has_no_leading_value_and_all_are_dissent() -> None:
    trace = await voted("7", "8", "9")
    told = summary(trace)["agreement"]
    assert isinstance(told, dict)
    assert (told["verdict"], told["value"], told["total"]) == ("tie", None, 3)
    assert [*dissent_lines(trace)] == ["dissent: 7 (m1)", "dissent: 8 (m2)", "dissent: 9 (m3)"]


async def test_of_many_values_the_first_are_told() -> None:
    trace = await voted("1", "1", *"234567")
    assert [*dissent_lines(trace)][-1] == "dissent: 3 other values"


async def test_a_judge_decides_without_figures() -> None:
    trace = await voted("a", "b", then='{ step = "vote", agent = "z" }')
    told = summary(trace)["agreement"]
    assert isinstance(told, dict)
    figures = {name: value for name, value in told.items() if value is not None}
    assert figures == {"step": 2, "of": "judge", "verdict": "answer 1 of 2 is the most consistent"}
    assert summary(trace)["dissent"] == []


async def test_without_a_comparison_there_is_no_agreement() -> None:
    trace = await voted("same", "same", then=AGGREGATE)
    assert (agreement(trace), summary(trace)["agreement"], summary(trace)["dissent"]) == (None, None, [])


@pytest.mark.parametrize(
    ("count", "total", "interval"),
    [  # as computed by R, binom::binom.wilson
        (2, 3, (0.2077, 0.9385)),
        (5, 5, (0.5655, 1.0)),
        (0, 10, (0.0, 0.2775)),
        (50, 100, (0.4038, 0.5962)),
    ],
)
def test_the_interval_is_that_of_wilson(count: int, total: int, interval: tuple[float, float]) -> None:
    assert wilson(count, total) == pytest.approx(interval, abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_interval_has_the_share_in_it(counts: tuple[int, int]) -> None:
    low, high = wilson(*counts)
    assert 0 <= low <= counts[0] / counts[1] + 1e-12
    assert counts[0] / counts[1] - 1e-12 <= high <= 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Verdict: no\n\n- **The data** would be lost forever.", "The data** would be lost forever."),
        ("yes", "yes"),
        ("Verdict: no\nReason: It burns.\nThere are more words here.", "It burns."),
        ("", ""),
        ("# Long title of some report\nText", "Long title of some report"),
        ("a " * 200, "a " * 79 + "a…"),
    ],
)
def test_the_reason_is_the_first_line_that_is_a_sentence(text: str, line: str) -> None:
    assert reason(text) == line
