"""`moa-mcp doctor`, in a home with the files of MCP clients: real entries are started, and broken ones reported."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from moa_mcp.journal.sqlite import SQLiteJournal
from tests.journal.test_journal_read_only import NOBODY, ROOT
from tests.journal.test_journal_versions import VERSION_1
from tests.support.client_files import FILES
from tests.support.journals import record_of
from tests.support.model_server import ModelServer
from tests.support.nursery import Nursery
from tests.support.programs import program, runs
from tests.support.serving import MEASURED

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the paths are those of Linux")
KEY = "Zx8kW2pLq0"
VENV = Path(sys.executable).parent
TREE = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **MEASURED}
NO_SERVERS = {
    f"{name}_API_BASE": "http://127.0.0.1:9/v1" for name in ("OLLAMA", "LM_STUDIO", "HOSTED_VLLM", "LLAMAFILE")
}
NOISE = """print("Loading the settings", flush=True)
import sys
sys.path[:] = PATH
from moa_mcp.__main__ import main
main()"""
LOADED = """
import difflib, platformdirs.unix
import moa_mcp.cli.doctor, moa_mcp.clients.jsonc, moa_mcp.journal.sqlite.inspection
"".encode("utf-8-sig")
"""
"""Loaded by a process that may then be of a user who can't read the interpreter's files."""
FAKE = """import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] in ENDS:
        sys.exit(1)
    about = {"capabilities": {"tools": {}}, "serverInfo": {"name": NAME, "version": VERSION}}
    tool = {"name": "t", "inputSchema": {"type": "object"}}
    more = {"nextCursor": "2"} if asked.get("params", {}).get("cursor") is None else {}
    answers = {"initialize": {"protocolVersion": "2025-06-18", **about}, "tools/list": {"tools": [tool], **more}}
    answers |= WRONG
    if "id" in asked:
        known = asked["method"] in answers
        answer = {"result": answers[asked["method"]]} if known else {"error": {"code": -32601, "message": "unknown"}}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)
"""
TABLES = {"vscode": "servers"}


class Report:
    """What a run of doctor printed as JSON."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert KEY not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        self.code = done.returncode
        self.data: dict[str, Any] = json.loads(done.stdout)

    def found(self, check: str, client: str | None = None) -> list[dict[str, Any]]:
        every: list[dict[str, Any]] = self.data["findings"]
        return [each for each in every if each["check"] == check and client in {None, *each["clients"]}]

    def one(self, check: str, client: str | None = None) -> dict[str, Any]:
        (found,) = self.found(check, client)
        return found

    @property
    def faults(self) -> dict[str, str]:
        """The level of each check that is not ok."""
        return {each["check"]: each["level"] for each in self.data["findings"] if each["level"] != "ok"}


