"""Two runs beside each other: what differs, and which steps were asked again."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from moa_mcp.trace.trace import Trace
from moa_mcp.values import Completion, Usage
from moa_mcp.viewer import compared_page
from tests.support.browser import Opened, Theme
from tests.viewer.examples import example

if TYPE_CHECKING:
    from playwright import sync_api

SETTINGS = [(3, "agent", "qwen3-32b", "gpt-5"), (3, "temperature", None, "0.2"), (None, "seed", "7", "8")]


def fork() -> Trace:
    """Return a fork of the example from its last step, which another agent answered."""
    trace = example()
    trace.run_id, trace.forked_from, trace.inherited, trace.status = (
        "0f0f0f0f0f0f0f0f",
        "38824f57fc99ba55",
        2,
        "complete",
    )
    trace.answer = "The wide table hurts last. A schema per tenant fails in operations, not in queries."
    (call,) = trace.steps[2].calls
    call.agent, call.seconds = "gpt-5", 4.1
    call.completion = Completion(trace.answer, "gpt-5", usage=Usage(960, 40), cost_usd=Decimal("0.02"))
    call.attempts[0].completion, call.attempts[0].seconds = call.completion, 4.1
    trace.steps[2].seconds, trace.seconds = 4.1, 4.2
    trace.steps[2].answers = ()
    return trace


def table(tab: sync_api.Page, name: str) -> list[list[str]]:
    rows = tab.get_by_role("region", name=name, exact=True).locator("tbody tr")
    texts = [rows.nth(number).locator("th, td").all_inner_texts() for number in range(rows.count())]
    return [[text.replace("\u2212", "-") for text in row] for row in texts]


def test_a_fork_beside_its_parent_shows_what_differs(opened: Opened) -> None:
    tab = opened(compared_page(example(), fork(), SETTINGS))
    assert table(tab, "table of facts") == [
        ["Status", "degraded", "complete", "different"],
        ["Time", "18 s", "4.2 s", "-14 s (-77 %)"],
        ["Answered", "8", "1", "-7 (-88 %)"],
        ["Failed", "1", "0", "-1 (-100 %)"],
        ["Tokens", "4,923", "1,000", "-3,923 (-80 %)"],
        ["Cost", "$0.0546", "$0.0200", "-$0.0346 (-63 %)"],
        ["Expected", "$0.0600", "$0.0600", "the same"],
    ]
    assert table(tab, "table of settings") == [
        ["step 3 agent", "qwen3-32b", "gpt-5"],
        ["step 3 temperature", "not set", "0.2"],
        ["run seed", "7", "8"],
    ]
    assert opened.quiet


def test_steps_say_whether_they_are_inherited_or_were_asked_again(opened: Opened) -> None:
    rows = table(opened(compared_page(example(), fork(), SETTINGS)), "table of steps")
    assert [[row[0], row[2].split("\n")[0], row[3]] for row in rows] == [
        ["1 propose", "inherited", "the same"],
        ["2 synthesize", "inherited", "the same"],
        ["3 aggregate", "asked again", ""],
    ]
    assert rows[2][2] == "asked again\n1/1 answered · 4.1 s · $0.0200\ngpt-5"


def test_sentences_and_words_that_only_one_answer_has_are_marked(opened: Opened) -> None:
    first, second = example(), fork()
    first.answer = "The wide table hurts first. Locks grow with the rows."
    second.answer = "The wide table hurts last. Plan the migration path."
    tab = opened(compared_page(first, second, SETTINGS))
    assert tab.locator(".pair mark").all_inner_texts() == [
        "first",
        "Locks grow with the rows.",
        "last",
        "Plan the migration path.",
    ]
    key = tab.locator("section[aria-labelledby=both] .key").inner_text()
    assert "1 of 2 sentences of the parent, 1 of 2 of the fork" in key


def test_equal_answers_and_settings_are_said_to_be_the_same(opened: Opened) -> None:
    other = example()
    other.run_id = "b"
    text = opened(compared_page(example(), other, [])).locator("main").inner_text()
    assert "Both answers are the same." in text
    assert "None: both runs have the same settings." in text
    assert "First run" in text


def test_runs_that_share_nothing_are_compared_too(opened: Opened) -> None:
    other = Trace(run_id="b", pipeline="vote", status="failed", error="step 1: too few answers")
    tab = opened(compared_page(example(), other, None))
    assert tab.locator("h1").inner_text() == "Two runs with different questions"
    assert "step 1: too few answers" in tab.locator("main").inner_text()
    assert "The settings are not known." in tab.locator("main").inner_text()
    assert [row[2] for row in table(tab, "table of steps")] == ["not reached"] * 3
    assert opened.quiet


def test_each_run_is_shown_alone_when_chosen(opened: Opened) -> None:
    tab = opened(compared_page(example(), fork(), SETTINGS))
    tab.get_by_role("button", name="Fork", exact=True).click()
    assert tab.get_by_role("status").inner_text() == "complete"
    assert tab.evaluate("document.activeElement.textContent") == "Fork"
    tab.locator('[data-call="3.1.1"]').click()
    assert "gpt-5" in tab.locator("#prompt summary").inner_text()
    tab.get_by_role("button", name="Comparison").click()
    assert tab.get_by_role("region", name="table of facts", exact=True).count() == 1
    assert opened.quiet


def test_a_comparison_takes_less_than_60_kb_without_its_runs() -> None:
    assert len(compared_page(Trace(), Trace(), ()).encode()) < 60_000


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_a_comparison_fits_and_axe_finds_nothing(opened: Opened, width: int, theme: Theme) -> None:
    html = compared_page(example(), fork(), SETTINGS)
    assert opened(html, width, theme).evaluate("document.documentElement.scrollWidth") == width
    assert opened.violations(html, width=width, theme=theme) == []
