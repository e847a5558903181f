"""A model provider on loopback: it answers over real HTTP as OpenAI does, or misbehaves as scripted.

It knows nothing of the package under test. Tests start it with `with ModelServer() as server:`; other
processes with `python tests/support/model_server.py --port 0`, which prints the base URL.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import socket
import struct
import sys
import threading
import time
import uuid
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

import anyio
from aiohttp import web
from anyio.from_thread import start_blocking_portal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from anyio.from_thread import BlockingPortal

Body: TypeAlias = dict[str, Any]
"""A parsed JSON object."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer, as JSON or as a stream, whichever was asked for."""

    text: str | Callable[[Body], str]
    """A callable sees the request's body; it is called once for each of the `n` choices."""
    delay_s: float = 0.0
    """Before the first byte."""
    finish_reason: str = "stop"
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    """Counted in `completion_tokens` too, as OpenAI does."""
    chunk_delay_s: float = 0.0
    """After each chunk of a stream."""
    refusal: str | None = None
    """Stands in place of the text."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """What the usage says besides, or otherwise."""
    by_letter: bool = False
    """Each character of a stream comes in a chunk of its own."""
    breaks_off: bool = False
    """A stream ends after its last word, without a finish reason."""


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with an HTTP error and OpenAI's error body."""

    code: int
    message: str
    retry_after: str | None = None
    error_code: str | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the TCP connection without an answer."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer."""


@dataclass(frozen=True, slots=True)
class Held:
    """Answer as usual, but only after `release()`."""


@dataclass(frozen=True, slots=True)
class BrokenJson:
    """Answer 200 with the first half of a JSON object."""


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """Answer with a web page, as captive portals and gateways do."""

    code: int = 200


@dataclass(frozen=True, slots=True)
class RefuseParameter:
    """Answer 400 to bodies that hold the parameter, and others as if there were no script."""

    name: str
    message: str | None = None
    """One that starts with "Unsupported value" has the code `unsupported_value`."""


Act: TypeAlias = Reply | Status | Reset | Hang | Held | BrokenJson | HtmlPage
Behaviour: TypeAlias = Act | RefuseParameter