class Home:
    """A user without keys, and with one pipeline whose model needs HOUSE_KEY."""

    def __init__(self, nursery: Nursery, folder: Path, models: str) -> None:
        self._nursery = nursery
        self.folder = folder
        self.config = folder / "own.toml"
        self.config.write_text(
            f'models.m.routes = [{{ model = "openai/m", api_base = "{models}", api_key_env = "HOUSE_KEY" }}]\n'
            'pipelines.one = { description = "x", steps = [{ step = "propose", agents = ["m"] }] }\n'
        )
        keyring = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
        self.environ = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "TERM": "xterm", **keyring, **NO_SERVERS, **TREE}

    def entry(self, *args: str, command: str = str(VENV / "moa-mcp"), **env: str) -> dict[str, Any]:
        """Return an entry that starts this tree with the configuration."""
        named = args if "--config" in args else ("--config", str(self.config), *args)
        return {"command": command, "args": list(named), "env": {**TREE, **NO_SERVERS, **env}}

    def path(self, client: str) -> Path:
        return self.folder / FILES[client].path

    def fake(
        self, name: str = "moa-mcp", version: str = "", ends: str = "", called: str = "fake", **wrong: object
    ) -> dict[str, Any]:
        """Return an entry of a small server that only knows the older protocol."""
        facts = {"NAME": name, "VERSION": version or installed("moa-mcp"), "ENDS": [ends], "WRONG": wrong}
        body = "\n".join([*(f"{key} = {value!r}" for key, value in facts.items()), FAKE])
        return self.entry(command=str(program(self.folder / "bin", called, body)))

    def has(self, client: str, text: str | None = None, **entries: dict[str, Any]) -> None:
        """Write the file of a client: a text, or JSON with these entries."""
        path = self.path(client)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({TABLES.get(client, "mcpServers"): entries}) if text is None else text)

    def has_key_file(self) -> None:
        file = self.folder / ".config" / "moa-mcp" / ".env"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)
        file.write_text(f"HOUSE_KEY={KEY}\n")

    def run(self, *arguments: str, prelude: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        return self._nursery.run(*arguments, environ=self.environ | environ, prelude=prelude)

    def doctor(self, *arguments: str, prelude: str = "", **environ: str) -> Report:
        return Report(self.run("doctor", "--json", *arguments, prelude=prelude, **environ))

    def spawned(self, *arguments: str) -> Report:
        """Run doctor where it starts servers, which may take long on a busy machine."""
        return Report(self._nursery.run("doctor", "--json", *arguments, environ=self.environ, late_s=120))


@pytest.fixture
def home(nursery: Nursery, tmp_path: Path, serving: ModelServer) -> Home:
    return Home(nursery, tmp_path, serving.url)


def test_a_working_entry_is_started_in_both_eras_and_nothing_is_called_or_changed(
    home: Home, serving: ModelServer
) -> None:
    serving.clear()
    home.has_key_file()
    home.has("claude-desktop", moa=home.entry("--journal", str(home.folder / "runs.sqlite")))
    before = {path: path.read_bytes() for path in home.folder.rglob("*") if path.is_file()}
    report = home.spawned()
    assert (report.code, report.faults) == (0, {})
    assert report.one("start")["message"].startswith("7 tools after ")
    assert report.one("start")["message"].endswith("s (protocol 2025-11-25 and 2026-07-28)")
    assert report.one("keys")["message"] == "HOUSE_KEY (file)"
    assert report.one("pipelines")["message"] == "all 1 pipeline can run"
    assert report.one("time limits")["message"] == "a tool call returns within 45 s; Claude Desktop waits 240 s"
    assert report.one("local servers")["message"] == "none answers"
    assert report.one("versions")["clients"] == []
    assert report.data["counts"]["problem"] == 0
    assert [each.path for each in serving.requests if each.body] == []
    assert {path: path.read_bytes() for path in home.folder.rglob("*") if path.is_file()} == before


def test_a_key_that_only_the_shell_has_is_found_and_its_remedy_works(home: Home) -> None:
    home.has("claude-desktop", moa=home.entry(command="/no/such/moa-mcp"))
    before = home.doctor(HOUSE_KEY=KEY)
    lacking = before.one("keys")
    assert before.code == 1
    assert lacking["level"] == "warning"
    assert lacking["message"] == "set in your shell, but Claude Desktop does not pass it to the server: HOUSE_KEY"
    assert before.one("pipelines")["level"] == "problem"
    (command,) = lacking["commands"]
    assert before.one("pipelines")["commands"] == [command]
    stored = subprocess.run(
        shlex.split(command), env=home.environ, input=f"{KEY}\n", text=True, capture_output=True, check=False
    )
    assert stored.returncode == 0, stored.stderr
    after = home.doctor(HOUSE_KEY=KEY)
    assert after.one("keys")["message"] == "HOUSE_KEY (file)"
    assert after.one("pipelines")["level"] == "ok"


def test_a_file_of_keys_that_others_can_read_is_a_warning(home: Home) -> None:
    home.has_key_file()
    (home.folder / ".config" / "moa-mcp" / ".env").chmod(0o644)
    home.has("cursor", moa=home.entry(command="/no/such/moa-mcp"))
    warning, _ = home.doctor().found("keys")
    assert warning["level"] == "warning"
    assert "so its keys are not used; run chmod 600 " in warning["message"]


def test_keys_by_name_are_read_as_the_client_reads_them(home: Home) -> None:
    gone = home.entry(command="/no/such/moa-mcp", HOUSE_KEY="${env:HOUSE_KEY}")
    home.has("cursor", moa=gone)
    home.has("lm-studio", moa=gone)
    report = home.doctor(HOUSE_KEY=KEY)
    assert report.one("keys", "Cursor")["message"] == "HOUSE_KEY (entry)"
    literal, lacking = report.found("keys", "LM Studio")
    assert literal["message"] == ("LM Studio does not replace the reference to HOUSE_KEY in its file, so it is not set")
    assert lacking["message"].startswith("set in your shell, but LM Studio does not pass it")
    unset = home.doctor("cursor").one("keys")
    assert unset["message"] == "the entry refers to HOUSE_KEY, which is not set here"


def test_output_on_stdout_is_a_problem_although_the_server_answers(home: Home) -> None:
    noisy = program(home.folder / "bin", "noisy", NOISE.replace("PATH", repr(sys.path)))
    home.has("cursor", moa=home.entry(command=str(noisy)))
    report = home.spawned()
    assert report.code == 1
    assert report.one("start")["level"] == "ok"
    noise = report.one("stdout")
    assert (noise["level"], noise["details"]) == ("problem", ["Loading the settings"])


def test_of_a_server_in_a_container_only_what_it_reports_is_known(home: Home) -> None:
    docker = program(home.folder / "bin", "docker", NOISE.partition("\n")[2].replace("PATH", repr(sys.path)))
    home.has("cursor", moa=home.entry(command=str(docker)))
    report = home.spawned()
    pipelines = report.one("pipelines")
    assert (pipelines["level"], report.found("keys"), report.found("journal")) == ("problem", [], [])
    assert pipelines["message"].startswith("No pipeline can run yet. Tell the user to set ")
    assert pipelines["message"].endswith("it runs in docker, where doctor can't look.)")


def test_a_server_that_only_knows_the_older_protocol_is_fine(home: Home) -> None:
    home.has("cursor", moa=home.fake())
    report = home.doctor()
    assert (report.one("start")["level"], report.found("entry")) == ("ok", [])
    assert report.one("start")["message"].startswith("2 tools after ")
    assert report.one("start")["message"].endswith("(protocol 2025-06-18)")


@pytest.mark.parametrize(
    ("server", "check", "fault", "command"),
    [
        ({"name": "files"}, "entry", "the entry starts the server 'files', not moa-mcp", "install cursor"),
        (
            {"version": "0.0.1"},
            "versions",
            "the entry starts moa-mcp 0.0.1; the one that you run is ",
            "install cursor",
        ),
        ({"version": "0.0.1", "called": "uvx"}, "versions", "the entry starts moa-mcp 0.0.1", "uv cache clean moa-mcp"),
    ],
)
def test_an_entry_that_starts_something_else_is_a_warning(
    home: Home, server: dict[str, str], check: str, fault: str, command: str
) -> None:
    home.has("cursor", moa=home.fake(**server))
    found = home.doctor().one(check, "Cursor")
    assert (found["level"], found["message"][: len(fault)]) == ("warning", fault)
    assert found["commands"][0].endswith(command)


@pytest.mark.parametrize(
    ("server", "fault"),
    [
        (
            {"ends": "server/discover"},
            "the command ended before it answered (with the newest protocol; older clients can",
        ),
        ({"initialize": {}}, "answered with an error: its answer is not a valid message of the protocol"),
        ({"initialize": {"protocolVersion": "1", "capabilities": {}, "serverInfo": {}}}, "answered with an error: "),
    ],
)
def test_a_server_that_answers_wrong_is_a_problem(home: Home, server: dict[str, Any], fault: str) -> None:
    home.has("cursor", moa=home.fake(**server))
    start = home.doctor().one("start")
    assert (start["level"], start["message"][: len(fault)]) == ("problem", fault)


@pytest.mark.parametrize(("called", "command"), [("fake", None), ("uvx", "uv tool install moa-mcp")])
def test_a_start_that_takes_longer_than_the_client_waits_is_a_problem(
    home: Home, called: str, command: str | None
) -> None:
    entry = home.fake(called=called)
    home.has("codex", f'[mcp_servers.moa]\ncommand = "{entry["command"]}"\nstartup_timeout_sec = 0.001\n')
    start = home.doctor().one("start")
    assert (start["level"], start["message"].rpartition("; ")[2]) == ("problem", "Codex waits 0.001 s")
    assert start["commands"][:1] == ([command] if command else [])


def test_a_system_that_can_not_start_the_command_is_named(home: Home) -> None:
    wrong = home.folder / "moa-mcp"
    wrong.write_bytes(b"\x7fELF of another processor")
    wrong.chmod(0o755)
    home.has("cursor", moa=home.entry(command=str(wrong)))
    assert home.doctor().one("start")["message"] == "can't be started: Exec format error"


def test_an_entry_that_ends_is_reported_with_the_end_of_its_stderr_and_without_keys(home: Home) -> None:
    dying = program(home.folder / "bin", "dying", f"import sys\nsys.exit('no route with {KEY} and sk-abcdefgh12345')")
    home.has("claude-desktop", moa=home.entry(KEY, command=str(dying), HOUSE_KEY=KEY))
    report = home.spawned()
    start = report.one("start")
    assert (start["level"], start["message"]) == ("problem", "the command ended before it answered")
    assert start["details"] == ["no route with [key] and [key]"]
    assert start["commands"][0].endswith("moa-mcp install claude-desktop")


@pytest.mark.parametrize("body", ["'x' * 296 + ' ' + KEY", "KEY + 'y' * 8190 + '\\n' + 'end'", "'z' * 200_000 + KEY"])
def test_a_part_of_a_key_is_not_shown_either(home: Home, body: str) -> None:
    dying = program(home.folder / "bin", "dying", f"import sys\nKEY = {KEY!r}\nsys.exit({body})")
    home.has("cursor", moa=home.entry(command=str(dying), HOUSE_KEY=KEY))
    start = home.doctor().one("start")
    assert not any(part in " ".join(start["details"]) for part in (KEY[:3], KEY[-3:]))
    assert all(len(each) <= 300 for each in start["details"])


def test_an_entry_that_hangs_is_ended_with_its_children_after_the_time_limit(home: Home) -> None:
    hanging = program(
        home.folder / "bin",
        "hanging",
        "import os, signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nchild = os.fork()\n"
        f"open({str(home.folder / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        "print('waiting for the network', file=sys.stderr, flush=True)\ntime.sleep(600)",
    )
    home.has("cursor", moa=home.entry(command=str(hanging)))
    start = home.spawned("--timeout", "1.5").one("start")
    assert (start["level"], start["message"]) == ("problem", "no list of tools within 1.5 s")
    assert set(start["details"]) == {"waiting for the network"}
    pids = (home.folder / "pids").read_text().split()
    assert len(pids) == 2
    assert not any(runs(int(each)) for each in pids)


def test_doctor_that_is_ended_leaves_no_server_behind(home: Home) -> None:
    pid = home.folder / "pid"
    hanging = program(
        home.folder / "bin",
        "hanging",
        f"import os, time\nopen({str(pid)!r}, 'w').write(f'{{os.getpid()}}\\n')\ntime.sleep(600)",
    )
    home.has("cursor", moa=home.entry(command=str(hanging)))
    with subprocess.Popen(
        [sys.executable, "-m", "moa_mcp", "doctor"], env=home.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as doctor:
        server = int(anyio.run(written, pid))
        doctor.send_signal(signal.SIGTERM)
        _, errors = doctor.communicate(timeout=20)
    assert doctor.returncode == 128 + signal.SIGTERM
    assert errors == b"Interrupted; the servers that were started are ended.\n"
    assert not runs(server)


async def written(path: Path) -> str:
    file = anyio.Path(path)
    with anyio.fail_after(20):
        while not (await file.exists() and (await file.read_text()).endswith("\n")):  # noqa: ASYNC110  no event tells it
            await anyio.sleep(0.01)
    return await file.read_text()


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"command": "/no/such/moa-mcp"}, "/no/such/moa-mcp does not exist (any longer)"),
        (
            {"command": "HOME/moved"},
            "HOME/moved needs /no/such/python, which does not exist: its environment was moved",
        ),
        ({"command": "HOME/own.toml"}, "HOME/own.toml is not executable"),
        ({"command": "HOME"}, "HOME is a folder"),
        ({"command": "moa-mcp-x"}, "there is no command 'moa-mcp-x' in the PATH that Cursor has"),
        ({"command": "HOME/ok", "args": ["--http"]}, "--http serves over a network, but Cursor talks to a command"),
        ({"command": "HOME/ok", "args": ["--config=x.toml"]}, "the path x.toml is relative"),
        ({"command": "HOME/ok", "disabled": True}, "the entry is turned off"),
        ({"url": "http://127.0.0.1:8765/mcp"}, "the entry starts no command"),
        (
            {"command": "HOME/ok", "env": {"A=B": "x", "C": None}},
            "the name or the value of the variable 'A=B' can't be",
        ),
        ({"command": "HOME/ok", "env": {"A": "\ud800"}}, "the name or the value of the variable 'A' can't be used"),
        ({"command": "HOME/archive-v0/moa-mcp"}, "HOME/archive-v0/moa-mcp is in uv's cache, and is deleted with it"),
    ],
)
def test_a_fault_of_an_entry_is_found_without_starting_it(home: Home, entry: dict[str, Any], fault: str) -> None:
    for path, first in (("moved", "/no/such/python"), ("ok", "/bin/false"), ("archive-v0/moa-mcp", "/bin/false")):
        script = home.folder / path
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!{first}\n")
        script.chmod(0o755)
    home.has("cursor", json.dumps({"mcpServers": {"moa": entry}}).replace("HOME", str(home.folder)))
    found = home.doctor().found("entry")
    assert [each["message"].replace(str(home.folder), "HOME")[: len(fault)] for each in found] == [fault]
    assert found[0]["where"] == str(home.path("cursor"))
    assert found[0]["commands"] or found[0]["remedy"]


