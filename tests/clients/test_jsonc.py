"""JSON with comments: an entry is added, changed and removed, and no other character changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from moa_mcp.clients import jsonc
from moa_mcp.clients.documents import NotEditable, found, merged, without
from tests.support.jsonc_texts import Written, documents, value_of

KEYS = ("mcpServers", "moa")
ENTRY = {"command": "/bin/moa-mcp", "args": ["--config", "a b"], "env": {"K": "${env:K}"}}


def is_object_or_missing(value: dict[str, Any], key: str) -> bool:
    return isinstance(value.get(key, {}), dict)


@given(documents())
@settings(max_examples=100)
def test_every_text_is_read_as_its_value(written: Written) -> None:
    text, value = written
    assert value_of(text) == value
    assert jsonc.read(text) == value


@given(documents())
@settings(max_examples=200)
def test_a_new_entry_is_the_only_change_and_its_removal_gives_the_same_text(written: Written) -> None:
    text, value = written
    if not is_object_or_missing(value, "mcpServers") or "moa" in value.get("mcpServers", {}):
        return
    changed = jsonc.put(text, KEYS, ENTRY)
    servers = value.get("mcpServers", {})
    assert value_of(changed) == {**value, "mcpServers": {**servers, "moa": ENTRY}}
    assert characters_in_order(text, changed)
    place = KEYS if "moa" not in servers and "mcpServers" in value else KEYS[:1]
    if value.get("mcpServers") or (value and "mcpServers" not in value):
        assert jsonc.drop(changed, place) == text


@given(documents())
@settings(max_examples=100)
def test_a_merged_entry_changes_nothing_else_and_a_second_time_nothing_at_all(written: Written) -> None:
    text, value = written
    servers = value.get("mcpServers", {})
    if not isinstance(servers, dict):
        with pytest.raises(NotEditable, match=r"line \d+, column \d+: mcpServers is not an object"):
            merged(jsonc, text, KEYS, ENTRY)
        return
    changed = merged(jsonc, text, KEYS, ENTRY)
    old = servers.get("moa")
    expected = {**old, **ENTRY} if isinstance(old, dict) else ENTRY
    assert value_of(changed) == {**value, "mcpServers": {**servers, "moa": expected}}
    assert merged(jsonc, changed, KEYS, ENTRY) == changed


@given(documents())
@settings(max_examples=100)
def test_a_removed_entry_leaves_all_other_values(written: Written) -> None:
    text, value = written
    if found(value, KEYS) is None:
        assert without(jsonc, text, KEYS) == text
        return
    servers = {key: each for key, each in value["mcpServers"].items() if key != "moa"}
    left = without(jsonc, text, KEYS)
    assert value_of(left) == {**value, "mcpServers": servers}
    assert characters_in_order(left, text)


def characters_in_order(shorter: str, longer: str) -> bool:
    rest = iter(longer)
    return all(character in rest for character in "".join(shorter.split()))


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("{", 1, 2, "expected a key in double quotes, or }"),
        ('{"a": 1\n "b": 2}', 2, 2, "expected a comma or }"),
        ('{"a" 1}', 1, 6, "expected a colon"),
        ("{'a': 1}", 1, 2, "expected a key in double quotes, or }"),
        ('{"a": }', 1, 7, "expected a value"),
        ('{"a": 01}', 1, 7, "expected a value"),
        ('{"a": trueish}', 1, 7, "expected a value"),
        ('{"a": "b\n"}', 1, 7, "a string without its closing quote"),
        ('{"a": "\\x"}', 1, 7, "a string with an invalid escape"),
        ('{"a": [1 2]}', 1, 10, "expected a comma or ]"),
        ("{}\r\n}", 2, 1, "expected the end of the file"),
        ("{ /* no end }", 1, 3, "expected a key in double quotes, or }"),
        ("[]", 1, 1, "the file is not an object"),
        ('{"mcpServers": []}', 1, 16, "mcpServers is not an object"),
        ("{,}", 1, 2, "expected a key in double quotes, or }"),
        ('{"a":' * 101 + "1" + "}" * 101, 1, 501, "more than 100 levels"),
    ],
)
def test_a_broken_text_is_refused_with_line_and_column(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(NotEditable) as refused:
        merged(jsonc, text, KEYS, ENTRY)
    assert str(refused.value) == f"line {line}, column {column}: {message}"


@pytest.mark.parametrize("text", ["", " \n", "// mine\n", "// mine", "\ufeff", "\ufeff// mine\r\n"])
def test_a_text_without_a_value_gets_an_object(text: str) -> None:
    changed = merged(jsonc, text, KEYS, ENTRY)
    assert changed.startswith(text)
    assert value_of(changed) == {"mcpServers": {"moa": ENTRY}}


def test_the_layout_of_the_text_is_continued() -> None:
    text = '{\n    "mcpServers": {\n        "a": {"command": "x"} // mine\n    }\n}\n'
    assert jsonc.put(text, KEYS, {"command": "y"}) == (
        '{\n    "mcpServers": {\n        "a": {"command": "x"}, // mine\n        "moa": {\n            "command": "y"\n'
        "        }\n    }\n}\n"
    )
    assert jsonc.put('{"mcpServers":{"a":1}}', KEYS, {"b": [1, 2]}) == '{"mcpServers":{"a":1,"moa":{"b":[1,2]}}}'
    assert jsonc.put('{"mcpServers": {"a": 1,}}', KEYS, {"b": 2}) == '{"mcpServers": {"a": 1, "moa": {"b": 2},}}'


def test_comments_and_fields_within_an_older_entry_are_kept() -> None:
    text = '{"mcpServers": {"moa": {\n  "command": "/old", // where it is\n  "disabled": true\n}}}'
    assert merged(jsonc, text, KEYS, {"command": "/new"}) == text.replace("/old", "/new")


def test_of_several_entries_of_one_name_none_is_left() -> None:
    assert jsonc.drop('{"m": {"moa": 1, "b": 2, "moa": 3}}', ("m", "moa")) == '{"m": { "b": 2}}'
