"""Live data of a run: what is new since a mark, merged by the page, is the whole run; and nothing is sent twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from moa_mcp.errors import ServerFailed
from moa_mcp.events import Event, RunFinished
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.runs import Run
from moa_mcp.testing import ScriptedModel
from moa_mcp.trace.trace import trace_of
from moa_mcp.values import Call, Completion, Question
from moa_mcp.viewer.data import data_of
from moa_mcp.viewer.live import Live
from tests.support.browser import chromium
from tests.support.journals import config_of, runs_of
from tests.support.starting import resume_run, start_run
from tests.support.tables import AGGREGATE, PROPOSE

if TYPE_CHECKING:
    from playwright import sync_api

QUESTION = Question("Which database design will hurt us first, and why? " * 3, "Our tables. " * 20, "Be brief. " * 15)
CRITIQUE = '{ step = "critique", agents = ["b", "x"] }'
VOTE = '{ step = "vote", agent = "y", method = "restate" }'
CONFIG = config_of(
    PROPOSE,
    '{ step = "propose", agents = [{ model = "a", samples = 3 }], keep = 2 }',
    CRITIQUE,
    VOTE,
    AGGREGATE,
    settings="limits.attempts = 2",
)
MERGE = """async ([wholes, rounds]) => {
    const {merged} = await import("/live.js"), {restored} = await import("/whole.js");
    const plain = ({run, trees}) => JSON.stringify({run, trees}, (_, each) => each instanceof Map ? [...each].sort()
        : each && each.constructor === Object ? Object.fromEntries(Object.entries(each).sort()) : each);
    let data = null;
    return rounds.flatMap((news, at) => {
        data = merged(data, news);
        return wholes[at] && plain(data) !== plain(restored(wholes[at])) ? [at] : [];
    });
}"""
"""Returns the rounds after which the page differs from the whole run."""
MARKDOWN = "**Bold** and a list of some length, so that it is a text that the page keeps by number:\n\n- one\n- two\n"


def reply(call: Call) -> Completion:
    texts = [
        "The same answer of everyone, which is long enough to be a shared text of the run, word by word, as it is."
    ]
    return Completion(
        [*texts, f"{MARKDOWN}- {call.place}"][call.place.number % 2], call.agent, reasoning="Why not? " * 20
    )


async def ended(run: Run) -> None:
    with anyio.fail_after(10):
        await run.ended.wait()


@pytest.fixture(scope="module")
def events() -> tuple[Event, ...]:
    """Return the events of a run with retries and failures that was interrupted and resumed."""

    async def resumed() -> tuple[Event, ...]:
        journal = MemoryJournal()
        reached, never = anyio.Event(), anyio.Event()

        async def stuck(_: Call) -> Completion:
            reached.set()
            await never.wait()
            raise NotImplementedError

        busy = ServerFailed("overloaded, and a long page of its proxy " * 5)
        model = ScriptedModel({"b": [busy, reply], "c": busy, "y": stuck}, otherwise=reply)
        async with runs_of(model, journal, CONFIG).open() as runs:
            run = await start_run(runs, CONFIG.pipelines["p"], QUESTION)
            with anyio.fail_after(10):
                await reached.wait()
            runs.stop_all()
            await ended(run)
        async with runs_of(ScriptedModel(otherwise=reply), journal, CONFIG).open() as again:
            await ended(await resume_run(again, run.run_id))
        return (await journal.events(run.run_id)).events

    return anyio.run(resumed)


@pytest.fixture(scope="module")
def modules() -> Iterator[sync_api.Page]:
    """Return a page that can import the modules of the viewer."""
    room = files("moa_mcp.viewer")

    def serve(route: sync_api.Route) -> None:
        name = route.request.url.rpartition("/")[2]
        kind = "text/javascript" if name else "text/html"
        route.fulfill(body=(room / name).read_text("utf-8") if name else "", content_type=kind)

    with chromium() as browser:
        page = browser.new_page()
        page.route("**/*", serve)
        page.goto("http://viewer.test/")
        yield page


def polled(events: Sequence[Event], marks: Sequence[int]) -> list[dict[str, Any]]:
    """Return the news of a page that asks when the run has these numbers of events."""
    live, rounds = Live(), list[dict[str, Any]]()
    for before, mark in pairwise((0, *marks)):
        live.add(events[before:mark])
        rounds.append(json.loads(json.dumps(live.news(before))))
    return rounds


def test_news_that_the_page_merges_are_the_whole_run_at_every_mark(
    events: tuple[Event, ...], modules: sync_api.Page
) -> None:
    assert len(events) > 80
    for every in (1, 7, len(events)):
        marks = [*range(every, len(events), every), len(events)]
        wholes = [data_of(trace_of(events[:mark])) for mark in marks]
        assert modules.evaluate(MERGE, [wholes, polled(events, marks)]) == []


def test_a_page_that_asks_a_process_that_did_not_see_the_earlier_polls_gets_the_same(events: tuple[Event, ...]) -> None:
    seen = Live()
    for at, event in enumerate(events):
        seen.add([event])
        assert seen.news(at) == Live(events[: at + 1]).news(at)


def test_each_longer_text_is_sent_once(events: tuple[Event, ...]) -> None:
    rounds = polled(events, range(1, len(events) + 1))
    prompts = {message.content for event in events if event.kind == "call_started" for message in event.messages}
    sent = Counter(text for news in rounds for text in news["texts"])
    assert {text for text in prompts if len(text) > 100} <= sent.keys()
    assert set(sent.values()) == {1}
    rest = json.dumps([{**news, "texts": []} for news in rounds])
    assert not any(json.dumps(text) in rest for text in sent)


def test_a_prompt_comes_with_the_beginning_of_its_call_alone(events: tuple[Event, ...]) -> None:
    for at, news in enumerate(polled(events, range(1, len(events) + 1))):
        began = events[at].kind == "call_started"
        assert all(("messages" in call) == began for step in news["steps"] for call in step["calls"])


def test_requests_that_stopped_without_an_event_are_news_once_the_run_has_ended(
    events: tuple[Event, ...], modules: sync_api.Page
) -> None:
    cut = next(at for at, event in enumerate(events) if event.kind == "run_resumed")
    live = Live(events[:cut])
    before = live.news()
    live.trace.interrupted = True
    live.trace.leave()
    whole = trace_of(events[:cut])
    whole.interrupted = True
    whole.leave()
    after = live.news(live.mark)
    assert (before["done"], after["done"]) == (False, True)
    assert modules.evaluate(MERGE, [[None, data_of(whole)], [before, after]]) == []


@pytest.mark.parametrize("mark", [-1, 10**9])
def test_a_mark_of_another_run_gets_everything(events: tuple[Event, ...], mark: int) -> None:
    live = Live(events)
    assert live.news(mark) == live.news(0)


def test_news_out_of_order_change_nothing(events: tuple[Event, ...], modules: sync_api.Page) -> None:
    first, second, third = polled(events, [10, 20, 30])
    shuffled = [first, third, second, first | {"from": 5}, second, third]
    assert modules.evaluate(MERGE, [[*[None] * 5, data_of(trace_of(events[:30]))], shuffled]) == []


def test_nothing_new_costs_nothing(events: tuple[Event, ...]) -> None:
    cut = events[:-1]
    assert not isinstance(cut[-1], RunFinished)
    news = Live(cut).news(len(cut))
    assert news == {
        "from": len(cut),
        "mark": len(cut),
        "done": False,
        "run": None,
        "steps": [],
        "texts": [],
        "markdown": [],
    }
