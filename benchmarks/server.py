"""The model server of the benchmarks: an OpenAI-compatible API in a process of its own, which takes hardly any time.

Run it as `python benchmarks/server.py [--times 300]` to measure it alone: a client that sends prepared requests over
64 connections and looks no further than a reply's end tells how many a second it serves without a delay, what one
takes of its processor, and how late its replies are when they are due 500 ms after 1000 requests at a time. The other
benchmarks start it themselves, and print the last two for what they asked of it. It has no limits; what other work on
the machine disturbed is repeated, and else says so.

Replies are prepared but for three numbers: no two texts are equal, and tokens are billed at four bytes each, a prompt
once for all its n answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from functools import cache
from itertools import cycle, islice
from random import Random
from typing import Any, NamedTuple

from quiet import Round, mark, until_quiet

WORDS = ("because", "therefore", "however", "since", "light", "air", "blue", "scatters", "the", "of", "more", "than")
TEXT = " ".join(Random(0).choices(WORDS, k=340))
COMPLETION_TOKENS = len(TEXT) // 4
_N = re.compile(rb'"n": ?(\d+)')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DRAWN = 65_536


@cache
def template(n: int) -> bytes:
    """Return a whole reply with n answers; the holes are n numbers, prompt tokens and all tokens."""
    choice = '{"index": %d, "finish_reason": "stop", "message": {"role": "assistant", "content": "%%012d %s"}}'
    choices = ", ".join(choice % (index, TEXT) for index in range(n))
    body = (
        '{"id": "c", "object": "chat.completion", "created": 0, "model": "m", '
        f'"choices": [{choices}], "usage": {{"prompt_tokens": %10d, "completion_tokens": {n * COMPLETION_TOKENS}, '
        '"total_tokens": %10d}}'
    )
    length = len(body % (*[0] * n, 0, 0))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    return (head + body).encode()


class Report(NamedTuple):
    """What the server did since it was asked the last time."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    most_at_once: int
    cpu_us: float
    """Microseconds of CPU time per request."""
    late_ms: float
    """By how much replies were sent later than they were due, the 99th percentile."""


class Models:
    """What all connections share."""

    def __init__(self, latency_s: float, slow_share: float, slow_s: float, seed: int) -> None:
        rng = Random(seed)
        drawn = [slow_s if rng.random() < slow_share else latency_s for _ in range(_DRAWN)]
        self.delays = cycle(drawn)
        self.number = 0
        self.at_once = 0
        self.forget()

    def forget(self) -> None:
        self.requests = self.prompt_tokens = self.completion_tokens = 0
        self.most_at_once = self.at_once
        self.late_s: list[float] = []
        self.cpu_s = time.process_time()

    def reply(self, body: bytes | memoryview) -> bytes:
        """Bill a request and return its reply."""
        found = _N.search(body, max(0, len(body) - 4096)) or _N.search(body, 0, 4096)
        n = int(found[1]) if found else 1
        self.number += n
        prompt, completion = len(body) // 4, n * COMPLETION_TOKENS
        self.requests += 1
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        return template(n) % (*range(self.number - n, self.number), prompt, prompt + completion)

    def report(self) -> bytes:
        """Return what happened as a reply, and forget it."""
        cpu_s = time.process_time() - self.cpu_s
        late = sorted(self.late_s)
        report = Report(
            self.requests,
            self.prompt_tokens,
            self.completion_tokens,
            self.most_at_once,
            cpu_s / max(1, self.requests) * 1e6,
            late[int(0.99 * len(late))] * 1e3 if late else 0.0,
        )
        self.forget()
        body = json.dumps(report._asdict()).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Connection(asyncio.Protocol):
    """A connection, which is kept: a request, its reply, the next request."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._needed = 0
        self._transport: Any = None
        self._due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) < self._needed:
            return
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end)
        self._needed = end + 4 + (int(length[1]) if length else 0)
        if len(self._received) < self._needed:
            return
        if self._received.startswith(b"GET"):
            self._transport.write(self._models.report())
        else:
            self._answer(bytes(self._received[end + 4 : self._needed]))
        del self._received[: self._needed]
        self._needed = 0

    def _answer(self, body: bytes) -> None:
        models = self._models
        reply, delay_s = models.reply(body), next(models.delays)
        if not delay_s:
            self._transport.write(reply)
            return
        models.at_once += 1
        models.most_at_once = max(models.most_at_once, models.at_once)
        due = self._loop.time() + delay_s
        self._due = self._loop.call_at(due, self._send, reply, due)

    def _send(self, reply: bytes, due: float) -> None:
        self._due = None
        self._models.at_once -= 1
        self._models.late_s.append(self._loop.time() - due)
        self._transport.write(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._due is not None:
            self._due.cancel()
            self._models.at_once -= 1


def raise_limit() -> None:
    """Let this process have as many connections as it may."""
    with suppress(ImportError):  # Windows, which has no such limit
        import resource  # noqa: PLC0415

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve(models: Models) -> None:
    """Serve until killed; print the address."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(models), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


