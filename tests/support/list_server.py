"""Providers' lists of models on loopback, each in the shape of its provider, over real HTTP.

It knows nothing of the package under test. The first part of a request's path names the provider.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit


class Asked(NamedTuple):
    """A request."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""


class Body(NamedTuple):
    """An answer."""

    value: Any
    """JSON, or the text of a web page."""
    status: int = 200


Shape = Callable[[Asked], Body]


def openai(*names: str, key: str | None = None) -> Shape:
    """List models as OpenAI does; with `key`, answer 401 to any other."""

    def answer(asked: Asked) -> Body:
        if key is not None and asked.headers.get("authorization") != f"Bearer {key}":
            return Body({"error": {"message": f"Incorrect API key: {asked.headers.get('authorization')}"}}, 401)
        return Body({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    return answer


def openrouter(*entries: tuple[str, str]) -> Shape:
    """List models with their permanent names, as OpenRouter does."""
    data = [{"id": name, "canonical_slug": slug, "name": f"Title of {name}"} for name, slug in entries]
    return lambda _: Body({"data": data})


def together(*names: str) -> Shape:
    """List models without an object around the list, as Together does."""
    return lambda _: Body([{"id": name, "object": "model", "type": "chat"} for name in names])


def ollama(*names: str) -> Shape:
    """List models as Ollama does; null without any."""
    return lambda _: Body({"object": "list", "data": [{"id": name, "object": "model"} for name in names] or None})


def anthropic(*names: str, key: str, size: int = 2) -> Shape:
    """List models in pages of `size`, as Anthropic does."""

    def answer(asked: Asked) -> Body:
        if asked.headers.get("x-api-key") != key or "anthropic-version" not in asked.headers:
            return Body({"type": "error", "error": {"type": "authentication_error"}}, 401)
        first = names.index(asked.query["after_id"]) + 1 if "after_id" in asked.query else 0
        page = names[first : first + size]
        data = [{"type": "model", "id": name, "display_name": name} for name in page]
        return Body({"data": data, "has_more": first + size < len(names), "last_id": page[-1]})

    return answer


def gemini(*names: str, key: str, size: int = 2) -> Shape:
    """List models in pages of `size`, as Gemini does."""

    def answer(asked: Asked) -> Body:
        if asked.headers.get("x-goog-api-key") != key or "key" in asked.query:
            return Body({"error": {"code": 403, "status": "PERMISSION_DENIED"}}, 403)
        first = int(asked.query.get("pageToken", "0"))
        models = [{"name": f"models/{name}", "displayName": name} for name in names[first : first + size]]
        further = {"nextPageToken": str(first + size)} if first + size < len(names) else {}
        return Body({"models": models, **further})

    return answer


def failing(status: int) -> Shape:
    """Answer with a status."""
    return lambda _: Body({"error": {"message": "no"}}, status)


def page(_: Asked) -> Body:
    """Answer with a web page."""
    return Body("<html><body>Please log in.</body></html>")


class ListServer:
    """Serves lists of models on 127.0.0.1, inside a `with` block."""

    def __init__(self, **shapes: Shape | None) -> None:
        """Serve a shape for each name; None never answers."""
        self.asked: list[Asked] = []
        self._shapes = shapes
        self._ended = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def url(self, name: str, path: str = "/v1") -> str:
        """Return the base address of a provider."""
        return f"http://127.0.0.1:{self._http.server_port}/{name}{path}"

    def paths(self, name: str) -> Sequence[str]:
        """Return the paths of the requests to a provider."""
        return [each.path.removeprefix(f"/{name}") for each in self.asked if each.path.startswith(f"/{name}/")]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                asked = Asked(parts.path, query, {name.lower(): value for name, value in self.headers.items()})
                server.asked.append(asked)
                shape = server._shapes.get(parts.path.split("/")[1], failing(404))
                if shape is None:
                    server._ended.wait()
                    return
                value, status = shape(asked)
                text = value if isinstance(value, str) else json.dumps(value)
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if isinstance(value, str) else "application/json")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                del code, size

        return Handler
