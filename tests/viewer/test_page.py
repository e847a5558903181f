"""The page of a run in a real browser: what it shows, at each size, and to a screen reader."""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib.resources import files

import pytest
from msgspec.structs import replace

from moa_mcp.errors import STOPPED
from moa_mcp.findings import Analysis, Contradiction, PeerReview, Point, Standing
from moa_mcp.trace.trace import AttemptTrace, StepTrace, Trace
from moa_mcp.values import Answer, Comment, Completion, Place
from moa_mcp.viewer import page
from moa_mcp.viewer.page import APP_MODULES, COMPARING, LOCAL_LIST, LOCAL_RUN, MODULES
from tests.support.browser import Opened, Theme
from tests.viewer.examples import ANSWER, BEGAN, QUESTION, example, large, replaced

NONE = Completion("", "m")
DECLARED = re.compile(r"^(?:export )?(?:const|let|async function|function) (\w+)", re.MULTILINE)


def test_styles_and_scripts_take_less_than_60_kb() -> None:
    assert len(page(Trace()).encode()) < 60_000


def test_no_two_modules_of_a_page_declare_the_same_name() -> None:
    for modules in (MODULES, APP_MODULES, LOCAL_RUN, LOCAL_LIST, COMPARING):
        texts = [(files("moa_mcp.viewer") / f"{name}.js").read_text("utf-8") for name in modules]
        declared = [name for text in texts for name in DECLARED.findall(text)]
        assert [name for name, times in Counter(declared).items() if times > 1] == []


def test_a_run_is_shown_from_its_status_to_its_commands(opened: Opened) -> None:
    tab = opened(page(example()))
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
    assert opened.quiet


def test_a_chosen_call_shows_its_prompt_with_the_earlier_answers_marked(opened: Opened) -> None:
    tab = opened(page(example()))
    chosen = tab.locator('[data-call="2.2.1"]')
    chosen.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("#prompt summary").inner_text() == "Prompt of llama-4-maverick, step 2 synthesize (640 tokens)"
    assert tab.locator("#prompt mark").count() == 4
    assert tab.locator("#prompt li").nth(1).inner_text() == "answer 2, by llama-4-maverick, step 1"
    assert tab.evaluate("document.activeElement.dataset.call") == "2.2.1"
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.dataset.call") == "2.3.1"


def test_arrow_keys_move_between_the_layers(opened: Opened) -> None:
    tab = opened(page(example()))
    tab.get_by_role("tab", name="2 synthesize").focus()
    tab.keyboard.press("ArrowRight")
    assert tab.get_by_role("tab", selected=True).inner_text() == "3 aggregate"
    tab.keyboard.press("ArrowRight")
    assert tab.get_by_role("tab", selected=True).inner_text() == "1 propose"
    assert tab.evaluate("document.activeElement.id") == "tab1"


def test_a_sentence_of_most_answers_and_one_of_a_single_answer_are_marked(opened: Opened) -> None:
    tab = opened(page(example()))
    tab.get_by_role("tab", name="1 propose").click()
    assert any(
        text.startswith("The wide table hurts first") for text in tab.locator(".card mark.most").all_inner_texts()
    )
    assert tab.locator(".card mark.lone").all_inner_texts() != []
    assert not any("The wide table" in text for text in tab.locator(".card mark.lone").all_inner_texts())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1200, 1600])
def test_nothing_is_wider_than_the_window(opened: Opened, width: int, theme: Theme) -> None:
    tab = opened(page(replaced(example(), "long" * 300)), width, theme)
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    light = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(252, 252, 251)"
    assert light == (theme == "light")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1200])
def test_axe_finds_nothing_that_keeps_people_from_reading_it(opened: Opened, width: int, theme: Theme) -> None:
    html = page(example())
    assert opened.violations(html, width=width, theme=theme) == []
    assert opened.violations(html, '[data-call="2.2.1"]', ".card summary", width=width, theme=theme) == []


def test_an_answer_of_a_megabyte_is_shown_as_it_is(opened: Opened) -> None:
    trace = example()
    trace.answer = f"{ANSWER}\n" * 2000
    tab = opened(page(trace))
    assert len(tab.locator(".answer").inner_text()) > 900_000
    assert opened.quiet


def test_ten_thousand_calls_are_shown_by_and_by(opened: Opened) -> None:
    tab = opened(page(large(10_000)))
    assert tab.locator("dd b").nth(1).inner_text() == "10,004/10,005"
    before = tab.locator(".call").count()
    tab.get_by_role("button", name="Show 100 more of 9900").click()
    assert tab.locator(".call").count() == before + 100
    assert tab.locator(".card").count() <= 24
    assert opened.quiet


