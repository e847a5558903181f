"""The keywords that are evaluated here, with limits, against the library that evaluates the others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from moa_mcp.schemas import checked, read

NAMES = st.sampled_from(["a", "b", "ab", "x1", "ü"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([1.0, 0.5, "a", "ab", "x1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
INNER = st.sampled_from([{}, {"type": "integer"}, {"type": "string", "pattern": "^a"}, {"not": {}}])
OWN = st.fixed_dictionaries(
    {},
    optional={
        "properties": st.dictionaries(NAMES, INNER, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", "[0-9]"]), INNER, max_size=2),
        "additionalProperties": st.booleans() | INNER,
        "uniqueItems": st.booleans(),
        "pattern": st.sampled_from(["^a", "b$", "[0-9]+"]),
        "items": st.just({"uniqueItems": True, "additionalProperties": False}),
    },
)


@given(OWN, VALUES)
def test_a_value_is_valid_exactly_if_the_library_says_so(schema: dict[str, Any], value: Any) -> None:
    valid = Draft202012Validator(schema).is_valid(value)
    assert (read(checked(json.dumps(schema)), json.dumps(value)).text is not None) == valid


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ({"uniqueItems": True}, [1, {"a": 1, "b": 2}, {"b": 2, "a": 1.0}], "has equal items"),
        ({"patternProperties": {"^n": {"type": "integer"}}}, {"name": "x"}, "at /name: 'x' is not of type 'integer'"),
        ({"additionalProperties": {"type": "integer"}}, {"name": "x"}, "at /name: 'x' is not of type 'integer'"),
        ({"pattern": "^a"}, "bc", "'bc' does not match '^a'"),
        ({"multipleOf": 0.3}, 10**400, "a number in it is too large to calculate with"),
    ],
)
def test_a_fault_names_the_place_and_what_is_wrong(schema: dict[str, Any], value: Any, fault: str) -> None:
    assert fault in read(checked(json.dumps(schema)), json.dumps(value)).fault
