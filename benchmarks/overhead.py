"""What a model call costs beside the model: CPU and wall time of together_moa, by moa-mcp and by others.

Run it as `python benchmarks/overhead.py [--at-once 1 16 64 256] [--rounds 5]`. A model server in a process of its own
answers each call after 500 ms, so that the critical path of a run is 2 s: four layers. Beside moa-mcp over an
OpenAI-compatible API and through litellm, with journal and budget, stand mixture-llm 0.1.3 with the litellm client of
its README, plain litellm.acompletion, and raw aiohttp, which do the same calls in the same layers. Raw aiohttp is what
its documentation shows, `post(json=...)` and `json()`; with orjson in their place it is the least that a call can cost
here. Each is a process of its own; rounds alternate between them. Medians are printed, also of the ratios, each of two
neighbours in a round. 1 is the exit code where a limit is passed: see LIMITS. Runs that other work on the machine
disturbed are repeated; a result from disturbed ones alone says so and passes no limit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from contenders import CALLS, LAYERS, Done, Process
from quiet import Round as Watched
from quiet import mark, undisturbed, until_quiet, verdict
from server import Server, serving

LATENCY_S = 0.5
CRITICAL_S = LATENCY_S * len(LAYERS)
THOUSAND = -(-1000 // len(LAYERS[0]))
"""So many runs have a thousand concurrent calls."""
OURS, PEER, RAW = "moa-mcp", "mixture-llm", "raw aiohttp"
OURS_BY_LITELLM, LITELLM = "moa-mcp through litellm", "litellm.acompletion"
NAMES = (RAW, "raw aiohttp with orjson", OURS, LITELLM, OURS_BY_LITELLM, PEER)


class Round(NamedTuple):
    cpu_ms: float
    wall_s: float
    server_us: float
    late_ms: float
    watched: Watched


Rounds = Mapping[str, Sequence[Round]]
"""By contender."""


def measured(at_once: int, rounds: int) -> Rounds:
    """Return what each contender takes for so many concurrent runs."""
    seen: dict[str, list[Round]] = {name: [] for name in NAMES}
    with serving(LATENCY_S) as server, ExitStack() as stack:
        processes = {name: stack.enter_context(Process(name, server.base)) for name in NAMES}
        for process in processes.values():
            without_failures(process.runs(at_once, at_once))
        for _ in range(rounds):
            for name, process in processes.items():
                seen[name].append(measured_once(server, process, at_once))
    return seen


def measured_once(server: Server, process: Process, at_once: int) -> Round:
    """Measure until nothing else disturbs it, a few times at most."""
    measures, watched = (0.0, 0.0, 0.0, 0.0), Watched()
    for watched in until_quiet():
        with watched:
            server.report()
            done = without_failures(process.runs(max(at_once, 4), at_once))
            report = server.report()
        batches = max(at_once, 4) / at_once
        measures = done.cpu_ms, done.wall_s / batches, report.cpu_us, report.late_ms
    return Round(*measures, watched)


def median(rounds: Sequence[Round]) -> Sequence[float]:
    """Return the median of each measure, in the order of `Round`."""
    quiet = undisturbed([(each[:-1], each.watched) for each in rounds])
    return [*map(statistics.median, zip(*quiet, strict=True))]


def ratio(of: Rounds, ours: str, theirs: str) -> float:
    """Return the median ratio of CPU times, of rounds in which both were undisturbed if there are any."""
    pairs = [*zip(of[ours], of[theirs], strict=True)]
    quiet = [pair for pair in pairs if not any(each.watched.disturbed for each in pair)]
    return statistics.median(mine.cpu_ms / its.cpu_ms for mine, its in quiet or pairs)


def beyond(of: Rounds, ours: str, theirs: str) -> float:
    """Return the ratio of the median wall times that runs take beyond the critical path."""
    mine_s, its_s = (median(of[name])[1] - CRITICAL_S for name in (ours, theirs))
    return mine_s / its_s


def unclear(of: Rounds, names: Sequence[str]) -> bool:
    """Tell whether other work disturbed one of these contenders in every round."""
    together = zip(*(of[name] for name in names), strict=True)
    return all(any(each.watched.disturbed for each in one_round) for one_round in together)


def without_failures(done: Done) -> Done:
    """Return what is given. Exits where a call failed."""
    if done.failures:
        raise SystemExit(f"{len(done.failures)} of {len(done.run_s)} runs failed: {done.failures[0]}")
    return done


def thousand() -> bool:
    """Tell whether a thousand simultaneous calls are all answered."""
    with serving(2.0) as server, Process(OURS, server.base) as process:
        done = process.runs(THOUSAND, THOUSAND)
        report = server.report()
    print(f"\n{report.most_at_once} concurrent calls: {report.requests} answered, {len(done.failures)} runs failed.")
    return not done.failures and report.most_at_once >= 1000 and report.requests == THOUSAND * CALLS


class Limit(NamedTuple):
    most: float
    of: Callable[[Rounds], float]
    names: Sequence[str]
    """The contenders that it goes by."""
    at_once: int = 64


LIMITS: Mapping[str, Limit] = {
    "CPU time to raw aiohttp": Limit(3.0, lambda of: ratio(of, OURS, RAW), (OURS, RAW)),
    "CPU time to mixture-llm": Limit(0.25, lambda of: ratio(of, OURS, PEER), (OURS, PEER)),
    "CPU time through litellm to plain litellm": Limit(
        1.2, lambda of: ratio(of, OURS_BY_LITELLM, LITELLM), (OURS_BY_LITELLM, LITELLM)
    ),
    "wall time beyond the critical path to raw aiohttp": Limit(2.0, lambda of: beyond(of, OURS, RAW), (OURS, RAW)),
}
"""By what is compared. A slower machine delays every client, so wall time is compared with that of raw aiohttp: a run
may take 1.2 times the critical path where raw aiohttp takes 1.1 times."""


def main() -> int:
    """Measure and print; 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, nargs="*", default=[1, 16, 64, 256])
    given = parser.parse_args()
    print(f"Medians of {given.rounds} rounds; the critical path is {CRITICAL_S:g} s.\n")
    print(
        "| concurrent runs | client | CPU time per call | relative to raw HTTP | wall time "
        "| relative to the critical path | server: CPU time, p99 late | disturbed |"
    )
    print("|---|---|---|---|---|---|---|---|")
    seen: dict[int, Rounds] = {}
    for at_once in given.at_once:
        seen[at_once] = measured(at_once, given.rounds)
        for name, rounds in seen[at_once].items():
            (cpu_ms, wall_s, server_us, late_ms), to_raw = median(rounds), ratio(seen[at_once], name, RAW)
            cells = f"{cpu_ms:.2f} ms | {to_raw:.1f} | {wall_s:.2f} s | {wall_s / CRITICAL_S:.2f}"
            others = mark([each.watched for each in rounds])
            print(f"| {at_once} | {name} | {cells} | {server_us:.0f} µs, {late_ms:.0f} ms | {others} |", flush=True)
    print("\n| ratio, at 64 concurrent runs | at most | is |\n|---|---|---|")
    exceeded: list[str] = []
    unjudged: list[str] = []
    for name, limit in LIMITS.items():
        if (of := seen.get(limit.at_once)) is None:
            continue
        value = limit.of(of)
        print(f"| {name} | {limit.most:g} | {value:.2f} |")
        if unclear(of, limit.names):
            unjudged.append(name)
        elif value > limit.most:
            exceeded.append(name)
    if not thousand():
        exceeded.append("a thousand concurrent calls")
    return verdict(exceeded, unjudged)


if __name__ == "__main__":
    sys.exit(main())