def test_a_run_without_start_times_has_a_timeline_too(opened: Opened) -> None:
    trace = example()
    for call in (call for step in trace.steps for call in step.calls):
        call.started_at = 0.0
        for attempt in call.attempts:
            attempt.started_at = 0.0
    tab = opened(page(trace))
    lefts = (
        tab.locator(".layer").nth(2).locator(".bar").evaluate_all("bars => bars.map(bar => parseFloat(bar.style.left))")
    )
    assert lefts[0] > 60
    assert opened.quiet


def test_a_run_that_has_only_begun_and_one_that_failed_are_shown(opened: Opened) -> None:
    assert "No answer yet" in opened(page(Trace(run_id="a", pipeline="p"))).locator("main").inner_text()
    failed = Trace(run_id="a", pipeline="p", status="failed", error="step 1: too few answers")
    text = opened(page(failed)).locator("main").inner_text()
    assert "step 1: too few answers" in text
    assert "moa-mcp runs resume a" in text
    assert opened.quiet


def test_a_pause_before_a_resume_is_left_out_of_the_timeline_and_marked(opened: Opened) -> None:
    trace = example()
    trace.resumed = 1
    (last,) = trace.steps[2].calls
    last.started_at += 7200
    last.attempts[0].started_at += 7200
    last.attempts.insert(0, AttemptTrace("qwen3-32b", {}, failure=STOPPED, started_at=BEGAN + 12.2))
    tab = opened(page(trace))
    assert tab.locator(".timeline + .key .pause").count() == 1
    assert "pause of 2.0 h without any call, not to scale" in tab.locator(".timeline + .key").inner_text()
    assert tab.locator(".axis span").last.inner_text() == "18 s"
    bars = tab.locator('[data-call="3.1.1"] .bar')
    lefts = bars.evaluate_all("bars => bars.map(bar => Math.round(parseFloat(bar.style.left)))")
    assert lefts[0] == lefts[1] == 67
    assert opened.quiet


def test_what_is_reused_has_no_time_and_adds_no_calls(opened: Opened) -> None:
    trace = example()
    trace.forked_from, trace.inherited, trace.started_at = "0a1b", 2, BEGAN + 12
    tab = opened(page(trace))
    assert tab.locator("dd b").all_inner_texts()[1] == "1/1"
    assert tab.locator(".layer").nth(0).locator(".bar").count() == 0
    assert "runs export 38824f57fc99ba55 --compare parent --html" in tab.locator(".commands").inner_text()


def test_equal_samples_of_an_agent_have_numbers(opened: Opened) -> None:
    trace = example()
    for number, call in enumerate(trace.steps[0].calls, 1):
        call.agent, call.place = "qwen3-32b", Place(1, number, number)
    tab = opened(page(trace))
    names = tab.locator(".layer").nth(0).locator(".agent").all_inner_texts()
    assert names == ["qwen3-32b #1", "qwen3-32b #2", "qwen3-32b #3", "qwen3-32b #4"]


def test_a_prompt_says_which_answers_it_has_and_which_are_cut(opened: Opened) -> None:
    trace = example()
    (last,) = trace.steps[2].calls
    last.window = "window 1, answers 1 to 2 of 3"
    system, user = last.messages
    head = system.content.index("\n", system.content.index("----- answer 1"))
    end = system.content.index("\n----- end of answer 1")
    shorter = f"{system.content[: head - 6]}, only its beginning -----{system.content[head : end - 40]}"
    last.messages = (system._replace(content=shorter + system.content[end:]), user)
    tab = opened(page(trace))
    assert "window 1, answers 1 to 2 of 3" in tab.locator("#prompt").inner_text()
    assert tab.locator("#prompt mark.cut").count() == 1
    assert tab.locator("#prompt li").first.inner_text() == "answer 1, by qwen3-32b, step 2, only its beginning"


def test_a_criticism_says_which_answer_it_is_about(opened: Opened) -> None:
    trace = example()
    first, second = trace.steps[:2]
    critics = [Comment(call.completion.text, call.agent, call.place) for call in second.calls if call.completion]
    answers = [replace(answer, comments=(critic,)) for answer, critic in zip(first.answers, critics, strict=False)]
    trace.steps[1] = StepTrace(2, "critique", second.calls, tuple(answers), seconds=5.8)
    tab = opened(page(trace))
    tab.get_by_role("tab", name="2 critique").click()
    assert tab.locator(".about").all_inner_texts() == [
        "about answer 1, by qwen3-32b",
        "about answer 2, by llama-4-maverick",
        "about answer 3, by mistral-large",
    ]
    tab.locator(".card summary", has_text="Answer 2").click()
    assert "Plan the migration path" in tab.locator(".card", has_text="about answer 2").inner_text()