class Server:
    """The server as its clients know it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.base = f"{address}/v1"

    def report(self) -> Report:
        """Return what it did since the last time."""
        with urllib.request.urlopen(self.address) as reply:
            return Report(**json.load(reply))


@contextmanager
def serving(latency_s: float = 0.5, slow_share: float = 0.0, slow_s: float = 10.0, seed: int = 0) -> Generator[Server]:
    """Run the server in a process of its own."""
    behaviour = {"--latency": latency_s, "--slow-share": slow_share, "--slow": slow_s, "--seed": seed}
    options = [f"{name}={value}" for name, value in behaviour.items()]
    command = [sys.executable, __file__, "--serve", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(process.stdout.readline().strip())
        finally:
            process.kill()


# The server alone


class Asker(asyncio.Protocol):
    """Sends the same request over and over, as soon as its reply is there."""

    def __init__(self, request: bytes, times: Iterable[object], done: asyncio.Future[None]) -> None:
        self._request = request
        self._times = iter(times)
        self._done = done
        self._left = 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        if next(self._times, None) is None:
            self._transport.close()
            self._done.set_result(None)
            return
        self._left = len(template(1) % (0, 0, 0))
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if not self._left:
            self._ask()


async def ask(server: Server, connections: int, times: int) -> float:
    """Return the seconds that so many requests take over each of so many connections."""
    loop = asyncio.get_running_loop()
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": TEXT * 6}]}).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    host, _, port = server.address.removeprefix("http://").partition(":")
    began = time.perf_counter()

    async def one() -> None:
        done = loop.create_future()
        await loop.create_connection(lambda: Asker(request, islice(cycle([1]), times), done), host, int(port))
        await done

    await asyncio.gather(*(one() for _ in range(connections)))
    return time.perf_counter() - began


def measured(times: int) -> None:
    """Measure the server alone and print it."""
    print("| the model server alone | requests/s | CPU time per request | late, p99 | disturbed |")
    print("|---|---|---|---|---|")
    for name, latency_s, connections, asked in (("no delay", 0.0, 64, times), ("500 ms", 0.5, 1000, 5)):
        seconds, report, watched = 0.0, Report(0, 0, 0, 0, 0.0, 0.0), Round()
        for watched in until_quiet():
            with watched:
                seconds, report = asked_of(latency_s, connections, asked)
        print(
            f"| {name}, {connections} connections | {report.requests / seconds:.0f} | {report.cpu_us:.0f} µs | ", end=""
        )
        print(f"{f'{report.late_ms:.1f} ms' if latency_s else ''} | {mark([watched])} |")


def asked_of(latency_s: float, connections: int, times: int) -> tuple[float, Report]:
    """Return the seconds that so many requests take over each of so many connections, and the report of the server."""
    with serving(latency_s) as server:
        asyncio.run(ask(server, connections, 2))
        server.report()
        return asyncio.run(ask(server, connections, times)), server.report()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=300, help="requests of each connection")
    parser.add_argument("--latency", type=float, default=0.5, help="seconds that a reply takes")
    parser.add_argument("--slow-share", type=float, default=0.0)
    parser.add_argument("--slow", type=float, default=10.0, help="seconds that the slow share takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    raise_limit()
    if given.serve:
        asyncio.run(serve(Models(given.latency, given.slow_share, given.slow, given.seed)))
    measured(given.times)


if __name__ == "__main__":
    main()
