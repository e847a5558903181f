"""The HTML report in a real browser: what it shows, at each size, to a screen reader, and with hostile texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from moa_mcp.evaluation.analysis import analysed
from moa_mcp.evaluation.report.content import shortened
from moa_mcp.evaluation.report.page import report_page
from moa_mcp.evaluation.result import EvalSettings, Evaluation, MemberSample
from moa_mcp.viewer.page import LOCAL_REPORT, REPORT
from tests.support.browser import Opened, Theme, chromium
from tests.support.evaluations import BASELINE, PIPELINE, changed, evaluation, failed, judged
from tests.viewer.test_hostile import ATTACKS, assert_harmless

if TYPE_CHECKING:
    from playwright import sync_api

DECLARED = re.compile(r"^(?:export )?(?:const|let|async function|function) (\w+)", re.MULTILINE)
TWO = {BASELINE: 0.7, PIPELINE: 0.85}
QUESTION = "details.question"


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def opened(browser: sync_api.Browser, tmp_path: Path) -> Iterator[Opened]:
    with Opened(browser, tmp_path) as pages:
        yield pages


def page(whole: Evaluation) -> str:
    return report_page(analysed(whole))


def choose(tab: sync_api.Page, name: str, text: str) -> list[str]:
    """Choose an option, and return the IDs of the questions that are left."""
    tab.get_by_label(name).select_option(label=text)
    tab.wait_for_timeout(50)
    return shown(tab)


def unfold(tab: sync_api.Page, number: int = 0) -> sync_api.Locator:
    """Unfold a question, and return it once its answers are drawn."""
    question = tab.locator(QUESTION).nth(number)
    question.locator("summary").first.click()
    question.locator("article.card").first.wait_for()
    return question


def shown(tab: sync_api.Page) -> list[str]:
    return [each.split()[0] for each in tab.locator(f"{QUESTION} .what").all_inner_texts()]


def test_no_two_modules_of_a_report_declare_the_same_name() -> None:
    for modules in (REPORT, LOCAL_REPORT):
        texts = [(files("moa_mcp.viewer") / f"{name}.js").read_text("utf-8") for name in modules]
        declared = Counter(name for text in texts for name in DECLARED.findall(text))
        assert [name for name, times in declared.items() if times > 1] == []


def test_a_report_has_conclusions_tables_and_the_picture_without_a_script(
    browser: sync_api.Browser, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text(page(evaluation(60)), "utf-8")
    with browser.new_context(java_script_enabled=False, offline=True) as context:
        tab = context.new_page()
        tab.goto((tmp_path / "report.html").as_uri())
        assert tab.locator("h1").inner_text() == "Evaluation of questions.jsonl"
        assert "No difference shown between" in tab.locator(".conclusions").inner_text()
        assert tab.locator("table.report").first.locator("tbody tr").count() == 5
        assert tab.get_by_role("img").get_attribute("alt", timeout=1000)
        assert tab.locator(".scores img").evaluate("image => image.naturalWidth") == 1350
        assert "needs JavaScript" in tab.locator("#list").inner_text()


def test_a_question_unfolds_to_what_was_expected_and_all_answers_side_by_side(opened: Opened) -> None:
    whole = changed(
        evaluation(3, TWO),
        PIPELINE,
        1,
        samples=(
            MemberSample(model="a", text="4", extracted="4", score=1.0),
            MemberSample(model="b", text="?"),
            MemberSample(model="c", text="5", extracted="5", score=0.0),
        ),
        agreement=2 / 3,
        judge_runs=("j1",),
        why="It is right.",
        score=0.5,
        status="degraded",
        unknown_costs=1,
    )
    tab = opened(page(whole))
    first = tab.locator(QUESTION).first
    assert first.locator(".opened").inner_text() == ""
    unfold(tab)
    assert first.locator(".expected").inner_text() == "Expected: 4"
    cards = first.locator("article.card")
    assert cards.count() == 2
    text = cards.nth(1).inner_text()
    assert "degraded · 7 calls · at least $0.0" in text
    assert "1 call of unknown cost" in text
    assert "67 % of the samples agree" in text
    assert "Value: " in text
    assert "Why: It is right." in text
    assert re.search(r"Run: moa-mcp view [0-9a-f]{16}", text)
    assert "Judge: moa-mcp view j1" in text
    assert cards.nth(1).locator("h3 .chip").inner_text() == "0.5"
    assert cards.nth(1).locator(".prose strong").inner_text() == "4"
    cards.nth(1).get_by_text("3 samples").click()
    assert cards.nth(1).locator("li").all_inner_texts() == ["a: 4 right", "b: no value", "c: 5 wrong"]
    assert opened.quiet, opened.errors


def test_questions_are_filtered_by_who_won_and_by_what_went_wrong(opened: Opened) -> None:
    whole = failed(evaluation(40, {**TWO, "one:b": 0.4}), BASELINE, 2)
    whole = changed(whole, "one:b", 1, score=None)
    scores = {(each.question, each.contestant): each.score for each in whole.outcomes}

    def led(other: str, sign: int) -> list[str]:
        pairs = ((each.id, scores[each.id, PIPELINE], scores[each.id, other]) for each in whole.questions)
        return [name for name, one, two in pairs if one is not None and two is not None and (one - two) * sign > 0]

    tab = opened(page(whole))
    assert len(shown(tab)) == 40
    assert choose(tab, "Show", "Won") == led(BASELINE, 1)
    assert choose(tab, "Won and lost by", f"{PIPELINE} against one:b") == led("one:b", 1)
    assert choose(tab, "Show", "Lost") == led("one:b", -1)
    assert sorted(choose(tab, "Show", "Where both differ")) == sorted([*led("one:b", 1), *led("one:b", -1)])
    assert choose(tab, "Show", "Without an answer") == ["q1", "q2"]
    assert choose(tab, "Show", "Without a score") == ["q1"]
    assert tab.get_by_role("status").inner_text() == "1 of 40 questions"


def test_a_search_finds_words_of_questions_and_answers(opened: Opened) -> None:
    tab = opened(page(changed(evaluation(120, TWO), PIPELINE, 1, answer="A Needle in the answer")))
    assert len(shown(tab)) == 50
    tab.get_by_role("button", name="Show 50 more of 70").click()
    assert len(shown(tab)) == 100
    tab.get_by_label("Search").fill("needle ANSWER")
    tab.wait_for_timeout(300)
    assert shown(tab) == ["q1"]
    tab.get_by_label("Search").fill("Q77 times")
    tab.wait_for_timeout(300)
    assert shown(tab) == ["q77"]
    tab.get_by_label("Search").fill("nothing like it")
    tab.wait_for_timeout(300)
    assert tab.locator("#entries").inner_text() == "No question matches."
    assert opened.quiet, opened.errors


def test_the_verdicts_of_a_judge_are_beside_the_answers(opened: Opened) -> None:
    whole = judged(evaluation(4, TWO), skill=1.2, unreadable=1)
    silent = whole.verdicts[2].model_copy(update={"problem": "no budget", "preferred": None, "why": ""})
    tie = whole.verdicts[4].model_copy(update={"preferred": 0.5, "run_id": None})
    lost = [each.model_copy(update={"preferred": 0.0}) for each in whole.verdicts[6:8]]
    whole = whole.model_copy(
        update={"verdicts": (*whole.verdicts[:2], silent, whole.verdicts[3], tie, *whole.verdicts[5:6], *lost)}
    )
    tab = opened(page(whole))
    pair = f"{PIPELINE} against {BASELINE}"
    assert tab.locator(".marks").all_inner_texts() == [
        *(f"{pair} unreadable", f"{pair} unreadable", f"{pair} won", f"{pair} lost"),
    ]
    assert tab.locator(".marks b.complete").count() == 1
    for at, said in ((0, "unreadable"), (1, "no reply"), (2, "a tie")):
        assert unfold(tab, at).locator(".said li b").first.inner_text() == said
    assert tab.locator(f"{QUESTION} .chip").count() == 0
    assert tab.get_by_label("Won and lost by").count() == 0
    assert choose(tab, "Show", "Won") == ["q3"]


def test_a_report_without_pairs_has_no_filters_for_them(opened: Opened) -> None:
    whole = evaluation(2, {PIPELINE: 0.5})
    whole = changed(
        whole,
        PIPELINE,
        2,
        status="not_started",
        answer=None,
        score=None,
        extracted=None,
        why="",
        run_id="../x",
        cost_usd=None,
        seconds=None,
        calls=0,
    )
    asked = whole.questions[0].model_copy(update={"choices": ("one", "two"), "cluster": "text 1", "answer": None})
    tab = opened(page(whole.model_copy(update={"questions": (asked, *whole.questions[1:])})))
    assert tab.get_by_label("Show").locator("option").all_inner_texts() == [
        *("All questions", "Without an answer", "Without a score"),
    ]
    unfold(tab)
    text = tab.locator(QUESTION).first.inner_text()
    assert "not asked" in text
    assert "Cluster: text 1" in text
    assert "Run: ../x" in text
    assert "moa-mcp view" not in text
    assert tab.locator(".lettered li").all_inner_texts() == ["one", "two"]
    assert opened.quiet, opened.errors


@pytest.mark.parametrize(
    "attack",
    [
        *ATTACKS[:26],
        "\x1b]8;;https://example.invalid\x07link \x9b31m",
        "\u202ex\u2066y\u200bz",
        "\ud800 \u2028 \x00 \ufffe",
        "__proto__",
        "constructor",
        "$text",
    ],
)
def test_hostile_texts_stay_text_in_every_field(opened: Opened, attack: str) -> None:
    whole = hostile(attack)
    html = page(whole)
    html.encode()
    tab = opened(html)
    unfold(tab)
    tab.locator("article.card summary").first.click()
    assert tab.locator("article.card").count() == 2
    assert_no_markup(tab)
    assert opened.quiet, opened.errors


def assert_no_markup(tab: sync_api.Page) -> None:
    """Assert that nothing came from a text but text; the report itself has one image and one field for a search."""
    assert tab.locator("main img").count() == 1
    assert tab.locator("main input").count() == 1
    tab.evaluate("document.querySelectorAll('main .scores, main search').forEach(each => each.remove())")
    assert_harmless(tab)


def hostile(attack: str) -> Evaluation:
    """Return an evaluation with this text in all fields of users and models."""
    name = f"{attack} pipeline"
    whole = evaluation(
        2, {BASELINE: 0.7, name: 0.8}, settings=EvalSettings(scoring=attack, rubric=attack, judge=attack)
    )
    whole = changed(
        whole,
        name,
        1,
        answer=attack,
        extracted=attack,
        why=attack,
        run_id=attack,
        problem=attack,
        judge_runs=(attack,),
        samples=(MemberSample(model=attack, text=attack, extracted=attack),),
    )
    verdicts = judged(whole, names=(name, BASELINE)).verdicts
    verdicts = tuple(each.model_copy(update={"why": attack, "run_id": attack}) for each in verdicts)
    asked = whole.questions[0].model_copy(
        update={"question": attack, "answer": attack, "choices": (attack,), "cluster": attack}
    )
    return whole.model_copy(
        update={
            "source": attack,
            "digest": attack,
            "notes": (attack,),
            "versions": {attack: attack},
            "verdicts": verdicts,
            "questions": (asked, *whole.questions[1:]),
        }
    )


def test_a_question_or_contestant_may_have_the_name_of_a_property(opened: Opened) -> None:
    whole = evaluation(2, {BASELINE: 0.7, "__proto__": 0.8, "constructor": 0.5})
    tab = opened(page(whole))
    unfold(tab)
    assert tab.locator("article.card h3").all_inner_texts()[1].startswith("__proto__")
    assert tab.locator("article.card").count() == 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("whole", [evaluation(6), judged(evaluation(20), bias=0.2)])
def test_axe_finds_nothing(opened: Opened, whole: Evaluation, width: int, theme: Theme) -> None:
    html = page(failed(whole, PIPELINE, 1).model_copy(update={"notes": ("A note.",)}))
    steps = (f"{QUESTION} summary", "main > details summary", "main > details:last-of-type summary")
    assert opened.violations(html, *steps, width=width, theme=theme) == []


@pytest.mark.parametrize("width", [320, 390, 768, 1200])
def test_nothing_is_wider_than_the_window(opened: Opened, width: int) -> None:
    whole = evaluation(3, {BASELINE: 0.7, "a_pipeline_with_a_name_of_many_characters_" * 3: 0.8})
    tab = opened(page(changed(whole, BASELINE, 1, answer="word" * 500)), width)
    unfold(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_the_whole_report_can_be_used_with_the_keyboard(opened: Opened) -> None:
    tab = opened(page(evaluation(3, TWO)))
    tab.get_by_label("Show").focus()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.tagName") == "SUMMARY"
    tab.keyboard.press("Enter")
    tab.locator("article.card").first.wait_for()


def test_on_paper_each_question_has_its_answers(opened: Opened) -> None:
    tab = opened(page(evaluation(3, TWO)))
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.locator("article.card").count() == 6
    assert tab.locator(f"{QUESTION}[open]").count() == 3


def test_a_damaged_report_says_so(opened: Opened) -> None:
    html = page(evaluation(1, TWO))
    tab = opened(re.sub(r'(id="run">)\{', r"\1", html))
    assert "This page can't show the questions" in tab.get_by_role("alert").inner_text()


def test_long_answers_are_shortened_and_say_so() -> None:
    text = shortened("a" * 700 + "b" * 1300 + "c" * 500, 1000)
    assert text == f"{'a' * 600}\n\n[shortened: 1,500 of 2,500 characters left out]\n\n{'c' * 400}"
    assert shortened("short", 1000) == "short"


def test_a_report_of_answers_of_a_million_characters_is_small(opened: Opened) -> None:
    whole = changed(evaluation(3, TWO), PIPELINE, 3, answer="# Title\n\n" + "word " * 200_000 + "the end")
    html = page(whole)
    assert len(html) < 400_000
    tab = opened(html)
    unfold(tab)
    text = tab.locator("article.card").nth(1).inner_text()
    assert "[shortened: 980,016 of 1,000,016 characters left out]" in text
    assert "the end" in text


def test_a_thousand_questions_of_five_contestants_are_drawn_in_parts(opened: Opened) -> None:
    filler = "the model computes and therefore states the number " * 40
    whole = evaluation(1000)
    answers = [each.model_copy(update={"answer": f"{number} {filler}"}) for number, each in enumerate(whole.outcomes)]
    html = page(whole.model_copy(update={"outcomes": tuple(answers)}))
    assert len(html) < 14_000_000
    tab = opened(html)
    assert tab.locator(QUESTION).count() == 50
    assert tab.get_by_role("status").inner_text() == "1,000 questions"
    assert opened.quiet, opened.errors


def test_simulated_models_and_costs_that_are_unknown_are_said_at_the_top(opened: Opened) -> None:
    whole = evaluation(3, TWO, settings=EvalSettings(scoring="number", simulated=True))
    tab = opened(page(whole.model_copy(update={"unknown_costs": 2})))
    head = tab.locator("header.head").inner_text()
    assert "The models were simulated: these figures mean nothing for real models." in head
    assert "and 2 calls of unknown cost" in head
    assert tab.locator(".conclusions").inner_text().count("simulated") == 0
