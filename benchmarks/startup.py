"""How long a host waits for the server: from spawning it to its first answer, beside bare servers.

Run it as `python benchmarks/startup.py [--rounds 15]`. The source tree is installed without extras into an environment
of its own. The bare servers are one of the same SDK there, and one of fastmcp in another environment. Rounds alternate
between the servers; medians and their ratio are printed. The limit is 1.3 times the bare server of the SDK. A start
that other work on the machine disturbed is repeated; a result from disturbed starts alone says so and exceeds no limit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from environment import python_with, python_with_project
from quiet import Round, disturbed, mark, undisturbed, until_quiet, verdict

BARE = """
import anyio, mcp_types as t
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
async def tools(context, params): return t.ListToolsResult(tools=[])
server = Server("bare", version="1", on_list_tools=tools)
async def main():
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
anyio.run(main)
"""

FASTMCP = """
from fastmcp import FastMCP
FastMCP("bare").run(show_banner=False)
"""

BASE = "bare mcp low-level server"
SERVERS: dict[str, list[str]] = {
    BASE: ["-c", BARE],
    "moa-mcp serve": ["-m", "moa_mcp", "serve"],
    "moa-mcp serve --offline": ["-m", "moa_mcp", "serve", "--offline"],
}
"""By name, the arguments of the interpreter of an installation."""
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    },
}
LIMIT = 1.3


def first_answer_s(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """Return the seconds from spawn to the answer to `initialize`. The source tree is not on the path."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ, cwd=os.sep
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        seconds = time.perf_counter() - began
        assert "result" in answer, answer
        process.kill()
    return seconds


def quiet_start(command: Sequence[str], environ: Mapping[str, str]) -> tuple[float, Round]:
    """Start a server until nothing else disturbs it, a few times at most."""
    seconds, start = 0.0, Round()
    for start in until_quiet():
        with start:
            seconds = first_answer_s(command, environ)
    return seconds, start


def main() -> int:
    """Measure and print; 1 if the limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    python = python_with_project()
    servers = {name: [python, *arguments] for name, arguments in SERVERS.items()}
    servers["bare fastmcp server"] = [python_with("fastmcp"), "-c", FASTMCP]
    starts: dict[str, list[tuple[float, Round]]] = {name: [] for name in servers}
    with tempfile.TemporaryDirectory() as compiled:  # as an installation has it, even where a source tree is run
        environ = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}
        for command in servers.values():
            first_answer_s(command, environ)  # bytecode and page cache
        for _ in range(rounds):
            for name, command in servers.items():
                starts[name].append(quiet_start(command, environ))
    bare, *_ = (statistics.median(undisturbed(each)) for each in starts.values())
    print(f"| server | first answer, median of {rounds} | against bare | disturbed |\n|---|---|---|---|")
    ratios = {name: statistics.median(undisturbed(each)) / bare for name, each in starts.items()}
    rounds_of = {name: [each for _, each in of_server] for name, of_server in starts.items()}
    for name, ratio in ratios.items():
        print(f"| {name} | {ratio * bare * 1e3:.0f} ms | {ratio:.2f} | {mark(rounds_of[name])} |")
    unclear = [name for name, each in rounds_of.items() if disturbed(each)]
    limited = () if BASE in unclear else (name for name in ratios if name.startswith("moa-mcp") and name not in unclear)
    return verdict((name for name in limited if ratios[name] > LIMIT), unclear)


if __name__ == "__main__":
    sys.exit(main())
