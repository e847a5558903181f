"""A team whose processes are killed again and again: `python benchmarks/team.py [--runs 300] [--kills 15]`.

Two servers put runs into a queue in a PostgreSQL of its own, and three workers execute them: 7 calls each, at a model
server whose ledger has every request. One worker has a PID namespace of its own, as on another machine, where the
system allows it: its death shows only when its leases end. In a loop, `kill -9` ends a worker or a server, and another
one is started. Before that, models that answer at once show the calls per second, beside a single server with SQLite.

The exit code is 1 if a run is lost, a recorded answer is requested again, or a limit of time is exceeded: the lease and
2 s to take the runs of a dead worker over, 0.2 s (p95) until a run that another server cancels makes no more requests.
Times that other work on the machine disturbed say so and exceed no limit. It needs PostgreSQL's programs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any
from zlib import crc32

import anyio
import httpx2
from members import ROOT, Member, Team
from quiet import Round, mark, verdict
from server import serving

sys.path.insert(0, str(ROOT))

from moa_mcp.events import AttemptFinished, CallStarted
from moa_mcp.journal.postgres import LEASE_S, PostgresJournal
from tests.support.database import MISSING, Cluster, free_port, programs, rows
from tests.support.model_server import Hang, ModelServer, Reply
from tests.support.team import send

MODELS = {"a": 1.0, "b": 2.0, "c": 3.0}
"""Seconds until each answers in the loop of kills."""
CALLS = 7
COMPLETE = "complete"
AT_ONCE = 60
LATE_S = LEASE_S + 2
CANCELLED_S = 0.2
CANCELS = 40
IDLE_S = 10
DURABLE = ("fsync=on", "full_page_writes=on", "shared_buffers=128MB")


def configured(folder: Path, ledger: str, at_once: str) -> Path:
    """Write the configuration: a pipeline at the server with the ledger, and one at that which answers at once."""
    lines = ["limits = { concurrency = 10000, provider_concurrency = 10000 }", "defaults = { hedge = false }"]
    for pipeline, url, models in (("panel", ledger, MODELS), ("fast", at_once, ("x", "y", "z"))):
        lines += [f'models.{name}.routes = [{{ model = "openai/{name}", api_base = "{url}" }}]' for name in models]
        layers = [f'{{ step = "{step}", agents = {json.dumps([*models])} }}' for step in ("propose", "synthesize")]
        last = f'{{ step = "aggregate", agent = "{next(iter(models))}" }}'
        lines.append(f'pipelines.{pipeline} = {{ description = "x", steps = [{", ".join([*layers, last])}] }}')
    path = folder / "pipelines.toml"
    path.write_text("\n".join(lines))
    return path


def answer(body: dict[str, Any]) -> str:
    """Return an answer that only this call gets, and gets again if it is made again."""
    return f"Answer {crc32(json.dumps(body['messages']).encode())} of {body['model']}."


def called(urls: Iterable[str], tool: str, **arguments: object) -> dict[str, Any]:
    """Call a tool of one of the servers, as a client that tries the next one if there is no answer."""
    for url in urls:
        with suppress(httpx2.TransportError, ValueError, KeyError):
            content: dict[str, Any] = send(url, {}, "tools/call", name=tool, arguments=arguments).result[
                "structuredContent"
            ]
            return content
        time.sleep(0.1)
    raise AssertionError("there are no servers")


def asked(urls: Sequence[str], pipeline: str, number: int) -> str:
    """Start a run and wait for its end; return its status, or why it is lost."""
    turns = cycle(urls if number % 2 else urls[::-1])
    run_id = started(turns, pipeline, number)
    for _ in range(20):
        run = called(turns, "moa_wait", run_id=run_id, wait_s=15)
        if run["status"] not in {"running", "queued"}:
            return (
                "complete" if run["status"] == "complete" and run["answer"] else f"{run['status']}: {run.get('error')}"
            )
    return "never ended"


def started(urls: Iterable[str], pipeline: str, number: int) -> str:
    """Start a run and return its ID.

    Each try has words of its own: a server may be killed before it tells the ID of a run, which then goes on as well.
    """
    for attempt, url in enumerate(urls):
        with suppress(AssertionError):
            return str(called([url], pipeline, question=f"Question {number}, try {attempt}?", wait_s=0)["run_id"])
    raise AssertionError("there are no servers")


def all_asked(threads: ThreadPoolExecutor, urls: Sequence[str], pipeline: str, count: int) -> list[Future[str]]:
    return [threads.submit(asked, urls, pipeline, number) for number in range(count)]


def calls_per_s(threads: ThreadPoolExecutor, urls: Sequence[str], count: int) -> float:
    """Return the calls per second of so many runs, with models that answer at once."""
    for each in all_asked(threads, urls, "fast", AT_ONCE):  # processes load what they need at their first call
        each.result()
    began = time.monotonic()
    statuses = {each.result() for each in all_asked(threads, urls, "fast", count)}
    assert statuses == {COMPLETE}, statuses
    return CALLS * count / (time.monotonic() - began)


def in_one_process(threads: ThreadPoolExecutor, folder: Path, config: Path, count: int) -> float:
    """Return the calls per second of a single server that executes its runs and records them in SQLite."""
    options = ("--config", config, "--journal", folder / "runs.sqlite", "serve")
    alone = Member(folder / "alone.log", options, port=free_port())
    try:
        return calls_per_s(threads, [alone.url], count)
    finally:
        alone.kill()


def killed(team: Team, running: Sequence[Future[str]], kills: int) -> dict[bool, list[float]]:
    """Kill processes in turn while there are runs; return how long take-overs took, by whether elsewhere."""
    took: dict[bool, list[float]] = {False: [], True: []}
    victims = cycle([*team.workers, *team.servers])
    for member, _ in zip(victims, range(kills), strict=False):
        time.sleep(1.0)
        if all(each.done() for each in running):
            break
        name = member.owner
        member.kill()
        if not member.url and (seconds := team.taken_over_s(name, LATE_S + 10)) is not None:
            took[member.elsewhere].append(seconds)
        member.start()
    return took


async def _recorded(database: str) -> dict[str, float]:
    """Return the calls whose answers are on record, each with the time of its first answer."""
    journal = PostgresJournal(database)
    found: dict[str, float] = {}
    for record in await journal.records(limit=10_000):
        events = (await journal.events(record.run_id)).events
        started = {each.place: each for each in events if isinstance(each, CallStarted)}
        for each in events:
            if isinstance(each, AttemptFinished):
                call = started[each.place]
                key = _key(call.agent, [(message.role, message.content) for message in call.messages])
                found[key] = min(each.at, found.get(key, each.at))
    await journal.close()
    return found


def _key(model: str, messages: Iterable[tuple[str, Any]]) -> str:
    return json.dumps([model, *messages])


class Ledger:
    """What the model server was asked, beside what the journal has."""

    def __init__(self, models: ModelServer, recorded: Mapping[str, float]) -> None:
        offset = time.time() - time.monotonic()
        keys = [
            (_key(each.model, [(m["role"], m["content"]) for m in each.body["messages"]]), each)
            for each in models.requests
        ]
        self.requests = len(keys)
        self.again = sum(each.arrived + offset > recorded.get(key, float("inf")) for key, each in keys)
        """Requests that came after the answer was on record."""
        answered = Counter(key for key, each in keys if each.finished)
        self.twice = sum(count - 1 for count in answered.values())
        """Answers that were in flight when their process died."""


def cancelled_s(team: Team, models: ModelServer) -> list[float]:
    """Return the seconds from a cancel at one server until the requests of a run of the other one have ended."""
    models.script("*", Hang())
    for name in MODELS:
        models.script(name)
    took: list[float] = []
    for here, there in (team.clients, team.clients[::-1]) * (CANCELS // 2):
        models.clear()
        run_id = called(cycle([here]), "panel", question="Why?", wait_s=0)["run_id"]
        models.wait_for(lambda seen: len(seen) == len(MODELS), 20)
        began = time.monotonic()
        called(cycle([there]), "moa_cancel", run_id=run_id)
        models.wait_for(lambda seen: all(each.disconnected for each in seen), 20)
        took.append(time.monotonic() - began)
    return took


def idle_ms_per_s(members: Sequence[Member]) -> list[float]:
    before = [each.cpu_s() for each in members]
    time.sleep(IDLE_S)
    return [(each.cpu_s() - at) * 1e3 / IDLE_S for each, at in zip(members, before, strict=True)]


@contextmanager
def prepared() -> Iterator[tuple[Team, ModelServer, Path, Path]]:
    """Start everything; yield the team, the models with the ledger, a folder and the configuration."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = stack.enter_context(Cluster(*DURABLE))
        models = stack.enter_context(ModelServer())
        config = configured(folder, models.url, stack.enter_context(serving(0.0)).base)
        team = Team(folder, config, cluster.create())
        stack.callback(team.close)
        yield team, models, folder, config


