from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.providers.simulated import puzzles
from moa_mcp.providers.simulated.provider import Offline, competence, target
from moa_mcp.providers.simulated.puzzles import Puzzle
from moa_mcp.testing import pipeline, run_pipeline
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call, Message, Place, Target, Usage
from tests.support.clocks import jumping
from tests.support.tables import AGGREGATE, steps

NAMES = ["ada", "bob", "cleo", "dora", "emil"]
PANEL = f'{{ step = "propose", agents = {NAMES} }}'
VERDICT = "The answer is "


def small_questions(count: int) -> Iterator[tuple[str, str]]:
    """Yield arithmetic and multiple choice in turn, each with its right answer."""
    rng = Random(7)
    for number in range(count):
        left, right, sign = rng.randint(2, 99), rng.randint(2, 99), rng.choice("+-*")
        value = {"+": left + right, "-": left - right, "*": left * right}[sign]
        if number % 2:
            yield f"What is {left} {sign} {right}?", str(value)
        else:
            choices = rng.sample([value, value + 1, value - 10, value + 7], 4)
            listed = "\n".join(f"{letter}) {choice}" for letter, choice in zip("ABCD", choices, strict=True))
            yield f"A sum: what is {left} {sign} {right}?\n{listed}", "ABCD"[choices.index(value)]


def accuracy(last: str, panel: str = PANEL) -> float:
    chosen = pipeline(steps(panel, last))
    questions = list(small_questions(200))

    async def right() -> int:
        model, hits = Offline(delay_s=0), 0
        for seed, (question, answer) in enumerate(questions):
            trace = await run_pipeline(chosen, question, model, seed=seed)
            hits += (trace.answer or "").endswith(f"{VERDICT}{answer}")
        return hits

    return anyio.run(right) / len(questions)


def test_a_vote_and_an_aggregate_beat_the_best_single_model() -> None:
    best = max(accuracy('{ step = "take", n = 1 }', f'{{ step = "propose", agents = ["{name}"] }}') for name in NAMES)
    assert 0.5 < best < 0.85
    assert accuracy('{ step = "vote", agent = "judge" }') > best + 0.05
    assert accuracy(f"{{ step = 'vote', method = 'majority', extract = {{ regex = '{VERDICT}(.*)' }} }}") > best + 0.05
    assert accuracy('{ step = "aggregate", agent = "judge" }') > best + 0.05


async def _run(question: str, *tables: str, seed: int = 0) -> Trace:
    return await run_pipeline(steps(PANEL, *tables), question, Offline(delay_s=0), seed=seed)


EVERYTHING = (
    '{ step = "refine", agents = ["x"] }',
    '{ step = "rank", agent = "judge", n = 3 }',
    '{ step = "synthesize", agents = ["x", "y"] }',
    AGGREGATE,
)


@pytest.mark.anyio
@pytest.mark.parametrize("question", ["What is 17 * 23?", "Who was {Ada} Lovelace? 100 %"])
async def test_the_same_seed_gives_the_same_texts_and_another_does_not(question: str) -> None:
    def texts(trace: Trace) -> list[str]:
        return [call.completion.text for step in trace.steps for call in step.calls if call.completion]

    first, again = [await _run(question, *EVERYTHING, seed=1) for _ in range(2)]
    assert texts(first) == texts(again)
    assert len({tuple(texts(await _run("What is 17 * 23?", *EVERYTHING, seed=seed))) for seed in range(5)}) > 1


@pytest.mark.anyio
@pytest.mark.parametrize("question", ["What is 17 * 23?", "Who was {Ada} Lovelace? 100 %", "w" * 200])
async def test_every_text_says_that_it_is_simulated_and_costs_nothing(question: str) -> None:
    trace = await _run(question, *EVERYTHING)
    assert (trace.status, trace.notes) == ("complete", (trace.notes[0],))
    for step in trace.steps:
        for call in step.calls:
            assert call.completion
            assert "simulated" in call.completion.text
            assert call.completion.model == f"simulated/{call.agent}"
            assert call.completion.cost_usd == Decimal(0)
            assert call.completion.usage
            assert call.completion.usage.completion_tokens > 0
    assert trace.cost_usd == Decimal(0)


