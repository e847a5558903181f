"""The result at a terminal: tables that fit its width, conclusions in words, and notes."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from moa_mcp.cli.eval.table import show
from moa_mcp.evaluation.analysis import analysed
from moa_mcp.evaluation.report.numbers import dollars
from moa_mcp.evaluation.report.words import compared, conclusions
from moa_mcp.evaluation.result import EvalSettings, Evaluation, Interval
from tests.support.evaluations import BASELINE, PIPELINE, changed, evaluation, failed, judged

TWO = {BASELINE: 0.7, PIPELINE: 0.85}
HOSTILE = "x[bold]\x1b[2J\u202e<b>\ud800"


def printed(whole: Evaluation, width: int = 120, encoding: str = "utf-8", *, colour: bool = False) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding)
    out = Console(
        file=file, width=width, markup=False, emoji=False, highlight=False, force_terminal=colour, no_color=not colour
    )
    show(out, analysed(whole))
    file.flush()
    file.seek(0)
    return file.read()


def words(text: str) -> str:
    """Return a printed text without its line ends."""
    return " ".join(text.split())


def test_the_tables_have_scores_costs_and_gains_with_intervals() -> None:
    lines = printed(evaluation(300)).splitlines()
    assert lines[0] == "Scores and costs"
    assert lines[1].split() == ["contestant", "score", "(95", "%)", "n", "calls", "$/1000", "seconds"]
    best = next(line for line in lines if line.startswith("best_of"))
    assert "(free, upper bound)" in best
    baseline = next(line for line in lines if line.startswith(f"{BASELINE} (baseline, free)"))
    assert baseline.split()[-2] == "*"
    gains = lines[lines.index(f"Gain over {BASELINE}, in points") :]
    assert gains[1].split()[:4] == ["contestant", "gain", "(95", "%)"]
    assert gains[3].split()[:2] == [PIPELINE, "+16.3"]
    assert gains[3].split()[-1] == "better"
    assert gains[4].split()[-3:] == ["10.5", "-", "undecided"]


def test_the_conclusions_say_by_how_much_how_sure_and_at_what_price() -> None:
    text = words(printed(evaluation(300)))
    assert "self_moa is better than one call of gpt-5 by 16.3 points (" in text
    assert "of 300 questions it won 62, lost 13 and tied 225. It costs $10.24 more for 1,000 questions: $0.6" in text
    assert "No difference shown between moa_lite and one call of gpt-5: the gain is +1.0 points, and its inter" in text
    assert "contains zero. 300 questions could have shown a gain of " in text
    assert (
        "Frontier, which no other contestant beats in score and cost as measured: one call of gpt-5, self_moa" in text
    )


def test_baselines_without_a_shown_difference_share_a_sentence() -> None:
    whole = analysed(evaluation(100, TWO))
    (first,) = whole.comparisons
    none = {
        "gain": 0.01,
        "interval": Interval(-0.1, 0.12),
        "conclusion": "undecided",
        "detectable": 0.15,
        "needed": 400,
    }
    two = [first.model_copy(update={"against": f"one:{name}", **none}) for name in "ab"]
    several = whole.model_copy(update={"comparisons": (first, *two)})
    shown = [each for each in conclusions(several) if "difference" in each or "better" in each]
    assert [compared(first)] == shown[:1]
    pairs = "one call of a (+1.0: -10.0 to 12.0) and one call of b (+1.0: -10.0 to 12.0)"
    assert shown[1] == (
        f"No difference shown between {PIPELINE} and any of {pairs}: the interval of each gain, in points, contains "
        "zero. 100 questions could have shown a gain of 15 points; about 400 would show 7 points."
    )
    assert len(shown) == 2


def test_the_price_of_a_point_has_a_range_as_the_gain_has() -> None:
    (found,) = analysed(evaluation(300, TWO)).comparisons
    assert found.interval is not None
    assert found.gain is not None
    assert found.usd_per_point is not None
    least, most = (found.usd_per_point * found.gain / end for end in (found.interval.high, found.interval.low))
    expected = f"for each point ({dollars(least)} to {dollars(most)} for the ends of the interval)."
    assert words(compared(found)).endswith(expected)


def test_wins_by_a_part_of_a_score_are_not_counted_in_sentences() -> None:
    whole = evaluation(300, TWO)
    half = tuple(
        each.model_copy(update={"score": 0.5}) if each.contestant == BASELINE and each.score == 0 else each
        for each in whole.outcomes
    )
    whole = whole.model_copy(update={"outcomes": half})
    (found,) = analysed(whole).comparisons
    assert found.has_parts
    assert " it won " not in compared(found)
    assert "won / lost: also by a part of a score" in words(printed(whole))
    assert "by a part of a score" not in words(printed(evaluation(300, TWO)))


def test_a_worse_pipeline_is_said_to_be_worse_by_a_positive_number() -> None:
    text = words(printed(evaluation(300, {BASELINE: 0.85, PIPELINE: 0.6})))
    assert "self_moa is worse than one call of gpt-5 by " in text
    assert "by -" not in text


def test_a_better_pipeline_that_costs_less_has_no_price_for_a_point() -> None:
    whole = changed(evaluation(300, TWO), PIPELINE, 300, cost_usd=Decimal("0.0001"))
    text = words(printed(whole))
    assert "It does not cost more." in text
    assert "-$0." in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("whole", [evaluation(40), judged(evaluation(40)), failed(evaluation(40), PIPELINE, 3)])
def test_no_line_is_wider_than_the_terminal(whole: Evaluation, width: int, encoding: str) -> None:
    text = printed(whole, width, encoding)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert all(each.contestant.split(":")[0] in text for each in analysed(whole).standings)


def test_scores_of_different_questions_have_their_numbers_also_at_eighty_columns() -> None:
    text = printed(failed(evaluation(60), PIPELINE, 12), 80)
    assert text.splitlines()[1].split()[:4] == ["contestant", "score", "(95", "%)"]
    assert " n " in text.splitlines()[1]
    assert "n: scores are not all of the same questions" in words(text)
    assert "n: scores are not all of the same questions" not in words(printed(evaluation(60), 80))


def test_a_narrow_terminal_gets_a_list_for_each_row() -> None:
    lines = printed(judged(evaluation(40)), 50).splitlines()
    start = lines.index("What the judge prefers")
    assert [line.split()[0] for line in lines[start + 1 : start + 6]] == ["contestant", "against", "win", "at", "n"]


def test_duels_are_a_table_at_eighty_columns() -> None:
    one, other = judged(evaluation(40)), judged(evaluation(40), names=("moa_lite", BASELINE))
    lines = printed(one.model_copy(update={"verdicts": (*one.verdicts, *other.verdicts)}), 80).splitlines()
    start = lines.index("What the judge prefers")
    assert [line.split()[0] for line in lines[start + 3 : start + 5]] == [PIPELINE, "moa_lite"]
    assert "intervals hold for all 2 pairs together" in lines[start + 5]
    start = lines.index("How the judge decides")
    assert lines[start + 1].split() == ["contestant", "against", "position", "bias", "same", "ties", "unreadable"]


def test_names_of_others_command_no_terminal() -> None:
    whole = evaluation(20, {BASELINE: 0.5, HOSTILE: 0.6}).model_copy(update={"notes": (f"note {HOSTILE}",)})
    text = printed(whole, 60)
    assert not set(text) & set("\x1b\u202e\ud800")
    assert "x[bold][2J⟨U+202E⟩<b>\ufffd" in text


def test_colours_are_for_terminals_alone() -> None:
    assert "\x1b[32mbetter" in printed(evaluation(300), colour=True)
    assert "\x1b" not in printed(evaluation(300))


def test_simulated_models_are_said_to_mean_nothing() -> None:
    text = printed(evaluation(20, settings=EvalSettings(scoring="number", simulated=True)))
    assert text.lstrip().startswith("simulated: no model was called")
    assert "these figures mean nothing for real models" in words(text)


def test_problems_have_a_table_of_their_own() -> None:
    whole = changed(failed(evaluation(100), PIPELINE, 5), "moa_lite", 20, unknown_costs=2, status="degraded")
    whole = changed(whole, BASELINE, 3, score=None)
    lines = printed(whole, 80).splitlines()
    start = lines.index("Problems")
    assert lines[start + 1].split() == ["contestant", "degraded", "failed", "unscored", "unknown", "costs"]
    assert [line.split() for line in lines[start + 3 : start + 6]] == [
        [BASELINE, "0", "0", "3", "0"],
        [PIPELINE, "0", "5", "0", "0"],
        ["moa_lite", "20", "0", "0", "40"],
    ]
    moa_lite = next(line for line in lines if line.startswith("moa_lite"))
    assert moa_lite.split()[-2].endswith("+")
    assert "+ at least: the costs of some calls are unknown" in words("\n".join(lines))


def test_unknown_costs_are_never_zero() -> None:
    text = printed(changed(evaluation(20, TWO), PIPELINE, 20, cost_usd=None, unknown_costs=7))
    assert next(line for line in text.splitlines() if line.startswith(PIPELINE)).split()[-2] == "unknown"


def test_a_judge_is_quoted_with_its_rate_for_answers_of_the_same_length() -> None:
    text = words(printed(judged(evaluation(100), bias=0.1)))
    assert "The judge prefers self_moa to one call of gpt-5: win rate 66.0 % (" in text
    assert "over 100 questions, ties as half. For answers of the same length it is " in text
    assert "self_moa against one:gpt-5: the judge prefers the answer that it sees first" in text


@pytest.mark.parametrize(
    ("skill", "unreadable", "said"),
    [
        (0.2, 0, "The judge prefers one call of gpt-5 to self_moa: self_moa has a win rate of "),
        (0.42, 0, "No preference shown between self_moa and one call of gpt-5: the interval of the win rate, "),
        (0.5, 50, "the judge has no readable verdict in both orders on any question."),
    ],
)
def test_what_a_judge_does_not_prefer_is_said_too(skill: float, unreadable: int, said: str) -> None:
    assert said in words(printed(judged(evaluation(50), skill=skill, unreadable=unreadable)))


@pytest.mark.parametrize(
    ("settings", "complete", "said"),
    [
        (2.0, True, "Gate passed: the lower end of each interval is at least 2 points."),
        (40.5, True, "Gate missed: not each interval has its lower end at 40.5 points or above."),
        (2.0, False, "Gate of 2 points: not decided, because the evaluation is incomplete or nothing was compared."),
    ],
)
def test_the_gate_is_said(settings: float, complete: bool, said: str) -> None:
    whole = evaluation(400, TWO, settings=EvalSettings(scoring="number", fail_under=settings))
    text = words(printed(whole.model_copy(update={"complete": complete})))
    assert said in text
    assert ("The evaluation is incomplete" in text) is not complete


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        (evaluation(5, {"p": 0.5}), "Nothing was compared: there is no baseline."),
        (failed(failed(evaluation(5, TWO), PIPELINE, 5), BASELINE, 5), "Nothing was compared: 10 runs failed."),
        (changed(changed(evaluation(5, TWO), PIPELINE, 5, score=None), BASELINE, 5, score=None), "no question has a"),
        (changed(evaluation(5, TWO), PIPELINE, 5, score=None), "can't be compared: no question has a score of both."),
        (evaluation(1, TWO), "1 question could not have shown any difference: ask more."),
        (evaluation(0, TWO), "Nothing was compared"),
    ],
)
def test_what_shows_nothing_says_why(whole: Evaluation, said: str) -> None:
    assert said in words(printed(whole))


def test_an_interval_without_zero_is_not_enough_if_the_p_value_is_too_high() -> None:
    (found,) = analysed(evaluation(60, {BASELINE: 0.7, PIPELINE: 0.72})).comparisons
    unsure = found.model_copy(update={"interval": Interval(0.0002, 0.2), "p_adjusted": 0.06, "gain": 0.1})
    text = words(compared(unsure))
    assert "its interval (0.02 to 20.0) excludes zero, but the p value after Holm's correction is above 0.05." in text


def test_a_comparison_that_could_show_half_of_its_gain_does_not_ask_for_more() -> None:
    (found,) = analysed(evaluation(60, {BASELINE: 0.7, PIPELINE: 0.72})).comparisons
    text = words(compared(found.model_copy(update={"needed": 60, "detectable": 0.01})))
    assert "60 questions could have shown a gain of 1 point." in text


def test_a_duel_without_a_readable_verdict_is_said_beside_others() -> None:
    one, other = judged(evaluation(20)), judged(evaluation(20), names=("moa_lite", BASELINE), unreadable=20)
    text = words(printed(one.model_copy(update={"verdicts": (*one.verdicts, *other.verdicts)})))
    assert "The judge has no readable verdict in both orders on moa_lite against one call of gpt-5." in text


def test_contestants_of_any_name_are_named_in_sentences() -> None:
    names = {"majority:a:b:5": 0.5, "best_of:p:3": 0.9, "one:": 0.5}
    (found,) = analysed(evaluation(5, TWO)).comparisons
    text = words("".join(compared(found.model_copy(update={"contestant": name})) for name in names))
    assert "the majority of 5 samples of a:b" in text
    assert "the best of 3 samples of p" in text
    assert "between one: and" in text
