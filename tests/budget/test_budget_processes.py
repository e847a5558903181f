"""Runs of several processes under one cap for the day: they wait in one line, and a dead process holds nothing."""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.support.lives import until
from tests.support.model_server import Held, ModelServer, Reply
from tests.support.nursery import Nursery
from tests.support.serving import ServerProcess

CAP = 3 * 10**9
"""Nanodollars a day."""
CONFIG = """
limits.attempts = 1
budget.max_cost_usd_per_day = 3
[defaults]
max_tokens = 100
{models}
[pipelines.small]
steps = [{{ step = "propose", agents = ["a"] }}]
[pipelines.two]
steps = [{{ step = "propose", agents = ["a", "a"] }}, {{ step = "synthesize", agents = ["c"] }}]
[pipelines.large]
steps = [{{ step = "propose", agents = ["b"], max_tokens = 400 }}]
[pipelines.largest]
steps = [{{ step = "propose", agents = ["b"], max_tokens = 560 }}]
"""
MODEL = (
    '[models.{name}]\nroutes = [{{ model = "openai/{name}", api_base = "{url}", '
    "usd_per_million = {{ prompt = {prompt}, completion = 5000 }} }}]\n"
)
CHEAP = Reply("Yes.", usage={"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12})
"""It takes 2 cents of the half a dollar that is held for it; of a large run, 2 dollars are held."""


class Team:
    """Servers on one journal that share a cap for the day."""

    def __init__(self, nursery: Nursery, models: ModelServer, folder: Path) -> None:
        prices = {"a": 1000, "b": 1000, "c": 10}  # per million tokens of prompt
        tables = "".join(MODEL.format(name=name, url=models.url, prompt=price) for name, price in prices.items())
        self._config, self.path = folder / "team.toml", folder / "journal.sqlite"
        self._config.write_text(CONFIG.format(models=tables))
        self._nursery = nursery
        self.models = models
        self._sent = 0
        for name in "abc":
            models.script(name, CHEAP)

    @contextmanager
    def servers(self, count: int) -> Iterator[list[ServerProcess]]:
        options = ("--config", str(self._config), "--journal", str(self.path))
        with ExitStack() as stack:
            servers = [stack.enter_context(ServerProcess(*options, nursery=self._nursery)) for _ in range(count)]
            for server in servers:
                server.initialize()
            yield servers

    def send(self, server: ServerProcess, tool: str, **arguments: Any) -> int:
        self._sent += 1
        server.send(id=self._sent, method="tools/call", params={"name": tool, "arguments": arguments})
        return self._sent

    def call(self, server: ServerProcess, tool: str, **arguments: Any) -> dict[str, Any]:
        result = server.answer(self.send(server, tool, **arguments))["result"]
        content: dict[str, Any] = result["structuredContent"]
        return content | {"text": result["content"][0]["text"]}

    def begin(self, server: ServerProcess, pipeline: str, says: str = "") -> str:
        """Begin a run, and return its ID when it says that."""
        run_id: str = self.call(server, pipeline, question="Why?", wait_s=0)["run_id"]
        until(lambda: says in self.call(server, "moa_wait", run_id=run_id, wait_s=0)["text"])
        return run_id

    def end(self, server: ServerProcess, run_id: str) -> str:
        status: str = self.call(server, "moa_wait", run_id=run_id, wait_s=20)["status"]
        return status

    def answers(self) -> int:
        """Return how many answers are on record."""
        with closing(sqlite3.connect(self.path)) as db:
            return sum(body.count('"kind":"attempt_finished"') for (body,) in db.execute("SELECT body FROM events"))

    def stopped(self, server: ServerProcess) -> bool:
        """Stop a process, unless it writes the journal right now, which the others could not do then."""
        server.signal(signal.SIGSTOP)
        with closing(sqlite3.connect(self.path, timeout=0)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                server.signal(signal.SIGCONT)
                return False
        return True

    def committed(self) -> int:
        """Return the nanodollars that all runs have committed today."""
        with closing(sqlite3.connect(self.path)) as db:
            ((committed,),) = db.execute("SELECT coalesce(sum(nanodollars), 0) FROM spending WHERE day = date('now')")
        return int(committed)


@pytest.fixture
def team(nursery: Nursery, tmp_path: Path) -> Iterator[Team]:
    with ModelServer() as models:
        yield Team(nursery, models, tmp_path)


def test_forty_runs_begun_at_once_in_two_processes_are_complete_if_what_they_take_fits(team: Team) -> None:
    most, over = [0], Event()

    def look() -> None:
        while not over.wait(0.02):
            most.append(team.committed())

    with team.servers(2) as servers:
        first = [(server, team.begin(server, "small")) for server in servers]
        watch = Thread(target=look)
        watch.start()
        sent = [(servers[at % 2], team.send(servers[at % 2], "small", question="Why?", wait_s=60)) for at in range(38)]
        ended = Counter(server.answer(number)["result"]["structuredContent"]["status"] for server, number in sent)
        ended.update(team.end(*each) for each in first)
        over.set()
        watch.join()
    assert ended == {"complete": 40}
    assert max(most) <= CAP
    assert team.committed() == 40 * 20_000_000
    assert len(team.models.requests) == 40


def test_runs_of_all_processes_start_in_their_order_though_a_later_one_would_fit(team: Team) -> None:
    team.models.script("a", Held(), Held(), CHEAP)
    with team.servers(2) as (here, there):
        first = [team.begin(here, "small"), team.begin(here, "small")]
        team.models.wait_for(lambda seen: len(seen) == 2)
        third = team.begin(here, "small")
        large = team.begin(there, "largest", "waiting for other runs, which hold $1.0")
        later = team.begin(here, "small", "waiting for")
        assert team.end(here, third) == "complete"
        assert [each.model for each in team.models.requests] == ["a"] * 3
        team.models.release()
        assert {team.end(here, each) for each in (*first, later)} == {"complete"}
        assert team.end(there, large) == "complete"
    assert [each.model for each in team.models.requests] == ["a", "a", "a", "b", "a"]


def test_a_run_that_waits_and_is_cancelled_lets_those_of_other_processes_pass(team: Team) -> None:
    team.models.script("a", Held(), Held(), CHEAP)
    with team.servers(2) as (here, there):
        first = [team.begin(here, "small"), team.begin(here, "small")]
        team.models.wait_for(lambda seen: len(seen) == 2)
        large = team.begin(there, "largest", "waiting for other runs")
        later = team.begin(here, "small", "waiting for")
        team.call(there, "moa_cancel", run_id=large)
        assert team.end(here, later) == "complete"
        assert team.end(there, large) == "cancelled"
        team.models.release()
        assert {team.end(here, each) for each in first} == {"complete"}
    assert [each.model for each in team.models.requests] == ["a"] * 3


def test_what_a_killed_process_held_and_had_not_sent_comes_back_to_a_run_that_waits(team: Team) -> None:
    team.models.script("a", CHEAP, Held())
    with team.servers(2) as (here, there):
        left = team.begin(here, "two")
        team.models.wait_for(lambda seen: len(seen) == 2 and seen[0].finished)
        large = team.begin(there, "large", "waiting for other runs")
        here.signal(signal.SIGKILL)
        here.ended()
        assert team.end(there, large) == "complete"
        spent = team.committed()
        assert 500_000_000 < spent - 2 * 20_000_000 < 700_000_000  # the call in progress may have been billed
        team.models.script("a", CHEAP)
        assert team.call(there, "moa_resume", run_id=left)["answer"] == "Yes."
    assert spent < team.committed() < spent + 50_000_000


def test_what_a_run_held_comes_back_though_it_was_cancelled_elsewhere_before_its_process_was_killed(team: Team) -> None:
    team.models.script("a", CHEAP, Held())
    with team.servers(2) as (here, there):
        left = team.begin(here, "two")
        team.models.wait_for(lambda seen: len(seen) == 2 and seen[0].finished)
        until(lambda: team.answers() == 1)
        until(lambda: team.stopped(here))  # it does not learn of it
        team.call(there, "moa_cancel", run_id=left)
        here.signal(signal.SIGKILL)
        here.ended()
        assert team.call(there, "large", question="Why?", wait_s=20)["status"] == "complete"
        assert team.end(there, left) == "cancelled"
    assert 500_000_000 < team.committed() - 2 * 20_000_000 < 700_000_000  # the call in progress may have been billed
