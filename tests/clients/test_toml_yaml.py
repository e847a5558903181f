"""TOML and YAML: an entry is added, changed and removed, and no other line changes."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomlkit
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

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


NAMES = st.sampled_from(["a", "b c", "x-y", "no", "1", "extensions"])
SCALARS = st.sampled_from([1, None, True, "", "a: b", "# no comment", "line\n\nother\n", "é", "- x", 1.5])
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
MAPPINGS = st.dictionaries(NAMES, TREES, max_size=3)


@given(MAPPINGS, MAPPINGS, st.sampled_from([None, "|"]), st.integers(2, 5), st.booleans())
@settings(max_examples=200)
def test_any_yaml_in_lines_keeps_its_values(
    root: dict[str, Any], extensions: dict[str, Any], style: str | None, indent: int, comments: bool
) -> None:
    data = {**root, "extensions": extensions}
    lines = yaml.dump(data, default_style=style, default_flow_style=False, indent=indent, sort_keys=False).splitlines()
    text = "".join(f"{line}\n" for line in lines)
    text = f"# first\n{text}# last\n" if comments else text
    changed = merged(YAML, text, GOOSE, EXTENSION)
    assert yaml.safe_load(changed)["extensions"] == {**yaml.safe_load(text)["extensions"], "moa": EXTENSION}
    assert without(YAML, changed, GOOSE) == text


@given(MAPPINGS, st.dictionaries(NAMES, MAPPINGS, max_size=3), st.booleans(), st.booleans())
@settings(max_examples=200)
def test_any_toml_keeps_its_lines(root: dict[str, Any], servers: dict[str, Any], last: bool, comments: bool) -> None:
    own = {key: value for key, value in without_none(root).items() if not isinstance(value, dict)}
    tables = {"mcp_servers": without_none(servers)} if servers else {}
    other = {"zz": {"q": [1, 2]}}
    data = {**own, **other, **tables} if last else {**own, **tables, **other}
    text = tomlkit.dumps(data)
    text = f"# first\n{text}# last\n" if comments else text
    changed = merged(TOML, text, CODEX, SERVER)
    assert tomllib.loads(changed)["mcp_servers"]["moa"] == SERVER
    assert changed.startswith(text)
    assert without(TOML, changed, CODEX) == text


def without_none(value: Any) -> Any:
    """Return a value that TOML can have."""
    if isinstance(value, dict):
        return {key: without_none(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_none(each) for each in value if not isinstance(each, dict | list)]
    return "" if value is None else value


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
