"""The page of a run in a chat: the official bridge of MCP Apps hosts it in a real browser, against a real server.

Buttons are pressed by key, since a frame that has just grown may not get the mouse yet. `npm ci` in
tests/interop/typescript brings the bridge; without it, or without Chromium, these tests are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from moa_mcp.viewer import app_page
from tests.support.browser import chromium
from tests.support.chat import HOST, QUESTION, Chat, Theme, chat_in
from tests.support.model_server import Hang, ModelServer, Reply, Status
from tests.support.nursery import Nursery
from tests.support.serving import ServerProcess

if TYPE_CHECKING:
    pass
pytestmark = [
    pytest.mark.skipif(
        not (HOST / "node_modules" / "@modelcontextprotocol" / "ext-apps").is_dir(),
        reason="run `npm ci` in tests/interop/typescript to test with the official bridge of MCP Apps",
    ),
]
CONFIG = """
models.a.routes = [{ model = "openai/a", api_base = "URL" }]
models.b.routes = [{ model = "openai/b", api_base = "URL" }]
models.c.routes = [{ model = "openai/c", api_base = "URL" }]
pipelines.two.steps = [{ step = "propose", agents = ["a", "b"] }, { step = "aggregate", agent = "c" }]
limits.attempts = 1
"""
ANSWER = "**The wide table** hurts first. See [the manual](https://example.org/manual)."
ATTACKS = (
    "<script>document.title='ran'</script></script><!--<script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "<svg onload=\"document.title='ran'\"><style>*{display:none}</style></svg>",
    "[click](javascript:document.title='ran') ![x](https://example.invalid/x.png)",
    "\x1b]8;;https://example.invalid\x07link\x1b]8;;\x07 \x1b[31mred \u202ereversed\u202c \u2066isolated \x00",
    "__proto__ ${document.title='ran'} {{1+1}}",
)


@pytest.fixture(scope="module")
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def url(models: ModelServer, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("app")
    config = folder / "pipelines.toml"
    config.write_text(CONFIG.replace("URL", models.url))
    start = ("--http", "--port", "0", "--config", str(config), "--journal", str(folder / "journal.sqlite"))
    with ServerProcess(*start, nursery=nursery) as server:
        yield server.url


@pytest.fixture(scope="module")
def opened(url: str) -> Iterator[Chat]:
    with chromium() as browser:
        yield chat_in(browser.new_context(bypass_csp=True), url)  # axe adds a script


@pytest.fixture
def chat(opened: Chat, models: ModelServer) -> Iterator[Chat]:
    for model, answer in (("a", "It is the wide table."), ("b", "It is the wide table."), ("c", ANSWER)):
        models.script(model, Reply(answer))
    models.clear()
    opened.errors.clear()
    yield opened
    assert opened.errors == []


@pytest.mark.parametrize("modern", [True, False])
def test_a_result_is_shown_with_the_run_behind_it(chat: Chat, modern: bool) -> None:
    run = chat.show(modern=modern)
    run.locator(".answer strong").wait_for()
    assert run.get_by_role("heading", level=1).inner_text() == QUESTION
    assert run.locator(".head").get_by_role("status").inner_text() == "complete"
    assert run.locator("dd b").nth(1).inner_text() == "3/3"
    assert run.locator(".call").count() == 0
    run.get_by_role("button", name="Show details").press("Enter")
    assert run.locator(".call").count() == 3
    assert run.locator("#prompt").inner_text().count("It is the wide table.") == 2
    assert run.get_by_role("button", name="Hide details").evaluate("button => button === document.activeElement")
    assert chat.seen("page.mimeType") == "text/html;profile=mcp-app"


def test_a_run_is_shown_while_it_runs_before_the_host_knows_its_id(chat: Chat, models: ModelServer) -> None:
    models.script("b", Hang())
    run = chat.show(wait=False)
    run.locator(".call").nth(1).wait_for()
    run.get_by_text("1/2 answered").wait_for()
    assert run.locator(".head").get_by_role("status").inner_text() == "running"
    chat.cancel()
    run.locator(".chip.cancelled").wait_for()
    run.get_by_role("button", name="Resume…").wait_for()


def test_what_a_reader_has_focused_or_selected_stays_while_the_run_goes_on(chat: Chat, models: ModelServer) -> None:
    models.script("b", Hang())
    run = chat.show(wait=False)
    run.get_by_text("1/2 answered").wait_for()
    run.get_by_role("button", name="Show details").focus()
    chat.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
    chat.cancel()
    run.locator(".chip.cancelled").wait_for()
    assert chat.evaluate("[document.activeElement.id, String(getSelection())]") == ["whole", QUESTION]


def test_each_prompt_is_sent_to_the_page_once(chat: Chat, models: ModelServer) -> None:
    models.script("b", Reply("It is the wide table.", delay_s=1.5))
    run = chat.show(wait=False)
    run.locator(".answer strong").wait_for()
    news = [result["structuredContent"] for _, result in chat.seen("calls")]
    assert len(news) > 1
    assert {params["name"] for params, _ in chat.seen("calls")} == {"moa_view"}
    calls = [call for each in news for step in each.get("steps", ()) for call in step["calls"]]
    assert len([call for call in calls if "messages" in call]) == 3


def test_the_page_takes_the_theme_and_the_colors_of_the_host_and_mixes_the_missing_ones(chat: Chat) -> None:
    colors = {"--color-background-primary": "rgb(10, 20, 30)", "--color-text-primary": "rgb(250, 240, 230)"}
    run = chat.show(context={"styles": {"variables": colors}})
    run.locator(".answer strong").wait_for()
    background = "getComputedStyle(document.body).backgroundColor"
    assert (chat.evaluate(background), chat.evaluate("document.documentElement.dataset.theme")) == (
        "rgb(10, 20, 30)",
        "light",
    )
    raised = chat.evaluate("getComputedStyle(document.querySelector('.answer')).backgroundColor")
    lighter = {"styles": {"variables": {"--color-background-primary": "rgb(40, 20, 30)"}}, "theme": "dark"}
    chat.tab.evaluate("context => host.bridge.sendHostContextChange(context)", lighter)
    chat.tab.frames[-1].wait_for_function(f"{background} === 'rgb(40, 20, 30)'")
    assert chat.evaluate("document.documentElement.dataset.theme") == "dark"
    assert chat.evaluate("getComputedStyle(document.querySelector('.answer')).backgroundColor") != raised


def test_the_frame_is_as_high_as_the_page(chat: Chat) -> None:
    run = chat.show()
    run.locator(".answer strong").wait_for()
    fits = "frames[0] && document.querySelector('iframe').clientHeight === host.seen.heights.at(-1)"
    chat.wait(fits)
    brief = chat.seen("heights.at(-1)")
    assert brief == chat.evaluate("Math.ceil(document.body.getBoundingClientRect().height)")
    run.get_by_role("button", name="Show details").press("Enter")
    chat.wait(f"host.seen.heights.at(-1) > {brief} + 300")
    run.get_by_role("button", name="Hide details").press("Enter")
    chat.wait(f"host.seen.heights.at(-1) === {brief}")


def test_what_costs_money_is_asked_for_in_the_chat(chat: Chat, models: ModelServer) -> None:
    run = chat.show()
    run.locator(".answer strong").wait_for()
    run_id = run.locator(".head code").inner_text()
    run.get_by_role("button", name="Try another model…").press("Enter")
    run.get_by_text("Sent to the chat.").wait_for()
    (message,) = chat.seen("messages")
    assert message["role"] == "user"
    assert message["content"][0]["text"].startswith(f"Fork run {run_id} from step 2 with another model: moa_fork, ")
    assert "tell me what it may cost" in message["content"][0]["text"]
    assert len(models.requests) == 3


def test_a_message_that_the_host_refuses_is_shown_to_be_written(chat: Chat) -> None:
    run = chat.show()
    run.locator(".answer strong").wait_for()
    chat.tab.evaluate("void (host.bridge.onmessage = async () => ({isError: true}))")
    run.get_by_role("button", name="Where do the answers differ?").press("Enter")
    run.get_by_text("The host does not accept this message. Write in the chat: Read run").wait_for()


def test_the_host_opens_links_saves_files_and_gives_the_whole_screen(chat: Chat) -> None:
    run = chat.show()
    run.locator(".answer a").press("Enter")
    assert chat.seen("links") == ["https://example.org/manual"]
    run.get_by_role("button", name="Save as JSON").press("Enter")
    run.get_by_text("Saved.").wait_for()
    (resource,) = (content["resource"] for file in chat.seen("files") for content in file["contents"])
    saved = json.loads(resource["text"])
    assert resource["uri"] == f"file:///run-{saved['run_id']}.json"
    assert [call["agent"] for step in saved["steps"] for call in step["calls"]] == ["a", "b", "c"]
    run.get_by_role("button", name="Full screen").press("Enter")
    run.locator(".call").nth(2).wait_for()
    run.get_by_role("button", name="Exit full screen").press("Enter")
    run.get_by_role("button", name="Show details").wait_for()
    assert chat.seen("modes") == ["fullscreen", "inline"]


def test_a_host_that_lets_pages_call_no_tools_shows_what_the_result_says(chat: Chat) -> None:
    capabilities = {"serverTools": None, "downloadFile": None}
    run = chat.show(capabilities=capabilities, context={"availableDisplayModes": ["inline"]}, tools=False)
    run.get_by_text("The wide table").wait_for()
    assert run.get_by_text("3 of 3 calls answered").count() == 1
    assert run.get_by_role("heading", level=1).inner_text() == QUESTION
    assert run.get_by_role("button").all_inner_texts() == []


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("two", {"question": QUESTION, "deadline_s": -1}, "Invalid arguments: deadline_s must be greater than 0"),
        ("moa_resume", {"run_id": "0123456789abcdef"}, "there is no run '0123456789abcdef' in the journal"),
    ],
)
def test_a_call_that_starts_no_run_says_why(chat: Chat, name: str, given: dict[str, Any], why: str) -> None:
    run = chat.show(name, given)
    run.locator("main > .raw").get_by_text(why).wait_for()
    assert run.locator(".facts").count() == 0


def test_a_cancelled_call_says_so(chat: Chat) -> None:
    run = chat.show(call=False)
    run.get_by_text("Waiting for the run to start…").wait_for()
    chat.tab.evaluate("host.bridge.sendToolCancelled({reason: 'by the user'})")
    run.get_by_text("The call was cancelled: by the user").wait_for()


def test_a_page_that_lost_its_server_says_so_and_can_try_again(chat: Chat) -> None:
    run = chat.show(call=False)
    run.get_by_text("Waiting for the run to start…").wait_for()
    chat.tab.evaluate("void (host.bridge.oncalltool = async () => { throw new Error('out of reach'); })")
    run.get_by_text("This view is not up to date: out of reach").wait_for()
    run.get_by_role("button", name="Try again").press("Enter")
    run.get_by_role("button", name="Try again").wait_for(state="detached")


def test_a_page_without_a_host_says_what_it_needs(chat: Chat) -> None:
    with chat.tab.context.new_page() as tab:
        tab.set_content(app_page())
        tab.get_by_text("This page can't show the run: a host of MCP Apps must open it").wait_for()


def test_a_failed_run_offers_to_resume_it(chat: Chat, models: ModelServer) -> None:
    models.script("c", Status(400, "a broken aggregator"))
    run = chat.show()
    run.locator(".chip.failed").wait_for()
    run.get_by_role("button", name="Resume…").press("Enter")
    run.get_by_text("Sent to the chat.").wait_for()
    assert "with moa_resume. Completed calls are not paid for again." in chat.seen("messages")[0]["content"][0]["text"]
    run_id = run.locator(".head code").inner_text()
    models.script("c", Reply(ANSWER))
    resumed = chat.show("moa_resume", {"run_id": run_id})
    resumed.locator(".answer strong").wait_for()
    traced = chat.show("moa_trace", {"run_id": run_id[:8]})
    traced.locator(".answer strong").wait_for()
    models.script("c", Hang())
    forked = chat.show("moa_fork", {"run_id": run_id, "step": 2}, wait=False)
    forked.get_by_text(f"fork of {run_id}").wait_for()
    chat.cancel()


def test_a_page_that_is_torn_down_asks_for_nothing_more(chat: Chat, models: ModelServer) -> None:
    models.script("b", Hang())
    run = chat.show(wait=False)
    run.locator(".call").nth(1).wait_for()
    chat.tab.evaluate("host.bridge.teardownResource({})")
    chat.cancel()
    chat.wait("host.ended && host.seen.calls.every(([, result]) => result)")
    asked = len(chat.seen("calls"))
    chat.tab.evaluate("host.bridge.sendToolInput({arguments: {run_id: 'another'}})")
    chat.tab.evaluate("host.bridge.teardownResource({})")  # it is answered after what came before
    assert len(chat.seen("calls")) == asked


def test_hostile_text_of_models_and_of_the_question_stays_text(chat: Chat, models: ModelServer) -> None:
    for model in "abc":
        models.script(model, Reply("\n\n".join(ATTACKS)))
    run = chat.show(given={"question": " ".join(ATTACKS)})
    run.locator(".chip.complete").wait_for()
    run.get_by_role("button", name="Show details").press("Enter")
    assert run.locator(".call").count() == 3
    assert chat.evaluate("document.title") == "moa-mcp run"
    assert run.locator("main").locator("script, img, svg, style, iframe, form, object, base, meta").count() == 0
    assert not set(run.locator("main").inner_text()) & set("\x1b\x00\u202e\u2066\u202c")
    for button in ("Try another model…", "Where do the answers differ?"):
        run.get_by_role("button", name=button).press("Enter")
    chat.wait("host.seen.messages.length === 2")
    messages = [message["content"][0]["text"] for message in chat.seen("messages")]
    assert not [attack for attack in ATTACKS for message in messages if attack in message]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 760])
def test_axe_finds_nothing_in_the_page(chat: Chat, width: int, theme: Theme) -> None:
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed")
    run = chat.show(width=width, theme=theme)
    run.locator(".answer strong").wait_for()
    chat.evaluate(Path(found.origin).with_name("axe.min.js").read_text("utf-8"))
    for button in ("Show details", "Hide details"):
        assert (
            chat.evaluate("axe.run().then(({violations}) => violations.map(({id, nodes}) => [id, nodes[0].html]))")
            == []
        )
        run.get_by_role("button", name=button).press("Enter")
    assert chat.evaluate("document.documentElement.scrollWidth <= innerWidth")
