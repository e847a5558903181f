"""What one model call costs in CPU time over each transport, beside the bare clients that they use.

Run it as `python benchmarks/transport.py [--rounds 5] [--calls 600] [--at-once 6]`. The model server is a process of
its own, so that it is not what is measured. Rounds go through the clients in turn; medians are printed. The limits: 1.5
times raw aiohttp, 1.2 times plain acompletion through litellm. A round that other work on the machine
disturbed is repeated; a result from disturbed rounds alone says so and passes no limit.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from quiet import Round, disturbed, mark, undisturbed, until_quiet, verdict

from moa_mcp.providers.litellm.client import LiteLLM
from moa_mcp.providers.openai.client import OpenAICompatible
from moa_mcp.values import Call, Message, Place, Target

SERVER = Path(__file__).parent.parent / "tests" / "support" / "model_server.py"
TEXT = "Which of our three database designs will hurt us first, and why? " * 30
DIRECT_LIMIT, LITELLM_LIMIT = 1.5, 1.2
Ask = Callable[[], Awaitable[object]]


def call_to(url: str) -> Call:
    """Return a call as a step makes it."""
    target = Target("openai/m", "openai", url, "none", wire_model="m")
    messages = (Message("system", "Be brief."), Message("user", TEXT))
    return Call("run", Place(1, 1), "m", messages, {"temperature": 0.7, "max_tokens": 64}, 1, target=target)


def raw(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> Ask:
    """Return what asks with nothing but aiohttp."""

    async def ask() -> None:
        async with session.post(
            f"{url}/chat/completions", json=body, headers={"Authorization": "Bearer none"}
        ) as reply:
            (await reply.json())["choices"][0]["message"]["content"]

    return ask


async def cpu_ms(ask: Ask, calls: int, at_once: int) -> float:
    """Return the milliseconds of CPU time that one call takes."""

    async def worker() -> None:
        for _ in range(calls // at_once):
            await ask()

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return (time.process_time() - began) * 1e3 / (calls // at_once * at_once)


Rounds = list[tuple[float, Round]]


async def quietly(ask: Ask, calls: int, at_once: int) -> tuple[float, Round]:
    """Measure as `cpu_ms` does, until nothing else disturbs it, a few times at most."""
    ms, watched = 0.0, Round()
    for watched in until_quiet():
        with watched:
            ms = await cpu_ms(ask, calls, at_once)
    return ms, watched


async def measured(url: str, rounds: int, calls: int, at_once: int) -> dict[str, Rounds]:
    """Return the rounds of each client."""
    call, wire, through = call_to(url), OpenAICompatible(), LiteLLM()
    body = {"model": "m", "messages": [message._asdict() for message in call.messages], **call.parameters}
    await through.ready()
    litellm = importlib.import_module("litellm")
    same = {"api_base": url, "api_key": "none", "max_retries": 0, "timeout": 3600.0}
    plain = {**body, "model": "openai/m", **same}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        clients: dict[str, Ask] = {
            "raw aiohttp": raw(session, url, body),
            "moa-mcp, OpenAI-compatible": lambda: wire(call),
            "litellm.acompletion": lambda: litellm.acompletion(**plain),
            "moa-mcp, litellm": lambda: through(call),
        }
        took: dict[str, Rounds] = {name: [] for name in clients}
        for ask in clients.values():
            await cpu_ms(ask, calls // 4, at_once)
        for _ in range(rounds):
            for name, ask in clients.items():
                took[name].append(await quietly(ask, calls, at_once))
    await wire.close()
    await litellm.close_litellm_async_clients()
    return took


def main() -> int:
    """Measure and print; 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--at-once", type=int, default=6)
    options = parser.parse_args()
    with subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        took = asyncio.run(measured(url, options.rounds, options.calls, options.at_once))
        server.terminate()
    medians = {name: statistics.median(undisturbed(each)) for name, each in took.items()}
    watched = {name: [each for _, each in rounds] for name, rounds in took.items()}
    bare, direct, plain, through = medians
    print(
        f"| client | CPU per call, median of {options.rounds} | against raw aiohttp | against acompletion | disturbed |"
    )
    print("|---|---|---|---|---|")
    for name, ms in medians.items():
        against = f"{ms / medians[bare]:.2f} | {ms / medians[plain]:.2f}"
        print(f"| {name} | {ms:.2f} ms | {against} | {mark(watched[name])} |")
    limits = ((direct, bare, DIRECT_LIMIT), (through, plain, LITELLM_LIMIT))
    unclear = {ours for ours, theirs, _ in limits if disturbed(watched[ours]) or disturbed(watched[theirs])}
    above = (ours for ours, theirs, limit in limits if medians[ours] / medians[theirs] > limit)
    return verdict((name for name in above if name not in unclear), sorted(unclear))


if __name__ == "__main__":
    sys.exit(main())
