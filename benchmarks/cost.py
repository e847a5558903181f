"""What long questions cost: billed prompt tokens of the shipped pipelines, beside the same pipelines in mixture-llm.

Run it as `python benchmarks/cost.py [--tokens 8000] [--pipelines self_moa …]`. A model server in a process of its own
bills as providers do: a prompt once for each request, completions for each of its n answers, four characters a token.
Its `/cache/v1` knows no n but has a prompt cache: what stood at the beginning of an earlier prompt whose answer has
begun costs a tenth, from 1024 tokens on, and answers take a second for each 8000 prompt tokens they must read, and
two more to be written. The peer is installed from the package registry into an environment of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import aiohttp
import anyio
from aiohttp import web
from environment import python_with
from msgspec.structs import replace

from moa_mcp.config import Config, Pipeline, load, models_of, shipped
from moa_mcp.providers import backend
from moa_mcp.routing.prices import PerMillion
from moa_mcp.routing.routes import Route
from moa_mcp.runs import NewRun, Ready, Runs
from moa_mcp.steps import ModelStep, MultiAgentStep
from moa_mcp.values import Question

PEER = "mixture-llm==0.1.3"
ANSWER = "Since light of short waves is scattered more. " * 35
CACHED = 0.1
"""What a cached prompt token costs, to one that is not."""
LEAST_CACHED = 1024
BLOCK = 512
"""Characters by which the cache knows prompts."""
READ_PER_S = 8000
WRITE_S = 2.0
SEED = 1

PEER_SCRIPT = """
import asyncio, json, random, sys, aiohttp, mixture_llm as peer
job = json.load(sys.stdin)
random.seed(job["seed"])
async def main():
    async with aiohttp.ClientSession() as session:
        async def ask(*, model, messages, temp, max_tokens):
            body = {"model": model, "messages": messages, "temperature": temp, "max_tokens": max_tokens}
            async with session.post(job["url"] + "/chat/completions", json=body) as reply:
                completion = await reply.json()
                usage = completion["usage"]
                text = completion["choices"][0]["message"]["content"]
                return text, usage["prompt_tokens"], usage["completion_tokens"]
        steps = [getattr(peer, kind)(*given, **named) for kind, given, named in job["steps"]]
        print(json.dumps(bool((await peer.run(steps, job["question"], ask))[0])))
asyncio.run(main())
"""


class Billed(NamedTuple):
    """What a server billed for a run."""

    requests: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    seconds: float = 0.0

    @property
    def effective(self) -> float:
        """Prompt tokens, a cached one for what it costs."""
        return self.prompt - self.cached * (1 - CACHED)


# The model server


@dataclass
class Ledger:
    """Serves answers and bills them."""

    billed: Billed = field(default_factory=Billed)
    begun: frozenset[tuple[str, int]] = frozenset()
    """Beginnings of prompts whose answers have begun, as model and hash."""
    texts: Iterator[str] = field(default_factory=lambda: (f"{ANSWER}{number:04}" for number in count()))
    """No two are equal."""

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        caches = request.path.startswith("/cache")
        prompt_text = "\n".join(message["content"] for message in body["messages"])
        n = 1 if caches else body.get("n") or 1
        blocks = [(body["model"], hash(prompt_text[:end])) for end in range(BLOCK, len(prompt_text) + 1, BLOCK)]
        known = sum(1 for _ in _while(self.begun, blocks)) * BLOCK // 4
        cached = known if caches and known >= LEAST_CACHED else 0
        answers = [_verdict(prompt_text) or next(self.texts) for _ in range(n)]
        prompt, completion = len(prompt_text) // 4, sum(len(answer) // 4 for answer in answers)
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        before = self.billed
        self.billed = Billed(
            before.requests + 1, before.prompt + prompt, before.cached + cached, before.completion + completion
        )
        if caches:
            await asyncio.sleep((prompt - cached) / READ_PER_S)
            self.begun |= frozenset(blocks)
        return await _replied(request, body, answers, usage, WRITE_S if caches else 0)

    async def ledger(self, _: web.Request) -> web.Response:
        """Return what was billed since the last time, and forget it, and the cache."""
        billed, self.billed, self.begun = self.billed, Billed(), frozenset()
        return web.json_response(billed._asdict())


def _while(known: frozenset[tuple[str, int]], blocks: list[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    for block in blocks:
        if block not in known:
            return
        yield block


async def _replied(
    request: web.Request, body: Mapping[str, Any], answers: Sequence[str], usage: Mapping[str, object], write_s: float
) -> web.StreamResponse:
    head = {"id": "c", "created": 0, "model": body["model"]}
    if not body.get("stream"):
        await asyncio.sleep(write_s)
        choices = [
            {"index": index, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
            for index, answer in enumerate(answers)
        ]
        return web.json_response({**head, "object": "chat.completion", "choices": choices, "usage": usage})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    first, rest = answers[0][:8], answers[0][8:]
    for piece, finish, pause in ((first, None, write_s), (rest, "stop", 0)):
        choice = {"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": finish}
        await response.write(_chunk({**head, "choices": [choice]}))
        await asyncio.sleep(pause)
    await response.write(_chunk({**head, "choices": [], "usage": usage}))
    await response.write_eof(b"data: [DONE]\n\n")
    return response


def _chunk(body: Mapping[str, object]) -> bytes:
    return f"data: {json.dumps({**body, 'object': 'chat.completion.chunk'})}\n\n".encode()


def _verdict(asked: str) -> str | None:
    if '"ranking"' in asked or "Rank these responses" in asked:
        return '{"ranking": [1, 2, 3, 4, 5]}'
    return '{"answer": 1}' if '{"answer": N}' in asked else None


async def serve() -> None:
    """Serve until killed; print the address."""
    ledger = Ledger()
    app = web.Application(client_max_size=2**28)
    app.router.add_post("/{kind}/v1/chat/completions", ledger.complete)
    app.router.add_get("/ledger", ledger.ledger)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


@contextmanager
def serving() -> Iterator[str]:
    """Run the server in a process of its own; yield its address."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


