"""Schemas of users: what is refused before anything is paid, where, and that it neither hangs nor fetches."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.schemas import SchemaRefused, checked, read, sending

CLOSED = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
DEEP: dict[str, Any] = {}
for _ in range(70):
    DEEP = {"items": DEEP}


def refusal(schema: Any) -> str:
    with pytest.raises(SchemaRefused) as refused:
        checked(schema if isinstance(schema, str) else json.dumps(schema))
    return str(refused.value)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("{'type': 'object'}", "is not JSON: Expecting property name"),
        ('{"type": "object", "type": "array"}', 'is not JSON: the name "type" occurs twice in an object'),
        ("true", "should be an object"),
        (DEEP, "is not JSON: it is nested in more than 64 levels"),
        ({"description": "x" * 20_000}, "use at most 20,000"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "is invalid at #/$schema: use draft 2020-12"),
        ({"$schema": ["a"]}, "is invalid at #/$schema: use draft 2020-12"),
        ({"items": {"dependencies": {"a": ["b"]}}}, "#/items: dependencies is a keyword of an older draft; use depend"),
        ({"properties": {"a": {"type": "objekt"}}}, "is invalid at #/properties/a/type: 'objekt' is not valid"),
        ({"properties": {"a": {"minLength": -1}}}, "is invalid at #/properties/a/minLength: -1 is less than"),
        ({"properties": {"a": {"$ref": "https://x/y"}}}, "is invalid at #/properties/a: $ref leads out of the schema"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "is invalid at #/items: $ref leads out of the schema"),
        ({"items": {"$ref": "#/$defs/b"}}, "is invalid at #/items: $ref '#/$defs/b' leads to no schema"),
        ({"items": {"$id": "https://x/y"}}, "is invalid at #/items: $id is only allowed at the top"),
        ({"$ref": "#"}, "is invalid at #: it refers to itself without an end"),
        ({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}, "refers to itself"),
        ({"items": {"pattern": "(a"}}, "is invalid at #/items/pattern: '(a' is not a 'regex'"),
        ({"items": {"pattern": "((a{999}){999}){999}"}}, "is invalid at #/items: '((a{999}){999}){999}' repeats too"),
        ({"items": {"pattern": "a{99999999999}"}}, "nested too deeply, or repeats too much"),
        ({"items": {"pattern": "a" * 501}}, "a regular expression may have 500 characters, not 501"),
        ({"patternProperties": {"(?x)a": {}}}, "is invalid at #: '(?x)a' has an option after (?"),
        ({"unevaluatedProperties": False, "patternProperties": {"a": {}}}, "use additionalProperties"),
    ],
)
def test_a_schema_that_can_not_be_used_is_refused_with_its_place(schema: Any, told: str) -> None:
    assert told in refusal(schema)


def test_a_refusal_is_short_whatever_the_names_in_the_schema() -> None:
    assert len(refusal({"properties": {"x" * 9000: {"type": "y" * 9000}}})) < 700


@pytest.mark.parametrize(
    "schema",
    [
        CLOSED,
        {},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "array"},
        {"type": "object", "properties": {"next": {"$ref": "#"}, "$ref": {"type": "string"}}},
        {"$defs": {"a/b~c": {"$anchor": "here", "type": "null"}}, "anyOf": [{"$ref": "#here"}, {"type": "integer"}]},
        {"items": {"$ref": "#/$defs/a~1b"}, "$defs": {"a/b": {}}},
        {"const": {"$ref": "https://x"}, "examples": [{"pattern": "("}]},
        {"pattern": r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "minLength": 36},
    ],
)
def test_other_schemas_are_kept_on_one_line(schema: Any) -> None:
    assert json.loads(checked(json.dumps(schema, indent=4))) == schema
    assert "\n" not in checked(json.dumps(schema, indent=4))


@pytest.mark.parametrize(
    "draft", ["http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema"]
)
def test_a_schema_that_names_an_older_draft_is_read_as_one_of_this_draft(draft: str) -> None:
    older = {"$schema": draft, "definitions": {"n": {"type": "integer"}}, "items": {"$ref": "#/definitions/n"}}
    schema = checked(json.dumps(older))
    assert json.loads(schema) == {name: value for name, value in older.items() if name != "$schema"}
    assert [read(schema, reply).text for reply in ("[1]", '["1"]')] == ["[1]", None]


@pytest.mark.parametrize(
    ("schema", "how"),
    [
        (CLOSED, "strict"),
        ({**CLOSED, "required": []}, "loose"),
        ({**CLOSED, "additionalProperties": True}, "loose"),
        ({**CLOSED, "properties": {"a": {"type": "integer", "minimum": 1}}}, "loose"),
        ({**CLOSED, "properties": {"a": {"type": "object"}}}, "loose"),
        ({**CLOSED, "properties": {"a": {}}}, "loose"),
        ({**CLOSED, "properties": {"a": {"$ref": "#"}}}, "loose"),
        ({**CLOSED, "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"type": "null"}}}, "strict"),
        ({"type": "array", "items": {"type": "string"}}, "never"),
        ({"type": "object", "maxProperties": 10**30}, "never"),
        ({"anyOf": [CLOSED, CLOSED]}, "never"),
    ],
)
def test_only_what_providers_enforce_is_sent_as_strict(schema: Any, how: str) -> None:
    assert sending(checked(json.dumps(schema))) == how


def test_no_reply_can_hold_up_a_validation() -> None:
    levels = {f"l{n}": {"anyOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(40)}
    branching = checked(json.dumps({"$ref": "#/$defs/l0", "$defs": {**levels, "l40": {"type": "string"}}}))
    assert "takes too long" in read(branching, "5").fault
    catastrophic = checked(json.dumps({"type": "string", "pattern": "^(?:(a|a)|(a|aa))+$"}))
    assert read(catastrophic, json.dumps("a" * 60 + "b")).text is None
    nested = checked(json.dumps({"items": {"$ref": "#"}}))
    assert "nested" in read(nested, "[" * 100_000).fault
    unique = checked(json.dumps({"uniqueItems": True}))
    assert read(unique, json.dumps([{"a": n} for n in range(20_000)])).text is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
KEYWORDS = ["type", "properties", "items", "anyOf", "$ref", "$defs", "pattern", "enum", "required", "not", "minimum"]


@given(st.dictionaries(st.sampled_from(KEYWORDS) | st.text(max_size=3), JSON, max_size=4), JSON)
def test_any_document_is_a_schema_or_refused_and_reads_any_value(schema: Any, value: Any) -> None:
    try:
        line = checked(json.dumps(schema))
    except SchemaRefused:
        return
    found = read(line, json.dumps(value))
    assert (found.text is None) == bool(found.fault)
    assert sending(line) in {"strict", "loose", "never"}
