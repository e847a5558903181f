"""A server on HTTP that several callers share, and requests to it as they are sent."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from moa_mcp.callers import document, file, tokens
from moa_mcp.callers.tables import NamedCaller, Permissions
from tests.support.nursery import Nursery
from tests.support.serving import OFFLINE, ServerProcess

VERSION = "2026-07-28"
TASKS = "io.modelcontextprotocol/tasks"
APPS = "io.modelcontextprotocol/ui"
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Reading the certificates of the system would take longer than a request."""
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "tasks/get": "taskId"}


class Reply(NamedTuple):
    """What a request was answered with."""

    status: int
    headers: httpx2.Headers
    text: str

    @property
    def message(self) -> Any:
        """The JSON-RPC message that answers it, from JSON or from the last event of a stream."""
        return json.loads(self.text.rpartition("data: ")[2] if "data: " in self.text else self.text)

    @property
    def result(self) -> Any:
        return self.message["result"]


class Team:
    """Callers of a server by name, each with a token."""

    def __init__(self, folder: Path, callers: Mapping[str, Permissions], more: str = "") -> None:
        """Write the file of the callers, with `more` of TOML at its end."""
        self.path = folder / "callers.toml"
        self.tokens = {name: tokens.new() for name in callers}
        text = ""
        for name, permissions in callers.items():
            given = permissions.model_dump(exclude_defaults=True)
            text = document.added(text, name, NamedCaller(token_sha256=tokens.hashed(self.tokens[name]), **given))
        file.write(self.path, text + more)

    @contextmanager
    def served(
        self, nursery: Nursery, *options: str, transport: str = "--http", prelude: str = "", **environment: str
    ) -> Generator[tuple[ServerProcess, str]]:
        """Serve the shipped pipelines with simulated models; yield the process and its URL."""
        start = (transport, "--port", "0", "--drain", "0", "--callers", str(self.path), *OFFLINE, *options)
        with ServerProcess(*start, nursery=nursery, prelude=prelude, **environment) as server:
            yield server, server.url

    def change(self, text: str) -> None:
        """Replace the file, as an editor does."""
        file.write(self.path, text)

    @staticmethod
    def wait_until(predicate: Callable[[], bool], timeout: float = 20.0) -> None:
        """Ask until the predicate holds, for what a server notices when it looks."""
        ends = time.monotonic() + timeout
        while not predicate():
            assert time.monotonic() < ends, "the server did not notice"

    def headers(self, caller: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[caller]}"}

    def send(self, url: str, caller: str, method: str, *, extensions: tuple[str, ...] = (), **params: Any) -> Reply:
        """Send a request of the newest protocol, and return the answer."""
        return send(url, self.headers(caller), method, extensions=extensions, **params)

    def call(self, url: str, caller: str, tool: str, **arguments: Any) -> Any:
        """Call a tool and return its result."""
        return self.send(url, caller, "tools/call", name=tool, arguments=arguments).result


def send(
    url: str,
    headers: Mapping[str, str],
    method: str,
    *,
    extensions: tuple[str, ...] = (),
    **params: Any,
) -> Reply:
    """Send a request of the newest protocol, and return the answer."""
    able: dict[str, Any] = {name: {} for name in extensions}
    if APPS in able:
        able[APPS] = {"mimeTypes": ["text/html;profile=mcp-app"]}
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"extensions": able},
    }
    own = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": VERSION, "Mcp-Method": method}
    if (named := _NAMED.get(method)) and named in params:
        own["Mcp-Name"] = str(params[named])
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    answer = httpx2.post(url, json=request, headers={**own, **headers}, timeout=20, verify=_NO_TLS)
    return Reply(answer.status_code, answer.headers, answer.text)
