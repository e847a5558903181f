"""What a server tells load balancers, and how it ends without losing the runs that are under way."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client

from tests.support.database import Cluster
from tests.support.lives import CALLS, POOL, QUESTION, Machine, until
from tests.support.model_server import Held, ModelServer
from tests.support.nursery import Nursery
from tests.support.serving import OFFLINE, ServerProcess, text
from tests.support.tables import X, pipe
from tests.support.team import Team

HTTP = ("--http", "--port", "0")


def got(server: ServerProcess, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    answer = httpx2.get(httpx2.URL(server.url).join(path), headers=headers, timeout=10)
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()


def reason(server: ServerProcess) -> tuple[int, str]:
    """Return the status of /ready and the reason that it gives, if any."""
    status, body = got(server, "/ready")
    return status, body.get("reason", body["status"])


@pytest.mark.parametrize("transport", ["--http", "--sse"])
def test_probes_need_no_token_and_may_name_any_host(nursery: Nursery, transport: str) -> None:
    start = (transport, "--port", "0", "--token-env", "TEAM", *OFFLINE)
    with ServerProcess(*start, nursery=nursery, TEAM="the token of the team") as server:
        assert got(server, "/health", Host="10.1.2.3") == (200, {"status": "ok"})
        assert got(server, "/ready", Host="10.1.2.3") == (200, {"status": "ready"})
        url = httpx2.URL(server.url)
        assert httpx2.head(url.join("/ready"), timeout=10).status_code == 200
        assert httpx2.post(url.join("/health"), timeout=10).headers["allow"] == "GET, HEAD"
        assert httpx2.get(url.join("/healthy"), timeout=10).status_code == 401


@contextmanager
def small(nursery: Nursery, folder: Path, models: str, prelude: str = "", *arguments: str) -> Iterator[ServerProcess]:
    """Serve one pipeline over HTTP, with a journal."""
    (folder / "pipelines.toml").write_text(f"{models}\n{pipe(X)}", "utf-8")
    options = ("--config", str(folder / "pipelines.toml"), "--journal", str(folder / "journal.sqlite"))
    with ServerProcess(*HTTP, *options, *arguments, nursery=nursery, prelude=prelude) as server:
        yield server


def test_a_server_without_a_usable_provider_is_not_ready(nursery: Nursery, tmp_path: Path) -> None:
    with small(nursery, tmp_path, "") as server:
        assert reason(server) == (503, "no_provider")
        assert got(server, "/health")[0] == 200


def asks(server: ServerProcess, tool: str, **arguments: object) -> str:
    """Call a tool and return the text of its result."""

    async def work() -> str:
        async with Client(server.url, read_timeout_seconds=30) as client:
            return text(await client.call_tool(tool, {"question": "Why?", **arguments}))

    return anyio.run(work)


def test_a_server_whose_journal_does_not_answer_is_not_ready_until_it_does(nursery: Nursery, tmp_path: Path) -> None:
    with ModelServer() as models, small(nursery, tmp_path, _models(models)) as server:
        asks(server, "p")
        assert reason(server) == (200, "ready")
        with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
            db.execute("BEGIN IMMEDIATE")
            asks(server, "p", wait_s=0)
            until(lambda: reason(server) == (503, "journal_unavailable"))
            db.execute("ROLLBACK")
        until(lambda: reason(server) == (200, "ready"))


def test_a_server_whose_database_is_down_is_not_ready_until_it_is_back(nursery: Nursery, tmp_path: Path) -> None:
    with Cluster() as database:
        options = ("--journal", database.url("postgres"), "--callers", str(Team(tmp_path, {}).path), *OFFLINE)
        with ServerProcess(*HTTP, *options, nursery=nursery) as server:
            assert reason(server) == (200, "ready")
            database.stop()
            until(lambda: reason(server) == (503, "journal_unavailable"))
            database.start()
            until(lambda: reason(server) == (200, "ready"))


def test_a_server_that_can_not_store_events_is_not_ready_until_there_is_room(nursery: Nursery, tmp_path: Path) -> None:
    prelude = "from moa_mcp.server import health; health.BEHIND_S = 1.5"
    with ModelServer() as models, small(nursery, tmp_path, _models(models), prelude) as server:
        asks(server, "p")
        before = _limited(server, 1)
        assert "journal" in asks(server, "p")
        until(lambda: reason(server) == (503, "journal_behind"))
        _limited(server, before)
        until(lambda: reason(server) == (200, "ready"))
        assert "journal" not in asks(server, "p")


def _models(models: ModelServer) -> str:
    return f'[models."openai/x"]\nroutes = [{{ model = "openai/x", api_base = "{models.url}" }}]'


def _limited(server: ServerProcess, most: int) -> int:
    import resource  # noqa: PLC0415  not on Windows

    return resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))[0]


@pytest.fixture(name="held")
def _held(machine: Machine) -> Machine:
    """Return a machine whose models answer when they are released."""
    machine.models.script("*", Held())
    return machine


def begin(server: ServerProcess, machine: Machine) -> None:
    """Start a run and wait until its first layer has been asked."""

    async def work() -> None:
        async with Client(server.url, read_timeout_seconds=30) as client:
            await client.call_tool(POOL, {**QUESTION, "wait_s": 0})

    anyio.run(work)
    machine.waits(lambda seen: len(seen) >= 1)


def test_after_sigterm_a_run_ends_and_is_answered_and_no_other_begins(held: Machine) -> None:
    async def work() -> tuple[str, str]:
        async with Client(server.url, read_timeout_seconds=30) as first, anyio.create_task_group() as tasks:
            answers: list[str] = []

            async def ask() -> None:
                answers.append(text(await first.call_tool(POOL, QUESTION)))

            tasks.start_soon(ask)
            await anyio.to_thread.run_sync(held.waits, lambda seen: len(seen) >= 1)
            server.signal(signal.SIGTERM)
            await anyio.to_thread.run_sync(until, lambda: reason(server) == (503, "draining"))
            async with Client(server.url, read_timeout_seconds=30) as other:
                refused = text(await other.call_tool(POOL, QUESTION))
            held.models.release()
        return answers[0], refused

    with held.serve(*HTTP, "--drain", "30") as server:
        answer, refused = anyio.run(work)
        server.ended()
    assert "shutting down" in refused
    assert "call again" in refused
    assert "interrupted" not in answer
    assert (held.trace.status, len(held.models.requests)) == ("complete", CALLS)


@pytest.mark.parametrize(
    ("drain_s", "number", "again"),
    [("0.2", signal.SIGTERM, False), ("60", signal.SIGTERM, True), ("60", signal.SIGINT, False)],
    ids=["time is up", "a second signal", "Ctrl-C"],
)
def test_a_run_that_does_not_end_in_time_is_released_for_another_process(
    held: Machine, drain_s: str, number: signal.Signals, *, again: bool
) -> None:
    with held.serve(*HTTP, "--drain", drain_s) as server:
        begin(server, held)
        server.signal(number)
        if again:
            until(lambda: reason(server) == (503, "draining"))
            server.signal(number)
        server.ended()
    assert held.select("SELECT status, owner IS NULL FROM runs") == [("running", 1)]
