"""Runs of together_moa by moa-mcp and by others, each in a process of its own that reads orders from its input.

All ask the same models, in the same order of layers, with the same parameters and texts of the same length. The models
are OpenAI's, whose prices litellm knows: what it does not know costs it more time. moa-mcp keeps its journal on disk
and has a budget, which the others do not; its limits to what is under way are out of the way.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Self

from msgspec.structs import replace
from server import TEXT, raise_limit

MODELS = ("gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-3.5-turbo")
LAYERS = (MODELS, MODELS, MODELS, MODELS[:1])
CALLS = sum(map(len, LAYERS))
"""Of one run."""
QUESTION = "Why is the sky blue? " * 20
INSTRUCTIONS = TEXT[:600]
"""As long as the instructions of a layer."""
KEY = "sk-benchmark"
OPEN = 100_000

_END_S = 10.0

Drive = Callable[[], Awaitable[None]]
"""Does one run; raises if any of its calls failed."""
Contender = Callable[..., AbstractAsyncContextManager[Drive]]
Json = dict[str, Any]


# What is measured


@asynccontextmanager
async def raw(base: str, *, by_orjson: bool = False) -> AsyncGenerator[Drive]:
    """The same calls and nothing else, by aiohttp as its documentation shows it, or with orjson for its JSON."""
    import aiohttp  # noqa: PLC0415
    import orjson  # noqa: PLC0415

    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60)) as session:

        async def ask(model: str, messages: list[Json]) -> str:
            body = {"model": model, "messages": messages, "temperature": 0.7, "max_tokens": 512}
            sent: Json = {"data": orjson.dumps(body)} if by_orjson else {"json": body}
            async with session.post(f"{base}/chat/completions", headers=headers, **sent) as reply:
                reply.raise_for_status()
                reply_body = orjson.loads(await reply.read()) if by_orjson else await reply.json()
            return str(reply_body["choices"][0]["message"]["content"])

        yield partial(layered, ask)


@asynccontextmanager
async def acompletion(base: str) -> AsyncGenerator[Drive]:
    """The same calls by litellm.acompletion."""
    import litellm  # noqa: PLC0415

    async def ask(model: str, messages: list[Json]) -> str:
        completion = await litellm.acompletion(
            model=f"openai/{model}", messages=messages, temperature=0.7, max_tokens=512, api_base=base, api_key=KEY
        )
        return str(completion.choices[0].message.content)

    yield partial(layered, ask)


async def layered(ask: Callable[[str, list[Json]], Awaitable[str]]) -> None:
    """Ask layer by layer, each with all answers of the one before."""
    answers: list[str] = []
    for models in LAYERS:
        numbered = "\n\n".join(f"{number}. {answer}" for number, answer in enumerate(answers, 1))
        system = [{"role": "system", "content": f"{INSTRUCTIONS}\n\n{numbered}"}] if answers else []
        messages = [*system, {"role": "user", "content": QUESTION}]
        answers = await asyncio.gather(*(ask(model, messages) for model in models))


@asynccontextmanager
async def mixture(base: str) -> AsyncGenerator[Drive]:
    """mixture-llm, with the litellm client that its README gives."""
    import mixture_llm as peer  # noqa: PLC0415
    from litellm import acompletion as ask  # noqa: PLC0415

    async def client(*, model: str, messages: list[Json], temp: float, max_tokens: int) -> tuple[str, int, int]:
        completion = await ask(
            model=f"openai/{model}",
            messages=messages,
            temperature=temp,
            max_tokens=max_tokens,
            api_base=base,
            api_key=KEY,
        )
        usage = completion.usage
        return completion.choices[0].message.content, usage.prompt_tokens, usage.completion_tokens

    first, *middle, last = LAYERS
    pipeline = [
        peer.Propose(list(first), temp=0.7, max_tokens=512),
        *(peer.Synthesize(list(models), temp=0.7, max_tokens=512) for models in middle),
        peer.Aggregate(last[0], temp=0.7, max_tokens=512),
    ]

    async def drive() -> None:
        _, history = await peer.run(pipeline, QUESTION, client)
        failed = [call["error"] for step in history for call in step["llm_calls"] if "error" in call]
        if failed:
            raise RuntimeError(failed[0])

    yield drive


@asynccontextmanager
async def moa(
    base: str, *, through: str = "openai", degrades: bool = False, **settings: object
) -> AsyncGenerator[Drive]:
    """moa-mcp; `settings` are those of steps, and `through` chooses the transport."""
    from decimal import Decimal  # noqa: PLC0415

    from moa_mcp.config import load, models_of, shipped  # noqa: PLC0415
    from moa_mcp.garbage import collect_seldom  # noqa: PLC0415
    from moa_mcp.journal.sqlite import SQLiteJournal  # noqa: PLC0415
    from moa_mcp.providers.backend import Backend, real  # noqa: PLC0415
    from moa_mcp.providers.litellm.client import LiteLLM  # noqa: PLC0415
    from moa_mcp.routing.routes import Route  # noqa: PLC0415
    from moa_mcp.runs import NewRun, Ready, Runs  # noqa: PLC0415
    from moa_mcp.values import Question, Target  # noqa: PLC0415

    config = load(shipped())
    pipeline = config.pipelines["together_moa"]
    settings = {"fallback_agent": None, **settings}  # the others have none
    changed = (
        step.model_copy(update={key: value for key, value in settings.items() if key in type(step).model_fields})
        for step in pipeline.steps
    )
    pipeline = pipeline.model_copy(update={"steps": tuple(changed)})
    served = dict(zip(models_of(pipeline), MODELS, strict=True))
    limits = {"concurrency": OPEN, "provider_concurrency": OPEN}
    config = replace(
        config,
        limits=config.limits.model_copy(update=limits),
        budget=config.budget.model_copy(update={"max_cost_usd": Decimal(5)}),
        models={
            alias: (Route(model=f"openai/{model}", api_base=base, api_key_env="BENCHMARK_KEY"),)
            for alias, model in served.items()
        },
    )

    async def by_litellm(alias: str) -> tuple[Target, ...]:
        return (Target(f"openai/{served[alias]}", "openai", base, KEY),)

    if through == "litellm":
        provider = LiteLLM()
        await provider.ready()
        backend = Backend(provider, lambda _: by_litellm)
    else:
        backend = real(config.models, {"BENCHMARK_KEY": KEY})[0]  # as a provider has one, unlike a local server
    fine = {"complete", "degraded"} if degrades else {"complete"}
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(config, backend, SQLiteJournal(Path(folder) / "journal.sqlite"))
        collect_seldom()  # as a server does

        async def drive() -> None:
            admitted = await runs.admit(NewRun(pipeline=pipeline, question=Question(QUESTION)))
            assert isinstance(admitted, Ready), admitted
            run = await runs.start(admitted)
            await run.ended.wait()
            if run.trace.status not in fine:
                raise RuntimeError(run.trace.error or run.trace.status)

        async with runs.open():
            yield drive


CONTENDERS: Mapping[str, Contender] = {
    "raw aiohttp": raw,
    "raw aiohttp with orjson": partial(raw, by_orjson=True),
    "litellm.acompletion": acompletion,
    "mixture-llm": mixture,
    "moa-mcp": moa,
    "moa-mcp through litellm": partial(moa, through="litellm"),
    "moa-mcp, no hedge, no grace": partial(moa, hedge=False, grace_s=None),
    "moa-mcp, hedge": partial(moa, hedge=True, grace_s=None),
    "moa-mcp, quorum and grace": partial(moa, degrades=True, quorum=4, grace_s=1.0, hedge=False),
    "moa-mcp, quorum, grace and hedge": partial(moa, degrades=True, quorum=4, grace_s=1.0, hedge=True),
}
OURS = frozenset(name for name in CONTENDERS if name.startswith("moa-mcp"))


# The process


class Done(NamedTuple):
    """What came of a batch of runs."""

    cpu_s: float
    wall_s: float
    run_s: Sequence[float]
    failures: Sequence[str]
    idle_kb: int
    """Resident memory before."""
    first_kb: int
    """Resident memory at its height in the first seconds that were watched."""
    most_kb: int
    """Resident memory at its height."""

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU time per call."""
        return self.cpu_s / (CALLS * len(self.run_s)) * 1e3