def test_a_command_that_only_the_shell_finds_is_named_with_its_place(home: Home) -> None:
    home.has("claude-desktop", moa={"command": "moa-mcp"})
    report = home.doctor(PATH=f"{VENV}:/usr/bin:/bin")
    assert report.one("entry")["message"] == (
        f"there is no command 'moa-mcp' in the PATH that Claude Desktop has; your shell finds it at {VENV / 'moa-mcp'}"
    )
    assert report.one("entry")["commands"] == ["moa-mcp install claude-desktop"]


def test_a_file_that_is_not_valid_is_a_problem_with_its_place_and_other_clients_are_checked(home: Home) -> None:
    home.has("gemini", '{"mcpServers": {\n  "moa": {"command": "x"}\n  "b": 1}}')
    home.has("cursor", moa={"command": "/no/such/moa-mcp"})
    report = home.doctor()
    broken = report.one("entry", "Gemini CLI")
    assert (broken["level"], broken["message"]) == ("problem", "line 3, column 3: expected a comma or }")
    assert broken["where"] == str(home.path("gemini"))
    assert report.one("entry", "Cursor")["message"] == "/no/such/moa-mcp does not exist (any longer)"


def test_entries_under_other_names_are_found_and_several_are_a_warning(home: Home) -> None:
    gone = {"command": "/no/such/moa-mcp"}
    home.has("cursor", moa=gone, mixture={"command": "uvx", "args": ["moa-mcp[otel]==0.1.0"]}, files={"command": "npx"})
    report = home.doctor()
    assert [each["title"] for each in report.data["clients"]] == ["Cursor", "Cursor (mixture)"]
    several = report.found("entry", "Cursor")[-1]
    assert (several["level"], several["message"]) == ("warning", "several entries start moa-mcp: moa, mixture")


