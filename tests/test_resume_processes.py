"""Processes that are killed, stopped or put to sleep while they drive a run over HTTP, and what others do with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.to_thread
import pytest

from moa_mcp.backend import real
from moa_mcp.config import Config, models_of
from moa_mcp.errors import RunHeld
from moa_mcp.events import AttemptFinished, CallStarted, Event
from moa_mcp.journal import RunRecord
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.runs import Runs
from moa_mcp.trace import Trace
from tests.model_server import Hang, ModelServer, Received, Reply
from tests.served import served, served_file

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, so that each need not load litellm"),
]

WIDTH, LAYERS = 6, 3
CALLS = WIDTH * LAYERS + 1
"""How many calls together_moa makes: three layers of six, and one that aggregates."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


NURSERY = """
import json, os, sys
import moa_mcp.__main__, moa_mcp.cli.ask, moa_mcp.journal.sqlite, moa_mcp.providers.litellm
moa_mcp.providers.litellm._imported()
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
from moa_mcp import runs as module
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
        replies = [Reply(lambda body, turn=turn: f"{body['model']} {turn}") for turn in turns if turn < count]
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


async def resumed(config: Config, path: Path, run_id: str) -> Trace:
    backend, _, _ = real(config.models, os.environ)
    with anyio.fail_after(20):
        async with Runs(config, backend, SQLiteJournal(path)).open() as runs:
            run = await runs.resume(run_id)
            await run.ended.wait()
            with pytest.raises(RunHeld):
                await runs.resume(run_id)
    return run.trace


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


@pytest.mark.parametrize("count", range(CALLS))
async def test_a_process_that_is_killed_after_any_answer_has_paid_for_nothing_in_vain(
    nursery: Nursery, models: ModelServer, path: Path, count: int
) -> None:
    config = served(models.url)
    file = served_file(models.url, path.parent)
    expected = answers(models, config, count)
    options = ("--config", file, "--journal", path, path.with_name("output"))
    child = nursery.start(ASK, "moa-mcp", "ask", "together_moa", "Why?", "-q", *options)
    await anyio.to_thread.run_sync(
        models.wait_for, lambda seen: finished(seen) == count and len(seen) == expected, 10.0
    )
    os.kill(child, signal.SIGKILL)
    assert nursery.status() == -signal.SIGKILL
    first = models.requests
    record, events = await look(path)
    kept = recorded(events)
    assert (record.status, record.owned) == ("running", False)
    assert kept.total() in {count, count - 1}  # the last answer may have been on its way
    assert prompts(first).total() == expected

    models.clear()
    for model in {request.model for request in first}:
        models.script(model)
    trace = await resumed(config, path, record.run_id)
    second = prompts(models.requests)
    assert second & kept == Counter()
    assert second.total() == CALLS - kept.total()
    assert prompts(first).total() + second.total() == CALLS + (expected - kept.total())
    assert_whole(trace)
