"""Simulated answers in JSON are valid by the schemas that users write."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.providers.simulated.documents import document
from moa_mcp.schemas import checked, read

NAMES = st.sampled_from(["a", "b", "c", "$d", "e/f"])
SCALARS = st.one_of(
    st.just({"type": "string"}),
    st.builds(
        lambda least, more: {"type": "string", "minLength": least, "maxLength": least + more}, *[st.integers(0, 40)] * 2
    ),
    st.builds(lambda kind: {"type": kind}, st.sampled_from(["integer", "number", "boolean", "null"])),
    st.builds(lambda least: {"type": "integer", "minimum": least, "maximum": least + 3}, st.integers(-9, 9)),
    st.builds(lambda most: {"type": "number", "maximum": most}, st.integers(-9, 9)),
    st.builds(lambda least: {"type": "number", "exclusiveMinimum": least}, st.integers(-9, 9)),
    st.builds(lambda most: {"type": "integer", "exclusiveMaximum": most}, st.integers(-9, 9)),
    st.builds(lambda step: {"type": "integer", "multipleOf": step, "minimum": 5}, st.integers(1, 9)),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers() | st.text(), min_size=1, max_size=3)),
    st.builds(lambda value: {"const": value}, st.text() | st.none() | st.lists(st.integers(), max_size=2)),
    st.builds(lambda kinds: {"type": kinds}, st.permutations(["string", "null", "integer"])),
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(NAMES, inner, max_size=3)
    return properties.flatmap(
        lambda held: st.builds(
            lambda required, closed: {
                "type": "object",
                "properties": held,
                "required": required,
                "additionalProperties": closed,
            },
            st.lists(st.sampled_from([*held] or ["z"]), unique=True),
            st.booleans() if held else st.sampled_from([True]),
        )
    )


def arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda items, least, more: {"type": "array", "items": items, "minItems": least, "maxItems": least + more},
        inner,
        *[st.integers(0, 3)] * 2,
    )


def choices(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda each: {"anyOf": each}, st.lists(inner, min_size=1, max_size=2))


SCHEMAS = st.recursive(SCALARS, lambda inner: objects(inner) | arrays(inner) | choices(inner), max_leaves=6)


@given(SCHEMAS)
def test_a_simulated_document_is_valid(schema: Any) -> None:
    line = checked(json.dumps(schema))
    assert read(line, document(line, "[simulated a] No model was called.")).fault == ""


def test_a_schema_may_refer_to_its_parts_and_to_itself() -> None:
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}
    line = checked(json.dumps({"allOf": [{"$ref": "#/$defs/node"}], "$defs": {"node": node}}))
    assert read(line, document(line, "So.")).fault == ""
    pair = {"prefixItems": [{"type": "integer"}, {"type": "string", "format": "date"}], "minItems": 2, "items": False}
    line = checked(json.dumps(pair))
    assert json.loads(document(line, "So.")) == [0, "2026-01-01"]
