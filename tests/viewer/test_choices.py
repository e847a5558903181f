"""Votes, rankings and other choices on the page, from runs of real pipelines."""

from __future__ import annotations

import json
import re
from functools import partial

import anyio
import pytest

from moa_mcp.testing import Reply, ScriptedModel, run_pipeline
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call
from moa_mcp.viewer import page
from tests.support.browser import Opened

PROPOSE = '{ step = "propose", agents = ["x", "y", "z", "w"] }'
PROPOSALS: dict[str, Reply | list[Reply]] = {"x": "It is 391.", "y": "It is 401.", "z": "391", "w": "401"}


def judge(*numbers: int | list[int] | str) -> list[Reply]:
    """Return the replies of a judge: the authors that it names, by their numbers among the proposals, or a text."""
    texts = [str(text) for text in PROPOSALS.values()]

    def said(each: int | list[int] | str, call: Call) -> str:
        if isinstance(each, str):
            return each
        prompt = call.messages[0].content
        key, field = re.findall(r'"key": "([a-z]+)", "(\w+)"', prompt)[-1]
        shown = re.findall(r"----- answer \d of \d \(\w+\) -----\n(.*)\n", prompt)
        at = [shown.index(texts[number - 1]) + 1 for number in (each if isinstance(each, list) else [each])]
        return json.dumps({"key": key, field: at if isinstance(each, list) else at[0]})

    return [partial(said, each) for each in numbers]


def traced(*steps: str, verdicts: list[Reply] | None = None, **replies: str) -> Trace:
    async def run() -> Trace:
        script = {**PROPOSALS, **replies, "judge": verdicts or "none"}
        return await run_pipeline(f"steps = [{', '.join(steps)}]", "What is 17 * 23?", ScriptedModel(script))

    return anyio.run(run, backend="trio")  # the browser has the asyncio loop of this thread


def rows(opened: Opened, trace: Trace) -> list[list[str]]:
    cells = opened(page(trace)).locator(".votes tbody tr")
    return [cells.nth(number).locator("th, td").all_inner_texts() for number in range(cells.count())]


def test_a_majority_is_shown_as_bars_with_the_tie_and_what_could_not_be_counted(opened: Opened) -> None:
    trace = traced(PROPOSE, '{ step = "vote", method = "majority", extract = "last_number" }', z="No idea.")
    assert rows(opened, trace) == [
        ["401", "2 of 4", "chosen"],
        ["391", "1 of 4", ""],
        ["no value that can be counted", "1 of 4", ""],
    ]
    tab = opened(page(traced(PROPOSE, '{ step = "vote", method = "majority", extract = "last_number" }')))
    assert tab.locator(".votes td:last-child").all_inner_texts() == ["chosen, given first in a tie", "tied"]
    widths = tab.locator(".votes .bar").evaluate_all("bars => bars.map(bar => bar.style.width)")
    assert widths == ["50%", "50%"]
    assert tab.locator(".choice h3").inner_text() == "2 vote\nanswer 1 of 4 chosen, by x"


def test_the_votes_of_a_judge_are_shown_by_answer_whatever_order_it_saw(opened: Opened) -> None:
    verdicts = judge(2, 2, 3, "I can't decide.", 2)
    trace = traced(PROPOSE, '{ step = "vote", agent = "judge", passes = 4 }', verdicts=verdicts)
    assert rows(opened, trace) == [["answer 2, y", "3 of 4", "chosen"], ["answer 3, z", "1 of 4", ""]]
    said = opened(page(trace)).locator(".said li").all_text_contents()
    assert sorted(said) == ["judge 2", "judge 2", "judge 2", "judge 3", "judge no valid verdict"]


def test_a_single_verdict_names_the_chosen_answer(opened: Opened) -> None:
    tab = opened(page(traced(PROPOSE, '{ step = "vote", agent = "judge" }', verdicts=judge(3))))
    assert tab.locator(".choice h3").inner_text() == "2 vote\nanswer 3 of 4 chosen, by z"
    assert tab.locator(".said li").all_text_contents() == ["judge 3"]
    tab.locator(".choice summary").click()
    tab.locator(".said button").click()
    assert tab.evaluate("document.activeElement.dataset.call") == "2.1.1"


