"""What is right by comparison alone: values that the vote step counts, numbers, choices and JSON."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.evaluation.scoring.choices import ByChoice
from moa_mcp.evaluation.scoring.comparing import CheckedScorer
from moa_mcp.evaluation.scoring.deciding import ByEach
from moa_mcp.evaluation.scoring.json_values import ByJson
from moa_mcp.evaluation.scoring.numbers import ByNumber, InvalidTolerance, is_numeric, tolerance_of
from moa_mcp.evaluation.scoring.score import AnswerScore
from moa_mcp.evaluation.scoring.values import ByValue
from moa_mcp.steps.extracting import JsonField, Pattern
from tests.support.judges import question_of

pytestmark = pytest.mark.anyio

CAPITALS = ("Paris", "Rome", "New York", "New York City")
IN_X = ByValue(JsonField.model_validate({"json": "x"}))
AFTER_HASHES = ByValue(Pattern(regex=r"#### (\S+)"))
ONE_PERCENT = ByNumber(tolerance_of("1%"))
NEAR = ByNumber(tolerance_of("0.01"))


def pending(coroutine: Any) -> AnswerScore:
    """Return the score of a scorer that does not wait: short texts are read at once."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        score: AnswerScore = done.value
        return score
    raise AssertionError("it waits")


@pytest.mark.parametrize(
    ("scorer", "expected", "answer", "value"),
    [
        (ByValue("text"), "Paris", "**paris**.", 1),
        (ByValue("text"), "Paris", " \n“Paris”\n", 1),
        (ByValue("text"), "Orléans", "ORLÉANS!", 1),
        (ByValue("text"), "Paris", "It is Paris.", 0),
        (ByValue("text"), "Paris", "", 0),
        (IN_X, "7", '{"x": 7.0}', 1),
        (IN_X, "7.0", '```json\n{"x": "7.0"}\n```', 1),
        (IN_X, '{"x": "Paris"}', 'So {"x": "paris."}', 1),
        (IN_X, "Paris", '{"x": "Rome"}', 0),
        (IN_X, "Paris", "Paris", 0),
        (IN_X, "[1, 2]", '{"x": [1.0, 2]}', 1),
        (AFTER_HASHES, "42", "So\n#### 42", 1),
        (AFTER_HASHES, "It is so.\n#### 42", "#### 42", 1),
        (AFTER_HASHES, "42", "#### 43", 0),
        (AFTER_HASHES, "42", "42", 0),
        (ByNumber(), "42", "The answer is **42.0**.", 1),
        (ByNumber(), "1,234.5", "$1234.50", 1),
        (ByNumber(), "50%", "It is 50 percent", 1),
        (ByNumber(), "1/2", "0.5", 1),
        (ByNumber(), "0.1", "0.10000000000000001", 0),
        (ByNumber(), "1/3", "0.33", 0),
        (ByNumber(), "42", "not sure", 0),
        (ByNumber(decimal="comma"), "1.234", "1234", 1),
        (ByNumber(decimal="point"), "1.234", "1234", 0),
        (ONE_PERCENT, "1/3", "0.33", 1),
        (ONE_PERCENT, "100", "101", 1),
        (ONE_PERCENT, "-100", "-101", 1),
        (ONE_PERCENT, "100", "101.01", 0),
        (ONE_PERCENT, "0", "0.001", 0),
        (NEAR, "5", "about 5.01", 1),
        (NEAR, "5", "5.0101", 0),
        (NEAR, "1e400", "1e400", 1),
        (NEAR, "1e4000", "2e4000", 0),
        (ByChoice(), "B", "The answer is (B).", 1),
        (ByChoice(), "b)", "B", 1),
        (ByChoice(), "B", "A or B", 0),
        (ByJson(), '{"a": 1, "b": [1, 2]}', '{"b": [1.0, 2], "a": 1}', 1),
        (ByJson(), '{"a": 1}', 'Here it is:\n```json\n{"a": 1}\n```\nDone.', 1),
        (ByJson(), '{"a": 1}', '{"a": 1, "c": 2}', 0),
        (ByJson(subset=True), '{"a": {"b": 1}}', '{"a": {"b": 1, "d": 3}, "c": 2}', 1),
        (ByJson(subset=True), '{"a": 1, "b": 2}', '{"a": 1}', 0),
        (ByJson(), "[1, 2]", "[2, 1]", 0),
        (ByJson(), "[1, 2]", "[1, 2, 3]", 0),
        (ByJson(), "[true]", "[1]", 0),
        (ByJson(), "[null, false, 0]", "[null, false, -0.0]", 1),
        (ByJson(), '["é"]', '["e\u0301"]', 1),
        (ByJson(), '["a"]', '["A"]', 0),
        (ByJson(), "[0.1]", "[0.10000000000000001]", 0),
        (ByJson(), '{"a": {}}', '{"a": []}', 0),
        (ByJson(), "3", "3.0", 1),
        (ByJson(), "[1]", "nothing", 0),
        (ByJson(), '{"a": 1}', '{"a": 1} or {"a": 2}', 0),
    ],
)
async def test_an_answer_scores_1_exactly_if_it_is_right(
    scorer: CheckedScorer, expected: str, answer: str, value: float
) -> None:
    question = question_of(expected)
    score = await scorer(question, answer)
    assert score.value == value
    assert score.why
    assert (scorer.problem_of(question), score.problem, score.asked) == ("", "", ())


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("Paris", "A"),
        ("paris.", "A"),
        ("The capital is Paris.", "A"),
        ("I considered Paris, but the answer is Rome.", "B"),
        ("Not Paris but Rome.", "B"),
        ("I think it's New York City", "D"),
        ("**Answer:** Rome", "B"),
        ("The answer is (C).", "C"),
        ("C) New York", "C"),
        ("Rome isn't right.", None),
        ("It is not Paris.", None),
        ("It can't be Paris.", None),
        ("Either Paris or Rome", None),
        ("Paris comes to mind, but Rome is the capital.", None),
        ("Parisian", None),
        ("ParIS", "A"),
        ("par\u0131s", "A"),
        ("no idea", None),
        ("The answer is J.", "J"),
    ],
)
async def test_a_choice_is_made_by_its_letter_or_by_its_whole_text(answer: str, letter: str | None) -> None:
    score = await ByChoice()(question_of("A", *CAPITALS), answer)
    assert (score.extracted, score.value) == (letter, float(letter == "A"))


