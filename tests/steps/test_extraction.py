"""What an answer comes down to, by the tables of `extraction.json`; null abstains."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.extraction import patterns
from moa_mcp.extraction.choices import choice_letter
from moa_mcp.extraction.fields import json_field
from moa_mcp.extraction.numbers import last_number
from moa_mcp.extraction.patterns import PatternTooSlow, fault_of, last_match
from moa_mcp.extraction.texts import whole_text
from moa_mcp.extraction.words import scale

TABLES = json.loads((Path(__file__).parent / "extraction.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("answer", "number"), TABLES["number"])
def test_a_number_is_read_whole_or_not_at_all(answer: str, number: str | None) -> None:
    assert last_number(answer) == number


@pytest.mark.parametrize(("answer", "number"), TABLES["number_with_decimal_comma"])
def test_a_step_may_say_that_the_comma_divides(answer: str, number: str) -> None:
    assert last_number(answer, "comma") == number


@pytest.mark.parametrize(("answer", "letter"), TABLES["choice"])
def test_a_choice_is_the_letter_that_is_said_to_be_the_answer(answer: str, letter: str | None) -> None:
    assert choice_letter(answer) == letter


@pytest.mark.parametrize("answers", TABLES["number_same"])
def test_one_number_is_one_value_however_it_is_spelled(answers: list[str]) -> None:
    assert len({last_number(answer) for answer in answers} | {last_number(answers[0]) or "none"}) == 1


@pytest.mark.parametrize("answers", TABLES["number_different"])
def test_different_numbers_are_never_equal(answers: list[str]) -> None:
    values = [value for answer in answers if (value := last_number(answer)) is not None]
    assert len(values) == len(set(values))


@pytest.mark.parametrize("answers", TABLES["text_same"])
def test_texts_that_say_the_same_are_equal(answers: list[str]) -> None:
    assert len({whole_text(answer) for answer in answers} | {whole_text(answers[0]) or "none"}) == 1


@pytest.mark.parametrize("answers", TABLES["text_different"])
def test_texts_that_say_something_else_differ(answers: list[str]) -> None:
    assert len({whole_text(answer) for answer in answers}) == len(answers)


@pytest.mark.parametrize("answer", ["", " .!* ", "**", "\u200b", "。"])
def test_a_text_of_which_nothing_is_left_is_none(answer: str) -> None:
    assert whole_text(answer) is None


@given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3), st.text("bcd \n"))
def test_a_number_is_found_however_it_is_grouped(number: object, before: str) -> None:
    written = last_number(str(number))
    assert written is not None
    assert last_number(f"{before} {number:,}.") == written
    assert last_number(f"{before} {number}") == written
    assert last_number(f"\\boxed{{{number}}}, {before}") == written


@given(st.fractions(max_denominator=10**6))
def test_a_fraction_is_read_exactly(fraction: object) -> None:
    assert last_number(f"It is {fraction}.") == last_number(f"\\boxed{{{fraction}}}") is not None


@pytest.mark.parametrize("read", [last_number, choice_letter, whole_text])
@given(st.text() | st.text("\\{}boxedfrac0123456789.,/^_*$()[]<>ABCanswer is:- \n"))
def test_no_text_breaks_a_reader(read: Callable[[str], str | None], answer: str) -> None:
    assert read(answer) is None or read(answer)


@pytest.mark.parametrize(
    ("word", "tens"),
    [
        ("hundred", 2),
        ("Tausend", 3),
        ("mil", 3),
        ("тыс.", 3),
        ("lakh", 5),
        ("Mio.", 6),
        ("millones", 6),
        ("миллиона", 6),
        ("crores", 7),
        ("bn", 9),
        ("Milliarden", 9),
        ("миллиардов", 9),
        ("bilhões", 9),
        ("trillion", 12),
        ("百万", 6),
        ("億", 8),
    ],
)
def test_the_name_of_a_power_of_ten_multiplies(word: str, tens: int) -> None:
    assert scale(word) == tens
    assert last_number(f"2 {word}") == last_number(f"2e{tens}")


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('{"label": "Spam"}', "spam"),
        ('So: ```{"label": "spam."}```', "spam"),
        ('{"label": "ham"} {"label": "spam"}', "spam"),
        ('{"label": "spam"} {"other": 1} {broken', "spam"),
        ('{"label": "spam", "why": {"score": 1}}', "spam"),
        ('{"label": "spam", "why": {"label": "ham"}}', "spam"),
        ('{"out": {"label": "spam"}}', "spam"),
        ('[{"label": "ham"}, {"label": "spam"}]', "spam"),
        ('{"label": {"b": 1.0, "a": [2, "X"]}}', '{"a": ["2", "x"], "b": "1"}'),
        ('{"label": 3}', "3"),
        ('{"label": 3.0}', "3"),
        ('{"label": "3"}', "3"),
        ('{"label": 1e2}', "100"),
        ('{"label": true}', "true"),
        ('{"label": null}', None),
        ('{"label": "spam",}', "spam"),
        ('He said "hi {"label": "spam"}', "spam"),
        ('{"label": "a } b"}', "a } b"),
        ('{"a": "unclosed\n {"label": "spam"}', "spam"),
        ('{"label": "\uff33\uff50\uff41\uff4d"}', "spam"),
        ('{"label": ""}', None),
        ('{"Label": "spam"}', None),
        ("label: spam", None),
        ("} {label} {", None),
        ('{"label": x} {"other": 1}', None),
        ('{"x": [[1, {"label": 2}]]}', "2"),
        ('{"a": {"label": 1}, "b": ?}', "1"),
        ('{"label": ' + "[" * 20_000 + "1" + "]" * 20_000 + "}", None),
        ('{"label": ["a", null, true]}', '["a", null, true]'),
    ],
)
def test_a_field_is_taken_from_the_last_json_object_that_has_it(answer: str, value: str | None) -> None:
    assert json_field(answer, "label") == value


@pytest.mark.parametrize(
    ("regex", "answer", "value"),
    [
        (r"#+ (\w+)", "# One\n## Two", "two"),
        (r"\d+", "1 and 22", "22"),
        (r"(x)|y", "x y", None),
        (r"z", "x y", None),
        (r"\\boxed{([^{}]*)}", r"so \boxed{Paris}", "paris"),
        (r"x{e}", "the letters x{e}, not xe", "x{e}"),
        (r"[[:alpha:]]+", "a:[", None),
        (r"[]a]+", "b]a]", "]a]"),
        (r"[^]a]+", "]bc]", "bc"),
        (r"[a{]{2}", "ba{", "a{"),
        (r"(?i)answer: (?P<it>\w+)", "ANSWER: Yes", "yes"),
        (r"\[{1,2}x", "[[x", "[[x"),
    ],
)
@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_a_pattern_takes_the_first_group_of_its_last_match_as_re_would(
    regex: str, answer: str, value: str | None
) -> None:
    found = [match[1 if match.re.groups else 0] or "" for match in re.finditer(regex, answer)]
    assert last_match(answer, regex) == (whole_text(found[-1]) if found else None) == value


@pytest.mark.parametrize("regex", ["(a+)+$", "(a|aa)+$"])
def test_a_pattern_that_would_take_for_ever_is_stopped(regex: str) -> None:
    with pytest.raises(PatternTooSlow):
        last_match("a" * 5000 + "b", regex)


def test_a_pattern_of_many_quick_matches_is_stopped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "TIME_LIMIT_S", 0.001)
    with pytest.raises(PatternTooSlow):
        last_match("ab" * 500_000, "a")


@pytest.mark.parametrize("regex", ["(", "a{2,1}", "(?P<x>a)(?P<x>b)", "*"])
def test_a_text_that_is_no_pattern_says_why(regex: str) -> None:
    assert fault_of(regex)


def test_a_pattern_has_no_fault() -> None:
    assert fault_of(r"answer: (\w+)") is None


PARTS = [
    *r"aZ1_é ^$.|()*+?:-",
    r"\b",
    r"\B",
    r"\d",
    r"\D",
    r"\s",
    r"\S",
    r"\w",
    r"\W",
    "(?:",
    "(?i)",
    "(?-i:",
    "(?R)",
    "(?e)",
]


@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_what_re_takes_as_a_pattern_of_usual_parts_can_be_searched_for(pattern: str) -> None:
    if fault_of(pattern) is None:
        patterns.compiled(pattern)


# Long answers

LENGTH = 1_000_000
"""Characters of a hostile answer."""
WHOLE = ("\n", "{", "[", "}", "\\", '"', "'", "*", "1", ",", "1,", "A ", "\\boxed{", "answer is ", '{"a":', "~~", "<")
"""Repeated for the whole length; the others, which end in the same loops, for a tenth of that."""
OTHERS = (
    *(
        "(",
        ")",
        "`",
        "**",
        "_",
        "$",
        "#",
        ">",
        "|",
        "&",
        "\t",
        " \n",
        "½",
        "٣",
        "\uff41",
        "【",
        "\u0301\u0316",
        "\u200b",
    ),
    *(
        "\t",
        " \n",
        "1 ",
        "1.",
        "1/",
        "1-",
        "1 to ",
        "= 1 ",
        "1^1",
        "1e9",
        "x_1 ",
        "1{,}",
        "1. ",
        "(1) ",
        "$1",
        "a ",
        "(A) ",
        "B or ",
    ),
    *("A, ", "not A but ", "Answer: A\n", "A is ", "I choose ", "if the answer is ", "the answer is 5 + 3 = ", "so "),
    *(
        "the answer is the ",
        "答案",
        "答案是",
        "因此",
        "não é ",
        "\\frac{",
        "\\frac{1}{2}",
        "^{",
        "_{",
        "\\text{",
        "\\left(",
    ),
    *(
        "not 1 ",
        "1 in 4 ",
        "between 1 and ",
        "wait, 1 ",
        "(was 1) ",
        "x < 1 ",
        "ln 1 ",
        "1! ",
        "1 is wrong. ",
        "95% sure ",
    ),
    *(
        "not B. ",
        "B, maybe ",
        "no, B. ",
        "(was B) ",
        "I don't think ",
        "\\overline{",
        "*a `b ~c ",
        " **a *",
        "$a",
        "\"'",
    ),
    *("<answer>", "<sup>", "<b", "&amp;", '{"label":', '{"label":1}', "{}", '\\"', '"\\"', "http://", "](", "[^"),
)
NESTED = (
    *("{" * (LENGTH // 2) + "1" + "}" * (LENGTH // 2), '{"label":' * 20_000 + "1" + "}" * 20_000),
    *("\\boxed{" * 24_000 + "1" + "}" * 24_000, "\\frac{" * 18_000 + "1" + "}{2}" * 18_000),
    *('{"a":x,' * 24_000 + "1" + "}" * 24_000, "1e" + "9" * LENGTH, "\\boxed{" + "9" * LENGTH + "}"),
)
LONG = [
    *(part * (LENGTH // len(part)) for part in WHOLE),
    *(part * (LENGTH // 10 // len(part)) for part in OTHERS),
    *NESTED,
]


@pytest.mark.parametrize("answer", LONG, ids=lambda answer: ascii(answer[:12]))
def test_the_time_that_a_hostile_answer_takes_is_in_proportion_to_its_length(answer: str) -> None:
    began = time.process_time()
    for read in (last_number, choice_letter, whole_text, lambda text: json_field(text, "label")):
        read(answer)
    assert time.process_time() - began < 60  # in proportion it is seconds, else minutes or hours