def test_without_an_entry_the_one_that_install_would_write_is_checked(home: Home) -> None:
    home.has("cursor", files={"command": "npx"})
    report = home.spawned("--config", str(home.config), "--journal", "none")
    entry = report.one("entry")
    assert (report.code, entry["level"]) == (1, "warning")
    assert entry["message"].startswith("has no entry for moa-mcp yet")
    assert entry["commands"][0].endswith("moa-mcp install cursor")
    (client,) = report.data["clients"]
    assert (client["installed"], client["command"][1:]) == (False, ["--config", str(home.config), "--journal", "none"])
    assert report.one("start")["level"] == "ok"
    assert report.one("journal")["message"] == "runs are not recorded, so none can be resumed"


def test_clients_without_an_entry_are_listed_where_another_has_one(home: Home) -> None:
    home.has("cursor", moa={"command": "/no/such/moa-mcp"})
    home.has("windsurf")
    other = home.doctor().one("other clients")
    assert (other["level"], other["message"]) == ("ok", "without an entry for moa-mcp: Windsurf")
    assert other["commands"][0].endswith("moa-mcp install windsurf")


def test_without_a_client_the_server_is_checked_anyway(home: Home) -> None:
    home.config.write_text("pipelines = 1\n")
    report = home.spawned("--config", str(home.config))
    assert report.one("entry")["message"].startswith("no MCP client was found")
    assert report.one("start")["message"] == "the command ended before it answered"


