"""Shell completion: what is completed, and the printed scripts in real shells."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import CompletionItem, ShellComplete
from click.testing import CliRunner

from moa_mcp.cli import COMMANDS, commands
from moa_mcp.cli.completion import SCRIPTS
from moa_mcp.clients.known import CLIENTS
from moa_mcp.config import load, shipped
from tests.support.serving import MEASURED

PIPELINES = list(load(shipped()).pipelines)
CONFIGURED = """
[models."odd; rm -rf"]
routes = ["openai/m"]

[models.m]
routes = ["openai/m"]

[pipelines.first]
description = "Only \\u001b[31mone\\nmodel: it answers."
steps = [{ step = "propose", agents = ["m"] }]
"""
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


@pytest.fixture(name="environ")
def _environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with `moa-mcp` on the PATH, a configuration, and no runs."""
    script = tmp_path / "bin" / "moa-mcp"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m moa_mcp "$@"\n', "utf-8")
    script.chmod(0o755)
    (tmp_path / "pipelines.toml").write_text(CONFIGURED, "utf-8")
    path = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: os.environ[name] for name in ("PYTHONPATH", "LANG") if name in os.environ}
    return (
        MEASURED
        | kept
        | {
            "PATH": path,
            "HOME": str(tmp_path),
            "TERM": "dumb",
            "MOA_MCP_CONFIG": str(tmp_path / "pipelines.toml"),
            "MOA_MCP_JOURNAL": str(tmp_path / "runs.db"),
        }
    )


def items(*line: str, environ: dict[str, str] | None = None) -> list[CompletionItem]:
    """Return what completes the last word of a line."""
    complete = ShellComplete(commands, {}, "moa-mcp", "_MOA_MCP_COMPLETE")
    with CliRunner().isolation(env={"MOA_MCP_CONFIG": str(shipped()), "MOA_MCP_JOURNAL": "none", **(environ or {})}):
        return complete.get_completions([*line[:-1]], line[-1])


def completed(*line: str, environ: dict[str, str] | None = None) -> list[str]:
    return [each.value for each in items(*line, environ=environ)]


