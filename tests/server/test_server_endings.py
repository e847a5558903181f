"""How a server can end while it drives a run that is on record, and who may end the run itself."""

from __future__ import annotations

import re
import signal
from collections import Counter
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from tests.server.test_server_cancellation import Asking
from tests.support.lives import CALLS, POOL, QUESTION, Machine, answered, assert_whole, begun, called, until
from tests.support.model_server import Hang, Reply
from tests.support.serving import ServerProcess, Wire, parameters
from tests.support.tables import pipe

ON_RECORD = "SELECT status, owner IS NULL, lease_until = 0 FROM runs"
PROGRESS = "notifications/progress"
LEFT = ("running", 1, 1)
"""A run that has no end, and is free at once."""
STEPS = """[models]
m.routes = ["openai/m"]
[pipelines]
brief.steps = [{{ step = "propose", agents = ["m"] }}, {brief}]
slow.steps = [{{ step = "propose", agents = ["m"] }}, {slow}]
""".format(**{name: '{ step = "synthesize", agents = ["m"] },' * n for name, n in {"brief": 5, "slow": 99}.items()})
"""Simulated, one takes a second, the other a quarter of a minute."""
CHANGED = '[models]\nm.routes = ["openai/m"]\n' + pipe('{ step = "propose", agents = ["m"] }')


@pytest.mark.parametrize(
    ("number", "status", "left"),
    [
        (signal.SIGTERM, 128 + signal.SIGTERM, LEFT),
        (signal.SIGINT, 128 + signal.SIGINT, LEFT),
        (None, 0, LEFT),
        (signal.SIGKILL, -signal.SIGKILL, ("running", 0, 0)),
    ],
    ids=["SIGTERM", "SIGINT", "EOF", "SIGKILL"],
)
def test_a_run_of_a_server_that_ends_is_gone_on_with_by_waiting_for_it_at_the_next_one(
    machine: Machine, number: signal.Signals | None, status: int, left: tuple[str, int, int]
) -> None:
    machine.answers(8)
    with machine.serve() as server:
        run_id = begun(server)
        machine.settles(8)
        if number is None:
            server.close_stdin()
        else:
            server.signal(number)
        assert server.ended() == status
    assert machine.select(ON_RECORD) == [left]
    machine.waits(lambda seen: sum(each.disconnected for each in seen) == len(seen) - 8)
    known = answered(machine.look()[1])
    machine.answers_all()
    (machine.folder / "pipelines.toml").write_text(CHANGED, "utf-8")
    with ServerProcess(
        "--config", str(machine.folder / "pipelines.toml"), "--journal", str(machine.path), nursery=machine.nursery
    ) as server:
        server.initialize()
        before = called(server, 1, "moa_trace", run_id=run_id)
        result = called(server, 2, "moa_wait", run_id=run_id, wait_s=20)
        again = called(server, 3, "moa_wait", run_id=run_id)
    assert before["status"] == "running"
    assert (result["status"], result["pipeline"]) == ("complete", POOL)
    assert again == result
    assert machine.asked & known == Counter()
    assert machine.asked.total() == CALLS - 8
    assert_whole(machine.trace)


@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("number", [signal.SIGTERM, None], ids=["SIGTERM", "EOF"])
def test_a_run_that_a_call_waits_for_is_left_to_whoever_resumes_it_when_the_host_quits(
    machine: Machine, number: signal.Signals | None, era: str
) -> None:
    machine.answers(8)
    with machine.serve() as server:
        peer = Peer(machine, server, era)
        peer.ask(1)
        machine.settles(8)
        if number is None:
            server.close_stdin()
        else:
            server.signal(number)
        server.ended()
    assert machine.select(ON_RECORD) == [LEFT]


