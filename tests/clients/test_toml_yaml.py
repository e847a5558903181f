"""TOML and YAML: an entry is added, changed and removed, and no other line changes."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import yaml

from moa_mcp.clients.documents import NotEditable, format_of, merged, produces, without

TOML, YAML = format_of("toml"), format_of("yaml")
SERVER = {"command": "/bin/moa-mcp", "args": ["--config", "a b"], "env_vars": ["K"], "env": {"B": "c"}}
EXTENSION = {"enabled": True, "type": "stdio", "cmd": "/bin/moa-mcp", "args": [], "env_keys": ["K"], "timeout": 300}
CODEX = ("mcp_servers", "moa")
GOOSE = ("extensions", "moa")


@pytest.mark.parametrize(
    "text",
    [
        "",
        'model = "x"  # keep me\n',
        '# mine\n\n[mcp_servers.other]\ncommand = "x"\n\n\n',
        '[mcp_servers.other]\ncommand = "x"\n[tools]\nweb = true # last\n',
        '[mcp_servers]\nother = {command = "x"}\n\n[z]\nq = 1\n',
        'mcp_servers.other.command = "x"\n',
        'mcp_servers = {other = {command = "x"}}\n',
        '[mcp_servers.other]\r\ncommand = "x"\r\n',
    ],
)
def test_a_table_is_added_to_toml_and_its_removal_gives_the_same_text(text: str) -> None:
    before: dict[str, Any] = tomllib.loads(text)
    changed = merged(TOML, text, CODEX, SERVER)
    servers = before.get("mcp_servers", {})
    assert tomllib.loads(changed) == {**before, "mcp_servers": {**servers, "moa": SERVER}}
    assert ("\r\n" in changed) == ("\r\n" in text)
    assert produces(TOML, text, CODEX, changed)
    assert merged(TOML, changed, CODEX, SERVER) == changed
    assert without(TOML, changed, CODEX) == text


def test_a_table_of_toml_is_changed_and_removed_from_between_others() -> None:
    text = (
        '[mcp_servers.moa]\ncommand = "/old" # where it is\nstartup_timeout_sec = 30\n\n'
        '[mcp_servers.moa.env]\nB = "c"\n\n# the other\n[mcp_servers.other]\ncommand = "x"\n'
    )
    assert merged(TOML, text, CODEX, {"command": "/new", "env": {"B": "c"}}) == text.replace("/old", "/new")
    assert without(TOML, text, CODEX) == '\n# the other\n[mcp_servers.other]\ncommand = "x"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('model = "x"\nother = \n', "line 2, column 9: Invalid value"),
        ("model = [1,\n", "line 2, at the end: Invalid value"),
        ("a = 1\na = 2\n", "line 2, column 6: Cannot overwrite a value"),
    ],
)
def test_broken_toml_is_refused_with_its_line(text: str, fault: str) -> None:
    with pytest.raises(NotEditable) as refused:
        merged(TOML, text, CODEX, SERVER)
    assert str(refused.value) == fault


def test_a_value_of_toml_in_place_of_the_table_is_refused() -> None:
    with pytest.raises(NotEditable, match="mcp_servers is not a table"):
        merged(TOML, "mcp_servers = 1\n", CODEX, SERVER)


@pytest.mark.parametrize(
    "text",
    [
        "# mine\nextensions:\n  # tools\n  other:\n    enabled: true  # keep\n    type: builtin\n# end\nMODEL: x\n",
        "extensions:\n    other:\n        args:\n        - a\n        - b\n\n\n# end\n",
        "extensions:\n  other:\n    text: |\n      one\n\n      two\nMODEL: x\n",
        "extensions: {}\nMODEL: x # keep\n",
        "MODEL: é\r\nextensions:\r\n  other:\r\n    cmd: 'x'\r\n",
        "extensions:\n  other: {type: builtin, args: [a,\n    b]}\nMODEL: x\n",
    ],
)
def test_a_mapping_is_added_to_yaml_and_its_removal_gives_the_same_text(text: str) -> None:
    before: dict[str, Any] = yaml.safe_load(text)
    changed = merged(YAML, text, GOOSE, EXTENSION)
    assert yaml.safe_load(changed) == {**before, "extensions": {**before["extensions"], "moa": EXTENSION}}
    assert produces(YAML, text, GOOSE, changed)
    assert merged(YAML, changed, GOOSE, EXTENSION) == changed
    assert without(YAML, changed, GOOSE) == text


@pytest.mark.parametrize("text", ["", "# mine\n", "MODEL: x\n", "MODEL: x", "extensions:\nMODEL: x\n"])
def test_yaml_without_extensions_gets_them(text: str) -> None:
    before: dict[str, Any] = yaml.safe_load(text) or {}
    changed = merged(YAML, text, GOOSE, EXTENSION)
    assert yaml.safe_load(changed) == {**before, "extensions": {"moa": EXTENSION}}
    assert yaml.safe_load(without(YAML, changed, GOOSE)) == {**before, "extensions": {}}


def test_a_mapping_of_yaml_is_changed_where_it_differs() -> None:
    text = "extensions:\n  moa:\n    cmd: /old # where\n    bundled: null\n    args:\n      - a\n  b:\n    x: 1\n"
    assert merged(YAML, text, GOOSE, {"cmd": "/new", "args": ["b"], "timeout": 3}) == (
        'extensions:\n  moa:\n    cmd: "/new" # where\n    bundled: null\n    args:\n    - b\n    timeout: 3\n'
        "  b:\n    x: 1\n"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\n b: 2\n", "line 2, column 3: mapping values are not allowed here"),
        ("a: [1\nb: 2\n", "line 2, column 2: expected ',' or ']', but got ':'"),
        ("- a\n", "line 1, column 1: the file is not a mapping"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: but found another document"),
        ("a: \x00\n", "not valid YAML (ReaderError)"),
        ("extensions: [a]\n", "line 1, column 13: extensions is not a mapping of lines"),
        ("extensions: {a: {b: 1}}\n", "line 1, column 13: extensions is not a mapping of lines"),
    ],
)
def test_broken_yaml_and_yaml_of_another_shape_are_refused(text: str, fault: str) -> None:
    with pytest.raises(NotEditable) as refused:
        merged(YAML, text, GOOSE, EXTENSION)
    assert str(refused.value) == fault


def test_yaml_that_can_not_be_changed_safely_is_refused() -> None:
    with pytest.raises(NotEditable, match="edit it by hand"):
        without(YAML, "extensions: {moa: {cmd: x}, b: 1}\n", GOOSE)
    with pytest.raises(NotEditable, match="extensions is not a mapping of lines"):
        merged(YAML, "a: &e {moa: {x: 1}}\nextensions: *e\n", GOOSE, EXTENSION)