def test_errors_of_the_configuration_have_their_lines(home: Home) -> None:
    home.config.write_text(
        '[limits]\nattempts = 0\n\n[pipelines.one]\ndescription = "x"\nsteps = [\n'
        '  { step = "propose", agents = ["openai/x"] },\n  { step = "take", n = "two" },\n]\n'
    )
    home.has("cursor", moa=home.entry(command="/no/such/moa-mcp"))
    invalid = home.doctor().one("configuration")
    assert (invalid["level"], invalid["where"]) == ("problem", f"{home.config}:2")
    assert [each.partition(":")[0] for each in invalid["details"]] == ["line 2", "line 8"]
    home.config.write_text("[limits\n")
    (command,) = home.doctor().one("configuration")["commands"]
    assert "(at line 1, column 8)" in home.doctor().one("configuration")["message"]
    assert subprocess.run(shlex.split(command), env=home.environ, capture_output=True, check=False).returncode == 2


def test_a_configuration_and_a_journal_that_only_the_shell_uses_are_warnings(home: Home) -> None:
    journal = str(home.folder / "runs.sqlite")
    home.has("cursor", moa={"command": "/no/such/moa-mcp"})
    report = home.doctor(MOA_MCP_CONFIG=str(home.config), MOA_MCP_JOURNAL=journal)
    assert report.one("configuration")["level"] == "warning"
    assert report.one("configuration")["commands"][0].endswith(f"install cursor --config {home.config}")
    differs, _ = report.found("journal")
    assert differs["message"].endswith(f"in your shell, moa-mcp uses {journal}")
    assert differs["commands"][0].endswith(f"install cursor --journal {journal}")