def process(environ: dict[str, str], line: str, python: tuple[str, ...] = ("-m", "moa_mcp")) -> str:
    """Return what a process prints for a line in bash; it must write nothing to stderr."""
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_MOA_MCP_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, *python], env=environ | asked, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (("",), list(COMMANDS)),
        (("un",), ["uninstall"]),
        (("ask", ""), PIPELINES),
        (("ask", "vo"), ["vote"]),
        (("--offline", "ask", "vo"), ["vote"]),
        (("ask", "--max"), ["--max-cost"]),
        (("ask", "vote", "--models", "ba"), ["balanced"]),
        (("ask", "--models", "balanced,ba"), ["balanced,balanced"]),
        (("ask", "--aggregator", "gpt-5-m"), []),
        (("ask", "vote", "what"), []),
        (("check", "vote", "v"), ["verdict"]),
        (("check", "vote", "vo"), []),
        (("runs", "sh"), ["show"]),
        (("runs", "--stat"), ["--status"]),
        (("runs", "--status", "f"), ["failed"]),
        (("runs", "list", "--pipeline", "ref"), ["refine"]),
        (("install", ""), [each.name for each in CLIENTS]),
        (("uninstall", "cursor", "cu"), []),
        (("doctor", "cur"), ["cursor"]),
        (("keys", "set", "OPENAI"), ["OPENAI_API_KEY"]),
        (("--http", "--po"), ["--port"]),
        (("--to",), ["--token-env"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_the_last_word_of_a_line_is_completed(line: tuple[str, ...], expected: list[str]) -> None:
    assert completed(*line) == expected


@pytest.mark.parametrize(
    "line",
    [("--journal", ""), ("--config", ""), ("ask", "--context", ""), ("runs", "--journal", ""), ("batch", "vote", "")],
)
def test_files_are_left_to_the_shell(line: tuple[str, ...]) -> None:
    assert [each.type for each in items(*line)] == ["file"]


def arguments(group: click.Group) -> Iterator[tuple[str, click.Argument]]:
    """Yield the arguments of all commands of a group, each with the name of its command."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from ((name, each) for each in command.params if isinstance(each, click.Argument))
        if isinstance(command, click.Group):
            yield from arguments(command)


def test_every_argument_that_names_something_is_completed(tmp_path: Path) -> None:
    environ = {"MOA_MCP_JOURNAL": str(tmp_path / "runs.db"), "MOA_MCP_CONFIG": str(shipped())}
    assert CliRunner().invoke(commands, ["ask", "vote", "1 + 1", "--offline"], env=environ).exit_code == 0
    with CliRunner().isolation(env=environ):
        context = click.Context(commands, info_name="moa-mcp")
        context.params["journal"] = environ["MOA_MCP_JOURNAL"]
        found = {(name, each.name): each.shell_complete(context, "") for name, each in arguments(commands)}
    unnamed = [
        ("add", "name"),
        ("ask", "question"),
        ("remove", "name"),
    ]  # and callers stand in a file that is not given
    assert sorted(key for key, words in found.items() if not words) == unnamed


def test_run_ids_are_completed_newest_first_with_their_question(tmp_path: Path) -> None:
    journal = str(tmp_path / "runs.db")
    for question in ("What is 2 * 3?", "What is\n4 * 5?"):
        asked = ["ask", "vote", question, "--offline", "--quiet", "--journal", journal]
        assert CliRunner().invoke(commands, asked, env={"MOA_MCP_CONFIG": str(shipped())}).exit_code == 0
    last, newest, oldest = items("runs", "show", "", environ={"MOA_MCP_JOURNAL": journal})
    assert last.value == "last"
    assert [newest.help, oldest.help] == ["complete, vote: What is 4 * 5?", "complete, vote: What is 2 * 3?"]
    assert completed("runs", "--journal", journal, "resume", newest.value[:6]) == [newest.value]
    assert completed("view", "--journal", journal, "la") == ["last"]


def test_the_configuration_of_the_line_is_completed_and_only_what_the_shell_reads_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(CONFIGURED, "utf-8")
    (only,) = items("--config", str(path), "ask", "")
    assert (only.value, only.help) == ("first", "Only [31mone model: it answers.")
    assert completed("ask", "--config", str(path), "") == ["first"]
    assert completed("ask", "--config", str(path), "--aggregator", "o") == []


def test_a_completion_creates_no_journal(tmp_path: Path) -> None:
    assert completed("runs", "show", "", environ={"MOA_MCP_JOURNAL": str(tmp_path / "none.db")}) == []
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("line", "content"),
    [
        ("moa-mcp nosuch --", CONFIGURED),
        ("moa-mcp ask --nosuch --nosuch", CONFIGURED),
        ("moa-mcp --nosuch ask --", CONFIGURED),
        ("moa-mcp runs --nosuch --", CONFIGURED),
        ("moa-mcp ask \"it's ", CONFIGURED),
        ("moa-mcp ask ", "[[["),
        ("moa-mcp ask --models ", ""),
        ("moa-mcp runs show ", CONFIGURED),
    ],
)
def test_a_line_that_is_wrong_prints_no_error(line: str, content: str, environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pipelines.toml").write_text(content, "utf-8")
    (tmp_path / "runs.db").write_text("no journal", "utf-8")
    assert "Error" not in process(environ, line)


def test_the_names_of_commands_are_completed_without_loading_them(environ: dict[str, str]) -> None:
    listing = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); "
    unmeasured = {name: value for name, value in environ.items() if not name.startswith("COVERAGE_")}
    printed = process(unmeasured, "moa-mcp ", ("-c", f"{listing}from moa_mcp.__main__ import main; main()"))
    *words, modules = printed.splitlines()
    assert words == [f"plain,{name}" for name in COMMANDS]
    assert not {*modules.split()} & {"rich", "mcp", "sqlite3", *(f"moa_mcp.cli.{name}" for name in COMMANDS)}


def test_the_script_of_the_login_shell_is_printed_without_a_name() -> None:
    for shell, script in SCRIPTS.items():
        printed = CliRunner().invoke(commands, ["completion"], env={"SHELL": f"/usr/bin/{shell}"})
        assert printed.output == script
        assert CliRunner().invoke(commands, ["completion", shell], env={"SHELL": None}).output == script


@pytest.mark.parametrize(
    ("shell", "message"),
    [("/bin/tcsh", "there is no completion for the shell 'tcsh'"), (None, "the variable SHELL is not set")],
)
def test_an_unknown_login_shell_is_named(shell: str | None, message: str) -> None:
    refused = CliRunner().invoke(commands, ["completion"], env={"SHELL": shell})
    assert refused.exit_code == 2
    assert refused.output == f"Error: {message}\nName a shell: bash, zsh, fish.\n"


def bash(environ: dict[str, str], *words: str) -> list[str]:
    """Return what bash offers for the last word, by its registered function."""
    asking = (
        'eval "$SCRIPT"; set -u; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        'f=$(complete -p moa-mcp); f=${f##*-F }; ${f% *} "$1"; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", asking, "bash", "moa-mcp", *words],
        env=environ | {"SCRIPT": SCRIPTS["bash"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_offers_commands_pipelines_and_options(environ: dict[str, str]) -> None:
    assert bash(environ, "") == list(COMMANDS)
    assert bash(environ, "ask", "") == ["first"]
    assert bash(environ, "runs", "--status", "=", "comp") == ["complete"]
    assert bash(environ, "runs", "--status", "=")[:2] == ["queued", "running"]
    assert bash(environ, "nosuch", "--nosuch", "x") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_offers_nothing_and_prints_nothing_once_the_program_is_gone(environ: dict[str, str]) -> None:
    assert bash(environ | {"PATH": "/usr/bin:/bin"}, "") == []


# the shells, and what docs/installing.md says to write there
SETUP = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(moa-mcp completion bash)"'),
    "zsh": (
        ["zsh", "-f", "-i"],
        "mkdir ~/.zfunc; moa-mcp completion zsh > ~/.zfunc/_moa-mcp; fpath+=(~/.zfunc); autoload compinit; compinit -u",
    ),
    "fish": (
        ["fish", "-i"],
        "mkdir -p ~/.config/fish/completions; moa-mcp completion fish > ~/.config/fish/completions/moa-mcp.fish",
    ),
}
OWN_TERMINAL = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"
"""Runs a program with its standard input as its controlling terminal, which fish requires."""


class Shell:
    """An interactive shell at a pseudo-terminal."""

    def __init__(self, arguments: list[str], environ: dict[str, str], folder: Path) -> None:
        self._screen, slave = os.openpty()
        self._shown = ""
        command = [sys.executable, "-c", OWN_TERMINAL, *arguments]
        self.process = subprocess.Popen(command, env=environ, cwd=folder, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)

    def type(self, keys: str, until: str) -> str:
        """Type keys; return what is shown from then on, once it has a text."""
        begin = len(self._shown)
        os.write(self._screen, keys.encode())
        end = time.monotonic() + 30
        while until not in self._shown[begin:]:
            ready = select.select([self._screen], [], [], max(0.0, end - time.monotonic()))[0]
            assert ready, f"{until!r} was not shown, but {self._shown[begin:]!r}"
            self._shown += os.read(self._screen, 65536).decode(errors="replace")
        return self._shown[begin:]

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        os.close(self._screen)


@pytest.fixture(name="shell", params=SETUP)
def _shell(request: pytest.FixtureRequest, environ: dict[str, str], tmp_path: Path) -> Iterator[Shell]:
    """Each shell, with the completion loaded."""
    arguments, setup = SETUP[request.param]
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    shell = Shell(arguments, environ, tmp_path)
    try:
        shell.type(f"{setup}; echo load''ed\r", "loaded")
        yield shell
    finally:
        shell.close()


@POSIX
def test_the_tab_key_completes_a_command_its_option_and_a_pipeline(shell: Shell) -> None:
    shown = shell.type("moa-mcp uninst\t", "install")
    shown += shell.type("--dry\t", "run")
    shown += shell.type("\x15moa-mcp ask f\t", "irst")
    assert "Error" not in shown
    assert "Traceback" not in shown
