"""The command that adds and removes callers, and the errors of their file."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from moa_mcp.callers import file, tokens
from moa_mcp.cli import commands

ALL = (
    ("--pipeline", "vote", "--pipeline", "refine", "--max-cost-per-day", "2.50"),
    ("--max-runs", "3", "--requests-per-minute", "60", "--operator"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "callers.toml"


def run(path: Path, *arguments: str) -> Result:
    return CliRunner(env={"MOA_MCP_CALLERS": str(path)}).invoke(commands, ["callers", *arguments])


def test_a_new_caller_gets_a_token_once_and_the_file_has_its_hash_alone(path: Path) -> None:
    added = run(path, "add", "alice", *ALL[0], *ALL[1])
    assert added.exit_code == 0
    token = added.stdout.strip()
    assert re.fullmatch(r"moa_[\w-]{43}", token)
    assert f"Caller alice is added to {path}" in added.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    assert token not in path.read_text("utf-8")
    assert file.read(path).named[tokens.hashed(token)].name == "alice"
    assert run(path).stdout == "alice  operator; vote, refine; $2.50 per day; 3 at once; 60 requests per minute\n"


def test_callers_are_added_and_removed_and_comments_stay(path: Path) -> None:
    run(path, "add", "alice")
    path.write_text("# our team\n" + path.read_text("utf-8") + "# the end\n", "utf-8")
    before = path.read_text("utf-8")
    run(path, "add", "bob")
    assert run(path, "list").stdout == "alice  all pipelines\nbob  all pipelines\n"
    assert run(path, "remove", "bob").stderr == f"Caller bob is removed from {path}.\n"
    assert path.read_text("utf-8").rstrip("\n") == before.rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("add", "alice"), "already has a caller 'alice'\nRun moa-mcp callers remove alice first.\n"),
        (("add", "a b"), "'a b' can't be the name of a caller\nUse at most 64 letters, digits, _ and -"),
        (("remove", "alise"), "has no caller 'alise'; did you mean 'alice'?\nRun moa-mcp callers list"),
        (("add", "carol", "--max-runs", "0"), "Invalid value for '--max-runs'"),
    ],
)
def test_a_wrong_name_is_refused_with_the_remedy(path: Path, arguments: tuple[str, ...], error: str) -> None:
    run(path, "add", "alice")
    refused = run(path, *arguments)
    assert refused.exit_code == 2
    assert error in refused.stderr


def test_without_callers_the_list_says_how_to_add_one(path: Path) -> None:
    run(path, "add", "alice")
    run(path, "remove", "alice")
    assert run(path, "list").stderr == f"{path} has no callers.\nRun moa-mcp callers add NAME.\n"


def test_the_list_shows_the_scopes_of_oauth(path: Path) -> None:
    file.write(path, '[oauth]\nissuer = "https://login.example"\n[oauth.scopes."moa:run"]\n')
    assert run(path, "list").stdout == "users of https://login.example with a scope of moa:run\n"


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("callers = 1", ["line 1, callers: 1 should be a table"]),
        ("[callers]\nalice = 1", ["line 2, callers.alice: 1 should be a table"]),
        ("[caller.alice]", ["line 1, caller: unknown table, did you mean 'callers'?"]),
        ("[callers.alice", ["not valid TOML: Expected ']'"]),
        ("[callers.alice]\n", ["line 1, callers.alice.token_sha256: is missing"]),
        (
            "[callers.alice]\ntoken_sha256 = 'SECRET'",
            ["line 2, callers.alice.token_sha256: the value (not shown) should be the SHA-256 of a token"],
        ),
        (
            "[callers.alice]\ntoken = 'SECRET'",
            ["line 2, callers.alice.token: tokens do not belong in this file; moa-mcp callers add NAME adds a hash"],
        ),
        (
            f"[callers.a]\ntoken_sha256 = '{'0' * 64}'\n[callers.b]\ntoken_sha256 = '{'0' * 64}'",
            ["line 4, callers.b.token_sha256: is also the hash of 'a'; each caller needs its own token"],
        ),
        (
            f"[callers.'a b']\ntoken_sha256 = '{'0' * 64}'\nmax_run = 1",
            ['line 1, callers."a b": is not a valid name', 'callers."a b".max_run: unknown key, did you mean'],
        ),
        (
            f"[callers.a]\ntoken_sha256 = '{'0' * 64}'\npipelines = []\nmax_cost_usd_per_day = 0",
            [
                "line 3, callers.a.pipelines: is empty",
                "line 4, callers.a.max_cost_usd_per_day: 0 should be more than 0",
            ],
        ),
        ("[oauth]\n", ["line 1, oauth.issuer: is missing", "line 1, oauth.scopes: is missing"]),
        (
            "[oauth]\nissuer = 'http://login.example'\nalgorithms = ['none']\n[oauth.scopes.x]\n",
            [
                "oauth.issuer: 'http://login.example' should be an https:// URL",
                "oauth, algorithm 1: 'none' should be 'RS256'",
            ],
        ),
        ("[oauth]\nissuer = 'https://x'\n[oauth.scopes.'a b']\n", ["'a b' can't be a scope"]),
    ],
)
def test_errors_of_the_file_have_line_numbers_and_show_no_token(path: Path, text: str, errors: list[str]) -> None:
    file.write(path, text)
    refused = run(path, "list")
    assert refused.exit_code == 2
    assert [each for each in errors if each not in refused.stderr] == []
    assert "SECRET" not in refused.stderr


@pytest.mark.parametrize("name", ["list", "add", "remove"])
def test_a_file_that_others_can_read_is_refused(path: Path, name: str) -> None:
    run(path, "add", "alice")
    path.chmod(0o644)
    refused = run(path, name, *(() if name == "list" else ("bob",)))
    assert f"other users have access to it (mode 0644); run chmod 600 {path}" in refused.stderr


def test_a_file_that_can_not_be_read_or_written_is_named(path: Path) -> None:
    assert "no such file; moa-mcp callers add NAME creates it" in run(path, "list").stderr
    path.mkdir(parents=True)
    assert "can't be read: Is a directory" in run(path, "list").stderr
    path.rmdir()
    os.mkfifo(path)
    assert "not a regular file" in run(path, "list").stderr
    path.unlink()
    file.write(path, "")
    path.write_bytes(b"\xff")
    assert "not UTF-8 at byte 0; save the file as UTF-8" in run(path, "list").stderr
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("")
    assert "can't be written: File exists" in run(path, "add", "alice").stderr
    assert "can't be read: Not a directory" in run(path, "list").stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    run(path, "add", "alice")
    os.chown(path, 12345, -1)
    assert "belongs to user ID 12345, who could add callers; change its owner" in run(path, "list").stderr


def test_a_caller_that_is_written_in_an_unusual_way_is_removed_by_hand(path: Path) -> None:
    file.write(path, f"callers = {{ alice = {{ token_sha256 = '{'0' * 64}' }} }}\n")
    removed = run(path, "remove", "alice")
    assert (removed.exit_code, file.read(path).named) == (0, {})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--callers", "FILE"), "--callers has no effect over stdio\nAdd --http or --sse.\n"),
        (("--http", "--callers", "FILE", "--token-env", "X"), "--callers and --token-env can't be combined"),
        (("--http", "--callers", "NONE"), "no such file; moa-mcp callers add NAME creates it\nFix the file"),
        (("--http", "--public-url", "http://moa.example.com"), "can't be the public URL: it should be https://NAME"),
        (("--http", "--public-url", "https://moa.example.com:x"), "can't be the public URL"),
        (("--http", "--public-url", "https://me@moa.example.com"), "can't be the public URL"),
        (("--http", "--public-url", "https://moa example.com"), "can't be the public URL"),
        (("--http", "--public-url", 'https://moa"example.com'), "can't be the public URL"),
        (("--http", "--audit", "FOLDER/none/audit"), "can't write the audit log FOLDER/none/audit: No such file"),
        (("--http", "--host", "0.0.0.0"), "requires a token\nSet MOA_MCP_TOKEN to a token, add --callers, or use"),
    ],
)
def test_a_server_does_not_start_with_options_that_do_not_fit(path: Path, options: tuple[str, ...], error: str) -> None:
    run(path, "add", "alice")
    given = [each.replace("FILE", str(path)).replace("FOLDER", str(path.parent)) for each in options]
    environment = {"MOA_MCP_TOKEN": "", "X": "y"}
    refused = CliRunner(env=environment).invoke(commands, ["--offline", "serve", *given])
    assert refused.exit_code == 2
    assert error.replace("FOLDER", str(path.parent)) in refused.stderr
