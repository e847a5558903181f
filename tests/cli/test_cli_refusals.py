"""What commands refuse, and what they say beside what they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_cli import invoke


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ask", "vote", "Why?", "--max-cost", "much"), "'much' is not an amount in US dollars above 0"),
        (("ask", "vote", "Why?", "--max-cost", "-1"), "'-1' is not an amount in US dollars above 0"),
        (("ask", "vote", "Why?", "--deadline", "soon"), "'soon' is not a number of seconds above 0"),
        (("ask", "vote", "Why?", "--deadline", "0"), "'0' is not a number of seconds above 0"),
        (("ask", "vote", "Why?", "--models", " , "), "--models names no model"),
        (("ask", "vote", "Why?", "--aggregator", "a, b"), "aggregator"),
        (("install", "--link", "--print"), "--link and --print can't be combined"),
    ],
)
def test_a_bad_value_is_refused_with_the_value(arguments: tuple[str, ...], said: str) -> None:
    refused = invoke("--offline", *arguments)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said in refused.stderr


def test_a_key_that_the_environment_has_too_is_stored_with_a_note(tmp_path: Path) -> None:
    file = tmp_path / "keys.env"
    told = invoke(
        "keys", "set", "OPENAI_API_KEY", input="sk-other\n", MOA_MCP_ENV_FILE=str(file), OPENAI_API_KEY="sk-one"
    )
    assert told.exit_code == 0, told.stderr
    assert "OPENAI_API_KEY is also set in the environment, which has precedence." in told.stderr
    assert file.read_text("utf-8") == "OPENAI_API_KEY='sk-other'\n"


@pytest.mark.parametrize("named", ["none", "{folder}", "{file}/keys.env"])
def test_a_key_that_cannot_be_stored_is_refused_with_the_setting(tmp_path: Path, named: str) -> None:
    file = tmp_path / "file"
    file.touch()
    path = named.format(folder=tmp_path, file=file)
    refused = invoke("keys", "set", "OPENAI_API_KEY", input="sk-one\n", MOA_MCP_ENV_FILE=path)
    assert refused.exit_code == 2
    assert "sk-one" not in refused.output
    assert path in refused.stderr


def test_runs_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    journal = ("--journal", str(tmp_path / "journal.sqlite"))
    for _ in range(2):
        assert invoke(*journal, "--offline", "ask", "vote", "What is 2 + 2?", "-q").exit_code == 0
    listed = invoke(*journal, "runs", "--limit", "1", "--pipeline", "vote")
    assert listed.exit_code == 0
    assert "1 more run; use --limit 2 to show all." in listed.stderr
