from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.config import shipped
from moa_mcp.providers.simulated import puzzles
from moa_mcp.providers.simulated.provider import Offline, competence, target
from moa_mcp.providers.simulated.puzzles import Puzzle
from moa_mcp.testing import pipeline, run_pipeline
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call, Message, Place, Target, Usage
from tests.support.clocks import jumping
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE
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
            yield f"What is {left} {sign} {right}?\n{listed}", "ABCD"[choices.index(value)]


def accuracy(last: str, panel: str = PANEL) -> float:
    chosen = pipeline(steps(panel, last))
    questions = list(small_questions(400))

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
async def test_to_another_question_each_step_says_what_it_received_and_would_do() -> None:
    trace = await _run(
        "Is 91 prime?", '{ step = "refine", agents = ["x"] }', '{ step = "critique", agents = ["x"] }', AGGREGATE
    )
    (proposal, *_), (refined, *_), (criticized, *_), (merged, *_) = (step.answers for step in trace.steps)
    scope = "Simulated models only answer plain arithmetic, such as “What is 17 * 23?”."
    assert proposal.text == f"[simulated ada] No model was called. A model would answer “Is 91 prime?” here. {scope}"
    assert refined.text == (
        "[simulated x] No model was called. This call received 1 simulated answer from ada. A model would write a "
        f"better version of it here, for the question “Is 91 prime?”. {scope}"
    )
    assert criticized.comments[0].text == (
        "[simulated x] No model was called. This call received 1 simulated answer from x. "
        "A model would criticize it here."
    )
    assert merged.text == (
        "[simulated z] No model was called. This call received 5 simulated answers from x (5). A model would combine "
        f"them into one answer here, for the question “Is 91 prime?”. {scope}"
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    "last", [AGGREGATE, '{ step = "vote", agent = "judge" }', '{ step = "rank", agent = "j", n = 1 }']
)
async def test_a_quoted_question_is_not_taken_for_a_result(last: str) -> None:
    trace = await _run("Who wrote: The answer is 42", last)
    assert trace.answer
    assert "agree" not in trace.answer
    assert "No model was called." in trace.answer


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


PUZZLES = {
    "What is 17 * 23?": "391",
    "what is 17*23": "391",
    "What's 17 * 23?": "391",
    "What is the result of 17 * 23?": "391",
    "What is the value of 3 + 4?": "7",
    "17x23": "391",
    "17 \u00d7 23 = ?": "391",
    "17 \u00b7 23 =": "391",
    "Calculate 12 - 5.": "7",
    "Please calculate 12 - 5": "7",
    "Compute: 12 \u2212 5": "7",
    "How much is 100 - 7?": "93",
    "What is 100-7?": "93",
    "Work out (2 + 3) * -4": "-20",
    "What is -5 + 3?": "-2",
    "What is -(3 - 5)?": "2",
    "What is 3 - -4?": "7",
    "What is 2 + 3 * 4?": "14",
    "What is 20 / 2 * 5?": "50",
    "What is 100 - 10 - 1?": "89",
    "12 \u00f7 5": "2.4",
    "0.1 + 0.2": "0.3",
    "123456789 / 2": "61728394.5",
    "1 / 3": "about 0.333333333333",
    "1000000 / 3 = ?": "about 333333.333333",
    "1 / 3 * 3": "1",
    "What is 2 ^ 3?": "8",
    "What is 2**10?": "1024",
    "2 ^ 3 ^ 2": "512",
    "-2 ^ 2": "-4",
    "(-2) ^ 2": "4",
    "2 ^ -2": "0.25",
    "Calculate 9/11": "about 0.818181818182",
    "10/4 = ?": "2.5",
    "Wie viel ist 3 + 4?": "7",
    "Was ergibt 3 + 4?": "7",
    "Berechne 3 + 4.": "7",
    "Combien font 3 + 4 ?": "7",
    "Calculez 3 + 4": "7",
    "\u00bfCu\u00e1nto es 3 + 4?": "7",
    "Calcula 3 + 4": "7",
    "What is 3 + 4? A) 6 B) 7 C) 8": "B",
    "What is 3 + 4?\n(A) 6\n(B) 8 - 1\n(C) 8": "B",
    "3 + 4; A: 7, B: 8": "A",
    "What is 3 + 4, A) 6 or B) 7?": "B",
    "1 / 3 = ?\nA. 1 / 2\nB. 2 / 6": "B",
}
OTHERS = [
    "",
    "?",
    "Why?",
    "Is 91 prime?",
    "Which is larger: 17*23 or 400?",
    "Is 17 * 23 larger than 400?",
    "Is 2 + 2 = 4?",
    "2 + 2 = 5, right?",
    "Is 7 right?",
    "What is 7?",
    "What is (5)?",
    "-5",
    "What is 2 + 2 and 3 + 3?",
    "2 + 2, 3 + 3",
    "2 + 2; 3 + 3",
    "What is 2 + 2? Explain.",
    "What is 2 + 2?\nAnswer in one word.",
    "What is 2 + 2 in binary?",
    "Why is 2 + 2 = 4?",
    "Who said that 2 + 2 = 5?",
    "Ann has 3 + 4 apples and eats 2. How many are left?",
    "Add 3 and 4: 3 + 4.",
    "What is 5 km + 3 km?",
    "What is $5 + $3?",
    "What is 10 % of 50?",
    "What is 7 % 3?",
    "What is 7 // 2?",
    "What is 5! + 3?",
    "What is sqrt(9) + 1?",
    "What is 2 * pi?",
    "What is x + 3?",
    "What is 2(3 + 4)?",
    "What is 1 / 0?",
    "What is 0 ^ 0?",
    "What is 0 ^ -1?",
    "What is 4 ^ 0.5?",
    "What is 2 ^ 100?",
    "What is 0.5 ^ 41?",
    "9999999999999 + 1",
    "999999999999 * 999999999999",
    "1,000 + 1",
    "1.000 + 1",
    "1,5 + 2",
    "0x12 + 3",
    "007 + 1",
    "1 2 + 3",
    "What is 9/11?",
    "What is 24/7?",
    "What is 2024-11-26?",
    "What is 11/26/2024?",
    "What happened 1914-1918?",
    "What is 1914-1918?",
    "555-1234",
    "((((((",
    "(" * 150 + "1 + 1" + ")" * 150,
    "3 + + 4 )",
    "1 + 1 " * 200,
    "A car or 3 + 4?\n(A) 6\n(B) 8 - 1\n(C) 8",
    "Is it 3 + 4? A) 7 B) 8",
    "3 + 4? A) 7",
    "3 + 4? A) 1 B) 2",
    "3 + 4? A) 7 B) 7",
    "3 + 4? A) 7 A) 8",
    "3 + 4? A) 7 B) none of them",
    "3 + 4? A) 7 B) 8 Explain your choice.",
    "3 + 4? 1) 6 2) 7",
]


