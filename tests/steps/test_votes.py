"""Votes that are counted, through whole runs: what counts, who abstains, and what stands in the result."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from msgspec.structs import replace

from moa_mcp.events import StepFinished
from moa_mcp.journal.codec import Packer, unpacked
from moa_mcp.testing import ScriptedModel, run_pipeline
from moa_mcp.trace.json import full, summary
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Answer, Note, Place, Tally, Votes
from tests.support.tables import XY, faults, pipe, steps

pytestmark = pytest.mark.anyio


async def voted(*replies: str, extract: str = 'extract = "last_number"') -> Trace:
    agents = ", ".join(f'"m{number}"' for number, _ in enumerate(replies))
    propose = f'{{ step = "propose", agents = [{agents}] }}'
    vote = f'{{ step = "vote", method = "majority", {extract} }}'
    model = ScriptedModel({f"m{number}": reply for number, reply in enumerate(replies)})
    return await run_pipeline(steps(propose, vote), "Why?", model)


@pytest.mark.parametrize(
    ("replies", "extract", "status", "answer", "notes"),
    [
        (("3,5", "7,5", "7.50"), 'extract = "last_number"', "complete", "7,5", ("2 of 3 answers say '7.5'",)),
        (("1/2", "3/2", "0.5"), 'extract = "last_number"', "complete", "1/2", ("2 of 3 answers say '0.5'",)),
        (
            ("1.500", "1500", "1,5"),
            'extract = "last_number", decimal = "comma"',
            "complete",
            "1.500",
            ("2 of 3 answers say '1500'",),
        ),
        (
            ("The correct option is B. Option A ignores friction.", "**Answer:** B", "答案\uff1aA"),
            'extract = "choice"',
            "complete",
            "The correct option is B. Option A ignores friction.",
            ("2 of 3 answers say 'B'",),
        ),
        (
            ("A or B", "none", "Answer: C"),
            'extract = "choice"',
            "degraded",
            "Answer: C",
            ("1 of 3 answers say 'C'", "answers 1, 2 have no value to count: more than half of the answers"),
        ),
        (
            ("A or B", "Answer: C", "Answer: C", "none"),
            'extract = "choice"',
            "complete",
            "Answer: C",
            ("2 of 4 answers say 'C'", "answers 1, 4 have no value to count"),
        ),
        (
            ("1", "1", "2", "3"),
            'extract = "last_number"',
            "degraded",
            "1",
            ("2 of 4 answers say '1'", "no majority: the most frequent value has 2 of 4 votes"),
        ),
    ],
)
async def test_what_most_of_the_readable_answers_say_wins(
    replies: tuple[str, ...], extract: str, status: str, answer: str, notes: tuple[str, ...]
) -> None:
    trace = await voted(*replies, extract=extract)
    assert (trace.status, trace.answer) == (status, answer)
    assert tuple(note.text for note in trace.steps[1].notes) == notes


async def test_the_tally_stands_in_the_result_as_data() -> None:
    trace = await voted("7", "8", "7.0", "?")
    tally = {
        "step": 2,
        "values": [{"value": "7", "votes": 2, "weight": None}, {"value": "8", "votes": 1, "weight": None}],
        "abstained": 1,
        "of": 4,
    }
    assert summary(trace)["tally"] == full(trace)["tally"] == tally
    proposed, counted = (step["tally"] for step in full(trace)["steps"])  # type: ignore[attr-defined]
    assert (proposed, counted) == (None, tally)


async def test_a_long_value_is_cut_in_the_summary_alone() -> None:
    trace = await voted("w" * 300, "w" * 300, extract='extract = "text"')
    (cut,) = summary(trace)["tally"]["values"]  # type: ignore[index]
    assert (cut["value"], cut["votes"]) == ("w" * 199 + "…", 2)
    assert trace.steps[1].tally == Tally((Votes("w" * 300, 2, (1, 2)),))


async def test_without_a_count_there_is_no_tally() -> None:
    trace = await run_pipeline(steps('{ step = "propose", agents = ["a"] }'), "Why?", ScriptedModel())
    assert summary(trace)["tally"] is None


async def test_if_all_abstain_the_run_fails_and_keeps_what_was_proposed() -> None:
    trace = await voted("A or B", "none", extract='extract = "choice"')
    assert trace.error == 'step 2 (vote): no answer has a value to count (extract = "choice")'
    assert [answer.text for answer in trace.steps[0].answers] == ["A or B", "none"]


async def test_a_pattern_that_takes_for_ever_abstains_and_is_noted() -> None:
    slow = "a" * 5000 + "b"
    trace = await voted("aa", slow, "aa", extract="extract = { regex = '(a+)+$' }")
    assert [note.text for note in trace.steps[1].notes] == [
        "the regex took longer than 1 s on answers 2; these count as abstentions",
        "2 of 3 answers say 'aa'",
        "answer 2 has no value to count",
    ]
    trace = await voted(slow, extract="extract = { regex = '(a+)+$' }")
    assert str(trace.error).endswith("the regex took longer than 1 s on answers 1; these count as abstentions")


async def test_other_work_goes_on_while_long_answers_are_read() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        await voted("the answer is 5 + 3 = " * 50_000 + "8")
        tasks.cancel_scope.cancel()
    assert ticks > 10


@pytest.mark.parametrize("tells", [True, False])
def test_the_values_of_a_tally_are_texts_for_the_journal(*, tells: bool) -> None:
    answer = Answer("Paris", "a", Place(1, 1))
    tally = Tally((Votes("paris", 2), Votes("rome", 1)), abstained=1)
    finished = StepFinished(at=1.0, step=2, answers=(answer,), notes=(Note("n"),), seconds=1.0, tally=tally)
    body, texts = Packer(with_answers=tells).pack(finished)
    assert b"paris" not in body
    assert b"rome" not in body
    assert [*unpacked([body.decode()], texts)] == [finished]
    odd = replace(finished, answers=(replace(answer, agent="\ud800"),))  # packed by the general way
    body, texts = Packer(with_answers=tells).pack(odd)
    assert b"paris" not in body
    assert [*unpacked([body.decode()], texts)] == [odd]
    (unkept,) = unpacked([body.decode()], {})
    assert isinstance(unkept, StepFinished)
    assert unkept.tally is not None
    assert "text not stored" in unkept.tally.values[0].value


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        (
            'method = "majority", extract = "choice", decimal = "comma"',
            'decimal: is only used with extract = "last_number"; remove it, or set that extract',
        ),
        (
            'agent = "openai/x", decimal = "comma"',
            'decimal: is only used with extract = "last_number"; remove it, or set that extract',
        ),
        (
            'method = "majority", extract = "last_number", decimal = "dot"',
            "decimal: 'dot' should be 'point' or 'comma'",
        ),
    ],
)
def test_a_decimal_mark_without_numbers_or_unknown_is_refused(keys: str, fault: str) -> None:
    assert faults(pipe(XY, f'{{ step = "vote", {keys} }}')) == [f"pipelines.p, step 2, {fault}"]
