"""What the journal costs: runs of together_moa on record in SQLite, beside the same runs in memory.

Run it as `python benchmarks/journal.py [--rounds 5] [--at-once 1 32 256]`. Two models answer with the same 2 KB
texts: one at once, which shows the cost of a call alone, and one that takes its time, drawn by seed, which shows what
is left of the throughput. That time is 50 to 200 ms for up to 32 runs at once and grows with their number beyond, 0.4
to 1.6 s for 256: real calls take as long and longer, and the load offered stays one at which the engine and the
simulation alone, which share a core with the journal, keep it less than half busy. (Offered more than it can simulate,
any cost at all is taken from the throughput, and the simulation is what is measured.) The column "CPU load" of the
rows without a journal shows that.

Rounds alternate between the journals; medians are printed. The limits are 1 ms a call with the first model and 0.9 of
the throughput without a journal with the second; 1 is the exit code where one is passed. A round that other work on
the machine disturbed is repeated; a result from disturbed rounds alone says so and passes no limit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import anyio
from msgspec.structs import replace
from quiet import Round, disturbed, mark, undisturbed, until_quiet, verdict

from moa_mcp.config import Config, load, shipped
from moa_mcp.journal import Journal
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.middleware import Model
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import NewRun, Ready, Run, Runs
from moa_mcp.values import Call, Completion, Question, Target, Usage

LIMIT_MS = 1.0
LIMIT_RATIO = 0.9
CALLS = 19
WORDS = ("because", "therefore", "however", "since", "light", "air", "blue", "scatters", "the", "of", "more", "than")
QUESTION = Question("Why is the sky blue? " * 20)
JOURNALS: dict[str, Callable[[Path], Journal]] = {
    "none": lambda _: MemoryJournal(),
    "NORMAL": SQLiteJournal,
    "FULL": lambda path: SQLiteJournal(path, synchronous="FULL"),
}


def model(shortest_s: float, longest_s: float) -> Model:
    """Return a model that takes its time, as its seed and the call's place decide."""

    async def answer(call: Call) -> Completion:
        rng = Random(f"{call.seed}/{call.place}")
        text = " ".join(rng.choices(WORDS, k=350))
        if longest_s:
            await anyio.sleep(rng.uniform(shortest_s, longest_s))
        return Completion(text, call.agent, usage=Usage(500, 400))

    return answer


def paced(at_once: int) -> Model:
    """Return the model that takes its time, so much that the load which so many runs offer is never above 32 runs'."""
    slower = max(1.0, at_once / 32)
    return model(0.05 * slower, 0.2 * slower)


MODELS: dict[str, Callable[[int], Model]] = {"at once": lambda _: model(0, 0), "paced": paced}


async def usable(_: str) -> tuple[Target, ...]:
    return (Target("p/m", "p"),)


def unlimited() -> Config:
    """Return the shipped configuration without limits to what is under way."""
    config = load(shipped())
    return replace(
        config, limits=config.limits.model_copy(update={"concurrency": 10_000, "provider_concurrency": 10_000})
    )


class Taken(NamedTuple):
    """Seconds per call, by the clock and of CPU time."""

    clock: float
    cpu: float


async def taken(journal: Journal, answers: Model, at_once: int, runs_in_all: int) -> Taken:
    """Return what a call takes when so many runs are done, so many of them concurrently."""
    config = unlimited()
    pipeline = config.pipelines["together_moa"]
    seeds = iter(range(runs_in_all))
    runs = Runs(config, Backend(answers, lambda _: usable), journal)

    async def drive() -> None:
        for seed in seeds:
            admitted = await runs.admit(NewRun(pipeline=pipeline, question=QUESTION, seed=seed))
            assert isinstance(admitted, Ready), admitted
            run: Run = await runs.start(admitted)
            await run.ended.wait()
            assert run.trace.status == "complete", run.trace.error

    async with runs.open():
        clock, cpu = time.perf_counter(), time.process_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(at_once):
                tasks.start_soon(drive)
        calls = CALLS * runs_in_all
        return Taken((time.perf_counter() - clock) / calls, (time.process_time() - cpu) / calls)


def measured(name: str, answers: Model, at_once: int, runs_in_all: int, folder: Path | None = None) -> Taken:
    """Return what a call takes in one round, with a new file."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        return anyio.run(taken, JOURNALS[name](Path(own) / "journal.sqlite"), answers, at_once, runs_in_all)


def quietly(name: str, answers: Model, at_once: int, runs_in_all: int, folder: Path | None) -> tuple[Taken, Round]:
    """Measure as `measured` does, until nothing else disturbs it, a few times at most."""
    result, watched = Taken(0, 0), Round()
    for watched in until_quiet():
        with watched:
            result = measured(name, answers, at_once, runs_in_all, folder)
    return result, watched


def main() -> int:
    """Measure and print; 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, nargs="*", default=[1, 32, 256])
    parser.add_argument("--folder", type=Path, help="where the files are written; a place of the system's by default")
    given = parser.parse_args()
    exceeded: list[str] = []
    unclear: list[str] = []
    print(f"Medians of {given.rounds} rounds.\n")
    print(
        "| model | concurrent runs | journal | ms per call | more than none | CPU time more than none "
        "| throughput relative to none | CPU load | disturbed |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for kind, answers in MODELS.items():
        for at_once in given.at_once:
            rounds: dict[str, list[tuple[Taken, Round]]] = {name: [] for name in JOURNALS}
            for _ in range(given.rounds):
                for name, each in rounds.items():
                    runs_in_all = max(at_once, 10 if kind == "at once" else 1)
                    each.append(quietly(name, answers(at_once), at_once, runs_in_all, given.folder))
            medians = {
                name: Taken(*map(statistics.median, zip(*undisturbed(each), strict=True)))
                for name, each in rounds.items()
            }
            watched = {name: [each for _, each in of_journal] for name, of_journal in rounds.items()}
            none = medians["none"]
            for name, median in medians.items():
                more_ms, ratio = (median.clock - none.clock) * 1e3, none.clock / median.clock
                more_cpu_ms = (median.cpu - none.cpu) * 1e3
                cells = (
                    f"{median.clock * 1e3:.2f} | {more_ms:.2f} ms | {more_cpu_ms:.2f} ms | {ratio:.2f} "
                    f"| {median.cpu / median.clock:.0%}"
                )
                print(f"| {kind} | {at_once} | {name} | {cells} | {mark(watched[name])} |", flush=True)
                result = f"{name} with the model that answers {kind}, {at_once} concurrent runs"
                if disturbed(watched[name]) or disturbed(watched["none"]):
                    unclear.append(result)
                elif more_ms > LIMIT_MS if kind == "at once" else ratio < LIMIT_RATIO:
                    exceeded.append(result)
    return verdict(exceeded, unclear)


if __name__ == "__main__":
    sys.exit(main())