def test_a_majority_in_place_of_a_judge_without_a_verdict_is_not_taken_for_numbers(opened: Opened) -> None:
    trace = traced(PROPOSE, '{ step = "vote", agent = "judge" }', verdicts=judge("?"), x="3", w="3")
    assert rows(opened, trace)[0] == ["3", "2 of 4", "chosen"]


def test_rankings_and_their_result_are_shown_with_what_is_removed(opened: Opened) -> None:
    verdicts = judge([3, 1, 2, 4], [3, 2, 1, 4], "best is 3")
    trace = traced(
        PROPOSE,
        '{ step = "rank", agent = "judge", n = 2, passes = 2 }',
        '{ step = "take", n = 1 }',
        verdicts=verdicts,
    )
    tab = opened(page(trace))
    ranked = tab.locator(".choice").first
    assert ranked.locator("h3").inner_text() == "2 rank\n2 of 4 answers kept"
    assert ranked.locator(".chips li").all_inner_texts() == [
        "1. answer 3 z",
        "2. answer 1 x",
        "answer 2 y, removed",
        "answer 4 w, removed",
    ]
    assert sorted(ranked.locator(".said li").all_text_contents()) == ["judge 3 > 1 > 2 > 4", "judge 3 > 2 > 1 > 4"]
    assert tab.locator(".choice h3").last.inner_text() == "3 take\nanswer 1 of 2 chosen, by z"


def test_a_new_order_is_shown_and_steps_without_a_choice_are_not(opened: Opened) -> None:
    trace = traced(PROPOSE, '{ step = "shuffle" }', '{ step = "aggregate", agent = "a" }')
    tab = opened(page(trace))
    assert tab.locator(".choice h3").all_inner_texts() == ["2 shuffle\nnew order"]
    assert tab.locator(".chips li").count() == 4


@pytest.mark.parametrize("width", [360, 1200])
def test_axe_finds_nothing_in_choices(opened: Opened, width: int) -> None:
    trace = traced(
        PROPOSE,
        '{ step = "rank", agent = "judge", n = 3 }',
        '{ step = "vote", agent = "judge", passes = 3 }',
        verdicts=judge([3, 1, 2, 4], 3, 3, "?", "?"),
    )
    assert opened.violations(page(trace), width=width) == []


def test_answers_with_the_same_text_are_not_told_apart_where_a_judge_saw_them_in_another_order(opened: Opened) -> None:
    trace = traced(
        PROPOSE, '{ step = "vote", agent = "judge", passes = 2 }', verdicts=judge(1, 2), x="It is 391.", z="It is 391."
    )
    tab = opened(page(trace))
    assert sorted(tab.locator(".said li").all_text_contents()) == ["judge 1/3", "judge 2"]
    tab.locator('[data-call="2.1.1"]').click()
    assert "by x, step 1, or 1 other with the same text" in tab.locator("#prompt ul").inner_text()


def test_the_page_says_how_far_the_answers_agree_and_what_the_minority_says(opened: Opened) -> None:
    tab = opened(page(traced(PROPOSE, '{ step = "vote", method = "majority", extract = "last_number" }', w="391")))
    shown = tab.locator("section[aria-labelledby=agreement]").inner_text()
    assert "3 of 4 answers say 391: majority (95 % interval 30 % to 95 %)." in shown
    assert tab.locator(".dissent li").all_inner_texts() == ["401 1, y It is 401."]


def test_the_page_says_which_steps_were_not_needed(opened: Opened) -> None:
    agree = '{ step = "agree", extract = "last_number", makers = 1 }'
    trace = traced(PROPOSE, agree, '{ step = "aggregate", agent = "x" }', y="391", w="so 391")
    tab = opened(page(trace))
    assert (
        "Step 2 ended the run: aggregate not needed, 1 call saved"
        in tab.locator("section[aria-labelledby=agreement]").inner_text()
    )
    assert "2 of 3 steps" in tab.locator(".facts").inner_text()