def test_an_analysis_is_shown_in_five_parts_with_the_members_that_say_so(opened: Opened) -> None:
    trace = example()
    first = trace.steps[0]
    first.analysis = Analysis(
        tuple(answer.place for answer in first.answers),
        (Point("Both tables work.", (1, 2, 3)),),
        (Contradiction("The limit", (Point("50 attributes", (1,)), Point("No limit", (2, 3)))),),
        (),
        (Point("Triggers cost time."),),
        ("Backups",),
    )
    tab = opened(page(trace))
    shown = tab.get_by_role("region", name="Where the answers differ")
    assert shown.locator("h4").all_inner_texts() == [
        "Agreement",
        "Contradictions",
        "Treated by some only",
        "Found by one only",
        "Missing in all",
    ]
    assert shown.locator("ul ul li").all_inner_texts() == [
        f"50 attributes 1 {first.answers[0].agent}",
        f"No limit 2 {first.answers[1].agent}, 3 {first.answers[2].agent}",
    ]
    assert shown.locator("p").all_inner_texts() == ["none"]
    assert opened.quiet
    assert opened.violations(page(trace)) == []


def test_a_review_is_shown_as_a_table_best_first(opened: Opened) -> None:
    trace = example()
    first = trace.steps[0]
    ranked = [(2, 1.0, 2), (1, 0.5, 1), (3, 0.0, 0)]
    first.review = PeerReview(
        tuple(
            Standing(first.answers[number - 1].agent, Place(1, number), number, points, 2, firsts)
            for number, points, firsts in ranked
        ),
        3,
    )
    tab = opened(page(trace))
    shown = tab.get_by_role("region", name="Where the answers differ").locator("tbody tr")
    assert [" ".join(row.split()) for row in shown.all_inner_texts()] == [
        f"{place}. answer {number}, {first.answers[number - 1].agent} {points:.2f} 2 {firsts}"
        for place, (number, points, firsts) in enumerate(ranked, 1)
    ]
    assert opened.quiet
    assert opened.violations(page(trace)) == []


def test_an_answer_in_json_is_indented_with_its_numbers_as_they_are(opened: Opened) -> None:
    trace = example()
    trace.answer = '{"total":12345678901234567890.10,"__proto__":{"a":[1,{}]},"text":"a, {b}: \\"c\\""}'
    tab = opened(page(trace))
    shown = tab.locator(".answer").inner_text()
    assert '\n  "total": 12345678901234567890.10,\n' in shown
    assert json.loads(shown) == json.loads(trace.answer)


def test_a_long_answer_is_shown_as_a_whole_on_demand(opened: Opened) -> None:
    trace = example()
    trace.answer = f"{ANSWER}\n\n" * 30
    tab = opened(page(trace))
    before = tab.locator(".answer").bounding_box()
    tab.get_by_role("checkbox", name="Show all").check()
    after = tab.locator(".answer").bounding_box()
    assert before is not None
    assert after is not None
    assert after["height"] > 2 * before["height"]
    tab.locator(".call").first.click()
    assert tab.get_by_role("checkbox", name="Show all").is_checked()


def test_a_chosen_call_beyond_the_first_hundred_stays_in_sight(opened: Opened) -> None:
    tab = opened(page(large(300)))
    tab.get_by_role("button", name="Show 100 more of 200").click()
    tab.locator('[data-call="1.150.1"]').click()
    assert tab.evaluate("document.activeElement.dataset.call") == "1.150.1"
    assert tab.locator('[data-card="1.150.1"]').count() == 1


def test_all_is_unfolded_on_paper(opened: Opened) -> None:
    tab = opened(page(example()))
    folded = tab.locator("details:not([open])")
    before = folded.count()
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert (before > 0, folded.count()) == (True, 0)
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert folded.count() == before


def test_a_command_is_not_offered_for_an_id_that_a_shell_would_run(opened: Opened) -> None:
    trace = example()
    trace.run_id = "a; rm -rf ~"
    assert opened(page(trace)).locator(".commands").count() == 0


def test_a_step_of_an_unknown_kind_is_shown_as_any_other(opened: Opened) -> None:
    trace = example()
    trace.steps[1].kind = "debate"
    trace.steps[1].answers = (Answer("Nothing like the others.", "x", Place(9, 9)),)
    tab = opened(page(trace))
    assert tab.get_by_role("tab", name="2 debate").count() == 1
    assert opened.quiet


def test_a_sentence_that_markdown_cuts_into_parts_is_compared_as_a_whole(opened: Opened) -> None:
    trace = example()
    for call in trace.steps[0].calls:
        text = f"Locks of `ALTER TABLE` grow *with* the rows. {call.agent} adds something of its own here."
        call.completion = replace(call.completion or NONE, text=text)
    tab = opened(page(trace))
    tab.get_by_role("tab", name="1 propose").click()
    first = tab.locator(".card").first
    assert first.locator("mark.most").all_inner_texts()[:5] == [
        "Locks of ",
        "ALTER TABLE",
        " grow ",
        "with",
        " the rows. ",
    ]
    assert first.locator("mark.lone").count() == 0
    assert tab.locator(".card mark.lone").count() == 0