@pytest.mark.parametrize(
    ("answer", "letter"),
    [("B", "B"), ("(b)", "B"), ("B) Rome", "B"), ("rome", "B"), ("b. Rome.", "B"), ("New York", "C")],
)
async def test_the_right_choice_may_be_a_letter_its_text_or_both(answer: str, letter: str) -> None:
    question = question_of(answer, *CAPITALS)
    assert ByChoice().problem_of(question) == ""
    assert (await ByChoice()(question, f"The answer is {letter}.")).value == 1


async def test_a_choice_that_is_a_letter_itself_is_named_by_its_text() -> None:
    question = question_of("D", "A", "B", "C", "E")
    assert (await ByChoice()(question, "D")).value == 1
    assert (await ByChoice()(question_of("x", "x", "x", "y"), "It is y.")).extracted == "C"


@pytest.mark.parametrize(
    ("scorer", "answer", "choices", "problem"),
    [
        (ByValue("text"), None, (), "answer is missing"),
        (ByValue("text"), "**", (), 'answer "**" has no text to compare'),
        (ByNumber(), None, (), "answer is missing"),
        (ByNumber(), "Paris", (), 'answer "Paris" is not one number'),
        (ByNumber(), "3 or 4", (), 'answer "3 or 4" is not one number'),
        (ByChoice(), None, (), "answer is missing"),
        (ByChoice(), "Paris", (), 'answer "Paris" is not a letter from A to J'),
        (ByChoice(), "E", CAPITALS, 'answer "E" is neither a letter from A to D nor the text of one choice'),
        (
            ByChoice(),
            "B) Paris",
            CAPITALS,
            'answer "B) Paris" is neither a letter from A to D nor the text of one choice',
        ),
        (ByChoice(), "x", ("x", "x"), 'answer "x" is neither a letter from A to B nor the text of one choice'),
        (ByChoice(), "A", tuple("abcdefghijk"), "choices are 11; at most 10 (A to J) can be read"),
        (ByJson(), None, (), "answer is missing"),
        (ByJson(), "{a}", (), "is not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
    ],
)
def test_a_right_answer_that_can_not_be_compared_is_a_problem(
    scorer: CheckedScorer, answer: str | None, choices: tuple[str, ...], problem: str
) -> None:
    assert scorer.problem_of(question_of(answer, *choices)).endswith(problem)


@pytest.mark.parametrize(
    ("scorer", "expected", "answer", "why"),
    [
        (ByValue("text"), "Paris", "Rome", '"rome" is not "Paris"'),
        (ByValue("text"), "Paris", "Paris", '"paris" is right'),
        (IN_X, "1", "no", 'the answer has no value of {json = "x"}; "1" is right'),
        (ByNumber(), "4", "no", 'the answer has no number; "4" is right'),
        (NEAR, "4", "4.005", '"4.005" is within 0.01 of "4"'),
        (ONE_PERCENT, "4", "5", '"5" is not within 1% of "4"'),
        (ByChoice(), "B", "?", 'the answer makes no choice; "B" is right'),
        (ByJson(), '{"a": {"b": [1, "x"]}}', '{"a": {"b": [1, "y"]}}', 'at /a/b/1: "y", not "x"'),
        (ByJson(), '{"a": [1]}', '{"a": 1}', "at /a: 1, not a list"),
        (ByJson(), '{"a": true}', '{"a": null}', "at /a: null, not true"),
        (ByJson(), '{"a": 1}', '{"b": 1}', 'at the top: "a" is missing; "b" is not expected'),
        (ByJson(), "[1]", "[]", "at the top: a list of 0, not of 1"),
        (ByJson(), "[1]", "[1", "no JSON to compare: it is not JSON: Expecting ',' delimiter at line 1, column 3"),
    ],
)
async def test_a_score_says_why(scorer: CheckedScorer, expected: str, answer: str, why: str) -> None:
    assert (await scorer(question_of(expected), answer)).why == why


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_regex_that_takes_too_long_says_so() -> None:
    slow = "a" * 5000 + "b"
    scorer = ByValue(Pattern(regex="(a+)+$"))
    score = await scorer(question_of("aa"), slow)
    assert (score.value, score.extracted) == (0, None)
    assert "the regex took longer than 1 s" in score.why
    assert scorer.problem_of(question_of(slow)) == ""


@pytest.mark.parametrize("text", ["", "x", "-1", "1%%", "nan", "inf", "1e31", "1e-99", "%"])
def test_a_tolerance_is_a_number_from_0(text: str) -> None:
    with pytest.raises(InvalidTolerance, match=r"is not a number from 0; write 0\.01, or 1% for a share"):
        tolerance_of(text)


@pytest.mark.parametrize(
    ("answer", "numeric"),
    [
        *((text, True) for text in ("42", "-1e-5", "$1,234.50", "12 km/h", "1/2", "½", "50%", "3 million", "12 m²")),
        *((text, False) for text in ("Paris", "1984 by Orwell", "7 dwarfs", "2024-05-17", "", "3 or 4", "x = 3")),
    ],
)
def test_a_right_answer_is_a_number_only_if_it_is_nothing_else(answer: str, numeric: bool) -> None:
    assert is_numeric(answer) == numeric


@pytest.mark.parametrize(
    ("answer", "choices", "way"),
    [
        ("B", CAPITALS, "choice"),
        ("42", (), "number"),
        ('{"a": 1}', (), "json"),
        (" [1]", (), "json"),
        ("[1", (), "text"),
        ("Paris", (), "text"),
        ('"Paris"', (), "text"),
    ],
)
def test_each_question_is_scored_as_its_right_answer_asks_for(answer: str, choices: tuple[str, ...], way: str) -> None:
    scorer = ByEach(ByNumber(), ByJson(), ByValue("text"))
    assert scorer.of(question_of(answer, *choices)).name == way
    assert scorer.is_free


def test_what_changes_scores_changes_the_digest() -> None:
    scorers: list[CheckedScorer] = [
        *(ByValue("text"), IN_X, AFTER_HASHES, ByNumber(), ONE_PERCENT, NEAR, ByNumber(decimal="comma"), ByChoice()),
        *(ByJson(), ByJson(subset=True), ByEach(ByNumber(), ByJson(), ByValue("text"))),
        ByEach(ONE_PERCENT, ByJson(), ByValue("text")),
    ]
    assert len({scorer.digest for scorer in scorers}) == len(scorers)
    assert ByNumber(tolerance_of("0.010")).digest == NEAR.digest


DECIMALS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=Decimal("-1e12"), max_value=Decimal("1e12"), places=4
)
WRAPPED = ("{}", "  {}\n", "**{}**", "\n\n{}\n\n", "`{}`", "{} ")


