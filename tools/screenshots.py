"""Makes the pictures of pages in docs/pictures: `python -m tools.screenshots [NAME…]`, with playwright and Chromium.

A run and a fork of it call a model server on this machine, whose models have fixed replies. `PICTURES` lists what is
photographed of their pages. A picture of another page is one more entry there, and a page in `served`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from tests.support.chat import chat_in
from tests.support.model_server import Body, ModelServer, Reply, Status
from tests.support.serving import ServerProcess

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "pictures"
LARGEST_BYTES = 150_000
SCALE = 1.5
"""Pixels of a picture to a CSS pixel."""
QUESTION = "Which database design will hurt us first, and why: one wide table, event sourcing, or a schema per tenant?"


class Picture(NamedTuple):
    """A picture of a page."""

    name: str
    """Of the file, without `.webp`."""
    page: str
    """The page to open, a key of what `served` yields."""
    width: int
    """Of the window, in CSS pixels."""
    height: int
    """Of the picture."""
    theme: Literal["light", "dark"] = "light"
    clicks: tuple[str, ...] = ()
    """Selectors of what is clicked first."""
    top: str = "main"
    """Selector of the element at whose top the picture begins."""


PICTURES = (
    Picture("run", "run", 1200, 1480),
    Picture("run-dark", "run", 1200, 1480, "dark"),
    Picture("run-narrow", "run", 360, 1500, "dark"),
    Picture("answers", "run", 1200, 760, clicks=("#tab1",), top="#answers"),
    Picture("runs", "runs", 1200, 530),
    Picture("chat", "chat", 760, 620),
    Picture("chat-dark", "chat", 760, 620, "dark"),
    Picture("compared", "compared", 1200, 1480),
)

LOCKS = "Every new attribute is one more nullable column, and locks of `ALTER TABLE` grow with the rows."
WIDE = f"The wide table hurts first. {LOCKS}"
TENANTS = "A schema per tenant fails in operations, not in queries: each migration runs once for each tenant."
CATALOG = "At a few thousand schemas the catalog itself becomes slow."
EVENTS = "Event sourcing is slow to hurt, since replays stay cheap while streams are short."
TEAM = "Event sourcing hurts first: no one on the team can read the current state without a projection."
BACKUP = "Restoring a single tenant is simple with a schema of its own, which is the one real advantage."
PATH = "Plan the path out of the design before you choose it."
PROPOSALS = {
    "qwen3-32b": f"{WIDE} {TENANTS} {EVENTS}",
    "llama-4-maverick": f"{WIDE} {EVENTS} {PATH}",
    "mistral-large": f"{TENANTS} {CATALOG} {BACKUP}",
    "deepseek-v3.2": f"{TEAM} {TENANTS}",
    "gemma-3-27b": f"{WIDE} {TENANTS} {CATALOG}",
}
FINAL = f"""**The wide table hurts first.** {LOCKS}

1. {TENANTS} {CATALOG}
2. {EVENTS}

| design | hurts after about |
|---|---|
| one wide table | 50 attributes |
| a schema per tenant | 2,000 tenants |
| event sourcing | streams of 10,000 events |

Start with the wide table only if you expect fewer than fifty attributes."""
OTHER_FINAL = f"""**The wide table hurts first**, for a team of any size. {LOCKS}

1. {TENANTS} {BACKUP}
2. {EVENTS}

