"""The server as a host runs it: a process on stdio, seen line by line."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from mcp.client.stdio import get_default_environment

from tests.support.model_server import Hang, ModelServer, Status
from tests.support.nursery import Nursery
from tests.support.serving import OFFLINE, ServerProcess, parameters

KEY = "sk-4f9a2c7be1d84f6a93"
CONFIG = """
models.m.routes = [{ model = "openai/m", api_base = "URL", api_key_env = "OFFICE_KEY" }]
models.unknown.routes = [{ model = "no-such-provider/m", api_key_env = "OFFICE_KEY" }]
limits.attempts = 1
pipelines.one.steps = [{ step = "propose", agents = ["m"] }]
pipelines.unknown.steps = [{ step = "propose", agents = ["unknown"] }]
"""
QUESTION = {"question": "Is it going to rain?"}


def litellm_imported(server: ServerProcess) -> bool:
    return any(re.search(r"\|\s+litellm$", line.rstrip()) for line in server.stderr)


def test_a_server_says_nothing_but_protocol_loads_litellm_late_and_ends_with_its_host(tmp_path: Path) -> None:
    config = tmp_path / "pipelines.toml"
    with ModelServer() as models:
        config.write_text(CONFIG.replace("URL", models.url))
        with ServerProcess("--config", str(config), OFFICE_KEY=KEY, PYTHONPROFILEIMPORTTIME="1") as server:
            server.initialize()
            assert not litellm_imported(server)

            unknown = server.ask(1, "tools/call", name="unknown", arguments=QUESTION)
            models.script("m", Status(401, f"Incorrect API key provided: {KEY}"))
            refused = server.ask(2, "tools/call", name="one", arguments=QUESTION)
            assert (unknown["result"]["isError"], refused["result"]["isError"]) == (True, True)
            assert litellm_imported(server)

            models.script("m", Hang())
            server.send(id=3, method="tools/call", params={"name": "one", "arguments": QUESTION})
            models.wait_for(lambda requests: len(requests) == 2)
            server.close_stdin()
            assert server.ended() == 0
            models.wait_for(lambda requests: requests[1].disconnected)
    assert [message.get("id") for message in server.messages] == [0, 1, 2, 3]
    assert KEY not in "".join([*server.stdout, *server.stderr])


def test_two_hosts_can_start_it_at_once_and_a_signal_ends_it_while_its_host_holds_on() -> None:
    with ServerProcess(*OFFLINE) as first, ServerProcess(*OFFLINE) as second:
        for server, number in ((first, signal.SIGINT), (second, signal.SIGTERM)):
            server.initialize()
            run = {"name": "together_moa", "arguments": {**QUESTION, "wait_s": 0}}
            assert server.ask(1, "tools/call", **run)["result"]["structuredContent"]["status"] == "running"
            server.signal(number)
            assert server.ended() == 128 + number
            assert server.stderr == []


def test_a_host_that_reads_no_more_ends_the_server_without_a_traceback(nursery: Nursery) -> None:
    start = parameters(*OFFLINE)
    environ = get_default_environment() | (start.env or {})
    with nursery.start("serve", *OFFLINE, environ=environ) as process:
        process.stdout.close()
        process.stdin.write('{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