async def batch(drive: Drive, *, runs: int, at_once: int, watch_s: float = 0) -> Done:
    """Do runs, so many of them concurrently. With `watch_s`, memory is watched, the first seconds apart."""
    run_s: list[float] = []
    failures: list[str] = []
    left = iter(range(runs))

    async def some() -> None:
        for _ in left:
            began = time.perf_counter()
            try:
                await drive()
            except Exception as error:  # noqa: BLE001  whatever a contender lets through
                failures.append(repr(error)[:300])
            run_s.append(time.perf_counter() - began)

    gc.collect()
    seen = [(0.0, resident_kb())]
    cpu_s, began = time.process_time(), time.perf_counter()
    with watching(seen) if watch_s else nullcontext():
        await asyncio.gather(*(some() for _ in range(at_once)))
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - began
    first_kb = max(kb for after_s, kb in seen if after_s < watch_s or not after_s)
    return Done(cpu_s, wall_s, run_s, failures, seen[0][1], first_kb, max(kb for _, kb in seen))


@contextmanager
def watching(seen: list[tuple[float, int]]) -> Generator[None]:
    """Look at this process's memory fifty times a second."""
    over, began = threading.Event(), time.perf_counter()

    def look() -> None:
        while not over.wait(0.02):
            seen.append((time.perf_counter() - began, resident_kb()))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def resident_kb(pid: int | str = "self") -> int:
    """Return a process's resident memory; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


async def obey(name: str, base: str) -> None:
    """Do the batches that lines of standard input ask for."""
    async with CONTENDERS[name](base) as drive:
        print("{}", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            done = await batch(drive, **json.loads(line))
            print(json.dumps(done), flush=True)


class Process:
    """A contender, as the benchmarks see it."""

    def __init__(self, name: str, base: str) -> None:
        python = sys.executable if name in OURS else peers()
        environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
        command = [python, __file__, name, base]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        self._line()

    def runs(self, runs: int, at_once: int, *, watch_s: float = 0) -> Done:
        """Do runs, as `batch` does."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"runs": runs, "at_once": at_once, "watch_s": watch_s}) + "\n")
        self._process.stdin.flush()
        return Done(*json.loads(self._line()))

    def _line(self) -> str:
        """Return the next line that is meant for us: litellm prints, too."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(("[", "{}")):
                return line
        raise SystemExit(f"{self._process.args!r} ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # the end of its input ends it, and deletes its files
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def peers() -> str:
    """Return the interpreter that has what moa-mcp is measured against, in the versions that it uses itself."""
    from environment import python_with  # noqa: PLC0415

    shared = (f"{name}=={version(name)}" for name in ("aiohttp", "litellm", "orjson"))
    return python_with("mixture-llm==0.1.3", *shared)


if __name__ == "__main__":
    raise_limit()
    asyncio.run(obey(sys.argv[1], sys.argv[2]))