@pytest.mark.parametrize(("question", "right"), PUZZLES.items())
def test_arithmetic_is_worked_out(question: str, right: str) -> None:
    puzzle = puzzles.read(question)
    assert puzzle
    assert puzzle.right == right
    assert puzzle.right not in puzzle.wrong


@pytest.mark.parametrize("question", OTHERS)
def test_a_question_that_asks_anything_else_is_not_a_puzzle(question: str) -> None:
    assert puzzles.read(question) is None


@pytest.mark.parametrize(
    ("question", "answered"),
    [
        ("What is 17 * 23?", True),
        ("What is 2 ^ 10?", True),
        ("What is 3 + 4? A) 6 B) 7", True),
        ("Is 91 prime?", False),
        ("Which is larger: 17*23 or 400?", False),
        ("What is 2 + 2? And what is 3 + 3?", False),
    ],
)
def test_the_command_answers_arithmetic_and_shows_the_pipeline_otherwise(
    nursery: Nursery, question: str, answered: bool
) -> None:
    environ = {"MOA_MCP_CONFIG": str(shipped()), "MOA_MCP_JOURNAL": "none"}
    done = nursery.run("ask", "moa_lite", question, "--offline", "-q", environ=environ, prelude=AT_ONCE)
    assert (done.returncode, VERDICT in done.stdout) == (0, answered)
    assert ("No model was called. This call received 6 simulated answers from " in done.stdout) == (not answered)


def test_a_wrong_attempt_is_one_of_the_wrong_answers() -> None:
    puzzle = Puzzle("4", ("3", "5"))
    assert {puzzle.attempt(1.0, Random(seed)) for seed in range(9)} == {"4"}
    assert {puzzle.attempt(0.0, Random(seed)) for seed in range(9)} == {"3", "5"}


@given(st.text() | st.text("0123456789+-*/(). ABCD):,\n"))
def test_any_text_can_be_read_as_a_question(question: str) -> None:
    puzzles.read(question)


@pytest.mark.parametrize("question", ["", ":", "what is?"])
def test_a_question_without_an_expression_is_no_puzzle(question: str) -> None:
    assert puzzles.read(question) is None