def test_proxies_that_do_not_answer_and_requests_to_this_machine_through_one_are_found(home: Home) -> None:
    proxy = {"HTTP_PROXY": f"http://user:{KEY}@127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    home.has("cursor", moa=home.entry(command="/no/such/moa-mcp", **proxy))
    home.has("claude-desktop", moa=home.entry(command="/no/such/moa-mcp"))
    home.has("windsurf", moa=home.entry(command="/no/such/moa-mcp", ALL_PROXY="socks5://127.0.0.1:9"))
    report = home.doctor(HTTPS_PROXY=f"http://user:{KEY}@127.0.0.1:9")
    dead, loopback = report.found("proxy", "Cursor")
    assert (dead["level"], dead["message"]) == ("problem", "the proxy http://127.0.0.1:9 does not accept connections")
    assert loopback["message"] == "requests to servers on this machine (127.0.0.1) go through the proxy"
    assert loopback["commands"] == ["export NO_PROXY=127.0.0.1,localhost"]
    missing = report.one("proxy", "Claude Desktop")
    assert (missing["level"], missing["message"]) == (
        "warning",
        "set in your shell, but not for the server: HTTPS_PROXY",
    )
    assert "can't use the proxy socks5://127.0.0.1:9" in report.found("proxy", "Windsurf")[1]["message"]


def test_a_proxy_that_answers_is_named_without_its_password(home: Home, serving: ModelServer) -> None:
    url = serving.url.removesuffix("/v1").replace("http://", f"http://user:{KEY}@")
    home.has("cursor", moa=home.entry(command="/no/such/moa-mcp", HTTPS_PROXY=url, NO_PROXY="127.0.0.1"))
    shown = serving.url.removesuffix("/v1")
    assert home.doctor().one("proxy")["message"] == f"requests to providers go through {shown}"


def test_a_model_that_ended_is_a_warning_with_the_line_of_its_route(home: Home) -> None:
    home.config.write_text(
        '[pipelines.one]\ndescription = "x"\nsteps = [{ step = "propose", agents = ["old"] }]\n\n'
        '[models.old]\nroutes = ["azure/o1"]\n'
    )
    keys = {"AZURE_API_KEY": KEY, "AZURE_API_BASE": "https://azure.invalid"}
    home.has("cursor", moa=home.entry(command="/no/such/moa-mcp", **keys))
    ended = home.doctor().one("models")
    assert (ended["level"], ended["where"]) == ("warning", f"{home.config}:5")
    assert ended["message"].startswith("models.old: skips azure/o1, which ended on ")


def test_a_pipeline_without_its_models_is_named_with_what_it_needs(home: Home) -> None:
    home.config.write_text(
        home.config.read_text()
        + 'models.n.routes = [{ model = "openai/n", api_key_env = "OTHER_KEY" }]\n'
        + 'pipelines.two = { description = "x", steps = [{ step = "propose", agents = ["n"] }] }\n'
        + 'pipelines.three = { description = "x", steps = [\n'
        + '  { step = "propose", agents = ["m", "n"], quorum = 1 }, { step = "aggregate", agent = "m" }] }\n'
    )
    home.has("cursor", moa=home.entry(command="/no/such/moa-mcp", HOUSE_KEY=KEY))
    blocked, partial = home.doctor().found("pipelines")
    assert (blocked["level"], blocked["message"]) == ("warning", "1 of 3 pipelines can't run: two")
    assert blocked["details"] == ["n: set OTHER_KEY"]
    assert partial["message"].endswith("can run, but some of their models are not available: three")


def test_a_simulating_entry_is_a_warning(home: Home) -> None:
    home.has("cursor", moa=home.entry("--offline", command="/no/such/moa-mcp"))
    assert home.doctor().one("pipelines")["message"].startswith("the entry has --offline")


def test_local_servers_are_described_as_the_client_finds_them(home: Home, serving: ModelServer) -> None:
    with ModelServer("nomic-embed-text", "qwen3:8b") as ollama, ModelServer("nomic-embed-text") as studio:
        where = {
            "OLLAMA_API_BASE": ollama.url,
            "LM_STUDIO_API_BASE": studio.url,
            "HOSTED_VLLM_API_BASE": f"{serving.url}/nothing/v1",
            "LLAMAFILE_API_BASE": "ftp://x",
        }
        home.has("cursor", moa=home.entry(command="/no/such/moa-mcp", **where))
        found = {each["message"].split(" at ")[0]: each for each in home.doctor().found("local servers")}
    assert found["Ollama"]["message"] == f"Ollama at {ollama.url} (1 chat model)"
    assert found["LM Studio"]["commands"] == ["lms get qwen/qwen3-8b"]
    assert found["vLLM"]["message"].endswith("answers HTTP 404")
    assert any("LLAMAFILE_API_BASE" in each for each in found)


def test_a_time_limit_below_the_wait_of_a_call_is_a_warning(home: Home) -> None:
    home.has(
        "codex",
        f'[mcp_servers.moa]\ncommand = "/no/such/moa-mcp"\nargs = ["--config", "{home.config}"]\n'
        "tool_timeout_sec = 30\n",
    )
    limits = home.doctor().one("time limits")
    assert limits["message"] == "a tool call returns within 45 s, but Codex ends calls after 30 s"
    assert limits["remedy"].startswith("Set wait_s in [limits] to at most 22")


@pytest.fixture
def journal(home: Home) -> Path:
    path = home.folder / "runs" / "runs.sqlite"
    home.has("cursor", moa=home.entry("--journal", str(path), command="/no/such/moa-mcp"))
    return path


async def left_interrupted(path: Path) -> None:
    journal = SQLiteJournal(path)
    await journal.begin(record_of("r"))
    await journal.release("r")
    await journal.close()


def test_the_journal_is_described_and_interrupted_runs_are_a_warning(home: Home, journal: Path) -> None:
    assert home.doctor().one("journal")["message"] == f"{journal} is created by the first run"
    anyio.run(left_interrupted, journal)
    before = journal.read_bytes()
    usual, interrupted = home.doctor().found("journal")
    assert (usual["level"], usual["message"]) == ("ok", "1 run, 70 kB, version 8, writable")
    assert (interrupted["level"], interrupted["message"]) == ("warning", "1 run was interrupted")
    (command,) = interrupted["commands"]
    listed = subprocess.run(shlex.split(command), env=home.environ, capture_output=True, text=True, check=False)
    assert "interrupted" in listed.stdout, listed.stderr
    assert journal.read_bytes() == before


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_run_that_a_process_owns_is_not_interrupted(home: Home, journal: Path) -> None:
    held = SQLiteJournal(journal)
    await held.begin(record_of("r"))
    report = await anyio.to_thread.run_sync(home.doctor)
    await held.close()
    assert [each["level"] for each in report.found("journal")] == ["ok"]
    assert report.one("journal")["message"].startswith("1 run, ")


def test_a_journal_that_can_not_be_created_is_a_problem(home: Home) -> None:
    path = home.config / "runs.sqlite"
    home.has("cursor", moa=home.entry("--journal", str(path), command="/no/such/moa-mcp"))
    found = home.doctor().one("journal")
    assert (found["level"], found["where"]) == ("problem", str(path))
    assert found["message"].endswith(f"so no run can start: {home.config} is not a folder that you can write to")


def test_a_journal_that_is_damaged_or_older_is_not_changed(home: Home, journal: Path) -> None:
    journal.parent.mkdir()
    with closing(sqlite3.connect(journal)) as db:
        db.executescript(VERSION_1)
    before = journal.read_bytes()
    assert home.doctor().one("journal")["message"].endswith("version 1; upgraded to version 8 by the next run")
    assert journal.read_bytes() == before
    journal.write_bytes(b"no database")
    broken = home.doctor().one("journal")
    assert (broken["level"], broken["where"]) == ("problem", str(journal))
    assert broken["message"].startswith("can't be used: file is not a database")
    journal.write_bytes(b"")
    assert home.doctor().one("journal")["message"] == "0 runs, 0 kB, version 8, writable"


def test_a_journal_that_can_not_be_written_is_a_problem_and_its_remedy_works(
    nursery: Nursery, serving: ModelServer
) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        journal = folder / "runs" / "runs.sqlite"
        home = Home(nursery, folder, serving.url)
        home.has("cursor", moa=home.entry("--journal", str(journal), command="/no/such/moa-mcp"))
        anyio.run(left_interrupted, journal)
        for path, mode in ((journal, 0o444), (journal.parent, 0o555)):
            os.chown(path, 65534 if ROOT else -1, -1)
            path.chmod(mode)
        prelude = f"{LOADED}{NOBODY}" if ROOT else ""
        locked, usual, _ = home.doctor(prelude=prelude).found("journal")
        assert locked["level"] == "problem"
        assert locked["message"].startswith("it can be read but not written, so no run can start")
        assert "readable" in usual["message"]
        assert locked["commands"] == [f"chmod u+rwX {journal} {journal.parent}"]
        subprocess.run(shlex.split(locked["commands"][0]), check=True)
        usual, _ = home.doctor(prelude=prelude).found("journal")
        assert "writable" in usual["message"]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["cursr"], "Error: there is no client 'cursr'; did you mean 'cursor'?"),
        (["--timeout", "0"], "is not a number of seconds above 0"),
    ],
)
def test_wrong_usage_is_refused(home: Home, arguments: list[str], fault: str) -> None:
    done = home.run("doctor", *arguments)
    assert done.returncode == 2
    assert fault in done.stderr


