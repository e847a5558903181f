"""Processes that drive a run of together_moa at a model server, and what its ledger and the journal tell of them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from moa_mcp.config import load, models_of, shipped
from moa_mcp.events import AttemptFinished, AttemptStarted, CallStarted, Event
from moa_mcp.journal import RunRecord
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.runs import traced
from moa_mcp.steps.panel import panel_member
from moa_mcp.trace.trace import Trace
from tests.support.model_server import Hang, ModelServer, Received, Reply
from tests.support.nursery import Forked, Nursery
from tests.support.served import served_file
from tests.support.serving import ServerProcess, Wire

POOL = "together_moa"
WIDTH, LAYERS = 6, 3
CALLS = WIDTH * LAYERS + 1
"""How many calls together_moa makes: three layers of six, and one that aggregates."""
NAMES = tuple(name for name in models_of(load(shipped()).pipelines[POOL]) if not panel_member(name))
AGGREGATOR = "qwen1.5-110b-chat"
QUESTION = {"question": "Why?"}


@dataclass(frozen=True)
class Machine:
    """A computer whose processes have one configuration and one journal, with models at a model server."""

    nursery: Nursery
    models: ModelServer
    folder: Path

    def __post_init__(self) -> None:
        served_file(self.models.url, self.folder)

    @property
    def path(self) -> Path:
        """The journal."""
        return self.folder / "journal.sqlite"

    @property
    def options(self) -> tuple[str, ...]:
        return ("--config", str(self.folder / "pipelines.toml"), "--journal", str(self.path))

    @property
    def _environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": os.devnull}

    def serve(self, *arguments: str, prelude: str = "") -> ServerProcess:
        return ServerProcess(*self.options, *arguments, nursery=self.nursery, prelude=prelude)

    def start(self, *arguments: str, prelude: str = "") -> Forked:
        """Start a command."""
        return self.nursery.start(*self.options, *arguments, environ=self._environ, prelude=prelude)

    def run(self, *arguments: str, prelude: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self.nursery.run(*self.options, *arguments, environ=self._environ, prelude=prelude)

    def answers(self, count: int) -> None:
        """Answer the first calls of together_moa and no more, in its order: all of a layer before the next one."""
        order = [*NAMES * LAYERS, AGGREGATOR]
        for name in NAMES:
            turns = [turn for turn, model in enumerate(order) if model == name]
            replies = [Reply(f"{name} {turn}") for turn in turns if turn < count]
            self.models.script(name, *replies, Hang())

    def answers_all(self) -> None:
        """Answer everything from now on, and count requests from here."""
        self.models.clear()
        for name in NAMES:
            self.models.script(name)

    def waits(self, predicate: Callable[[tuple[Received, ...]], bool]) -> None:
        """Return when it holds of the requests."""
        self.models.wait_for(predicate, 20)

    def settles(self, count: int) -> None:
        """Return when so many answers are on record and all is asked that can be without another."""
        self.waits(lambda seen: len(seen) == min(CALLS, (count // WIDTH + 1) * WIDTH))
        until(lambda: self.kept() == count)

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as db:
            return db.execute(sql).fetchall()

    def kept(self) -> int:
        """Return how many answers are on record."""
        return sum(body.count('"kind":"attempt_finished"') for (body,) in self.select("SELECT body FROM events"))

    def look(self) -> tuple[RunRecord, tuple[Event, ...]]:
        """Return the only run on record and what happened in it."""

        async def work() -> tuple[RunRecord, tuple[Event, ...]]:
            journal = SQLiteJournal(self.path)
            (record,) = await journal.records()
            events = (await journal.events(record.run_id)).events
            await journal.close()
            return record, events

        return anyio.run(work)

    @property
    def asked(self) -> Counter[str]:
        """What the model server was asked, and how often."""
        return Counter(
            _prompt(each.model, [(m["role"], m["content"]) for m in each.body["messages"]])
            for each in self.models.requests
        )

    @property
    def trace(self) -> Trace:
        """The only run on record."""
        return traced(*self.look())


def begun(server: ServerProcess) -> str:
    """Shake hands with a server on stdio and start a run; return its id."""
    server.initialize()
    run_id: str = called(server, 1, POOL, **QUESTION, wait_s=0)["run_id"]
    return run_id


def called(server: ServerProcess, number: int, tool: str, **arguments: object) -> Wire:
    """Call a tool of a server on stdio; return the structured content of its result."""
    answer = server.ask(number, "tools/call", name=tool, arguments=arguments)
    content: Wire = answer["result"]["structuredContent"]
    return content


def _prompt(model: str, messages: Any) -> str:
    return json.dumps([model, [list(message[:2]) for message in messages]])


def sent(events: tuple[Event, ...]) -> Counter[str]:
    """Return what is on record as gone out."""
    return _of(events, AttemptStarted)


def answered(events: tuple[Event, ...]) -> Counter[str]:
    """Return what was asked and has its answer on record."""
    return _of(events, AttemptFinished)


def _of(events: tuple[Event, ...], kind: type[AttemptStarted | AttemptFinished]) -> Counter[str]:
    asked = {event.place: event for event in events if isinstance(event, CallStarted)}
    calls = [asked[event.place] for event in events if isinstance(event, kind)]
    return Counter(_prompt(call.agent, call.messages) for call in calls)


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


def until(predicate: Callable[[], bool]) -> None:
    """Return when it holds; a file can't tell of its changes, so it is asked again and again."""
    last = time.monotonic() + 10
    while not predicate():
        assert time.monotonic() < last
        time.sleep(0.01)