def measured(runs: int, kills: int) -> int:
    """Measure and print; 1 if a limit is exceeded."""
    with prepared() as (team, models, folder, config), ThreadPoolExecutor(AT_ONCE) as threads:
        with Round() as quick:
            here = calls_per_s(threads, team.clients, runs)
            alone = in_one_process(threads, folder, config, runs)
        for name, seconds in MODELS.items():
            models.script(name, Reply(answer, delay_s=seconds))
        with Round() as loop:
            running = all_asked(threads, team.clients, "panel", runs)
            took = killed(team, running, kills)
            statuses = Counter(each.result() for each in running)
        ledger = Ledger(models, anyio.run(_recorded, team.database))
        unended = rows(team.database, "SELECT count(*) FROM moa.runs WHERE status <> 'complete'")[0][0]
        with Round() as cancelling:
            cancelled = cancelled_s(team, models)
        time.sleep(3)
        with Round() as idling:
            servers, workers = idle_ms_per_s(team.servers), idle_ms_per_s(team.workers)
        doubled = rows(team.database, "SELECT count(*) FROM moa.runs WHERE pipeline = 'panel'")[0][0] - runs - CANCELS
    lost = max(runs - statuses[COMPLETE], unended)
    p50, p95 = statistics.median(cancelled), statistics.quantiles(cancelled, n=20)[-1]
    slow = {name: max(each, default=0.0) for name, each in zip(("here", "elsewhere"), took.values(), strict=True)}
    print("| | result | limit | disturbed |")
    print("|---|---|---|---|")
    print(f"| runs lost, of {runs} | {lost} | 0 | |")
    print(f"| recorded answers requested again, of {CALLS * runs} | {ledger.again} | 0 | |")
    print(f"| answers in flight at a kill, paid twice | {ledger.twice} | | |")
    print(f"| runs started twice, since a server was killed before it told the ID | {doubled} | | |")
    for elsewhere, place in ((False, "the same machine"), (True, "another machine")):
        times = took[elsewhere]
        shown = f"{statistics.median(times):.1f} s, at most {max(times):.1f} s" if times else "not measured"
        print(f"| take-over on {place}, {len(times)} times | {shown} | {LATE_S:g} s | {mark([loop])} |")
    print(f"| cancel across servers, p50 | {p50 * 1e3:.0f} ms | | {mark([cancelling])} |")
    print(f"| cancel across servers, p95 | {p95 * 1e3:.0f} ms | {CANCELLED_S * 1e3:.0f} ms | {mark([cancelling])} |")
    print(f"| calls/s, 2 servers and 3 workers | {here:.0f} | | {mark([quick])} |")
    print(f"| calls/s, one process with SQLite | {alone:.0f} | | {mark([quick])} |")
    print(f"| ratio | {here / alone:.2f} | | {mark([quick])} |")
    for name, each in (("server", servers), ("worker", workers)):
        print(f"| idle CPU time of a {name} | {statistics.mean(each):.0f} ms/s | | {mark([idling])} |")
    if set(statuses) != {COMPLETE}:
        print(f"\nRuns that are not complete: {dict(statuses)}.")
    exceeded = ["runs lost"] * bool(lost) + ["recorded answers requested again"] * bool(ledger.again)
    timed = [("take-over", max(slow.values()) > LATE_S, loop), ("cancel", p95 > CANCELLED_S, cancelling)]
    exceeded += [name for name, late, each in timed if late and not each.disturbed]
    return verdict(exceeded, [name for name, late, each in timed if late and each.disturbed])


def main() -> int:
    """Measure and print; 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--kills", type=int, default=15)
    given = parser.parse_args()
    if programs() is None:
        print(MISSING, file=sys.stderr)
        return 2
    return measured(given.runs, given.kills)


if __name__ == "__main__":
    sys.exit(main())