def test_a_run_that_a_call_over_http_waits_for_is_left_to_whoever_resumes_it_when_the_server_ends(
    machine: Machine,
) -> None:
    machine.answers(8)

    async def ask() -> None:
        async with Client(server.url, read_timeout_seconds=20) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(Asking(client, POOL))
            await anyio.to_thread.run_sync(machine.settles, 8)
            server.signal(signal.SIGTERM)
            await anyio.to_thread.run_sync(server.ended)
            tasks.cancel_scope.cancel()

    with (
        machine.serve("--http", "--port", "0") as server,
        suppress(ExceptionGroup),
    ):  # of the client, whose line broke
        anyio.run(ask)
    assert machine.select(ON_RECORD) == [LEFT]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_a_run_of_an_http_server_that_is_told_to_end_is_left_to_whoever_resumes_it(
    machine: Machine, number: signal.Signals, status: int
) -> None:
    machine.answers(8)

    async def begin() -> None:
        async with Client(server.url, read_timeout_seconds=20) as client:
            await client.call_tool(POOL, {**QUESTION, "wait_s": 0})

    with machine.serve("--http", "--port", "0") as server:
        anyio.run(begin)
        machine.settles(8)
        server.signal(number)
        assert server.ended() == status
    assert machine.select(ON_RECORD) == [LEFT]
    machine.answers_all()
    done = machine.run("runs", "resume", "last", "-q")
    assert (done.returncode, done.stderr, machine.asked.total()) == (0, "", CALLS - 8)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_question_that_is_interrupted_at_the_command_line_can_be_resumed(
    machine: Machine, number: signal.Signals, status: int
) -> None:
    machine.answers(8)
    with machine.start("ask", POOL, "Why?", "-q") as asking:
        machine.settles(8)
        asking.send_signal(number)
        assert asking.wait(10) == status
    assert machine.select(ON_RECORD) == [LEFT]
    known = answered(machine.look()[1])
    machine.answers_all()
    done = machine.run("runs", "resume", "last", "-q")
    assert (done.returncode, machine.asked & known, machine.asked.total()) == (0, Counter(), CALLS - 8)


# A client that runs out of time, and a user who aborts


def ends_as(machine: Machine, which: str, status: str) -> bool:
    """Whether a run, named by its id or its pipeline, has that end on record."""
    return machine.select(f"SELECT status, owner FROM runs WHERE '{which}' IN (run_id, pipeline)") == [(status, None)]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_official_client_over_stdio_keeps_a_run_when_it_runs_out_of_time_and_ends_it_when_its_user_aborts(
    machine: Machine,
) -> None:
    config = machine.folder / "steps.toml"
    config.write_text(STEPS, "utf-8")
    start = parameters("--offline", "--config", str(config), "--journal", str(machine.path))
    async with Client(start, read_timeout_seconds=20) as client:
        kept, aborted = Asking(client, "brief"), Asking(client, "slow")
        with pytest.raises(MCPError):
            await kept(read_timeout_seconds=0.3)
        await aborted.abort()
        await anyio.to_thread.run_sync(until, lambda: ends_as(machine, "slow", "cancelled"))
        await anyio.to_thread.run_sync(until, lambda: ends_as(machine, "brief", "complete"))


def modern(params: Wire) -> Wire:
    """Add what a client of 2026-07-28 says with every request."""
    prefix = "io.modelcontextprotocol/"
    meta = {
        f"{prefix}protocolVersion": "2026-07-28",
        f"{prefix}clientInfo": {"name": "wire", "version": "1"},
        f"{prefix}clientCapabilities": {},
    }
    return {**params, "_meta": {**meta, **params.get("_meta", {})}}


class Peer:
    """A client on the wire, of either era, that asks and gives up."""

    def __init__(self, machine: Machine, server: ServerProcess, era: str) -> None:
        self._machine, self._server = machine, server
        self._era = modern if era == "2026-07-28" else dict
        if era == "2025-11-25":
            server.initialize()

    def ask(self, number: int) -> None:
        """Ask, with progress."""
        params = {"name": POOL, "arguments": QUESTION, "_meta": {"progressToken": number}}
        self._server.send(id=number, method="tools/call", params=self._era(params))

    def give_up(self, number: int, **reason: str) -> str:
        """Ask, and give up once models are asked; return the run's id."""
        self.ask(number)
        self._machine.waits(lambda seen: len(seen) >= 6)
        self._server.wait_for(lambda: bool(self._told(number)))
        self._server.send(method="notifications/cancelled", params={"requestId": number, **reason})
        return self._told(number)[0]

    def _told(self, number: int) -> list[str]:
        """Return the ids of runs that were told with the progress of a request."""
        told = [message["params"] for message in self._server.messages if message.get("method") == PROGRESS]
        found = [re.search(r"\(run (\w+)\)", each["message"]) for each in told if each["progressToken"] == number]
        return [each[1] for each in found if each]


@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])
def test_a_request_that_timed_out_keeps_its_run_to_its_end_on_record_and_one_that_is_aborted_does_not(
    machine: Machine, era: str
) -> None:
    with machine.serve() as server:
        peer = Peer(machine, server, era)
        machine.models.script("*", Reply("slow", delay_s=0.3), Reply("It is."))
        kept = peer.give_up(1, reason="Request timed out")
        until(lambda: ends_as(machine, kept, "complete"))
        assert machine.asked.total() == CALLS

        machine.models.clear()
        machine.models.script("*", Hang())
        aborted = peer.give_up(2, reason="The user pressed Escape")
        machine.waits(lambda seen: all(each.disconnected for each in seen))
        until(lambda: ends_as(machine, aborted, "cancelled"))
    assert machine.select("SELECT count(*) FROM runs") == [(2,)]
