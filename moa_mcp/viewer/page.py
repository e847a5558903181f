"""Puts a run, the styles and the modules into one HTML file that needs no server and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from json import dumps
from typing import NamedTuple

from moa_mcp.trace.trace import Trace
from moa_mcp.viewer.data import Difference, Json, compared, data_of

_RUN = (
    *("elements", "figures", "scale", "timeline", "sentences", "answers", "prompt", "choices", "commands"),
    *("run", "update", "source", "live"),
)
"""The modules of every page of a run, each after those that it imports."""
MODULES = (*_RUN, "agreement", "findings", "whole", "turns", "main")
"""The modules of the page of one run."""
LOCAL_RUN = (*_RUN, "agreement", "findings", "served", "shown", "turns", "pictures", "local_run")
"""Those of the page of a run of `moa-mcp view`."""
LOCAL_LIST = ("elements", "figures", "source", "live", "update", "served", "shown", "list", "local_list")
"""Those of its list of runs."""
COMPARING = (*(name for name in _RUN if name != "live"), "whole", "compare", "turns", "main")
"""Those of a page with two runs, which does not follow them."""
REPORT = ("elements", "figures", "source", "whole", "outcomes", "report")
"""Those of the report of an evaluation, which has its tables as HTML and draws its questions."""
LOCAL_REPORT = ("elements", "figures", "source", "live", "served", "whole", "outcomes", "report", "local_report")
"""The same in `moa-mcp eval --view`."""
APP_MODULES = (
    *("asks" if name == "commands" else name for name in _RUN),
    *("bridge", "hosted", "chat", "app"),
)
"""Those of the page in a chat, where buttons take the place of commands."""
UNFRAMED = "frame-ancestors 'none'"
"""What the policy of a page that a server sends has too."""
_STRICT = "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
_UNBUNDLED = re.compile(r"^import .*\n|^export |^//.*\n|^ +| +// .*$", re.MULTILINE)
"""What the modules need apart but not in one script."""
_UNREAD = re.compile(r"/\*.*?\*/|\n", re.DOTALL)
"""What the styles need for people alone."""


def page(trace: Trace) -> str:
    """Return the HTML of a run. Its policy allows these styles and this script, and no request at all."""
    return _page(data_of(trace))


def compared_page(trace: Trace, other: Trace, settings: Iterable[Difference] | None) -> str:
    """Return the HTML of two runs side by side, as `page` does. `settings` are those that differ, None if unknown."""
    return _page(compared(trace, other, settings), COMPARING, "compare.css")


def _page(content: Mapping[str, Json], modules: tuple[str, ...] = MODULES, *styles: str) -> str:
    return document(content, bundled(modules, *styles), title="moa-mcp run")


class Bundle(NamedTuple):
    """The styles and the script of a page, without what only people who read the sources need."""

    style: str
    script: str

    def policy(self, *others: str) -> str:
        """Return the policy that allows these styles and this script, and what `others` allow, but nothing else."""
        allowed = (f"script-src {_hash(self.script)}", f"style-src {_hash(self.style)}", *others)
        return f"default-src 'none'; {'; '.join(allowed)}; {_STRICT}"


def document(
    data: Mapping[str, Json], bundle: Bundle, *, title: str, content: str = "", images: str = "", key: str | None = None
) -> str:
    """Return the HTML of a page with its data, which needs no server.

    `content` is HTML that the page shows before its script runs. `images` are the sources of images that the policy
    allows. A page of `moa-mcp view` has a `key`, and its server sends the policy.
    """
    given = dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    policy = bundle.policy(*([f"img-src {images}"] if images else []))
    guard = (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        if key is None
        else f'<meta name="moa-key" content="{key}">'
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{guard}'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{bundle.style}</style></head>"
        f'<body><main>{content}</main><script type="application/json" id="run">{given}</script>'
        f'<script type="module">{bundle.script}</script></body></html>\n'
    )


def local_page(modules: tuple[str, ...], key: str) -> tuple[str, str]:
    """Return the HTML of a page of `moa-mcp view`, and its policy. It asks its own server for the data.

    `key` is what the page sends with each request; empty if it has the key already.
    """
    style, script = bundle = bundled(modules, "local.css")
    policy = bundle.policy("connect-src 'self'", "img-src blob:", UNFRAMED)
    html = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="moa-key" content="{key}">'
        f"<title>moa-mcp</title><style>{style}</style></head>"
        "<body><main><noscript>The pages of moa-mcp view need JavaScript.</noscript></main>"
        f'<script type="module">{script}</script></body></html>\n'
    )
    return html, policy


@cache
def app_page() -> str:
    """Return the HTML of the page in a chat, without data. Its policy is that of the host (MCP Apps, 2026-01-26)."""
    style, script = bundled(APP_MODULES, "chat.css")
    return (
        '<!doctype html>\n<html lang="en" data-chat><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>moa-mcp run</title><style>{style}</style></head>"
        f'<body><main></main><script type="module">{script}</script></body></html>\n'
    )


@cache
def bundled(modules: tuple[str, ...], *styles: str) -> Bundle:
    """Return the styles of all pages and these, and modules, each after those that it imports."""

    def read(name: str) -> str:
        return (files("moa_mcp.viewer") / name).read_text("utf-8")

    style = "".join(_UNREAD.sub("", read(name)) for name in ("viewer.css", *styles))
    return Bundle(style, "".join(_UNBUNDLED.sub("", read(f"{name}.js")) for name in modules))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
