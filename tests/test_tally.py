from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp import tally
from moa_mcp.tally import Majority, borda, majority


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Paris", "paris"),
        ("  PARIS.\n", "paris"),
        ("**Paris**!", "paris"),
        ("New\n York", "new york"),
        ('"Straße"', "strasse"),
        ("", None),
        (" .!* ", None),
    ],
)
def test_the_whole_text_is_compared_without_case_space_and_closing_marks(answer: str, value: str | None) -> None:
    assert tally.whole_text(answer) == value


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("42", "42"),
        ("It is 7, no, 42.", "42"),
        ("42.0", "42"),
        ("1,200.50 dollars", "1200.5"),
        ("1\u202f234\u00a0567", "1234567"),
        ("-7", "-7"),
        ("\u22127", "-7"),
        ("x=-7", "-7"),
        ("+7", "7"),
        ("-0", "0"),
        (".5", "0.5"),
        ("0.5", "0.5"),
        ("1e3", "1000"),
        ("1.5E-3", "0.0015"),
        ("007", "7"),
        ("1, 2, 3", "3"),
        ("1,2,3", "3"),
        ("between 3-4", "4"),
        ("9-4", "4"),
        ("GPT-4", "4"),
        ("12345678901234567890123456789012345.5", "12345678901234567890123456789012345.5"),
        ("1e400", "1E+400"),
        ("1e9999999", "1E+9999999"),
        ("1.50e-9999999", "1.5E-9999999"),
        ("1e99999999999999999999", "1e99999999999999999999"),
        ("none at all", None),
        ("", None),
    ],
)
def test_the_last_number_is_taken_in_one_way_of_writing_it(answer: str, number: str | None) -> None:
    assert tally.last_number(answer) == number


@given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3), st.text("abc \n"))
def test_a_number_is_found_however_it_is_written(number: object, before: str) -> None:
    written = tally.last_number(str(number))
    assert tally.last_number(f"{before} {number:,}.") == written
    assert tally.last_number(f"{before} {number}") == written


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("(B)", "B"),
        ("**B**", "B"),
        ("B.", "B"),
        ("B) Paris", "B"),
        ("The answer is B.", "B"),
        ("The answer is B because it fits", "B"),
        ("answer: **B**", "B"),
        ('Answer = "B"', "B"),
        ("The correct answer is option C.", "C"),
        ("The answer choice is (D)", "D"),
        ("Option A is wrong; option B is right.", "B"),
        ("The answer is B, since option A fails.", "B"),
        ("Answer: A? No. Answer: C", "C"),
        ("Answer: I think it is hard to say.", None),
        ("My answer: I'd take a guess", None),
        ("Answer: I", "I"),
        ("A) Rome\nB) Paris", None),
        ("A good question", None),
        ("K", None),
        ("b", None),
        ("", None),
    ],
)
def test_a_choice_is_the_one_that_is_called_the_answer_or_stands_alone(answer: str, letter: str | None) -> None:
    assert tally.choice_letter(answer) == letter


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('{"label": "Spam"}', "spam"),
        ('So: ```{"label": "spam."}```', "spam"),
        ('{"label": "ham"} {"label": "spam"}', "spam"),
        ('{"label": "spam"} {"other": 1} {broken', "spam"),
        ('{"label": "spam", "why": {"score": 1}}', "spam"),
        ('{"out": {"label": "spam"}}', "spam"),
        ('{"label": {"b": 1, "a": [2]}}', '{"a": [2], "b": 1}'),
        ('{"label": 3}', "3"),
        ('{"label": true}', "true"),
        ('{"label": null}', "null"),
        ('{"label": ""}', None),
        ('{"Label": "spam"}', None),
        ("label: spam", None),
        pytest.param("{" * 100_000, None, id="100 kB of braces"),
        pytest.param('{"label":' * 20_000, None, id="180 kB of nested objects"),
    ],
)
def test_a_field_is_taken_from_the_last_json_object_that_has_it(answer: str, value: str | None) -> None:
    assert tally.json_field("label")(answer) == value


@pytest.mark.parametrize(
    ("regex", "answer", "value"),
    [
        (r"#+ (\w+)", "# One\n## Two", "two"),
        (r"\d+", "1 and 22", "22"),
        (r"(x)|y", "x y", None),
        (r"z", "x y", None),
    ],
)
def test_a_pattern_takes_the_first_group_of_its_last_match(regex: str, answer: str, value: str | None) -> None:
    assert tally.pattern(regex)(answer) == value


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (["4", "5", "5"], Majority(1, 2, "5", (), ())),
        (["5", "4"], Majority(0, 1, "5", ("4",), ())),
        (["none", "4", "5", "none", "5", "4", "6"], Majority(1, 2, "4", ("5",), (0, 3))),
        (["only 1"], Majority(0, 1, "1", (), ())),
        (["none", "none"], None),
        ([], None),
    ],
)
def test_the_majority_names_its_first_voice_its_ties_and_who_abstained(
    answers: list[str], outcome: Majority | None
) -> None:
    assert majority(answers, tally.last_number) == outcome


@pytest.mark.parametrize(
    ("rankings", "count", "merged"),
    [
        ([(2, 0, 1)], 3, (2, 0, 1)),
        ([(0, 1, 2), (2, 1, 0)], 3, (0, 1, 2)),
        ([(0, 1, 2), (1, 2, 0), (1, 0, 2)], 3, (1, 0, 2)),
        # the first scores 3, the others share what is left: (2 + 1) / 2
        ([(2,)], 3, (2, 0, 1)),
        ([(2,), (1, 2, 0)], 3, (2, 1, 0)),
        ([(3,), (0, 1, 2, 3)], 4, (0, 1, 3, 2)),
        ([()], 3, (0, 1, 2)),
        ([], 2, (0, 1)),
    ],
)
def test_rankings_merge_by_borda_count_and_places_left_out_are_shared(
    rankings: list[tuple[int, ...]], count: int, merged: tuple[int, ...]
) -> None:
    assert borda(rankings, count) == merged


@given(st.lists(st.permutations(range(5)).flatmap(lambda order: st.integers(0, 5).map(lambda n: order[:n]))))
def test_a_merged_ranking_holds_every_answer_once(rankings: list[list[int]]) -> None:
    assert sorted(borda(rankings, 5)) == [0, 1, 2, 3, 4]


@given(st.permutations(range(5)))
def test_one_ranking_merges_to_itself(order: list[int]) -> None:
    assert borda([order], 5) == tuple(order)


def test_a_field_behind_a_thousand_braces_is_left_uncounted_rather_than_searched_for_seconds() -> None:
    assert tally.json_field("label")(json.dumps({"label": "spam"}) + "{" * 1001) is None
