"""JSON in the replies of models: what is around it, what is mended, and what is read in no way."""

from __future__ import annotations

import json
import time

import pytest

from moa_mcp.schemas import checked, read, reading

SCHEMA = checked(
    json.dumps(
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "string"}}},
            "required": ["a"],
            "additionalProperties": False,
        }
    )
)
LIST = checked('{"type": "array", "items": {"type": "integer"}}')


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('\ufeff\n {"a":\n1.0} \n', '{"a":\n1.0}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('```json\r\n{"a": 1}\r\n```\r\nDone.', '{"a": 1}'),
        ('```text\n{"a":\n````json\n{"a": 1}\n````\n', '{"a": 1}'),
        ('Here you are:\n\n~~~\n{"a": 1}\n~~~\nAnything else?', '{"a": 1}'),
        ('Sure! The answer is {"a": 1}.', '{"a": 1}'),
        ('<think>\n{"a": 2}\n</think>\n{"a": 1}', '{"a": 1}'),
        ('Not {x}, but {"a": 1}', '{"a": 1}'),
        ('{"a": 1, "b": ["x",],}', '{"a": 1, "b": ["x"]}'),
        ('{"a": 1, "b": ["x\ny,]"]}', '{"a": 1, "b": ["x\\ny,]"]}'),
        ('First I thought {"a": "x"}; it is {"a": 1}', '{"a": 1}'),
        ('{"a": 1}\n\nThat is, {"a": 1.0}', '{"a": 1}'),
    ],
)
def test_json_is_found_in_what_models_write(reply: str, text: str) -> None:
    assert read(SCHEMA, reply).text == text


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("", "it is not JSON: Expecting value"),
        ("I can't answer that.", "it is not JSON: Expecting value"),
        ('{"a": "x"}', "at /a: 'x' is not of type 'integer'"),
        ('{"a": 1, "c": 2}', "additional properties are not allowed: 'c'"),
        ("```json\n{}\n```", "'a' is a required property"),
        ('{"a": 1, "b": [1]}', "at /b/0: 1 is not of type 'string'"),
        ('{"a": 1} or {"a": 2}', "several JSON values in the reply are valid"),
        ('{"a": 1, "a": 2}', 'the name "a" occurs twice'),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": 1e999}', "the number 1e999 is too large"),
        ('{"a": 1, "b": ["\\ud800"]}', "half of a surrogate pair"),
        ('{"a": 1', "it is not JSON: Expecting ',' delimiter"),
        ('[{"a": 1}]', "is not of type 'object'"),
        (f'{{"a": {"9" * 5000}}}', "a number is too long"),
    ],
)
def test_what_is_wrong_with_a_reply_is_told_with_its_place(reply: str, told: str) -> None:
    found = read(SCHEMA, reply)
    assert found.text is None
    assert told in found.fault


@pytest.mark.parametrize(
    "reply",
    [
        '{"' + '\\"' * 300_000,
        "```a\n" * 300_000,
        '```\n{"b": 1}\n```\n' * 100_000,
        "{" + ",".join(f'"{n}": 1' for n in range(100_000)) + ',"99999": 2}',
        '{"a": ' * 300_000,
    ],
    ids=["open string", "open fences", "fences", "repeated name", "open objects"],
)
def test_a_huge_reply_is_read_in_one_pass_and_not_in_one_for_each_of_its_parts(reply: str) -> None:
    started = time.process_time()
    assert read(SCHEMA, reply).text is None
    assert time.process_time() - started < 10  # two passes take half a second, one for each part takes minutes


def test_a_reply_whose_parts_take_too_long_to_read_is_not_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_TIME_LIMIT_S", -1.0)
    assert read(LIST, "[11]").fault == "to read it takes too long"


def test_a_reference_in_brackets_is_no_list() -> None:
    assert read(LIST, "I can't tell, see [1].").text is None
    assert read(LIST, "The numbers:\n[1, 2]\nThat is all.").text == "[1, 2]"


def test_numbers_of_any_length_are_read_and_those_that_can_not_be_divided_are_not_valid() -> None:
    long = "1" + "0" * 4000
    assert read(checked('{"multipleOf": 5}'), long).text == long
    assert read(checked('{"multipleOf": 0.3}'), long).fault == "a number in it is too large to calculate with"


def test_a_long_value_is_told_in_few_words() -> None:
    long = json.dumps({"a": "x" * 5000})
    assert len(read(SCHEMA, long).fault) < 300