Choose a schema per tenant if you have fewer than a thousand tenants."""
PRICES = {
    "qwen3-32b": (0.4, 1.2),
    "llama-4-maverick": (0.3, 0.9),
    "mistral-large": (2, 6),
    "deepseek-v3.2": (0.6, 1.7),
    "gemma-3-27b": (0.25, 2),
    "claude-sonnet-4-5": (3, 15),
}
SECONDS = {"qwen3-32b": 2.6, "llama-4-maverick": 3.1, "mistral-large": 1.0, "deepseek-v3.2": 2.1, "gemma-3-27b": 1.6}
PIPELINE = """
[limits]
attempts = 3
[defaults]
max_tokens = 200
[pipelines.design_review]
description = "Five models propose, a judge keeps three answers, three models merge them, one writes the answer."
steps = [
    { step = "propose", agents = ["qwen3-32b", "llama-4-maverick", "mistral-large", "deepseek-v3.2", "gemma-3-27b"] },
    { step = "rank", max_tokens = 60, agent = "gemma-3-27b", n = 3, passes = 2 },
    { step = "synthesize", agents = ["qwen3-32b", "llama-4-maverick", "deepseek-v3.2"] },
    { step = "aggregate", max_tokens = 400, agent = "qwen3-32b" },
]
"""
SHORT = """
[pipelines.second_opinion]
description = "Two answers, and one of both."
steps = [
    { step = "propose", agents = ["AGENT", "AGENT"] },
    { step = "aggregate", agent = "AGENT" },
]
"""
OTHERS = {
    "Is a UUID a good primary key for a table with a billion rows?": "claude-sonnet-4-5",
    "Which index fits a query by tenant and time, newest first?": "deepseek-v3.2",
    "How do we move a table of 2 TB to another region without a pause?": "claude-sonnet-4-5",
    "Should the outbox be in the database of the service or in a queue?": "claude-sonnet-4-5",
}
"""Questions of further runs in the list, and the model that answers each."""
RANKING = ("qwen3-32b", "gemma-3-27b", "mistral-large", "llama-4-maverick", "deepseek-v3.2")


def main() -> None:
    """Write the pictures that are named, or all of them."""
    wanted = [each for each in PICTURES if each.name in sys.argv[1:] or not sys.argv[1:]]
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright, served(Path(folder)) as pages:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for picture in wanted:
            data = taken(browser, pages[picture.page], picture)
            (FOLDER / f"{picture.name}.webp").write_bytes(data)
            print(f"{picture.name}.webp: {len(data) / 1000:.0f} kB")
        browser.close()


@contextmanager
def served(folder: Path) -> Generator[Mapping[str, str]]:
    """Make the runs, and yield the addresses of their pages by name."""
    pages = {name: folder / f"{name}.html" for name in ("run", "compared")}
    with ModelServer() as server:
        scripted(server)
        config = folder / "pipelines.toml"
        models = "".join(map(_model, PRICES, [server.url] * len(PRICES)))
        journal = folder / "journal.sqlite"
        own = {"MOA_MCP_CONFIG": str(config), "MOA_MCP_JOURNAL": str(journal), "OPENAI_API_KEY": "none"}
        environ = {**os.environ, **own}

        def run(*arguments: str, check: bool = True) -> None:
            subprocess.run([sys.executable, "-m", "moa_mcp", *arguments], check=check, env=environ)

        for question, model in OTHERS.items():
            config.write_text(PIPELINE + SHORT.replace("AGENT", model) + models, "utf-8")
            run("ask", "second_opinion", question, "--quiet", "--yes", check=False)  # the answer of one fails
        server.clear()
        scripted(server)
        run("ask", "design_review", QUESTION, "--seed", "4", "--quiet", "--yes")
        run("runs", "export", "last", "--html", str(pages["run"]), "-o", str(folder / "run.json"))
        change = ("--set", "agent=claude-sonnet-4-5", "--set", "temperature=0.2")
        run("runs", "fork", "last", "--from", "4", *change, "--quiet", "--yes")
        run("runs", "export", "last", "--compare", "parent", "--html", str(pages["compared"]))
    view = [sys.executable, "-m", "moa_mcp", "view", "--no-open"]
    environ |= {"MOA_MCP_JOURNAL": journal.name, "PYTHONPATH": str(ROOT)}  # the page shows the path as it was given
    with subprocess.Popen(view, env=environ, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().strip() if process.stdout else ""
        with ServerProcess("--http", "--port", "0", "--config", str(config), "--journal", str(journal)) as server:
            shown = json.loads((folder / "run.json").read_text("utf-8"))["run_id"]
            files = {name: file.as_uri() for name, file in pages.items()}
            yield {**files, "runs": address, "chat": f"{server.url}#{shown}"}
        process.terminate()


def _model(name: str, url: str) -> str:
    prompt, completion = PRICES[name]
    price = f"usd_per_million = {{ prompt = {prompt}, completion = {completion} }}"
    return f'[models."{name}"]\nroutes = [{{ model = "openai/{name}", api_base = "{url}", {price} }}]\n'


def scripted(server: ModelServer) -> None:
    """Give each model its replies, in the order of the steps; one is rate limited, and one fails."""
    merged = {"qwen3-32b": f"{WIDE} {TENANTS} {CATALOG}", "llama-4-maverick": f"{WIDE} {TENANTS} {EVENTS} {PATH}"}
    first = {name: Reply(text, delay_s=SECONDS[name], reasoning_tokens=0) for name, text in PROPOSALS.items()}
    busy, down = Status(429, "too many requests", retry_after="0.6"), Status(503, "overloaded")
    server.script(
        "qwen3-32b", first["qwen3-32b"], Reply(merged["qwen3-32b"], 2.2), Reply(FINAL, 1.1, chunk_delay_s=0.02)
    )
    server.script("llama-4-maverick", first["llama-4-maverick"], busy, Reply(merged["llama-4-maverick"], 1.8))
    server.script("mistral-large", first["mistral-large"])
    server.script("deepseek-v3.2", first["deepseek-v3.2"], down)
    server.script("gemma-3-27b", first["gemma-3-27b"], Reply(ranking, 0.9))
    server.script("claude-sonnet-4-5", Reply(OTHER_FINAL, 0.8, chunk_delay_s=0.02))


def ranking(body: Body) -> str:
    """Return the verdict of the judge for the order of answers in its prompt."""
    prompt = body["messages"][0]["content"]
    shown = re.findall(r"^----- answer \d+ of \d+ \(\w+\) -----\n(.*)$", prompt, re.MULTILINE)
    key = re.findall(r'"key": "([a-z]+)"', prompt)[-1]
    return json.dumps({"key": key, "ranking": [shown.index(PROPOSALS[name]) + 1 for name in RANKING]})


def taken(browser: Browser, address: str, picture: Picture) -> bytes:
    """Return a picture as WebP, in the best quality that fits its limit."""
    size = ViewportSize(width=picture.width, height=900)
    with browser.new_context(viewport=size, color_scheme=picture.theme) as context:
        tab = in_chat(context, address, picture) if picture.page == "chat" else context.new_page()
        if picture.page != "chat":
            tab.goto(address)
            tab.locator(".answer, .runs .cost:not(:empty)").first.wait_for()
        for selector in picture.clicks:
            tab.locator(selector).click()
        tab.evaluate("document.activeElement.blur()")
        for quality in range(90, 20, -10):
            data = _captured(tab, picture, quality)
            if len(data) < LARGEST_BYTES:
                return data
    raise SystemExit(f"{picture.name} has more than {LARGEST_BYTES / 1000:.0f} kB: make it smaller")


def in_chat(context: BrowserContext, address: str, picture: Picture) -> Page:
    """Return a chat in which the official bridge of MCP Apps shows a run, from `npm ci` in tests/interop/typescript.

    `address` is that of the server, and the ID of the run.
    """
    url, _, run_id = address.partition("#")
    chat = chat_in(context, url)
    run = chat.show("moa_trace", {"run_id": run_id}, width=picture.width, theme=picture.theme)
    run.locator(".answer").wait_for()
    chat.wait("frames[0] && document.querySelector('iframe').clientHeight === host.seen.heights.at(-1)")
    return chat.tab


def _captured(tab: Page, picture: Picture, quality: int) -> bytes:
    top = (
        0
        if picture.top == "main"
        else tab.locator(picture.top).evaluate("each => each.getBoundingClientRect().top + scrollY - 20")
    )
    clip = {"x": 0, "y": top, "width": picture.width, "height": picture.height, "scale": SCALE}
    options = {"format": "webp", "quality": quality, "clip": clip, "captureBeyondViewport": True}
    captured: dict[str, str] = tab.context.new_cdp_session(tab).send("Page.captureScreenshot", options)
    return base64.b64decode(captured["data"])


if __name__ == "__main__":
    main()
