"""`moa-mcp view`: the command as a process, runs of other processes, and a real browser."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast
from urllib.parse import quote, urljoin, urlsplit

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from moa_mcp.events import CallFinished, CallStarted, RunFinished, RunStarted, StepStarted
from moa_mcp.images import image_of_bytes, read_image
from moa_mcp.journal import RunRecord
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.values import Completion, Message, Place, Question, Status
from tests.support.browser import chromium
from tests.support.lives import AGGREGATOR, CALLS, NAMES, POOL, WIDTH, Machine
from tests.support.model_server import Held, Reply
from tests.support.nursery import Forked, Nursery
from tests.support.pictures import png
from tests.support.programs import program, written
from tests.viewing.browser import Tab

if TYPE_CHECKING:
    from playwright import sync_api
else:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

QUESTION = "Which database design will hurt us first, and why: one wide table, event sourcing, or a schema per tenant?"
ANSWER = "The wide table hurts first. Every new attribute becomes a nullable column, and locks grow with the rows, says"
ATTACKS = (
    "<script>document.title='ran'</script>",
    "</script><script>document.title='ran'</script>",
    "<!--<script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "<svg onload=\"document.title='ran'\"><style>main{display:none}</style></svg>",
    "[click](javascript:document.title='ran')",
    "[click](data:text/html,<script>document.title='ran'</script>)",
    "![x](https://example.invalid/x.png)",
    "<javascript:alert(1)>",
    "<style>*{display:none}</style>",
    "\x1b]8;;https://example.invalid\x07link\x1b]8;;\x07 \x1b[31mred",
    "\u202ereversed\u202c \u2066isolated",
    "\u2028 \x00",
    "__proto__ ${document.title='ran'} {{1+1}}",
)

Value = TypeVar("Value")
Start = Callable[..., "View"]


class View:
    """The command as a process."""

    def __init__(self, process: Forked) -> None:
        self.process = process
        self.address = process.stdout.readline().strip()
        parts = urlsplit(self.address)
        assert parts.port is not None, process.stderr.read()
        self.port = parts.port
        self.key = parts.query.removeprefix("key=")

    def asks(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
        """Return the status, text and headers of an answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}


@pytest.fixture
def view(machine: Machine) -> Iterator[Start]:
    started: list[Forked] = []

    def start(*arguments: str) -> View:
        started.append(machine.start("view", "--no-open", *arguments))
        return View(started[-1])

    yield start
    for process in started:
        stopped(process)