# Both sides


def peer_python() -> str:
    """Return the interpreter of the peer's environment."""
    return python_with(PEER, "aiohttp")


def their_steps(pipeline: Pipeline) -> list[tuple[str, list[object], dict[str, object]]]:
    """Return the pipeline as the peer's classes and their arguments."""
    steps: list[tuple[str, list[object], dict[str, object]]] = []
    for step in pipeline.steps:
        values = step.model_dump()
        given: list[object] = [values[name] for name in ("n", "rate") if name in values]
        named: dict[str, object] = {}
        if isinstance(step, ModelStep):
            named = {"temp": step.temperature, "max_tokens": step.max_tokens}
            given = [list(step.models) if isinstance(step, MultiAgentStep) else step.models[0], *given]
        steps.append((type(step).__name__, given, named))
    return steps


def run_theirs(pipeline: Pipeline, question: str, url: str) -> None:
    """Run a pipeline in the peer."""
    job = {"steps": their_steps(pipeline), "question": question, "url": url, "seed": SEED}
    command = [peer_python(), "-c", PEER_SCRIPT]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "true", done


async def run_ours(config: Config, pipeline: Pipeline, question: str, url: str, *, cache_first: bool) -> None:
    """Run a pipeline here, its models served at an address."""
    n = None if "/cache/" in url else 128
    price = PerMillion.model_validate({"prompt": "1", "completion": "5", "cached": str(CACHED)})
    models = {
        alias: (Route(model=f"openai/{alias}", api_base=url, n=n, usd_per_million=price),)
        for alias in models_of(pipeline)
    }
    limits = config.limits.model_copy(update={"cache_first": cache_first})
    served, _ = backend.real(models, {})
    async with Runs(replace(config, models=models, limits=limits), served).open() as runs:
        admitted = await runs.admit(NewRun(pipeline=pipeline, question=Question(question), seed=SEED))
        assert isinstance(admitted, Ready), admitted
        run = await runs.start(admitted)
        await run.ended.wait()
        assert run.trace.status == "complete", run.trace.error


async def billed(address: str) -> Billed:
    """Return what was billed since the last time."""
    async with aiohttp.ClientSession() as session, session.get(f"{address}/ledger") as reply:
        return Billed(**await reply.json())


def measured(address: str, run: Any, *given: Any, **named: Any) -> Billed:  # noqa: ANN401
    """Return what a run was billed, and how long it took."""
    began = time.perf_counter()
    if asyncio.iscoroutinefunction(run):
        anyio.run(lambda: run(*given, **named))
    else:
        run(*given)
    seconds = time.perf_counter() - began
    return anyio.run(billed, address)._replace(seconds=seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=8000, help="of the question")
    parser.add_argument("--pipelines", nargs="*", help="all that have no names of papers by default")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve())
        return
    config = load(shipped())
    names = given.pipelines or [name for name in config.pipelines if not name.endswith("_paper")]
    question = ("Why is the sky blue? " * given.tokens)[: 4 * given.tokens]
    peer_python()
    warm = config.pipelines["vote"]
    with serving() as address:
        many, cache = f"{address}/n/v1", f"{address}/cache/v1"
        measured(address, run_ours, config, warm, "?", many, cache_first=False)  # what loads late, does
        print(f"A question of {given.tokens} tokens. Requests and billed prompt tokens, where requests take n:\n")
        print("| pipeline | requests, theirs | ours | prompt tokens, theirs | ours | ours to theirs |")
        print("|---|---|---|---|---|---|")
        for name in names:
            pipeline = config.pipelines[name]
            theirs = measured(address, run_theirs, pipeline, question, many)
            ours = measured(address, run_ours, config, pipeline, question, many, cache_first=False)
            ratio = ours.prompt / theirs.prompt
            print(f"| {name} | {theirs.requests} | {ours.requests} | {theirs.prompt} | {ours.prompt} | {ratio:.2f} |")
        print("\nThe same without n, but with a cache; a cached token counts a tenth:\n")
        print("| pipeline | prompt tokens, theirs | ours at once | ours, cache_first | to theirs | seconds more |")
        print("|---|---|---|---|---|---|")
        for name in names:
            pipeline = config.pipelines[name]
            theirs = measured(address, run_theirs, pipeline, question, cache)
            at_once = measured(address, run_ours, config, pipeline, question, cache, cache_first=False)
            first = measured(address, run_ours, config, pipeline, question, cache, cache_first=True)
            ratio, more = first.effective / theirs.effective, first.seconds - at_once.seconds
            cells = (
                f"{theirs.effective:.0f} | {at_once.effective:.0f} | {first.effective:.0f} | {ratio:.2f} | {more:.1f}"
            )
            print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
