"""Checks the pages of a built site: `python tools/links.py site`.

Each link must lead to a file and an anchor that exist, and no page may load anything from another server. The exit code
is 1 if there are faults.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

LOADED = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "object": "data",
}
"""By element: the attribute whose address a browser loads with the page."""
NOT_FOUND = "404.html"
"""Its links begin at the root of the server."""


class Page(HTMLParser):
    """The anchors and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors = {""}
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if (address := found.get(LOADED.get(tag, ""))) is not None and found.get("rel") != "canonical":
            self.loaded.add(address)


class Fault(NamedTuple):
    """A link that leads nowhere, or an address of another server."""

    page: str
    address: str
    problem: str

    def __str__(self) -> str:
        return f"{self.page}: {self.address} {self.problem}"


def faults(site: Path) -> Iterator[Fault]:
    """Yield what is wrong in the pages of a site."""
    pages = {path.resolve(): Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(site.resolve()).as_posix()
        if name == NOT_FOUND:
            continue
        for address in sorted(page.links | page.loaded):
            if urlsplit(address).scheme or address.startswith("//"):
                if address in page.loaded and not address.startswith("data:"):
                    yield Fault(name, address, "is loaded from another server")
            elif problem := _broken(path, address, pages):
                yield Fault(name, address, problem)


def _broken(path: Path, address: str, pages: dict[Path, Page]) -> str:
    """Return why a relative address leads nowhere; empty if it does not."""
    parts = urlsplit(address)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.exists():
        return "does not exist"
    anchors = pages[target].anchors if target in pages else {""}
    return "" if unquote(parts.fragment) in anchors else "has no such anchor"


def main() -> None:
    """Print what is wrong, or how many pages were checked."""
    site = Path(sys.argv[1])
    found = list(faults(site))
    for fault in found:
        print(fault)
    print(f"{len(list(site.rglob('*.html')))} pages, {len(found)} faults")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
