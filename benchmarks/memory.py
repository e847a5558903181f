"""Memory: what a call takes while it is in progress, and whether a server grows.

Run it as `python benchmarks/memory.py [--hour 240]`. First, 167 concurrent runs of together_moa have 1002 calls in
progress; resident memory while all of them wait, less that before, stands for a call, here and by others, which did
the same before with a twentieth as many, so that what is loaded once does not count. The height of the later layers,
whose prompts of 13 kB each are texts and not overhead, stands beside it. Then `moa-mcp serve`, with half of its models
through litellm, does two hours' work over MCP: 240 runs each, one every 15 seconds, as fast as it can; its resident
memory after the first, when its caches are filled, is compared with that after the second. 1 is the exit code where a
limit is passed. Other work on the machine delays calls, so that fewer wait at once: such a measurement is repeated, and
passes no limit if it was disturbed each time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from contenders import CALLS, LAYERS, MODELS, QUESTION, Done, Process, resident_kb
from quiet import Round, mark, until_quiet, verdict
from server import Server, serving

MOST_KB = 40
WAIT_S = 5.0
MOST_GROWTH_KB = 1024
"""By so much resident memory may waver without having grown."""
RUNS = -(-1000 // len(LAYERS[0]))
AT_ONCE = 4
CONFIGURATION = """
[pipelines.panel]
title = "Panel"
description = "For the benchmark."
steps = [{steps}]
"""


def watched_runs(name: str) -> tuple[Done, int]:
    """Do the runs of a contender; return what came of them, and the highest number of concurrent calls."""
    with serving(WAIT_S) as server, Process(name, server.base) as process:
        process.runs(RUNS // 20, RUNS // 20)
        server.report()
        done = process.runs(RUNS, RUNS, watch_s=WAIT_S)
        at_once = server.report().most_at_once
    if done.failures:
        raise SystemExit(f"{name}: {len(done.failures)} runs failed: {done.failures[0]}")
    return done, at_once


def quietly(name: str) -> tuple[Done, int, Round]:
    """Do the runs of a contender until nothing else disturbs them, a few times at most."""
    done, at_once, watched = Done(0, 0, (), (), 0, 0, 0), 0, Round()
    for watched in until_quiet():
        with watched:
            done, at_once = watched_runs(name)
    return done, at_once, watched


def in_flight(exceeded: list[str], unclear: list[str]) -> None:
    """Measure what a call takes while it is in progress, print it, and add to the lists what passes a limit."""
    print("| client | concurrent calls | memory before | while they wait | per call | peak | per call ", end="")
    print("| disturbed |\n|---|---|---|---|---|---|---|---|")
    for name in ("raw aiohttp", "moa-mcp", "litellm.acompletion"):
        done, at_once, watched = quietly(name)
        first_kb, most_kb = ((kb - done.idle_kb) / at_once for kb in (done.first_kb, done.most_kb))
        if name == "moa-mcp" and (first_kb > MOST_KB or at_once < 1000):
            (unclear if watched.disturbed else exceeded).append("memory of a call in progress")
        cells = f"{done.first_kb / 1024:.0f} MB | {first_kb:.0f} kB | {done.most_kb / 1024:.0f} MB | {most_kb:.0f} kB"
        print(f"| {name} | {at_once} | {done.idle_kb / 1024:.0f} MB | {cells} | {mark([watched])} |", flush=True)


class Client:
    """An MCP client over stdio, as small as can be."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._ids = count(1)

    def send(self, method: str, **params: object) -> int:
        """Send a request and return its id."""
        number = next(self._ids)
        self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return number

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return the next answer to a request."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "id" in message and "method" not in message:
                return dict(message)
        raise SystemExit("the server ended")

    def initialize(self) -> None:
        """Begin the session."""
        client = {"name": "benchmark", "version": "1"}
        self.send("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
        self.answer()
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def runs(self, runs: int) -> None:
        """Do runs, a few at once."""
        left = iter(range(runs))
        under_way = [self._start() for _ in range(AT_ONCE) if next(left, None) is not None]
        while under_way:
            answer = self.answer()
            under_way.remove(answer["id"])
            assert answer["result"]["structuredContent"]["status"] == "complete", answer
            if next(left, None) is not None:
                under_way.append(self._start())

    def _start(self) -> int:
        return self.send("tools/call", name="panel", arguments={"question": QUESTION})


@contextmanager
def moa_server(models: Server) -> Generator[tuple[Client, int]]:
    """Run the server with both transports in use; yield a client and the server's process id."""
    azure = [f"azure/{name}" for name in MODELS[:3]]
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "pipelines.toml"
        configuration.write_text(_configuration(models, azure), encoding="utf-8")
        environ = {
            **os.environ,
            "AZURE_API_BASE": models.address,
            "AZURE_API_KEY": "sk-benchmark",
            "AZURE_API_VERSION": "2025-01-01",
        }
        journal = Path(folder) / "journal.sqlite"
        command = [sys.executable, "-m", "moa_mcp", "serve", "--config", str(configuration), "--journal", str(journal)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
        ) as process:
            try:
                yield Client(process), process.pid
            finally:
                process.kill()


def _configuration(models: Server, azure: list[str]) -> str:
    routes = {name: {"model": name} for name in azure}
    routes |= {name: {"model": f"openai/{name}", "api_base": models.base} for name in MODELS[3:]}
    tables = "".join(
        f'[models."{name.replace("/", "-")}"]\nroutes = [{{ {_pairs(route)} }}]\n' for name, route in routes.items()
    )
    agents = json.dumps([name.replace("/", "-") for name in routes])
    steps = f'{{ step = "propose", agents = {agents} }}, '
    steps += f'{{ step = "synthesize", agents = {agents} }}, ' * 2
    steps += f'{{ step = "aggregate", agent = {json.dumps(azure[0].replace("/", "-"))} }}'
    text = tables + CONFIGURATION.format(steps=steps)
    tomllib.loads(text)
    return text


def _pairs(route: dict[str, str]) -> str:
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in route.items())


def hour(runs: int) -> bool:
    """Measure how much a server grows in an hour's work, and print it."""
    with serving(0.0) as models, moa_server(models) as (client, pid):
        client.initialize()
        seen: list[int] = []
        print(f"\n| `moa-mcp serve` after runs | resident |\n|---|---|\n| 0 | {resident_kb(pid) / 1024:.1f} MB |")
        for part in range(8):
            client.runs(runs // 4)
            seen.append(resident_kb(pid))
            print(f"| {runs // 4 * (part + 1)} | {seen[-1] / 1024:.1f} MB |", flush=True)
        requests = models.report().requests
    grown = seen[-1] - seen[3]
    print(f"\n{requests} calls; {grown / 1024:+.1f} MB in the last {runs} runs, {runs * CALLS} calls.")
    return grown <= MOST_GROWTH_KB


def main() -> int:
    """Measure and print; 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hour", type=int, default=240, help="runs that an hour sees")
    given = parser.parse_args()
    exceeded: list[str] = []
    unclear: list[str] = []
    in_flight(exceeded, unclear)
    if not hour(given.hour):
        exceeded.append("growth of a server")
    return verdict(exceeded, unclear)


if __name__ == "__main__":
    sys.exit(main())
