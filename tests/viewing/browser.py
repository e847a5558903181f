"""A tab in Chromium, and what its page reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright import sync_api


class Tab:
    """A tab, and all that it reported and received."""

    def __init__(self, context: sync_api.BrowserContext, address: str) -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.errors: list[str] = []
        self.received: list[Any] = []
        """The data that it received, as JSON."""
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfinished", self._note)
        self.page.goto(address)

    def _note(self, request: sync_api.Request) -> None:
        response = request.response()
        if response is not None and response.ok and "/data/" in request.url:
            self.received.append(response.json())
