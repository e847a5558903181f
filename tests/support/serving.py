"""The server as its users start it, `python -m moa_mcp serve`, and a client that sees every line on the wire."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from typing import IO, Any, Self

import mcp_types as types
from mcp import StdioServerParameters
from mcp.client.stdio import get_default_environment

from moa_mcp.config import shipped
from tests.support.nursery import Forked, Nursery

OFFLINE = ("--offline", "--config", str(shipped()))
"""What makes a server simulate the shipped pipelines, whatever this machine's user has configured."""
AT_ONCE = "from moa_mcp.providers.backend import simulated; simulated.__defaults__ = (0.0,)"
"""A prelude with which simulated models answer without a delay."""
MEASURED = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
"""What makes a process measure its coverage, where that is wanted; for environments that hold nothing else of ours."""
Wire = dict[str, Any]
"""A JSON-RPC message."""


def parameters(*arguments: str, nursery: Nursery | None = None, **environment: str) -> StdioServerParameters:
    """Return how a host starts the server over stdio: with almost none of the environment, and no file for its runs.

    With a nursery it is forked there.
    """
    own = {"MOA_MCP_JOURNAL": "none", "MOA_MCP_DRAIN": "0"}
    serve = ("serve", *arguments)
    command, *given = nursery.command(*serve) if nursery else (sys.executable, "-m", "moa_mcp", *serve)
    return StdioServerParameters(command=command, args=given, env={**own, **MEASURED, **environment})


def content(result: types.CallToolResult) -> dict[str, Any]:
    """Return a result's structured content."""
    data: dict[str, Any] | None = result.structured_content
    assert data is not None
    return data


def text(result: types.CallToolResult) -> str:
    """Return the text of a result's only block."""
    (block,) = result.content
    assert isinstance(block, types.TextContent)
    return block.text


class ServerProcess:
    """A server inside a `with` block, on any transport. Everything public may be called from any thread.

    With a nursery it is forked there, and may run a prelude of Python before it starts.
    """

    def __init__(self, *arguments: str, nursery: Nursery | None = None, prelude: str = "", **environment: str) -> None:
        start = parameters(*arguments, nursery=None, **environment)
        environ = get_default_environment() | (start.env or {})
        self.process: subprocess.Popen[str] | Forked = (
            nursery.start("serve", *arguments, environ=environ, prelude=prelude)
            if nursery
            else subprocess.Popen(
                [start.command, *start.args],
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
        )
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.stdout)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.stderr)),
        ]

    def __enter__(self) -> Self:
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, fault: type[BaseException] | None, *_: object) -> None:
        """End the server, and hold it to having met nothing that it did not expect."""
        self.process.terminate()
        try:
            self.ended(timeout=5)
        finally:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):  # of what it was sent after its end
                    stream.close()
        if fault is None:
            assert "Traceback" not in "".join(self.stderr), "".join(self.stderr)

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line)
                self._changed.notify_all()

    def wait_for(self, predicate: Callable[[], bool], timeout: float = 20.0) -> None:
        """Block until the predicate holds, which is asked after every line that the server writes."""
        with self._changed:
            if not self._changed.wait_for(predicate, timeout):
                message = f"not within {timeout} s; stdout was {self.stdout}, stderr was {self.stderr}"
                raise AssertionError(message)

    @property
    def url(self) -> str:
        """Where a server on HTTP or SSE can be reached; waits until it listens."""
        self.wait_for(lambda: "serves MCP at http://" in "".join(self.stderr))
        found = re.search(r"serves MCP at (http://\S+)", "".join(self.stderr))
        assert found is not None
        return found[1]

    def send(self, **message: Any) -> None:
        """Send a JSON-RPC message to a server on stdio."""
        self.write(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def write(self, line: bytes) -> None:
        """Write a line to a server on stdio, whatever it says."""
        assert isinstance(self.process.stdin, TextIOWrapper)
        try:
            self.process.stdin.buffer.write(line + b"\n")
            self.process.stdin.buffer.flush()
        except BrokenPipeError as error:
            wrote = f"the server ended with {self.ended()}; stderr was {self.stderr}"
            raise AssertionError(wrote) from error

    def ask(self, number: int, method: str, **params: Any) -> Wire:
        """Send a request to a server on stdio and return the message that answers it."""
        self.send(id=number, method=method, params=params)
        return self.answer(number)

    def answer(self, number: int) -> Wire:
        """Return the message that answers a request that was sent; waits for it."""
        self.wait_for(lambda: any(message.get("id") == number for message in self.messages))
        return next(message for message in self.messages if message.get("id") == number)

    def initialize(self) -> None:
        """Shake hands as a client of 2025-11-25 does."""
        client = {"name": "wire", "version": "1"}
        self.ask(0, "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
        self.send(method="notifications/initialized")

    @property
    def messages(self) -> list[Wire]:
        """All of stdout, which must hold one JSON-RPC message a line and nothing else."""
        messages = [json.loads(line) for line in tuple(self.stdout)]
        assert all(message["jsonrpc"] == "2.0" for message in messages)
        return messages

    def close_stdin(self) -> None:
        """Say to a server on stdio that its client is gone."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def ended(self, timeout: float = 10.0) -> int:
        """Wait until the process is gone and all it wrote is read; return its exit status."""
        status = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        return status
