"""The page of a run in a real browser: what it shows, at each size, and that no text of a run becomes code."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import pytest

from moa_mcp.trace.trace import Trace
from moa_mcp.viewer import page
from tests.viewer.examples import ANSWER, QUESTION, example, large, replaced

if TYPE_CHECKING:
    from playwright import sync_api
else:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (apt-get install chromium)")
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
    "\ud800 \u2028 \x00",
    "__proto__ ${document.title='ran'} {{1+1}}",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser: sync_api.Browser, tmp_path: Path) -> Iterator[Opened]:
    with Opened(browser, tmp_path) as pages:
        yield pages


class Opened:
    """Opens traces as files from disk, and records requests and errors of the page."""

    def __init__(self, browser: sync_api.Browser, folder: Path) -> None:
        self._context = browser.new_context(offline=True)
        self._file = folder / "run.html"
        self.errors: list[str] = []
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def __call__(self, trace: Trace, width: int = 1200, theme: Literal["light", "dark"] = "light") -> sync_api.Page:
        self._file.write_text(page(trace), "utf-8", errors="replace")
        tab = self._context.new_page()
        tab.set_viewport_size({"width": width, "height": 900})
        tab.emulate_media(color_scheme=theme)
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", lambda message: self.errors.append(message.text))
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.goto(self._file.as_uri())
        return tab


def test_styles_and_scripts_take_less_than_60_kb() -> None:
    assert len(page(Trace()).encode()) < 60_000


def test_a_run_is_shown_from_its_status_to_its_commands(opened: Opened) -> None:
    tab = opened(example())
    assert tab.locator("h1").inner_text() == QUESTION
    assert tab.get_by_role("status").inner_text() == "degraded"
    assert tab.locator(".answer td").all_inner_texts() == [
        "wide table",
        "50 attributes",
        "schema per tenant",
        "2000 tenants",
    ]
    assert tab.locator("dd b").all_inner_texts() == ["18 s", "8/9", "4,923", "$0.0546"]
    assert tab.get_by_role("listitem").filter(has_text="gave no answer").count() == 1
    assert tab.locator(".call").count() == 9
    assert tab.locator(".bar.bad").count() == 4 + 1
    assert "runs fork 38824f57fc99ba55 --from 3" in tab.locator(".commands").inner_text()
    assert (opened.errors, len(opened.requests)) == ([], 1)


def test_a_chosen_call_shows_its_prompt_with_the_earlier_answers_marked(opened: Opened) -> None:
    tab = opened(example())
    chosen = tab.locator('[data-call="2.2.1"]')
    chosen.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("#prompt summary").inner_text() == "Prompt of llama-4-maverick, step 2 (640 tokens)"
    assert tab.locator("#prompt mark").count() == 4
    assert tab.evaluate("document.activeElement.dataset.call") == "2.2.1"
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.dataset.call") == "2.3.1"


def test_arrow_keys_move_between_the_layers(opened: Opened) -> None:
    tab = opened(example())
    tab.get_by_role("tab", name="2 synthesize").focus()
    tab.keyboard.press("ArrowRight")
    assert tab.get_by_role("tab", selected=True).inner_text() == "3 aggregate"
    tab.keyboard.press("ArrowRight")
    assert tab.get_by_role("tab", selected=True).inner_text() == "1 propose"
    assert tab.evaluate("document.activeElement.id") == "tab1"


def test_a_sentence_of_most_answers_and_one_of_a_single_answer_are_marked(opened: Opened) -> None:
    tab = opened(example())
    tab.get_by_role("tab", name="1 propose").click()
    assert any(
        text.startswith("The wide table hurts first") for text in tab.locator(".card mark.most").all_inner_texts()
    )
    assert tab.locator(".card mark.lone").all_inner_texts() != []
    assert not any("The wide table" in text for text in tab.locator(".card mark.lone").all_inner_texts())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200, 1600])
def test_nothing_is_wider_than_the_window(opened: Opened, width: int, theme: Literal["light", "dark"]) -> None:
    tab = opened(replaced(example(), "long" * 300), width, theme)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    light = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(252, 252, 251)"
    assert light == (theme == "light")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_axe_finds_nothing_that_keeps_people_from_reading_it(
    browser: sync_api.Browser, tmp_path: Path, width: int, theme: Literal["light", "dark"]
) -> None:
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed")
    file = tmp_path / "run.html"
    file.write_text(page(example()), "utf-8")
    size = sync_api.ViewportSize(width=width, height=900)
    with browser.new_context(bypass_csp=True, viewport=size, color_scheme=theme) as context:  # axe adds a script
        tab = context.new_page()
        tab.goto(file.as_uri())
        tab.evaluate(Path(found.origin).with_name("axe.min.js").read_text("utf-8"))
        violations = tab.evaluate(
            "axe.run().then(({violations}) => violations.map(({id, nodes}) => [id, nodes[0].html]))"
        )
    assert violations == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_text_in_every_field_stays_text(opened: Opened, attack: str) -> None:
    tab = opened(replaced(example(), attack))
    tab.locator(".call").nth(0).click()
    assert tab.title() != "ran"
    assert tab.locator(".call").count() == 9
    assert tab.locator("main").locator("script, img, svg, style, iframe, form, object, base, meta").count() == 0
    addresses = tab.eval_on_selector_all("a", "links => links.map(link => link.protocol)")
    assert set(addresses) <= {"https:"}
    shown = tab.locator("main").inner_text()
    assert not set(shown) & set("\x1b\x00\u202e\u2066\u202c")
    assert (opened.errors, len(opened.requests)) == ([], 1)


def test_an_answer_of_a_megabyte_is_shown_as_it_is(opened: Opened) -> None:
    trace = example()
    trace.answer = f"{ANSWER}\n" * 2000
    tab = opened(trace)
    assert len(tab.locator(".answer").inner_text()) > 900_000
    assert opened.errors == []


def test_ten_thousand_calls_are_shown_by_and_by(opened: Opened) -> None:
    tab = opened(large(10_000))
    assert tab.locator("dd b").nth(1).inner_text() == "10004/10005"
    before = tab.locator(".call").count()
    tab.get_by_role("button", name="Show 100 more of 9900").click()
    assert tab.locator(".call").count() == before + 100
    assert tab.locator(".card").count() <= 24
    assert opened.errors == []


def test_a_run_without_start_times_has_a_timeline_too(opened: Opened) -> None:
    trace = example()
    for call in (call for step in trace.steps for call in step.calls):
        call.started_at = 0.0
        for attempt in call.attempts:
            attempt.started_at = 0.0
    tab = opened(trace)
    lefts = (
        tab.locator(".layer").nth(2).locator(".bar").evaluate_all("bars => bars.map(bar => parseFloat(bar.style.left))")
    )
    assert lefts[0] > 60
    assert opened.errors == []


def test_a_run_that_has_only_begun_and_one_that_failed_are_shown(opened: Opened) -> None:
    assert "No answer yet" in opened(Trace(run_id="a", pipeline="p")).locator("main").inner_text()
    failed = Trace(run_id="a", pipeline="p", status="failed", error="step 1: too few answers")
    text = opened(failed).locator("main").inner_text()
    assert "step 1: too few answers" in text
    assert "moa-mcp runs resume a" in text
    assert opened.errors == []
