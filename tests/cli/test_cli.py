"""The command line, as somebody uses it: real processes where a run or a terminal matters, in memory elsewhere."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from moa_mcp.cli import commands
from tests.support.model_server import ModelServer, Reply, Status
from tests.support.nursery import Forked, Nursery
from tests.support.serving import MEASURED

COMMAND = [sys.executable, "-m", "moa_mcp"]
KEYED = """models.m.routes = [{ model = "openai/m", api_key_env = "ONE_KEY" }]
pipelines.one = { description = "x", steps = [{ step = "propose", agents = ["m"] }] }"""
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal and signals")


@pytest.fixture
def environ() -> dict[str, str]:
    """The environment of somebody without keys and without a configuration of their own."""
    kept = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT", "LANG", "PYTHONPATH") if key in os.environ}
    own = {"HOME": os.devnull, "TERM": "xterm", "PYTHONWARNINGS": "always", "MOA_MCP_JOURNAL": "none"}
    return MEASURED | kept | own


def run(environ: dict[str, str], *args: str, question: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *args], env=environ, input=question, capture_output=True, text=True, check=False, timeout=20
    )


def invoke(*args: str, input: str | None = None, **environ: str | None) -> Result:  # noqa: A002  as click names it
    env = {"MOA_MCP_CONFIG": None, "MOA_MCP_TOKEN": None, "MOA_MCP_JOURNAL": "none", **environ}
    return CliRunner().invoke(commands, args, input=input, env=env)


class Terminal:
    """A command at a terminal of its own."""

    def __init__(
        self,
        environ: dict[str, str],
        *args: str,
        nursery: Nursery | None = None,
        size: tuple[int, int] = (80, 24),
        prelude: str = "",
    ) -> None:
        """Start the command at a terminal of so many columns and lines."""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
        self._screen, slave = os.openpty()
        termios.tcsetwinsize(slave, size[::-1])
        self.process: Forked | subprocess.Popen[bytes] = (
            nursery.start(*args, environ=environ, terminal=slave, prelude=prelude)
            if nursery
            else subprocess.Popen([*COMMAND, *args], env=environ, stdin=slave, stdout=slave, stderr=slave)
        )
        os.close(slave)
        self._read = b""

    @property
    def shown(self) -> str:
        return self._read.decode()

    def until(self, text: str) -> None:
        while text.encode() not in self._read:
            self._read += self._more()

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def until_end(self) -> int:
        with suppress(OSError):  # Linux says EIO where others say that the end is reached
            while piece := self._more():
                self._read += piece
        os.close(self._screen)
        with self.process:
            return self.process.wait(10)

    def close(self) -> None:
        """Let the terminal go away."""
        os.close(self._screen)

    def _more(self) -> bytes:
        assert select.select([self._screen], [], [], 20)[0], self.shown
        return os.read(self._screen, 4096)


def served(server: ModelServer, folder: Path, *steps: str) -> str:
    """Write a configuration whose one pipeline, `one`, has these steps, all models served by the server."""
    route = '{name}.routes = [{{ model = "openai/{name}", api_base = "{url}" }}]'
    models = [route.format(name=name, url=server.url) for name in ("first", "second", "last")]
    path = folder / "served.toml"
    path.write_text("\n".join(["[models]", *models, "[pipelines.one]", f"steps = [{', '.join(steps)}]"]), "utf-8")
    return str(path)


def test_only_the_answer_goes_to_stdout_and_the_trace_to_stderr(environ: dict[str, str]) -> None:
    done = run(environ, "ask", "rank_aggregate", "What is 2 + 2?", "--offline", "--seed", "7")
    rows = [row.split()[:2] for row in done.stderr.splitlines()]
    assert done.returncode == 0
    assert done.stdout == "[simulated gpt-5-nano-2025-08-07] 3 of 3 answers agree on this. The answer is 4\n"
    assert [row for row in rows if row and row[0].isdigit()] == [["1", "propose"], ["2", "rank"], ["3", "aggregate"]]
    assert "simulated: no model was called" in done.stderr
    assert "seed 7" in done.stderr


def test_json_holds_the_result_and_every_call(nursery: Nursery, environ: dict[str, str]) -> None:
    done = nursery.run("--offline", "ask", "vote", "--json", "-", environ=environ, said="What is 2 + 2?\n")
    result: dict[str, Any] = json.loads(done.stdout)
    calls = [call for step in result["trace"] for call in step["calls"]]
    assert (done.returncode, done.stderr) == (0, "")
    assert (result["status"], result["pipeline"], result["simulated"]) == ("complete", "vote", True)
    assert (result["cost_usd"], result["error"], result["degradations"]) == (0.0, None, [])
    assert [(layer["kind"], layer["answered"]) for layer in result["layers"]] == [("propose", 3), ("vote", 1)]
    assert len(calls) == 4
    assert all(call["messages"] and call["attempts"] and call["text"] for call in calls)
    assert result["answer"] in [call["text"] for call in calls[:3]]


def test_missing_keys_are_named_and_exit_with_3(nursery: Nursery, environ: dict[str, str]) -> None:
    done = nursery.run("ask", "self_moa", "What is 2 + 2?", environ=environ)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: self_moa can't run: no usable provider for gpt-5-nano-2025-08-07\n")
    assert "OPENAI_API_KEY" in done.stderr
    assert done.stderr.count("\n") == 2


def test_a_reader_that_goes_away_is_no_fault(environ: dict[str, str]) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as stdout:
        asked = [*COMMAND, "ask", "self_moa", "Hi", "--offline", "-q"]
        done = subprocess.run(asked, env=environ, stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=20)
    assert done.stderr == b""


def test_without_a_command_it_serves_mcp_and_loads_neither_rich_nor_litellm(environ: dict[str, str]) -> None:
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    initialize = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    timed = environ | {"PYTHONPROFILEIMPORTTIME": "1", "MOA_MCP_OFFLINE": "yes"}
    done = run(timed, question=json.dumps(initialize) + "\n")
    loaded = {row.rpartition("|")[2].strip().partition(".")[0] for row in done.stderr.splitlines()}
    assert json.loads(done.stdout)["result"]["serverInfo"]["name"] == "moa-mcp"
    assert "mcp" in loaded
    assert not loaded & {"rich", "litellm", "openai", "aiohttp"}


@POSIX
def test_at_a_terminal_the_layers_are_shown_and_no_judge_is_quoted(nursery: Nursery, environ: dict[str, str]) -> None:
    terminal = Terminal(environ, "ask", "vote", "What is 2 + 2?", "--offline", "--seed", "7", nursery=nursery)
    terminal.until("of 3 answered")
    assert terminal.until_end() == 0
    assert '{"answer"' not in terminal.shown
    assert terminal.shown.count("The answer is 4") == 1


@POSIX
def test_a_models_text_can_neither_command_nor_decorate_the_terminal(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("second", Status(400, "no \x1b]0;title\x07 [red]thanks[/red]"))
        server.script("last", Reply("so \x1b[2J\x9b1m [bold]be[/bold] :smile: it\r\n", chunk_delay_s=0.2))
        propose, aggregate = '{step="propose", agents=["first", "second"]}', '{step="aggregate", agent="last"}'
        config = served(server, tmp_path, propose, aggregate)
        terminal = Terminal(environ, "--config", config, "ask", "one", "Why?", nursery=nursery)
        assert terminal.until_end() == 0
    answer = terminal.shown.index("so [2J1m [bold]be[/bold] :smile: it")
    reason = terminal.shown.index("no ]0;title [red]thanks[/red]", answer)
    assert terminal.shown.count(":smile:") == 1
    assert terminal.shown.index("Degraded:") < reason < terminal.shown.index("cost unknown", answer)
    assert not [command for command in ("\x1b[2J", "\x9b", "\x1b]", "\x07") if command in terminal.shown]


@POSIX
@pytest.mark.parametrize(
    ("moment", "loaded"),
    [("0 of 1 answered", False), ("streamed words ", True)],
    ids=["litellm loads", "the answer arrives"],
)
def test_ctrl_c_stops_the_run_and_says_one_line(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path, moment: str, loaded: bool
) -> None:
    with ModelServer() as server:
        server.script("first", Reply("streamed words " * 1000, chunk_delay_s=0.1))
        config = served(server, tmp_path, '{step="propose", agents=["first"]}')
        command = ("ask", "one", "Why?", "--config", config)
        terminal = Terminal(environ, *command, nursery=nursery if loaded else None)
        terminal.until(moment)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.until_end() == 130
    assert terminal.shown.endswith("Interrupted.\r\n")
    assert "words Interrupted" not in terminal.shown
    assert "Traceback" not in terminal.shown
    assert terminal.shown.rindex("\x1b[?25h") > terminal.shown.rindex("\x1b[?25l")


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        (["ask", "rank_agregate", "Hi"], "there is no pipeline 'rank_agregate'; did you mean 'rank_aggregate'?"),
        (["check", "nothing"], "there is no pipeline 'nothing'"),
        (["ask", "vote", " "], "the question is empty"),
        (["ask", "vote", "why", "so?"], "the question is split into several arguments; the first is 'why'"),
        (["ask", "vote", "-"], "the question on stdin is empty"),
        (["ask", "vote"], "the question on stdin is empty"),
        (["ask", "vote", "Hi", "--context", "/nowhere"], "can't read /nowhere: No such file or directory"),
        (["ask", "vote", "Hi", "--context", os.devnull], f"{os.devnull} is empty"),
        (["serve", "--http", "--sse"], "--http and --sse can't be combined"),
        (["--port", "80"], "--port has no effect over stdio"),
        (["--http", "--host", "0.0.0.0"], "listening on 0.0.0.0 makes the server reachable from other machines"),
        (["serve", "--sse", "--token-env", "NOT_SET"], "the environment variable NOT_SET of --token-env is not set"),
    ],
)
def test_wrong_usage_gets_the_fault_and_the_remedy_in_two_lines(args: list[str], fault: str) -> None:
    refused = invoke(*args, NOT_SET=None)
    said, remedy = refused.stderr.splitlines()
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert said.startswith(f"Error: {fault}")
    assert remedy


def test_an_unknown_command_is_answered_with_the_nearest() -> None:
    refused = invoke("aks", "vote", "Hi")
    assert refused.exit_code == 2
    assert "there is no command 'aks'; did you mean 'ask'?" in refused.stderr


@pytest.mark.parametrize("command", [["ask", "one", "Hi"], ["check"], ["pipelines"], ["serve"], []])
@pytest.mark.parametrize("content", [b"steps = [", b"\xff", b"[pipelines.one]", None], ids=str)
def test_a_faulty_configuration_is_told_on_stderr_with_exit_code_2(
    tmp_path: Path, command: list[str], content: bytes | None
) -> None:
    path = tmp_path / "pipelines.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    for args in (["--config", str(path), *command], [*command, "--config", str(path)]):
        refused = invoke(*args)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.startswith(f"Error: {path}: ")


def test_a_configuration_that_is_not_there_is_told_with_what_names_it() -> None:
    refused = invoke("check", MOA_MCP_CONFIG="/nowhere.toml")
    assert refused.stderr.startswith("Error: /nowhere.toml: no such file (set by MOA_MCP_CONFIG)\n")


@pytest.mark.parametrize(
    ("args", "key", "code"),
    [([], None, 0), (["one"], None, 1), (["one"], "s3cr3t", 0), (["one", "--offline"], None, 0)],
)
def test_check_fails_for_missing_keys_only_where_a_pipeline_is_named(
    tmp_path: Path, args: list[str], key: str | None, code: int
) -> None:
    path = tmp_path / "pipelines.toml"
    path.write_text(KEYED, "utf-8")
    shown = invoke("check", *args, "--config", str(path), ONE_KEY=key)
    data = json.loads(invoke("check", "--json", *args, "--config", str(path), ONE_KEY=key).stdout)
    assert shown.exit_code == code
    assert data["fine"] == (code == 0)
    assert [each["model"] for each in data["pipelines"][0]["models"]] == ["m"]
    assert "s3cr3t" not in shown.output + json.dumps(data)
    assert ("set ONE_KEY" in shown.output) == (key is None and "--offline" not in args)


def test_a_pipeline_that_lacks_only_a_fallback_is_ready_and_check_says_what_it_lacks(tmp_path: Path) -> None:
    models = 'models.m.routes = [{ model = "openai/m", api_base = "http://127.0.0.1:9/v1" }]\n' + KEYED.replace(
        "models.m.", "models.spare."
    )
    fallback = models.replace(
        'step = "propose", agents = ["m"]', 'step = "aggregate", agent = "m", fallback_agent = "spare"'
    )
    path = tmp_path / "pipelines.toml"
    path.write_text(fallback.replace("steps = [", 'steps = [{ step = "propose", agents = ["m"] }, '), "utf-8")
    shown = invoke("check", "one", "--config", str(path), ONE_KEY=None)
    assert shown.exit_code == 0
    assert "ready, but a fallback is unavailable" in shown.output
    assert "none; set ONE_KEY" in shown.output
    assert "1 of 1 pipeline ready" in shown.output


def test_check_tells_what_may_not_fit_a_window(tmp_path: Path) -> None:
    path = tmp_path / "pipelines.toml"
    small = 'models.m.routes = [{ model = "openai/m", api_base = "http://127.0.0.1:9/v1", window = 8192 }]'
    steps = '{ step = "propose", agents = [{ model = "m", samples = 6 }] }, { step = "aggregate", agent = "m" }'
    path.write_text(f'{small}\npipelines.one = {{ description = "x", steps = [{steps}] }}', "utf-8")
    assert "would be called several times" in " ".join(invoke("check", "--config", str(path)).output.split())


def test_check_fails_for_warnings_only_if_it_is_strict(tmp_path: Path) -> None:
    path = tmp_path / "pipelines.toml"
    path.write_text(KEYED.replace('description = "x", ', ""), "utf-8")
    assert [invoke("check", *strict, "--config", str(path)).exit_code for strict in ([], ["--strict"])] == [0, 1]


def test_check_and_serve_say_once_on_stderr_which_settings_belong_in_another_table(
    environ: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "pipelines.toml"
    path.write_text(f"defaults.attempts = 2\n{KEYED}", "utf-8")
    note = f"Note: {path}: move these keys out of [defaults]: attempts to [limits]\n"
    options = ["--offline", "--config", str(path)]
    checked = invoke("check", "--json", *options)
    assert (json.loads(checked.stdout)["fine"], checked.stderr) == (True, note)
    served = run(environ, "serve", *options)
    assert (served.returncode, served.stdout, served.stderr) == (0, "", note)


def test_the_pipelines_are_listed_within_the_width_of_the_terminal() -> None:
    listed = invoke("pipelines", COLUMNS="60").stdout.splitlines()
    data = json.loads(invoke("pipelines", "--json").stdout)
    assert max(map(len, listed)) <= 60
    assert "vote  Vote  2 layers, 4 calls" in listed
    assert {each["name"]: each["calls"] for each in data}["together_moa"] == 19


def test_a_question_can_have_a_deadline_of_its_own() -> None:
    hurried = invoke("ask", "vote", "What is 2 + 2?", "--offline", "--deadline", "0.001")
    assert hurried.exit_code == 1
    assert "the deadline of 0.001 s passed" in hurried.output
    assert invoke("ask", "vote", "What is 2 + 2?", "--offline", "--deadline", "0").exit_code == 2
