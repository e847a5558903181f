"""Processes that are killed, stopped or put to sleep while they drive a run over HTTP, and what others do with it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Self

import anyio
import anyio.to_thread
import pytest
from mcp import Client

from moa_mcp.config import Config, models_of, parse
from moa_mcp.errors import RunHeld
from moa_mcp.events import AttemptFinished, CallStarted, Event
from moa_mcp.journal import RunRecord
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.server.app import App
from moa_mcp.testing import ScriptedModel, by_place
from moa_mcp.trace import Trace
from moa_mcp.values import Completion, Usage
from tests.journals import runs_of
from tests.model_server import Hang, ModelServer, Received, Reply
from tests.served import served, served_file, served_text
from tests.serving import ServerProcess, content
from tests.tables import pipe

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, so that each need not load litellm"),
]

POOL = "together_moa"
WIDTH, LAYERS = 6, 3
CALLS = WIDTH * LAYERS + 1
"""How many calls together_moa makes: three layers of six, and one that aggregates."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


NURSERY = """
import asyncio, contextlib, json, os, sys
import moa_mcp.__main__, moa_mcp.cli.ask, moa_mcp.journal.sqlite
from moa_mcp.providers import litellm as provider
litellm = provider._imported()
provider._imported = lambda: litellm
with contextlib.suppress(Exception):  # nobody answers there, but all that a call needs is loaded
    asyncio.run(litellm.acompletion("openai/x", [], api_base="http://127.0.0.1:9", api_key="none", max_retries=0))
for line in sys.stdin:
    code, arguments = json.loads(line)
    child = os.fork()
    if child == 0:
        sys.argv = arguments
        sys.stdin = open(os.devnull)
        exec(code, {"__name__": "child"})
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
ASK = """
import sys
from moa_mcp.__main__ import main
sys.stdout = sys.stderr = open(sys.argv.pop(), "w")
main()
"""
SLEEPER = """
import anyio, os, sys
from pathlib import Path
from moa_mcp.runs import runs as module
from moa_mcp.backend import real
from moa_mcp.config import load
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.values import Question

async def main():
    module.RENEW_S = 0.1
    config = load(Path(sys.argv[1]))
    backend, _, _ = real(config.models, os.environ)
    async with module.Runs(config, backend, SQLiteJournal(Path(sys.argv[2]), lease_s=0.5)).open() as runs:
        run = runs.start(config.pipelines["together_moa"], Question("Why?"))
        await run.ended.wait()
    Path(sys.argv[3]).write_text(f"{run.trace.status} {run.trace.interrupted}")

