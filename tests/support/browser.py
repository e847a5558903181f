"""Chromium for the tests of pages, which are opened as files from disk, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import pytest

if TYPE_CHECKING:
    from playwright import sync_api
else:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FOUND = "axe.run().then(({violations}) => violations.map(({id, nodes}) => [id, nodes[0].html]))"

Theme = Literal["light", "dark"]


@contextmanager
def chromium() -> Generator[sync_api.Browser]:
    """Start Chromium, or skip the test without one."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium (apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


class Opened:
    """Opens pages as files from disk, and records their requests and errors."""

    def __init__(self, browser: sync_api.Browser, folder: Path) -> None:
        self._browser = browser
        self._context = browser.new_context(offline=True)
        self._file = folder / "run.html"
        self.errors: list[str] = []
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    @property
    def quiet(self) -> bool:
        """Whether the pages had no error and requested nothing but themselves."""
        return not self.errors and set(self.requests) == {self._file.as_uri()}

    def __call__(self, html: str, width: int = 1200, theme: Theme = "light") -> sync_api.Page:
        """Return the page with this HTML, at a width in pixels."""
        tab = self._context.new_page()
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", lambda message: self.errors.append(message.text))
        tab.on("request", lambda request: self.requests.append(request.url))
        return self._shown(tab, html, width, theme)

    def violations(self, html: str, *steps: str, width: int = 1200, theme: Theme = "light") -> list[list[str]]:
        """Return what axe finds, after a click on each of these selectors."""
        found = find_spec("axe_playwright_python")
        if found is None or found.origin is None:
            pytest.skip("axe-playwright-python is not installed")
        with self._browser.new_context(bypass_csp=True) as context:  # axe adds a script
            tab = self._shown(context.new_page(), html, width, theme)
            for step in steps:
                tab.locator(step).first.click()
            tab.evaluate(Path(found.origin).with_name("axe.min.js").read_text("utf-8"))
            violations: list[list[str]] = tab.evaluate(_FOUND)
            return violations

    def _shown(self, tab: sync_api.Page, html: str, width: int, theme: Theme) -> sync_api.Page:
        self._file.write_text(html, "utf-8", errors="replace")
        tab.set_viewport_size({"width": width, "height": 900})
        tab.emulate_media(color_scheme=theme)
        tab.goto(self._file.as_uri())
        return tab
