"""A chat in a browser: the official bridge of MCP Apps hosts the page of a run, against a real server.

`npm ci` in tests/interop/typescript brings the bridge.
"""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from playwright import sync_api

HOST = Path(__file__).parents[1] / "interop" / "typescript"
QUESTION = "Which design hurts first?"
Theme = Literal["light", "dark"]


class Chat:
    """A chat in which a host shows the page of a call."""

    def __init__(self, tab: sync_api.Page) -> None:
        self.tab = tab
        self.run = tab.frame_locator("iframe")
        self.errors: list[str] = []
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)

    def show(
        self,
        name: str = "two",
        given: dict[str, Any] | None = None,
        *,
        width: int = 760,
        theme: Theme = "light",
        modern: bool = True,
        context: dict[str, Any] | None = None,
        **options: Any,
    ) -> sync_api.FrameLocator:
        """Let the host call a tool and show its page, and return the page."""
        self.tab.set_viewport_size({"width": width, "height": 900})
        self.tab.emulate_media(color_scheme=theme)
        self.tab.evaluate("modern => host.connect(modern)", modern)
        call = [name, given or {"question": QUESTION}, {"context": {"theme": theme, **(context or {})}, **options}]
        self.tab.evaluate("([name, given, options]) => host.show(name, given, options)", call)
        return self.run

    def seen(self, kind: str) -> Any:
        """Return what the page has asked its host for."""
        return self.tab.evaluate(f"host.seen.{kind}")

    def evaluate(self, script: str) -> Any:
        """Return the value of a script in the page."""
        return self.tab.frames[-1].evaluate(script)

    def cancel(self) -> None:
        """Cancel the run that the page shows."""
        call = {"name": "moa_cancel", "arguments": {"run_id": self.run.locator(".head code").inner_text()}}
        self.tab.evaluate("call => host.client.callTool(call)", call)

    def wait(self, script: str) -> None:
        """Wait until a script in the chat is true."""
        self.tab.wait_for_function(script)


def chat_in(context: sync_api.BrowserContext, url: str) -> Chat:
    """Return a chat without a page. Its files have the origin of the server, so that the browser lets it call that."""
    origin = url.removesuffix("/mcp")
    context.route(f"{origin}/host/**", lambda route: _serve(route, origin))
    chat = Chat(context.new_page())
    chat.tab.goto(f"{origin}/host/host.html")
    chat.wait("window.host")
    return chat


def _serve(route: sync_api.Route, origin: str) -> None:
    path = HOST / route.request.url.removeprefix(f"{origin}/host/")
    if not path.is_file():
        route.fulfill(status=404)
        return
    kind = "text/javascript" if path.suffix == ".mjs" else mimetypes.guess_type(path.name)[0]
    route.fulfill(body=path.read_bytes(), content_type=kind)