@given(DECIMALS, st.sampled_from([*WRAPPED, "The answer is {}.", "$\\boxed{{{}}}$", "**Answer:** {}"]))
def test_a_number_is_right_however_it_is_wrapped(number: Decimal, wrapped: str) -> None:
    question = question_of(f"{number:f}")
    for scorer in (ByNumber(), ONE_PERCENT, NEAR):
        assert pending(scorer(question, wrapped.format(f"{number:f}"))).value == 1


@given(DECIMALS, DECIMALS)
def test_within_a_tolerance_means_that_exact_numbers_differ_by_no_more(one: Decimal, other: Decimal) -> None:
    question = question_of(f"{one:f}")
    assert pending(NEAR(question, f"{other:f}")).value == float(abs(one - other) <= Decimal("0.01"))
    assert pending(ByNumber()(question, f"{other:f}")).value == float(one == other)


WORDS = st.text("abcXYZéß 12.-!", min_size=1, max_size=30).filter(lambda text: any(map(str.isalnum, text)))


@given(WORDS, st.sampled_from(["{}", "  {}\n", "\n\n{}\n\n", "{} "]))
def test_a_right_text_scores_1_with_any_white_space_around_it(text: str, wrapped: str) -> None:
    scorer, question = ByValue("text"), question_of(text)
    if scorer.problem_of(question) == "":
        assert pending(scorer(question, wrapped.format(text))).value == 1