anyio.run(main)
"""


class Nursery:
    """A process that has all loaded, and children of it that do one thing each."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._parent = subprocess.Popen(
            [sys.executable, "-c", NURSERY],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.communicate(timeout=10)

    def start(self, code: str, *arguments: object) -> int:
        """Start a child and return its process id."""
        assert self._parent.stdin is not None
        self._parent.stdin.write(json.dumps([code, [str(each) for each in arguments]]) + "\n")
        self._parent.stdin.flush()
        return self._number()

    def status(self) -> int:
        """Wait for the child's end and return its exit status."""
        return self._number()

    def _number(self) -> int:
        assert self._parent.stdout is not None
        return int(self._parent.stdout.readline())


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def answers(models: ModelServer, config: Config, count: int) -> int:
    """Answer the first calls of together_moa, in its order, and no more; return how many requests will be there."""
    names = models_of(config.pipelines["together_moa"])
    order = [*names * LAYERS, "qwen1.5-110b-chat"]
    for name in names:
        turns = [turn for turn, model in enumerate(order) if model == name]
        replies = [Reply(f"{name} {turn}") for turn in turns if turn < count]
        models.script(name, *replies, Hang())
    return min(CALLS, (count // WIDTH + 1) * WIDTH)


def finished(requests: tuple[Received, ...]) -> int:
    return sum(request.finished for request in requests)


def prompts(requests: tuple[Received, ...]) -> Counter[str]:
    """Return what was asked, and how often."""
    return Counter(_prompt(each.model, [(m["role"], m["content"]) for m in each.body["messages"]]) for each in requests)


def _prompt(model: str, messages: Any) -> str:
    return json.dumps([model, [list(message) for message in messages]])


def recorded(events: tuple[Event, ...]) -> Counter[str]:
    """Return what was asked and has its answer on record."""
    asked = {event.place: event for event in events if isinstance(event, CallStarted)}
    done = [asked[event.place] for event in events if isinstance(event, AttemptFinished)]
    return Counter(_prompt(call.agent, call.messages) for call in done)


async def look(path: Path) -> tuple[RunRecord, tuple[Event, ...]]:
    """Return the only run on record and what happened in it."""
    journal = SQLiteJournal(path)
    (record,) = await journal.records()
    events = await journal.events(record.run_id)
    await journal.close()
    return record, events


async def resumed(config: Config, path: Path, run_id: str) -> tuple[Trace, Counter[str]]:
    """Go on with a run; return its trace and what was asked for it."""
    model = ScriptedModel(otherwise=lambda call: Completion(by_place(call), call.agent, usage=Usage(1, 1)))
    with anyio.fail_after(10):
        async with runs_of(model, SQLiteJournal(path), config).open() as runs:
            run = await runs.resume(run_id)
            await run.ended.wait()
            with pytest.raises(RunHeld):
                await runs.resume(run_id)
    return run.trace, Counter(_prompt(call.agent, call.messages) for call in model.calls)


def assert_whole(trace: Trace) -> None:
    """Hold a trace to having every call, its answer and its tokens, once."""
    assert (trace.status, trace.resumed, trace.error) == ("complete", 1, None)
    assert [step.answered for step in trace.steps] == [WIDTH] * LAYERS + [1]
    answers = [call.completion for step in trace.steps for call in step.calls]
    paid = [attempt.completion for step in trace.steps for call in step.calls for attempt in call.attempts]
    assert [answer for answer in paid if answer] == answers
    assert trace.answer == trace.steps[-1].answers[0].text
    tokens = [answer.usage.completion_tokens for answer in answers if answer and answer.usage]
    assert len(tokens) == CALLS
    assert trace.usage.completion_tokens == sum(tokens)


def kept(path: Path) -> int:
    """Return how many answers are on record."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT body FROM events").fetchall()
    return sum(body.count('"kind":"attempt_finished"') for (body,) in rows)  # a row holds what was written together


async def until(predicate: Callable[[], bool]) -> None:
    """Return when it holds; a file can't tell of its changes, so it is asked again and again."""
    assert await anyio.to_thread.run_sync(_held, predicate)


def _held(predicate: Callable[[], bool]) -> bool:
    last = time.monotonic() + 10
    while not predicate() and time.monotonic() < last:
        time.sleep(0.01)
    return predicate()


async def until_kept(path: Path, count: int) -> None:
    await until(lambda: kept(path) == count)


def lease_until(path: Path) -> float:
    with closing(sqlite3.connect(path)) as db:
        ((seconds,),) = db.execute("SELECT lease_until FROM runs")
    return float(seconds)


class Killed(NamedTuple):
    """What a process had done when it was killed."""

    run_id: str
    asked: Counter[str]
    answered: Counter[str]
    """Those of them whose answers are on record."""


async def killed(nursery: Nursery, models: ModelServer, path: Path, count: int, *, settled: bool) -> Killed:
    """Let a process ask together_moa and kill it when so many calls were answered, and recorded if it is settled."""
    file = served_file(models.url, path.parent)
    expected = answers(models, served(models.url), count)
    options = ("--config", file, "--journal", path, path.with_name("output"))
    child = nursery.start(ASK, "moa-mcp", "ask", "together_moa", "Why?", "-q", *options)
    await waiting(models, lambda seen: finished(seen) >= count and (len(seen) == expected or not settled))
    if settled:
        await until_kept(path, count)
    os.kill(child, signal.SIGKILL)
    assert nursery.status() == -signal.SIGKILL
    record, events = await look(path)
    assert (record.status, record.owned) == ("running", False)
    asked = prompts(models.requests)
    return Killed(record.run_id, asked, recorded(events))


async def waiting(models: ModelServer, predicate: Callable[[tuple[Received, ...]], bool]) -> None:
    await anyio.to_thread.run_sync(models.wait_for, predicate, 10.0)


@pytest.mark.parametrize("count", range(CALLS))
async def test_a_process_that_is_killed_after_any_answer_has_paid_for_nothing_in_vain(
    nursery: Nursery, models: ModelServer, path: Path, count: int
) -> None:
    first = await killed(nursery, models, path, count, settled=True)
    trace, second = await resumed(served(models.url), path, first.run_id)
    assert first.answered.total() == count
    assert second & first.answered == Counter()
    assert second.total() == CALLS - count
    assert (first.asked | second).total() == CALLS
    assert_whole(trace)


@pytest.mark.parametrize("count", [2, 9, 18])
async def test_a_process_that_is_killed_while_answers_come_in_pays_again_for_those_on_their_way_alone(
    nursery: Nursery, models: ModelServer, path: Path, count: int
) -> None:
    first = await killed(nursery, models, path, count, settled=False)
    trace, second = await resumed(served(models.url), path, first.run_id)
    under_way = first.asked - first.answered
    assert under_way.total() <= WIDTH
    assert second & first.answered == Counter()
    assert first.asked.total() + second.total() == CALLS + under_way.total()
    assert_whole(trace)


@pytest.mark.parametrize(("number", "owners"), [(signal.SIGTERM, 0), (signal.SIGKILL, 1)])
async def test_a_run_of_a_server_that_is_gone_is_gone_on_with_by_waiting_for_it_at_another(
    models: ModelServer, path: Path, number: signal.Signals, owners: int
) -> None:
    expected = answers(models, served(models.url), 8)
    file = served_file(models.url, path.parent)
    with ServerProcess("--config", str(file), "--journal", str(path)) as server:
        server.initialize()
        asked = server.ask(1, "tools/call", name=POOL, arguments={"question": "Why?", "wait_s": 0})
        run_id = asked["result"]["structuredContent"]["run_id"]
        await waiting(models, lambda seen: len(seen) == expected)
        await until_kept(path, 8)
        server.signal(number)
        assert server.ended() != 0
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(owner) FROM runs WHERE status = 'running'").fetchall() == [(owners,)]
    _, events = await look(path)
    first, known = prompts(models.requests), recorded(events)
    models.clear()
    for model in models_of(served(models.url).pipelines[POOL]):
        models.script(model)
    changed = parse('[models]\nm.routes = ["openai/m"]\n' + pipe('{ step = "propose", agents = ["m"] }'))
    with anyio.fail_after(30):
        async with Client(App(changed, journal=SQLiteJournal(path)).server, read_timeout_seconds=25) as client:
            left = content(await client.call_tool("moa_trace", {"run_id": run_id}))
            result = content(await client.call_tool("moa_wait", {"run_id": run_id, "wait_s": 20}))
            again = content(await client.call_tool("moa_wait", {"run_id": run_id}))
    second = prompts(models.requests)
    assert left["status"] == "running"
    assert (result["status"], result["pipeline"]) == ("complete", POOL)
    assert again == result
    assert known.total() == 8
    assert second & known == Counter()
    assert second.total() == CALLS - 8
    assert first.total() == expected


async def test_a_process_that_slept_while_another_took_its_run_over_stops_and_writes_nothing(
    nursery: Nursery, models: ModelServer, path: Path
) -> None:
    expected = answers(models, served(models.url), 9)
    said = path.with_name("said")
    sleeper = nursery.start(SLEEPER, "sleeper", served_file(models.url, path.parent), path, said)
    await waiting(models, lambda seen: len(seen) == expected)
    await until_kept(path, 9)
    os.kill(sleeper, signal.SIGSTOP)
    await until(lambda: lease_until(path) < time.time())
    record, events = await look(path)
    trace, second = await resumed(served(models.url), path, record.run_id)
    assert second & recorded(events) == Counter()
    assert second.total() == CALLS - 9
    assert_whole(trace)

    finished = await look(path)
    os.kill(sleeper, signal.SIGCONT)
    assert await anyio.to_thread.run_sync(nursery.status) == 0
    assert said.read_text("utf-8") == "running True"
    assert await look(path) == finished
    assert len(models.requests) == expected
    await waiting(models, lambda seen: sum(request.disconnected for request in seen) == expected - 9)


@pytest.mark.parametrize(("resume", "goes_on"), [("on-request", False), ("auto", True)])
async def test_a_server_that_starts_goes_on_with_nothing_by_itself_unless_it_is_told_to(
    nursery: Nursery, models: ModelServer, path: Path, resume: str, goes_on: bool
) -> None:
    first = await killed(nursery, models, path, 8, settled=True)
    model = ScriptedModel()
    config = parse(served_text(models.url).replace("[defaults]", f'[defaults]\nresume = "{resume}"'))
    app = App(config, backend=runs_of(model).backend, journal=SQLiteJournal(path))
    with anyio.fail_after(10):
        async with Client(app.server) as client:
            await client.list_tools()
            if goes_on:
                await until(lambda: kept(path) == CALLS)
            await client.call_tool("moa_trace", {"run_id": first.run_id})
            await app.runs.idle()
            trace = await app.runs.trace(first.run_id)
    assert len(model.calls) == (CALLS - 8 if goes_on else 0)
    assert trace.status == ("complete" if goes_on else "running")
