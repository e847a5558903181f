"""What a server logs to stderr, and in which format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.model_server import ModelServer, Reply, Status
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE, OFFLINE, ServerProcess

KEY = "sk-not-for-any-log-1234567890"
FAILS = "import moa_mcp.server.tools as t; t.page = lambda *_: 1 / 0"


def logged(nursery: Nursery, *options: str, prelude: str = AT_ONCE) -> list[str]:
    """Return the log of a server that answers a question and shows its trace."""
    with ServerProcess(*OFFLINE, *options, nursery=nursery, prelude=prelude, SOME_API_KEY=KEY) as server:
        server.initialize()
        result = server.ask(1, "tools/call", name="vote", arguments={"question": f"What is 2 + 2? {KEY}"})
        run_id = result["result"]["structuredContent"]["run_id"]
        server.ask(2, "tools/call", name="moa_trace", arguments={"run_id": run_id})
        server.close_stdin()
        server.ended()
        lines = [line.replace(run_id, "ID") for line in server.stderr]
        server.stderr.clear()  # it may hold the traceback that was wanted
    assert KEY not in "".join(lines)
    return lines


@pytest.mark.parametrize(("level", "said"), [("warning", []), ("error", []), ("info", ["started", "is complete"])])
def test_runs_are_logged_at_level_info(nursery: Nursery, level: str, said: list[str]) -> None:
    lines = logged(nursery, "--log-level", level)
    assert [line.removeprefix("moa-mcp: INFO: run ID (vote) ").split(" after")[0].strip() for line in lines] == said


def test_requests_are_logged_at_level_debug_without_their_texts(nursery: Nursery) -> None:
    text = "".join(logged(nursery, "--log-level", "debug"))
    assert "moa-mcp: DEBUG: run ID (vote) sends call 1.1 to " in text
    assert "2 + 2" not in text


def test_json_has_one_object_a_line_with_the_run(nursery: Nursery) -> None:
    started, ended = map(json.loads, logged(nursery, "--log-level", "info", "--log-format", "json"))
    assert started.pop("time") < ended["time"]
    message = "run ID (vote) started"
    assert started == {"level": "info", "logger": "moa_mcp.server.run_log", "message": message, "run_id": "ID"}


def test_an_unexpected_error_is_one_object_too(nursery: Nursery) -> None:
    (line,) = logged(nursery, "--log-format", "json", prelude=f"{AT_ONCE}; {FAILS}")
    found: dict[str, Any] = json.loads(line)
    assert (found["level"], found["message"]) == ("error", "unexpected error in tools/call")
    assert "ZeroDivisionError" in found["error"]


def test_the_address_of_the_server_is_an_object_in_a_json_log(nursery: Nursery) -> None:
    options = ("--http", "--port", "0", "--log-format", "json")
    with ServerProcess(*OFFLINE, *options, nursery=nursery) as server:
        assert server.url
        assert json.loads(server.stderr[0])["message"].startswith("moa-mcp serves MCP at http://127.0.0.1:")


def test_the_environment_sets_level_and_format_for_hosts_that_pass_no_options(nursery: Nursery) -> None:
    variables = {"MOA_MCP_LOG_LEVEL": "info", "MOA_MCP_LOG_FORMAT": "json"}
    with ServerProcess(*OFFLINE, nursery=nursery, prelude=AT_ONCE, **variables) as server:
        server.initialize()
        server.ask(1, "tools/call", name="vote", arguments={"question": "What is 2 + 2?"})
        server.close_stdin()
        server.ended()
        assert [json.loads(line)["level"] for line in server.stderr] == ["info", "info"]


def test_a_failed_and_an_interrupted_run_are_logged_without_what_their_providers_say(
    nursery: Nursery, tmp_path: Path
) -> None:
    with ModelServer() as models:
        models.script("x", Status(400, "no answer to Why?"))
        route = f'{{ model = "openai/x", api_base = "{models.url}" }}'
        pipeline = '[pipelines.p]\ndescription = "One."\nsteps = [{ step = "propose", agents = ["x"] }]'
        text = f"models.x.routes = [{route}]\n{pipeline}"
        (tmp_path / "pipelines.toml").write_text(text, "utf-8")
        options = ("--config", str(tmp_path / "pipelines.toml"), "--log-level", "debug")
        with ServerProcess(*options, nursery=nursery, OPENAI_API_KEY=KEY) as server:
            server.initialize()
            server.ask(1, "tools/call", name="p", arguments={"question": "Why?"})
            models.script("x", Reply("Late.", delay_s=30))
            server.send(id=2, method="tools/call", params={"name": "p", "arguments": {"question": "Why?"}})
            server.wait_for(lambda: sum("sends call" in line for line in server.stderr) == 2)
            server.close_stdin()
            server.ended()
            log = "".join(server.stderr)
    assert "is failed after" in log
    assert ": step\n" in log
    assert "is interrupted; it can be resumed" in log
    assert "Why?" not in log
