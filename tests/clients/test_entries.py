"""Entries are read as the clients read them: what `install` writes starts the same command with the same variables."""

from __future__ import annotations

from typing import Any

import pytest

from moa_mcp.clients.client import NAME, Server
from moa_mcp.clients.documents import format_of, merged
from moa_mcp.clients.entries import Entry, entries, read
from moa_mcp.clients.known import CLIENTS
from tests.support.client_files import FILES

BY_NAME = {each.name: each for each in CLIENTS}
SHELL = {"HOME": "/u", "PATH": "/opt/bin:/usr/bin", "A_KEY": "secret", "EDITOR": "vi", "TERM": "xterm"}


def entry_of(name: str, raw: dict[str, Any], **environ: str) -> Entry:
    return read(BY_NAME[name], NAME, raw, SHELL | environ)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.name)
def test_what_install_writes_is_read_back(client: Any) -> None:
    server = Server("/opt/moa-mcp", ("--journal", "none"), ("A_KEY",) if client.takes_names else (), {"B": "1"})
    syntax = format_of(client.format)
    text = merged(syntax, FILES[client.name].text, client.keys, client.entry(server))
    (found,) = entries(client, syntax.read(text), SHELL)
    assert (found.name, found.title, found.enabled) == (NAME, client.title, True)
    assert found.command == ("/opt/moa-mcp", "--journal", "none")
    assert found.env == {"B": "1", **({"A_KEY": "secret"} if client.takes_names else {})}
    assert (found.unset, found.literal) == ((), ())


@pytest.mark.parametrize(
    ("client", "value", "expected", "unset", "literal"),
    [
        ("claude-code", "${A_KEY}", "secret", (), ()),
        ("claude-code", "${NOT:-usual}", "usual", (), ()),
        ("claude-code", "${NOT:-}", "", ("NOT",), ()),
        ("gemini", "$A_KEY", "secret", (), ()),
        ("gemini", "${A_KEY}", "secret", (), ()),
        ("cursor", "${env:NOT}", "", ("NOT",), ()),
        ("cursor", "${A_KEY}", "${A_KEY}", (), ("A_KEY",)),
        ("claude-desktop", "${A_KEY}", "${A_KEY}", (), ("A_KEY",)),
        ("opencode", "{env:A_KEY}", "secret", (), ()),
        ("vscode", "${input:key}", "${input:key}", (), ()),
    ],
)
def test_references_are_replaced_as_the_client_does(
    client: str, value: str, expected: str, unset: tuple[str, ...], literal: tuple[str, ...]
) -> None:
    key = "environment" if client == "opencode" else "env"
    found = entry_of(client, {"command": "x", key: {"A_KEY": value}})
    assert (found.env, found.unset, found.literal) == ({"A_KEY": expected}, unset, literal)


def test_listed_names_that_are_not_set_are_known() -> None:
    assert entry_of("codex", {"command": "x", "env_vars": ["A_KEY", "NOT"]}).unset == ("NOT",)
    assert entry_of("goose", {"cmd": "x", "env_keys": ["A_KEY"]}).env == {"A_KEY": "secret"}


@pytest.mark.parametrize(
    ("platform", "client", "path"),
    [
        ("linux", "claude-desktop", "/usr/bin:/bin:/usr/sbin:/sbin"),
        ("darwin", "cursor", "/usr/bin:/bin:/usr/sbin:/sbin"),
        ("linux", "codex", "/opt/bin:/usr/bin"),
        ("win32", "cursor", "/opt/bin:/usr/bin"),
    ],
)
def test_a_server_gets_little_of_the_users_environment(platform: str, client: str, path: str) -> None:
    found = entry_of(client, {"command": "x", "env": {"B": "1"}}).environment(SHELL, platform)
    assert found.pop("PATH") == path
    assert found == ({"B": "1"} if platform == "win32" else {"HOME": "/u", "TERM": "xterm", "B": "1"})


@pytest.mark.parametrize(
    ("client", "raw", "limits"),
    [
        ("claude-desktop", {}, (60, 240)),
        ("codex", {}, (10, 60)),
        ("codex", {"startup_timeout_sec": 20, "tool_timeout_sec": 120.5}, (20, 120.5)),
        ("opencode", {"timeout": 8000}, (8, None)),
        ("claude-code", {"timeout": True}, (30, None)),
        ("zed", {}, (None, None)),
    ],
)
def test_time_limits_are_those_of_the_entry_else_of_the_client(
    client: str, raw: dict[str, Any], limits: tuple[float | None, float | None]
) -> None:
    found = entry_of(client, {"command": "x", **raw})
    assert (found.start_s, found.call_s) == limits


@pytest.mark.parametrize(
    ("words", "is_ours"),
    [
        (["/opt/bin/moa-mcp"], True),
        ([r"C:\bin\moa-mcp.exe"], True),
        (["python", "-m", "moa_mcp"], True),
        (["uvx", "--from", "moa-mcp[otel]==1.2", "x"], True),
        (["uvx", "moa-mcp@latest"], True),
        (["npx", "moa-mcp-viewer"], False),
        (["/opt/moa-mcp/bin/other"], False),
    ],
)
def test_an_entry_is_known_by_its_command_if_it_has_another_name(words: list[str], is_ours: bool) -> None:
    document = {"mcpServers": {"mixture": {"command": words[0], "args": words[1:]}, "broken": 3}}
    assert [each.name for each in entries(BY_NAME["cursor"], document, SHELL)] == ["mixture"] * is_ours
