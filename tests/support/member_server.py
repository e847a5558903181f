"""An OpenAI-compatible API of simulated members, in a process of its own, which `serving` starts.

`python -m tests.support.member_server FILE` serves the world that a file of `described` holds, prints its base URL, and
counts what it was asked: GET /seen tells.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from aiohttp import web

from tests.support.known_questions import KnownQuestion, dumped, loaded
from tests.support.simulated_members import Member, Said, World

ROOT = Path(__file__).parent.parent.parent
PER_TOKEN = 4
"""Characters."""


class Seen(NamedTuple):
    """An answer that the server gave: one of a request for several."""

    model: str
    part: str
    """See `simulated_members.Part`."""
    question: str
    value: str
    right: bool | None
    request: str
    """A hash of what was asked; equal requests have the same one."""
    number: int
    """Of the answer in its request."""
    temperature: float | None


class MemberServer:
    """The server as its clients know it."""

    def __init__(self, url: str) -> None:
        self.url = url
        """The base URL, ending in `/v1`."""

    def seen(self) -> list[Seen]:
        """Return the answers since the start or the last `clear`."""
        return [Seen(*each) for each in self._asked("seen")]

    def clear(self) -> None:
        """Forget the answers."""
        self._asked("clear")

    def wait_for(self, count: int, timeout_s: float = 60.0) -> bool:
        """Return as soon as so many answers were given; False if that takes longer."""
        return bool(self._asked(f"wait?count={count}&timeout={timeout_s}"))

    def _asked(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url.removesuffix('/v1')}/{path}") as reply:
            return json.load(reply)


@contextmanager
def serving(
    members: Sequence[Member],
    questions: Sequence[KnownQuestion],
    *,
    seed: int = 0,
    latency_s: float = 0.0,
    repeats_differ: bool = False,
) -> Iterator[MemberServer]:
    """Run the server in a process of its own.

    With `repeats_differ`, equal requests get different answers, as those of real models do. It counts them, so what is
    answered depends on what was asked before.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / "world.json"
        file.write_text(json.dumps(described(members, questions, seed)), "utf-8")
        command = [sys.executable, "-m", "tests.support.member_server", str(file), f"--latency={latency_s}"]
        command += ["--repeats-differ"] * repeats_differ
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        environ.pop("COVERAGE_PROCESS_START", None)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ, cwd=ROOT) as process:
            assert process.stdout is not None
            try:
                yield MemberServer(process.stdout.readline().strip())
            finally:
                process.kill()


def described(members: Sequence[Member], questions: Sequence[KnownQuestion], seed: int) -> dict[str, Any]:
    """Return a world as JSON."""
    return {"seed": seed, "members": [asdict(each) for each in members], "questions": dumped(questions)}


def routes(members: Sequence[Member], url: str, *, prompt: float = 1.0, completion: float = 4.0) -> str:
    """Return the models of a pipelines.toml, each with its route to the server and prices per million tokens.

    Equal calls are sent as one request for several answers, which so are the same whatever was asked before.
    """
    price = f"usd_per_million = {{ prompt = {prompt:g}, completion = {completion:g} }}"
    return "".join(
        f'models."{each.name}".routes = [{{ model = "openai/{each.name}", api_base = "{url}", n = 8, {price} }}]\n'
        for each in members
    )


class _Service:
    def __init__(self, world: World, latency_s: float, *, repeats_differ: bool) -> None:
        self._world = world
        self._latency_s = latency_s
        self._repeats: Counter[str] | None = Counter() if repeats_differ else None
        self._seen: list[Seen] = []
        self._changed = asyncio.Condition()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/seen", self._tell)
        app.router.add_get("/clear", self._clear)
        app.router.add_get("/wait", self._wait)
        return app

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        key = _key(body)
        repeat = 0
        if self._repeats is not None:
            repeat = self._repeats[key]
            self._repeats[key] += 1
        said = [self._world.reply(body, index, repeat) for index in range(body.get("n") or 1)]
        async with self._changed:
            model = body.get("model", "")
            self._seen += [
                Seen(model, *each[1:], key, index, body.get("temperature")) for index, each in enumerate(said)
            ]
            self._changed.notify_all()
        await asyncio.sleep(self._latency_s)
        return await _streamed(request, body, said) if body.get("stream") else web.json_response(_whole(body, said))

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": name} for name in self._world.members]})

    async def _tell(self, _: web.Request) -> web.Response:
        return web.json_response(self._seen)

    async def _clear(self, _: web.Request) -> web.Response:
        self._seen.clear()
        return web.json_response(None)

    async def _wait(self, request: web.Request) -> web.Response:
        count, timeout_s = int(request.query["count"]), float(request.query["timeout"])
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: len(self._seen) >= count)
        except TimeoutError:
            return web.json_response(data=False)
        return web.json_response(data=True)


def _key(body: dict[str, Any]) -> str:
    asked = {name: value for name, value in body.items() if not name.startswith("stream")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def _head(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": int(time.time()), "model": body.get("model", "")}


def _usage(body: dict[str, Any], said: Sequence[Said]) -> dict[str, int]:
    prompt = max(1, len(json.dumps(body.get("messages", ()))) // PER_TOKEN)
    completion = sum(max(1, len(each.text) // PER_TOKEN) for each in said)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _whole(body: dict[str, Any], said: Sequence[Said]) -> dict[str, Any]:
    choices = [
        {"index": index, "finish_reason": "stop", "message": {"role": "assistant", "content": each.text}}
        for index, each in enumerate(said)
    ]
    return {**_head(body, "chat.completion"), "choices": choices, "usage": _usage(body, said)}


async def _streamed(request: web.Request, body: dict[str, Any], said: Sequence[Said]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    head = _head(body, "chat.completion.chunk")
    for index, each in enumerate(said):
        delta = {"role": "assistant", "content": each.text}
        await _event(response, {**head, "choices": [{"index": index, "delta": delta, "finish_reason": None}]})
        await _event(response, {**head, "choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]})
    await _event(response, {**head, "choices": [], "usage": _usage(body, said)})
    await response.write_eof(b"data: [DONE]\n\n")
    return response


async def _event(response: web.StreamResponse, data: dict[str, Any]) -> None:
    await response.write(f"data: {json.dumps(data)}\n\n".encode())


async def _serve(service: _Service) -> None:
    runner = web.AppRunner(service.app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)  # noqa: T201
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--repeats-differ", action="store_true")
    given = parser.parse_args()
    world = json.loads(given.file.read_text("utf-8"))
    members = [Member(**each) for each in world["members"]]
    known = World(members, loaded(world["questions"]), world["seed"])

    async def serve() -> None:
        await _serve(_Service(known, given.latency, repeats_differ=given.repeats_differ))

    asyncio.run(serve())


if __name__ == "__main__":
    main()