def test_the_report_for_people_ends_with_the_counts_and_has_problems_last(home: Home) -> None:
    home.has("cursor", moa=home.entry(command="/no/such/moa-mcp"))
    home.has("windsurf", moa=home.entry(command="/no/such/moa-mcp"))
    done = home.run("doctor", HOUSE_KEY=KEY, COLUMNS="80")
    assert done.returncode == 1
    assert done.stdout.isascii()
    lines = done.stdout.splitlines()
    paths = ("$ ", "in ")
    assert all(len(each) <= 80 for each in lines if not each.strip().startswith(paths))
    assert f"$ {VENV / 'moa-mcp'} keys set HOUSE_KEY --config {home.config}" in [each.strip() for each in lines]
    assert lines.index("Cursor") < lines.index("Windsurf") < lines.index("Cursor and Windsurf")
    levels = [each.split()[0] for each in lines if each.startswith("  ") and each[2:5] in {"ok ", "war", "pro"}]
    assert levels[:2] == ["warning", "problem"]
    assert levels[-2:] == ["problem", "ok"]
    summary = " ".join("\n".join(lines).rpartition("\n\n")[2].split())
    assert summary == ("3 problems, 2 warnings (Cursor: entry; Windsurf: entry; Cursor and Windsurf: pipelines), 7 ok.")