@dataclass(frozen=True, slots=True)
class Received:
    """A request and what became of it."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Body
    """Empty for a GET."""
    model: str
    arrived: float
    """By `time.monotonic()`."""
    finished: bool = False
    """Answered completely; true by the time the client can have read the last byte."""
    disconnected: bool = False
    """The client went away before the answer was complete."""


class ModelServer:
    """Serves `/v1/chat/completions` and `/v1/models` on 127.0.0.1, in its own thread, inside a `with` block.

    Everything public may be called from any thread.
    """

    url: str
    """The base URL, ending in `/v1`; set when the block is entered."""

    def __init__(self, *models: str, api_key: str | None = None, port: int = 0) -> None:
        """List `models` besides those seen in requests; with `api_key`, answer 401 to any other key."""
        self._models = models
        self._api_key = api_key
        self._port = port
        self._scripts: dict[str, tuple[Behaviour, ...]] = {}
        self._log: dict[int, Received] = {}
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._running = ExitStack()
        self._portal: BlockingPortal | None = None
        self._released = asyncio.Event()
        self._open = False

    def __enter__(self) -> Self:
        """Start listening."""
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal(name="model-server"))
            self.url = stack.enter_context(self._portal.wrap_async_context_manager(self._listening()))
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Drop every open connection and join the thread."""
        self._running.close()

    @property
    def requests(self) -> tuple[Received, ...]:
        """Every request since the start or the last `clear()`, in order of arrival."""
        with self._changed:
            return tuple(self._log.values())

    def clear(self) -> None:
        """Forget the requests, so that default answers count from 1 again; scripts stay where they are.

        Those that have been sent but not yet read are forgotten too.
        """
        if self._portal is not None:
            self._portal.call(_catch_up)
        with self._changed:
            self._log.clear()
            self._changed.notify_all()

    def script(self, model: str, *behaviours: Behaviour) -> None:
        """Replace the queue of `model`, or with "*" that of all models without one; the last one repeats.

        No behaviours at all bring the default back.
        """
        with self._changed:
            self._scripts[model] = behaviours

    def release(self) -> None:
        """Answer all requests that are held."""
        if self._portal is not None:
            self._portal.call(self._released.set)

    def wait_for(self, predicate: Callable[[tuple[Received, ...]], bool], timeout: float = 5.0) -> None:
        """Block until `predicate(requests)` holds; from async code, call it through `anyio.to_thread`.

        Raises:
            AssertionError: it did not hold within `timeout` seconds.

        """
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self.requests), timeout):
                message = f"not within {timeout} s; the requests were {self.requests}"
                raise AssertionError(message)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[str]:
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_post("/v1/chat/completions", self._complete)
        # For aiohttp a timeout of zero is none at all.
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            self._open = True
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            self._open = False
            await runner.cleanup()

    async def _list_models(self, request: web.Request) -> web.StreamResponse:
        with self._recorded(request, {}) as finish:
            denial = self._denial(request)
            return await _send(request, _page(denial) if denial else self._models_page(), finish)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        with self._recorded(request, body) as finish:
            match self._denial(request) or self._next(body):
                case Reset():
                    return _reset(request)
                case Hang():
                    return await asyncio.Future[web.StreamResponse]()
                case Held():
                    await self._released.wait()
                    return await _send(request, _answer(_default(body, self._count(body)), body), finish)
                case Reply() as reply:
                    await anyio.sleep(reply.delay_s)
                    return await _send(request, _answer(reply, body), finish)
                case other:
                    return await _send(request, _page(other), finish)

    @contextmanager
    def _recorded(self, request: web.Request, body: Body) -> Iterator[Callable[[], None]]:
        """Record the request and its end; the callable it yields says that the last bytes come next."""
        number = next(self._numbers)
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.path, headers, body, body.get("model", ""), time.monotonic())
        with self._changed:
            self._log[number] = received
            self._changed.notify_all()
        try:
            yield lambda: self._settle(number, finished=True)
        except (asyncio.CancelledError, ConnectionError):
            if self._open:
                self._settle(number, finished=False)
            raise

    def _settle(self, number: int, *, finished: bool) -> None:
        with self._changed:
            if (received := self._log.get(number)) is not None:
                self._log[number] = replace(received, finished=finished, disconnected=not finished)
                self._changed.notify_all()

    def _denial(self, request: web.Request) -> Status | None:
        given = request.headers.get("Authorization", "")
        if self._api_key is None or given == f"Bearer {self._api_key}":
            return None
        message = (
            f"Incorrect API key provided: {given.removeprefix('Bearer ')[:8]}****. "
            "You can find your API key at https://platform.openai.com/account/api-keys."
        )
        return Status(401, message, error_code="invalid_api_key")

    def _next(self, body: Body) -> Act:
        """Take the model's next behaviour from its script."""
        with self._changed:
            model = body.get("model", "")
            default = _default(body, self._count(body))
            name = model if self._scripts.get(model) else "*"
            behaviour, *rest = self._scripts.get(name) or (default,)
            if rest:
                self._scripts[name] = tuple(rest)
        if isinstance(behaviour, RefuseParameter):
            return _unsupported(behaviour) if behaviour.name in body else default
        return behaviour

    def _count(self, body: Body) -> int:
        return sum(seen.model == body.get("model", "") for seen in self.requests)

    def _models_page(self) -> _Page:
        names = dict.fromkeys((*self._models, *(seen.model for seen in self.requests if seen.model)))
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "tests"} for name in names]
        return _Page((json.dumps({"object": "list", "data": data}),))


async def _catch_up() -> None:
    """Let the event loop turn oftener than it takes to accept a connection and read its request."""
    for _ in range(20):
        await asyncio.sleep(0)


class _Page(NamedTuple):
    pieces: tuple[str, ...]
    status: int = 200
    content_type: str = "application/json"
    retry_after: str | None = None
    pause_s: float = 0.0


async def _send(request: web.Request, page: _Page, finish: Callable[[], None]) -> web.StreamResponse:
    headers = {"Content-Type": page.content_type}
    if page.retry_after is not None:
        headers["Retry-After"] = page.retry_after
    response = web.StreamResponse(status=page.status, headers=headers)
    await response.prepare(request)
    *pieces, last = page.pieces
    for piece in pieces:
        await response.write(piece.encode())
        await anyio.sleep(page.pause_s)
    finish()
    await response.write_eof(last.encode())
    return response


def _reset(request: web.Request) -> web.StreamResponse:
    if (transport := request.transport) is not None:
        # A linger time of zero makes the kernel send RST in place of FIN.
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return web.Response()