@given(st.text(max_size=60))
def test_a_right_answer_itself_scores_1_if_it_can_be_compared(text: str) -> None:
    question = question_of(text)
    for scorer in (ByValue("text"), ByNumber(), ONE_PERCENT, ByChoice()):
        if scorer.problem_of(question) == "":
            assert pending(scorer(question, text)).value == 1, scorer


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_json_itself_scores_1_with_other_white_space_order_and_a_fence() -> None:
    found: list[Any] = []

    @given(JSON.filter(lambda value: isinstance(value, dict | list)))
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    for value in found:
        plain = json.dumps(value)
        if "\\ud" in plain:  # half of a surrogate pair is not JSON that all readers accept
            continue
        fenced = f"```json\n{json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)}\n```"
        for answer in (plain, f"\n{plain}  ", fenced):
            assert (await ByJson()(question_of(plain), answer)).value == 1, answer


@given(st.sampled_from("ABCD"), st.sampled_from(["{}", "({})", "**{}**", "The answer is {}.", "{})", " {}\n"]))
def test_a_right_choice_scores_1_by_letter_and_by_text(letter: str, wrapped: str) -> None:
    question = question_of(letter, *CAPITALS)
    text = CAPITALS["ABCD".index(letter)]
    for answer in (wrapped.format(letter), wrapped.format(text) if ")" not in wrapped else text):
        assert pending(ByChoice()(question, answer)).value == 1, answer