def stopped(process: Forked) -> None:
    """End the command as `kill` does, so that its coverage is saved, and free what it has."""
    with process:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def guarded(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    path = tmp_path_factory.mktemp("guarded") / "journal.sqlite"
    recorded(path, ("A secret question", "p", "complete"))
    environ = {"PATH": os.environ["PATH"], "HOME": os.devnull}
    process = nursery.start("--journal", str(path), "view", "--no-open", environ=environ)
    yield View(process)
    stopped(process)


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def context(browser: sync_api.Browser) -> Iterator[sync_api.BrowserContext]:
    with browser.new_context(viewport={"width": 1200, "height": 900}) as made:
        yield made


@pytest.fixture
def opened(context: sync_api.BrowserContext, view: Start) -> Callable[..., Tab]:
    def start(*arguments: str) -> Tab:
        return Tab(context, view(*arguments).address)

    return start


def apart(work: Callable[[], Coroutine[object, object, Value]]) -> Value:
    """Do asynchronous work in a thread: playwright's event loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(anyio.run, work).result()


@contextmanager
def another_site() -> Generator[str]:
    """Serve an empty page on this machine, and return its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(server.serve_forever)
        yield f"http://localhost:{server.server_address[1]}/"
        server.shutdown()


def recorded(path: Path, *runs: tuple[str, str, str]) -> list[str]:
    """Record runs with these questions, pipelines and statuses, oldest first; return their IDs."""

    async def work() -> list[str]:
        journal = SQLiteJournal(path)
        for number, (question, pipeline, status) in enumerate(runs):
            run_id = f"{number:04}"
            spec = json.dumps({"spec": {"question": {"text": question}}, "simulated": False})
            began = 1_700_000_000.0 + 60 * number
            await journal.begin(RunRecord(run_id, pipeline, spec, "running", question[:80], began, began))
            start = RunStarted(
                run_id=run_id, pipeline=pipeline, question=Question(question), seed=0, steps=(), at=began
            )
            await journal.keep(run_id, start)
            if status != "running":
                end = RunFinished(status=cast("Status", status), answer=question, error=None, seconds=2.0, at=began + 2)
                await journal.keep(run_id, end)
                await journal.finish(run_id, cast("Status", status))
            else:
                await journal.release(run_id)
        await journal.close()
        return [f"{number:04}" for number in range(len(runs))]

    return apart(work)


def prompts(tab: Tab) -> Counter[str]:
    """Return the longer texts that a page received, and how often."""
    return Counter(text for news in tab.received for text in news["texts"])


# Runs as they happen


def test_a_run_of_another_process_is_seen_as_it_happens_and_each_text_is_sent_once(
    machine: Machine, opened: Callable[..., Tab]
) -> None:
    for name in NAMES:
        machine.models.script(name, Reply(f"{ANSWER} {name}"), Held())
    with machine.start("ask", POOL, QUESTION) as run:
        machine.settles(WIDTH)
        tab = opened("last")
        facts, status = tab.page.locator("dd b"), tab.page.get_by_role("status")
        sync_api.expect(facts.nth(1)).to_have_text(f"{WIDTH}/{CALLS}")
        sync_api.expect(status).to_have_text("running")
        tab.page.locator('[data-call="1.2.1"]').click()
        tab.page.evaluate("scrollTo(0, 200)")
        tab.page.evaluate("document.querySelector('h1').mark = true")
        machine.models.release()
        sync_api.expect(status).to_have_text("complete")
        assert run.wait(20) == 0
    sync_api.expect(facts.nth(1)).to_have_text(f"{CALLS}/{CALLS}")
    sync_api.expect(tab.page.locator(".answer")).to_contain_text(f"from {AGGREGATOR}")
    assert tab.page.locator('[data-call="1.2.1"]').get_attribute("aria-pressed") == "true"
    assert tab.page.evaluate("[scrollY, document.querySelector('h1').mark, document.activeElement.dataset.call]") == [
        200,
        True,
        "1.2.1",
    ]
    sent = prompts(tab)
    assert {text for text in sent if QUESTION in text or ANSWER in text} != set()
    assert set(sent.values()) == {1}
    assert tab.errors == []


def test_a_killed_run_is_interrupted_and_goes_on_in_the_page_when_another_process_resumes_it(
    machine: Machine, opened: Callable[..., Tab]
) -> None:
    machine.answers(8)
    with machine.start("ask", POOL, QUESTION) as run:
        machine.settles(8)
        tab = opened("last")
        status = tab.page.get_by_role("status")
        sync_api.expect(status).to_have_text("running")
        run.kill()
        run.wait(10)
    sync_api.expect(status).to_have_text("interrupted")
    stopped = tab.page.locator(".call .bar.bad")
    sync_api.expect(stopped).to_have_count(WIDTH - 2)
    machine.answers_all()
    assert machine.run("runs", "resume", "last").returncode == 0
    sync_api.expect(status).to_have_text("complete")
    sync_api.expect(tab.page.locator("dd b").nth(1)).to_have_text(f"{CALLS}/{CALLS}")
    sync_api.expect(tab.page.get_by_text("resumed 1 time")).to_be_visible()
    sync_api.expect(stopped).to_have_count(WIDTH - 2)
    assert tab.errors == []


def test_what_the_reader_asked_for_and_unfolded_stays_while_a_large_run_goes_on(
    machine: Machine, opened: Callable[..., Tab]
) -> None:
    with start_blocking_portal() as portal:
        journal = portal.call(SQLiteJournal, machine.path)
        spec = json.dumps({"spec": {"question": {"text": "Why?"}}, "simulated": False})
        now = time.time()
        portal.call(journal.begin, RunRecord("0000", "p", spec, "running", "Why?", now, now))
        start = RunStarted(run_id="0000", pipeline="p", question=Question("Why?"), seed=0, steps=("propose",))
        for event in (start, StepStarted(step=1, step_kind="propose")):
            portal.call(journal.keep, "0000", event)
        for number in range(1, 301):
            asked = CallStarted(place=Place(1, number), agent=f"agent-{number}", messages=(Message("user", "Why?"),))
            portal.call(journal.append, "0000", asked)
        tab = opened("0000")
        calls = tab.page.locator(".call")
        tab.page.get_by_role("button", name="Show 100 more of 200").click()
        tab.page.locator("#prompt summary").click()
        sync_api.expect(calls).to_have_count(200)
        answer = Completion("Because.", "a")
        portal.call(journal.keep, "0000", CallFinished(place=Place(1, 7), completion=answer, seconds=1.5))
        sync_api.expect(tab.page.locator('[data-call="1.7.1"]')).to_contain_text("1.5 s")
        sync_api.expect(calls).to_have_count(200)
        assert tab.page.locator("#prompt").get_attribute("open") is None
        tab.page.get_by_role("button", name="Show 100 more of 100").click()
        sync_api.expect(calls).to_have_count(300)
        tab.page.get_by_role("button", name="Copy: moa-mcp runs export").click()
        sync_api.expect(tab.page.get_by_text("Copied").or_(tab.page.get_by_text("Select the text"))).to_be_visible()
        portal.call(journal.close)
    assert tab.errors == []


_ASKED = """path => fetch(path, {headers: {"X-Moa-Key": localStorage.getItem("moa-mcp-view")}})
    .then(reply => [reply.status, reply.headers.get("content-type")])"""


def test_the_page_of_a_run_shows_its_images_but_downloads_none(machine: Machine, opened: Callable[..., Tab]) -> None:
    images = image_of_bytes(png(64, 48)), read_image("https://example.invalid/a.png")
    with start_blocking_portal() as portal:
        journal = portal.call(SQLiteJournal, machine.path)
        spec = json.dumps({"spec": {"question": {"text": "Why?"}}, "simulated": False})
        portal.call(journal.begin, RunRecord("0000", "p", spec, "running", "Why?", time.time(), time.time()))
        question = Question("Why?", images=images)
        asked = CallStarted(place=Place(1, 1), agent="a", messages=(Message("user", "Why?", images),))
        start = RunStarted(run_id="0000", pipeline="p", question=question, seed=0, steps=("propose",))
        for event in (start, StepStarted(step=1, step_kind="propose"), asked):
            portal.call(journal.keep, "0000", event)
        portal.call(journal.close)
    tab = opened("0000")
    shown = tab.page.get_by_alt_text("image 1 of the question")
    sync_api.expect(shown).to_be_visible()
    assert shown.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [64, 48]
    sync_api.expect(tab.page.locator(".pictures")).to_contain_text("2. https://example.invalid/a.png")
    sync_api.expect(tab.page.locator("#prompt")).to_contain_text("[image 1: PNG, 64 x 48, 1 kB, sha256 ")
    assert tab.errors == []
    replies = [tab.page.evaluate(_ASKED, f"/data/runs/0000/images/{number}") for number in (1, 2, 3)]
    assert [status for status, _ in replies] == [200, 404, 404]
    assert replies[0][1] == "image/png"
    assert tab.page.evaluate("fetch('/data/runs/0000/images/1').then(reply => reply.status)") == 403


def test_runs_of_earlier_versions_are_listed(machine: Machine, opened: Callable[..., Tab]) -> None:
    shutil.copy(Path(__file__).parent.parent / "journal" / "fixtures" / "runs.sqlite", machine.path)
    rows = opened().page.locator(".runs li:not(.names)")
    rows.first.wait_for()
    assert "damaged" not in " ".join(rows.all_inner_texts())


def test_a_run_appears_in_the_list_when_it_starts_and_ends_there(machine: Machine, opened: Callable[..., Tab]) -> None:
    machine.models.script("*", Held())
    tab = opened()
    sync_api.expect(tab.page.get_by_text("There are no runs yet")).to_be_visible()
    assert not machine.path.exists()
    with machine.start("ask", POOL, QUESTION) as run:
        row = tab.page.locator(".runs li").filter(has_text=QUESTION)
        sync_api.expect(row).to_contain_text("running")
        tab.page.locator(".runs a").focus()
        machine.models.release()
        assert run.wait(20) == 0
    sync_api.expect(row).to_contain_text("complete")
    assert tab.page.evaluate("document.activeElement.textContent") == QUESTION
    tab.page.keyboard.press("Enter")
    sync_api.expect(tab.page.locator(".answer")).to_contain_text(f"from {AGGREGATOR}")
    tab.page.get_by_role("link", name="← All runs").click()
    sync_api.expect(row).to_contain_text("complete")
    assert tab.errors == []


def test_the_page_of_a_stopped_server_says_so_and_keeps_what_it_has(
    context: sync_api.BrowserContext, machine: Machine, view: Start
) -> None:
    recorded(machine.path, ("Why?", "p", "complete"))
    served = view()
    tab = Tab(context, served.address)
    sync_api.expect(tab.page.locator(".runs a")).to_have_text("Why?")
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(10) == 130
    sync_api.expect(tab.page.get_by_role("alert")).to_contain_text("does not answer")
    assert tab.page.locator(".runs a").inner_text() == "Why?"


# The list


def test_runs_are_filtered_by_status_pipeline_and_words_and_the_address_keeps_it(
    machine: Machine, opened: Callable[..., Tab]
) -> None:
    recorded(
        machine.path,
        ("Why is the sky blue?", "vote", "complete"),
        ("Why is the SEA blue?", "vote", "failed"),
        ("What is blue, then?", "refine", "cancelled"),
        ("x" * 200 + " sea", "refine", "running"),
    )
    tab = opened()
    links, count = tab.page.locator(".runs a"), tab.page.get_by_role("status")
    sync_api.expect(links).to_have_count(4)
    tab.page.get_by_label("Question").fill("blue sea")
    sync_api.expect(links).to_have_text(["Why is the SEA blue?"])
    tab.page.get_by_label("Question").fill("sea")
    sync_api.expect(links).to_have_count(2)
    tab.page.get_by_label("Status").select_option("interrupted")
    sync_api.expect(count).to_have_text("1 run")
    tab.page.get_by_label("Pipeline").select_option("vote")
    sync_api.expect(tab.page.get_by_text("No run matches these filters.")).to_be_visible()
    assert tab.page.url.endswith("/?status=interrupted&pipeline=vote&text=sea")
    tab.page.get_by_label("Status").select_option("failed")
    sync_api.expect(links).to_have_text(["Why is the SEA blue?"])
    tab.page.reload()
    sync_api.expect(links).to_have_text(["Why is the SEA blue?"])
    assert tab.page.get_by_label("Question").input_value() == "sea"
    links.click()
    tab.page.go_back()
    sync_api.expect(links).to_have_text(["Why is the SEA blue?"])
    assert tab.errors == []


def test_pages_of_the_list_are_reached_by_keyboard(machine: Machine, opened: Callable[..., Tab]) -> None:
    recorded(machine.path, *((f"Question {number}", "vote", "complete") for number in range(60)))
    tab = opened()
    links, count = tab.page.locator(".runs a"), tab.page.get_by_role("status")
    sync_api.expect(count).to_have_text("1 to 25 of 60 runs")
    assert links.first.inner_text() == "Question 59"
    tab.page.get_by_role("button", name="Older").focus()
    tab.page.keyboard.press("Enter")
    sync_api.expect(count).to_have_text("26 to 50 of 60 runs")
    tab.page.keyboard.press("Enter")
    sync_api.expect(links).to_have_count(10)
    assert links.last.inner_text() == "Question 0"
    sync_api.expect(tab.page.get_by_role("button", name="Older")).to_be_disabled()
    tab.page.get_by_role("button", name="Newer").click()
    sync_api.expect(count).to_have_text("26 to 50 of 60 runs")
    assert tab.page.url.endswith("/?page=2")


def test_hostile_texts_stay_texts_in_the_list_and_in_each_run(machine: Machine, opened: Callable[..., Tab]) -> None:
    run_ids = recorded(machine.path, *((f"{attack} of all", attack.strip(), "complete") for attack in ATTACKS))
    tab = opened()
    for path in ("/", *(f"/runs/{run_id}" for run_id in run_ids)):
        tab.page.goto(urljoin(tab.page.url, path))
        tab.page.locator(".answer, .runs a").first.wait_for()
        assert tab.page.title() != "ran"
        inside = tab.page.locator("main")
        assert inside.locator("script, img, svg, style, iframe, form, object, base, meta").count() == 0
        assert not set(inside.inner_text()) & set("\x1b\x00\u202e\u2066\u202c")
    assert {urlsplit(request).hostname for request in tab.requests} == {"127.0.0.1"}
    assert tab.errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_axe_finds_nothing_in_the_list_and_in_a_run_and_nothing_is_wider_than_the_window(
    browser: sync_api.Browser, machine: Machine, view: Start, width: int, theme: Literal["light", "dark"]
) -> None:
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed")
    statuses = ("running", "complete", "degraded", "failed", "cancelled")
    recorded(machine.path, *((f"{status} " + "long" * 90, "p" * 40, status) for status in statuses * 6))
    size = sync_api.ViewportSize(width=width, height=900)
    with browser.new_context(bypass_csp=True, viewport=size, color_scheme=theme) as context:  # axe adds a script
        tab = Tab(context, view().address)
        for place in (".runs a", ".answer"):
            tab.page.locator(place).first.wait_for()
            tab.page.evaluate(Path(found.origin).with_name("axe.min.js").read_text("utf-8"))
            violations = tab.page.evaluate(
                "axe.run().then(({violations}) => violations.map(({id, nodes}) => [id, nodes[0].html]))"
            )
            assert violations == []
            assert tab.page.evaluate("document.documentElement.scrollWidth") == width
            tab.page.locator(".runs a").nth(1).click() if place == ".runs a" else None


def test_a_damaged_run_and_one_of_stored_hashes_are_listed_too(machine: Machine, opened: Callable[..., Tab]) -> None:
    recorded(machine.path, ("", "vote", "complete"), ("Why?", "vote", "complete"))
    with closing(sqlite3.connect(machine.path)) as db, db:
        db.execute("UPDATE runs SET spec = 'x' WHERE title = 'Why?'")
    tab = opened()
    rows = tab.page.locator(".runs li:not(.names)")
    sync_api.expect(rows.filter(has_text="damaged")).to_have_count(1)
    sync_api.expect(rows.filter(has_text="(question not stored)").filter(has_not_text="damaged")).to_contain_text(
        "complete"
    )
    rows.filter(has_text="damaged").get_by_role("link").click()
    sync_api.expect(tab.page.get_by_role("alert")).to_contain_text("is damaged")


# Who may read it


def test_the_key_leaves_the_address_and_reloads_and_other_tabs_need_no_other(
    context: sync_api.BrowserContext, machine: Machine, view: Start
) -> None:
    recorded(machine.path, ("Why?", "p", "complete"))
    served = view()
    tab = Tab(context, f"{served.address}&status=complete")
    link = tab.page.locator(".runs a")
    sync_api.expect(link).to_have_text("Why?")
    assert tab.page.url == f"http://127.0.0.1:{served.port}/?status=complete"
    tab.page.reload()
    sync_api.expect(link).to_have_text("Why?")
    with context.expect_page() as other:
        link.click(modifiers=["ControlOrMeta"])
    sync_api.expect(other.value.locator(".answer")).to_have_text("Why?")
    assert served.key not in "".join(each["value"] for each in context.cookies() if "value" in each)
    assert tab.errors == []


def test_another_site_can_neither_read_nor_frame_nor_link_to_the_pages(
    context: sync_api.BrowserContext, machine: Machine, view: Start
) -> None:
    recorded(machine.path, ("Why?", "p", "complete"))
    served = view()
    Tab(context, served.address).page.locator(".runs a").wait_for()
    other = context.new_page()
    with another_site() as foreign:
        other.goto(foreign)
        own = f"http://127.0.0.1:{served.port}"
        read = "address => fetch(address, {credentials: 'include'}).then(() => 'read', () => 'no')"
        assert other.evaluate(read, f"{own}/data/runs") == "no"
        with other.expect_response(f"{own}/") as answer:
            frame = "address => document.body.append(Object.assign(document.createElement('iframe'), {src: address}))"
            other.evaluate(frame, f"{own}/")
        assert answer.value.status == 403
        other.evaluate("address => { location = address }", served.address)
        other.wait_for_url(f"{own}/**")
        assert "Another site linked to or asked for this page" in other.locator("body").inner_text()


@pytest.mark.parametrize(
    ("path", "headers", "status", "said"),
    [
        ("/", {}, 403, "needs its key"),
        ("/?key=x", {}, 403, "needs its key"),
        ("/?key=\u00e9", {}, 403, "needs its key"),
        ("/runs/0000", {}, 403, "needs its key"),
        ("/data/runs", {}, 403, "needs its key"),
        ("/data/runs?key={key}", {}, 403, "needs its key"),
        ("/data/runs", {"X_Moa_Key": "x"}, 403, "needs its key"),
        ("/data/runs/0000", {"Cookie": "moa-mcp-view-{port}={cookie}"}, 403, "needs its key"),
        ("/?key={key}", {"Host": "evil.test"}, 421, "not at another host name"),
        ("/?key={key}", {"Host": "127.0.0.1.evil.test:{port}"}, 421, "not at another host name"),
        ("/?key={key}", {"Host": ""}, 421, "not at another host name"),
        ("/?key={key}", {"Sec_Fetch_Site": "cross-site"}, 403, "Another site"),
        ("/?key={key}", {"Sec_Fetch_Site": "same-site"}, 403, "Another site"),
        ("/data/runs", {"X_Moa_Key": "{key}", "Sec_Fetch_Site": "same-site"}, 403, "Another site"),
        ("/nothing", {"X_Moa_Key": "{key}"}, 404, "no such page"),
        ("/data/runs/nobody", {"X_Moa_Key": "{key}"}, 404, "There is no run 'nobody'"),
    ],
)
def test_a_request_without_the_key_by_another_name_or_from_another_site_is_refused_in_plain_words(
    guarded: View, path: str, headers: dict[str, str], status: int, said: str
) -> None:
    cookie = guarded.asks(f"/?key={guarded.key}")[2]["set-cookie"].partition(";")[0].partition("=")[2]
    known = {"key": guarded.key, "port": str(guarded.port), "cookie": cookie}
    filled = {name: value.format(**known) for name, value in headers.items()}
    answer = guarded.asks(quote(path.format(**known), safe="/?=&"), **filled)
    assert (answer[0], said in answer[1]) == (status, True)
    assert answer[2]["content-type"].startswith("text/plain")
    assert answer[2]["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "question" not in answer[1]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_only_get_is_answered(guarded: View, method: str) -> None:
    status, _, headers = guarded.asks(f"/?key={guarded.key}", method)
    assert (status, headers["allow"]) == (405, "GET")


def test_the_key_the_name_of_this_machine_and_the_page_itself_are_let_in(guarded: View) -> None:
    for host in ("127.0.0.1", "localhost:9", "LOCALHOST", "[::1]:8080"):
        assert guarded.asks("/data/runs", X_Moa_Key=guarded.key, Host=host, Sec_Fetch_Site="same-origin")[0] == 200
    assert len(guarded.asks(f"/?key={guarded.key}")[1].encode()) < 60_000
    status, text, headers = guarded.asks(f"/runs/0000?key={guarded.key}", Sec_Fetch_Site="none")
    assert status == 200
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=strict" in headers["set-cookie"]
    policy = dict(each.split(maxsplit=1) for each in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert (policy["connect-src"], policy["require-trusted-types-for"]) == ("'self'", "'script'")
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert len(text.encode()) < 60_000


# The command


def test_the_browser_is_opened_at_an_address_that_opens_once(
    machine: Machine, nursery: Nursery, tmp_path: Path
) -> None:
    seen = tmp_path / "address"
    browser = program(tmp_path / "bin", "browser", f"import sys\nopen({str(seen)!r}, 'w').write(sys.argv[1] + '\\n')")
    environ = {"PATH": os.environ["PATH"], "HOME": os.devnull, "BROWSER": f"{browser} %s"}
    recorded(machine.path, ("Why?", "p", "complete"))
    with nursery.start("--journal", str(machine.path), "view", "0000", environ=environ) as process:
        served = View(process)
        address = urlsplit(apart(partial(written, seen)))
        assert (address.path, served.key in address.query) == ("/runs/0000", False)
        status, text, _ = served.asks(f"{address.path}?{address.query}")
        assert (status, served.key in text) == (200, True)
        assert served.asks(f"{address.path}?{address.query}")[0] == 403
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody",), ("Error: there is no run 'nobody'", "Run moa-mcp runs to list the stored runs.")),
        (("--journal", "none"), ("Error: --journal none does not store runs", "Choose another journal")),
        (("--port", "{taken}"), ("Error: can't listen on 127.0.0.1 port {taken}: Address already in use", "--port")),
        (("--port", "70000"), ("70000 is not in the range", "0<=x<=65535")),
        (("--journal", "{folder}"), ("Error: the journal {folder} can't be used: it is a folder", "--journal PATH")),
    ],
)
def test_what_can_not_be_shown_is_refused_with_the_value_and_a_remedy(
    machine: Machine, tmp_path: Path, arguments: tuple[str, ...], said: tuple[str, ...]
) -> None:
    recorded(machine.path, ("Why?", "p", "complete"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = {"taken": str(taken.getsockname()[1]), "folder": str(tmp_path)}
        ended = machine.run("view", "--no-open", *(each.format(**known) for each in arguments))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert [each.format(**known) in ended.stderr for each in said] == [True, True]
    assert "Traceback" not in ended.stderr


def test_a_run_of_no_journal_is_refused_and_no_file_is_made(machine: Machine) -> None:
    ended = machine.run("view", "--no-open", "last")
    assert ended.returncode == 2
    assert f"there are no runs yet in {machine.path}" in ended.stderr
    assert not machine.path.exists()


def test_looking_changes_nothing_and_makes_no_writer_wait(machine: Machine, view: Start) -> None:
    recorded(machine.path, ("Why?", "p", "complete"), ("And?", "p", "running"))
    with closing(sqlite3.connect(machine.path)) as db:
        before = [*db.iterdump()]
        served = view()
        db.execute("BEGIN IMMEDIATE")  # as a process that writes
        for path in ("/data/runs", "/data/runs/0000", "/data/runs/0001?mark=1"):
            assert served.asks(path, X_Moa_Key=served.key)[0] == 200
        db.rollback()
        assert [*db.iterdump()] == before