def _page(act: Status | BrokenJson | HtmlPage) -> _Page:
    match act:
        case BrokenJson():
            return _Page(('{"id": "chatcmpl-1", "choices": [{"ind',))
        case HtmlPage(code):
            return _Page(("<html><body>Please log in.</body></html>",), code, content_type="text/html")
        case Status(code, message, retry_after, error_code, param):
            usual = "server_error" if code >= 500 else "requests" if code == 429 else "invalid_request_error"
            kind = "insufficient_quota" if error_code == "insufficient_quota" else usual
            error = {"message": message, "type": kind, "param": param, "code": error_code}
            return _Page((json.dumps({"error": error}),), status=code, retry_after=retry_after)


def _unsupported(refused: RefuseParameter) -> Status:
    hint = " Use 'max_completion_tokens' instead." if refused.name == "max_tokens" else ""
    usual = f"Unsupported parameter: '{refused.name}' is not supported with this model.{hint}"
    message = refused.message or usual
    code = "unsupported_value" if message.startswith("Unsupported value") else "unsupported_parameter"
    return Status(400, message, error_code=code, param=refused.name)


def _default(body: Body, count: int) -> Reply:
    """Rank, choose or compare if the messages ask for that as JSON; otherwise number the answer."""
    asked = "\n".join(_contents(body))
    if "JSON" in asked and '"consensus"' in asked:
        return Reply(json.dumps({"consensus": [{"point": "It is food.", "answers": [1, 2]}], "blind_spots": ["Law"]}))
    if "JSON" in asked and '"ranking"' in asked:
        answers = max(map(int, re.findall(r"answer \d+ of (\d+)", asked)), default=3)
        return Reply(json.dumps({"ranking": list(range(answers, 0, -1))}))
    if "JSON" in asked and '"equivalent"' in asked:
        return Reply('{"equivalent": false}')
    if "JSON" in asked and '"answer"' in asked:
        return Reply('{"answer": 1}')
    if "Verdict: yes" in asked:
        return Reply(f"Verdict: yes\nReason: answer {count} says so.\nConfidence: 80")
    return Reply(f"answer {count} from {body.get('model', '')}")


def _contents(body: Body) -> list[str]:
    contents = [message.get("content") or "" for message in body.get("messages", ())]
    return [
        content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        for content in contents
    ]


def _answer(reply: Reply, body: Body) -> _Page:
    given = reply.text
    texts = [given(body) if callable(given) else given for _ in range(body.get("n") or 1)]
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body.get("model", "")}
    usage = {"usage": _usage(reply, texts, body)}
    if not body.get("stream"):
        choices = [_choice(n, reply.finish_reason, message=_message(reply, text)) for n, text in enumerate(texts)]
        return _Page((json.dumps({**head, "object": "chat.completion", "choices": choices, **usage}),))
    head["object"] = "chat.completion.chunk"
    chunks = [{**head, "choices": [delta]} for n, text in enumerate(texts) for delta in _deltas(n, reply, text)]
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**head, "choices": [], **usage})
    pieces = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    if reply.breaks_off:
        ends = [bool(chunk["choices"] and chunk["choices"][0]["finish_reason"]) for chunk in chunks]
        return _Page(tuple(pieces[: ends.index(True)]), content_type="text/event-stream", pause_s=reply.chunk_delay_s)
    return _Page((*pieces, "data: [DONE]\n\n"), content_type="text/event-stream", pause_s=reply.chunk_delay_s)


def _message(reply: Reply, text: str) -> Body:
    content = text if reply.refusal is None else None
    return {"role": "assistant", "content": content, "refusal": reply.refusal}


def _deltas(index: int, reply: Reply, text: str) -> Iterator[Body]:
    yield _choice(index, None, delta={"role": "assistant", "content": ""})
    field, whole = ("content", text) if reply.refusal is None else ("refusal", reply.refusal)
    for piece in whole if reply.by_letter else re.findall(r"\S+\s*|\s+", whole):
        yield _choice(index, None, delta={field: piece})
    yield _choice(index, reply.finish_reason, delta={})


def _choice(index: int, finish_reason: str | None, **said: Body) -> Body:
    return {"index": index, **said, "logprobs": None, "finish_reason": finish_reason}


def _usage(reply: Reply, texts: list[str], body: Body) -> Body:
    prompt = max(1, sum(map(len, _contents(body))) // 4)
    completion = sum(max(1, len(text) // 4) for text in texts) + reply.reasoning_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        **reply.usage,
    }


def _main() -> None:
    parser = argparse.ArgumentParser(description="Serve until killed.")
    parser.add_argument("--port", type=int, default=0, help="0 for any that is free")
    with suppress(KeyboardInterrupt), ModelServer(port=parser.parse_args().port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    _main()