@pytest.mark.anyio
async def test_what_it_cant_work_out_it_says_it_can_not() -> None:
    trace = await _run("Why is the sky blue, in two sentences?", '{ step = "vote", agent = "judge" }')
    assert trace.steps[0].answers[0].text == (
        "[simulated ada] No model was called. This is the offline demonstration, which only solves small arithmetic "
        "and multiple choice. A real model would answer “Why is the sky blue, in two sentences?” here. "
        + trace.steps[0].answers[0].text[-12:]
    )


def test_a_model_is_as_able_at_every_question() -> None:
    assert {name: competence(name) for name in NAMES} == {name: competence(name) for name in NAMES}
    assert {competence(f"m{number}") for number in range(100)} == {0.55, 0.6, 0.65, 0.7, 0.75, 0.8}


def test_an_alias_is_served_in_simulation() -> None:
    assert target("ada") == Target("simulated/ada", "simulated")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [jumping("asyncio"), jumping("trio")], ids=["asyncio", "trio"])
@pytest.mark.parametrize("messages", [("What is 1 + 1?",), ("Who?\n" * 3,)])
async def test_it_takes_its_time_and_tells_the_text_as_it_comes(messages: tuple[str], anyio_backend: Any) -> None:
    told: list[str] = []
    call = Call("r", Place(1, 1), "ada", (Message("user", messages[0]),), {}, seed=0, on_text=told.append)
    began = anyio.current_time()
    completion = await Offline(delay_s=10)(call)
    assert 3 <= anyio.current_time() - began <= 17.1
    assert "".join(told) == completion.text
    assert len(told) > 1
    assert completion.usage == Usage(EXPECTED.text(messages[0]), EXPECTED.text(completion.text))


@pytest.mark.parametrize(
    ("question", "right"),
    [
        ("What is 17 * 23?", "391"),
        ("17x23", "391"),
        ("17 \u00d7 23 = ?", "391"),
        ("What is -5 + 3?", "-2"),
        ("12 ÷ 5", "2.4"),
        ("1 / 3", "0.333333"),
        ("(2 + 3) * -4", "-20"),
        ("What is -(3 - 5)?", "2"),
        ("Add 3 and 4: 3 + 4.", "7"),
        ("Is 7 right?", "7"),
        ("What is 3 + 4? A) 6 B) 7 C) 8", "B"),
        ("A car or 3 + 4?\n(A) 6\n(B) 8 - 1\n(C) 8", "B"),
        ("Add: 3 + 4; A: 7, B: 8", "A"),
    ],
)
def test_a_small_question_is_worked_out(question: str, right: str) -> None:
    puzzle = puzzles.read(question)
    assert puzzle
    assert puzzle.right == right
    assert puzzle.right not in puzzle.wrong


@pytest.mark.parametrize(
    "question",
    [
        "Why?",
        "",
        "What is 1 / 0?",
        "What is 2 ^ 3?",
        "9999999999999 + 1",
        "999999999999 * 999999999999",
        "3 + 4? A) 1 B) 2",
        "3 + 4? A) 7 B) 7",
        "((((((",
        "3 + + 4 )",
    ],
)
def test_what_is_no_small_question_is_left_alone(question: str) -> None:
    assert puzzles.read(question) is None


def test_a_wrong_attempt_is_one_of_the_wrong_answers() -> None:
    puzzle = Puzzle("4", ("3", "5"))
    assert {puzzle.attempt(1.0, Random(seed)) for seed in range(9)} == {"4"}
    assert {puzzle.attempt(0.0, Random(seed)) for seed in range(9)} == {"3", "5"}


@given(st.text() | st.text("0123456789+-*/(). ABCD):,\n"))
def test_any_text_can_be_read_as_a_question(question: str) -> None:
    puzzles.read(question)
