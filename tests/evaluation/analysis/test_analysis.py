"""What an analysis makes of outcomes and verdicts: standings, the frontier, paired gains, duels, the gate, notes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from moa_mcp.evaluation.analysis import analysed
from moa_mcp.evaluation.report.words import compared as compared_in_words
from moa_mcp.evaluation.result import ContestantStanding, EvalSettings, Evaluation
from moa_mcp.evaluation.statistics import compared, mean_score
from tests.support.evaluations import BASELINE, PIPELINE, changed, evaluation, failed, judged

TWO = {BASELINE: 0.7, PIPELINE: 0.85}
GATE = EvalSettings(scoring="number", fail_under=2.0)


def row(whole: Evaluation, name: str) -> ContestantStanding:
    return next(each for each in whole.standings if each.contestant == name)


def only_scores(whole: Evaluation, name: str) -> list[float]:
    return [each.score for each in whole.outcomes if each.contestant == name and each.score is not None]


def test_a_standing_has_the_mean_score_its_interval_and_what_a_question_took() -> None:
    whole = analysed(evaluation(50))
    outcomes = [each for each in whole.outcomes if each.contestant == PIPELINE]
    figure = mean_score(only_scores(whole, PIPELINE)).mean
    found = row(whole, PIPELINE)
    assert (found.score, found.interval) == (figure.value, (figure.low, figure.high))
    assert found.usd_per_1000 == pytest.approx(20 * float(sum(each.cost_usd or 0 for each in outcomes)))
    assert found.calls == 7
    assert found.seconds == pytest.approx(sorted(each.seconds or 0 for each in outcomes)[25], abs=0.5)
    assert (found.failed, found.unscored, found.not_started, found.degraded, found.unknown_costs) == (0, 0, 0, 0, 0)


def test_each_pipeline_is_compared_with_each_baseline_in_one_family() -> None:
    whole = analysed(evaluation(80, {"one:a": 0.7, "one:b": 0.6, "p": 0.9, "q": 0.75, "majority:p:3": 0.8}))
    pairs = [("p", "one:a"), ("p", "one:b"), ("q", "one:a"), ("q", "one:b")]
    scores = {each.name: only_scores(whole, each.name) for each in whole.contestants}
    expected = compared(scores, pairs, seed=7)
    assert [(each.contestant, each.against) for each in whole.comparisons] == pairs
    assert [each.interval for each in whole.comparisons] == [
        (e.simultaneous.low, e.simultaneous.high) for e in expected
    ]
    assert [each.p_adjusted for each in whole.comparisons] == [each.adjusted_p for each in expected]


def test_a_gain_without_zero_in_its_interval_is_better_and_has_a_price() -> None:
    (found,) = analysed(evaluation(400, TWO)).comparisons
    assert (found.conclusion, found.n, found.won + found.lost + found.tied) == ("better", 400, 400)
    assert found.interval is not None
    assert found.interval.low > 0
    assert found.gain is not None
    assert found.usd_per_point is not None
    assert found.usd_per_point * found.gain * 100 == pytest.approx(10.2, abs=0.3)  # six calls more for each question


def test_the_price_of_a_point_is_unknown_if_a_cost_is() -> None:
    whole = changed(evaluation(400, TWO), PIPELINE, 1, cost_usd=None, unknown_costs=7)
    (found,) = analysed(whole).comparisons
    assert (found.conclusion, found.usd_per_point) == ("better", None)


def test_the_questions_that_would_show_half_of_what_could_be_shown_are_more() -> None:
    (found,) = analysed(evaluation(60, {BASELINE: 0.8, PIPELINE: 0.82})).comparisons
    assert found.conclusion == "undecided"
    assert found.usd_per_point is None
    assert found.detectable is not None
    assert found.sought is not None
    assert found.needed is not None
    assert found.sought == pytest.approx(found.detectable / 2, abs=0.01)
    assert found.needed > 60


def test_a_single_question_could_have_shown_nothing() -> None:
    (found,) = analysed(evaluation(1, TWO)).comparisons
    assert (found.n, found.conclusion, found.detectable, found.sought, found.needed) == (
        1,
        "undecided",
        None,
        None,
        None,
    )


def test_questions_in_clusters_are_counted_by_cluster_and_few_are_noted() -> None:
    whole = analysed(evaluation(60, TWO, clusters=12))
    assert whole.comparisons[0].clusters == 12
    assert any("only 12 clusters" in note for note in whole.notes)
    whole = evaluation(60, TWO, clusters=30)
    alone = whole.questions[0].model_copy(update={"cluster": None})
    whole = analysed(whole.model_copy(update={"questions": (alone, *whole.questions[1:])}))
    assert whole.comparisons[0].clusters == 31
    assert not whole.notes


def test_failures_are_left_out_of_pairs_and_a_note_says_what_they_would_change() -> None:
    whole = analysed(failed(evaluation(100, TWO), PIPELINE, 8))
    assert (row(whole, PIPELINE).n, row(whole, PIPELINE).failed, whole.comparisons[0].n) == (92, 8, 92)
    wrong = compared(
        {name: only_scores(evaluation(100, TWO), name) for name in TWO}
        | {PIPELINE: [0.0] * 8 + only_scores(evaluation(100, TWO), PIPELINE)[8:]},
        [(PIPELINE, BASELINE)],
        seed=7,
    )[0]
    (note,) = whole.notes
    assert f"{PIPELINE} failed on 8 questions, {BASELINE} on 0" in note
    assert f"the gain would be {100 * wrong.gain.mean.value:.1f} points" in note


def test_a_gain_that_failures_as_wrong_answers_would_undo_is_undecided() -> None:
    whole = analysed(failed(evaluation(400, TWO), PIPELINE, 80))
    (found,) = whole.comparisons
    assert found.interval is not None
    assert found.interval.low > 0
    assert found.conclusion == "undecided"
    assert compared_in_words(found).endswith("excludes zero, but not if each failure counts as wrong: see the notes.")
    assert "If each failure counted as wrong, the gain would be 1.0 points" in whole.notes[0]


def test_a_gain_that_failures_do_not_undo_is_better() -> None:
    assert analysed(failed(evaluation(400, TWO), PIPELINE, 4)).comparisons[0].conclusion == "better"


def test_a_pipeline_that_fails_where_it_is_wrong_is_seldom_called_better() -> None:
    better = 0
    for seed in range(40):
        whole = evaluation(80, {BASELINE: 0.75, PIPELINE: 0.75}, seed=seed)
        wrong = [each.contestant == PIPELINE and each.score == 0 for each in whole.outcomes]
        outcomes = tuple(
            each.model_copy(update={"status": "failed", "answer": None, "score": None}) if fails else each
            for each, fails in zip(whole.outcomes, wrong, strict=True)
        )
        (found,) = analysed(whole.model_copy(update={"outcomes": outcomes})).comparisons
        better += found.conclusion == "better"
    assert better <= 2


def test_unscored_and_unasked_questions_are_counted_apart() -> None:
    whole = changed(evaluation(40, TWO), PIPELINE, 3, score=None, extracted=None)
    whole = changed(whole, BASELINE, 2, status="not_started", score=None, answer=None)
    whole = analysed(whole.model_copy(update={"outcomes": whole.outcomes[:-1]}))
    assert (row(whole, PIPELINE).unscored, row(whole, PIPELINE).not_started) == (3, 1)
    assert (row(whole, BASELINE).failed, row(whole, BASELINE).not_started) == (0, 2)
    assert [note for note in whole.notes if "not asked" in note or "could not be scored" in note] == [
        f"{BASELINE}: 2 questions not asked or not finished yet.",
        f"{PIPELINE}: 1 question not asked or not finished yet.",
        f"{PIPELINE}: 3 answers could not be scored and count nowhere.",
    ]


def test_what_was_not_asked_has_no_unknown_cost() -> None:
    unasked = {"status": "not_started", "score": None, "answer": None, "cost_usd": None, "calls": 0}
    whole = evaluation(4)
    for name in (PIPELINE, BASELINE):
        whole = changed(whole, name, 4, **unasked)
    assert not [note for note in analysed(whole).notes if "costs are known" in note]


def test_nothing_is_compared_if_nothing_has_a_score() -> None:
    whole = evaluation(3, TWO)
    for name in TWO:
        whole = failed(whole, name, 3)
    whole = analysed(whole.model_copy(update={"settings": GATE}))
    assert (whole.comparisons, whole.gate_passed, row(whole, PIPELINE).score) == ((), None, None)


def test_a_contestant_without_a_score_has_a_comparison_without_a_gain() -> None:
    whole = evaluation(20, TWO, settings=GATE, clusters=4)
    whole = changed(whole, PIPELINE, 20, score=None)
    (found,) = analysed(whole).comparisons
    assert (found.n, found.gain, found.interval, found.clusters) == (0, None, None, 0)
    assert analysed(whole).gate_passed is None


def test_the_frontier_has_those_that_no_other_beats_in_score_and_cost() -> None:
    whole = analysed(evaluation(300))
    on = {each.contestant for each in whole.standings if each.on_frontier}
    assert on == {BASELINE, "majority:self_moa:6", PIPELINE}  # moa_lite costs most; best_of can't be run


def test_of_equals_all_are_on_the_frontier_but_unknown_costs_are_not_placed() -> None:
    whole = evaluation(20, {"one:a": 1.1, "p": 1.1, "q": 1.1})
    for name in ("one:a", "p", "q"):
        whole = changed(whole, name, 20, cost_usd=Decimal("0.01"))
    whole = analysed(changed(whole, "q", 1, unknown_costs=1))
    assert [each.on_frontier for each in whole.standings] == [True, True, False]
    assert any(note.startswith("Not all costs are known for q (1 call of unknown cost)") for note in whole.notes)


@pytest.mark.parametrize(("least", "passed"), [(2.0, True), (-100.0, True), (40.0, False)])
def test_the_gate_goes_by_the_lower_end_of_each_gain(least: float, passed: bool) -> None:
    settings = EvalSettings(scoring="number", fail_under=least)
    assert analysed(evaluation(500, TWO, settings=settings)).gate_passed is passed


def test_an_incomplete_evaluation_passes_and_misses_no_gate() -> None:
    whole = evaluation(500, TWO, settings=GATE).model_copy(update={"complete": False})
    assert analysed(whole).gate_passed is None
    assert analysed(evaluation(500, TWO)).gate_passed is None


def test_a_duel_has_the_win_rate_over_both_orders_the_bias_of_the_place_and_ties() -> None:
    (found,) = analysed(judged(evaluation(300), skill=0.6, bias=0.12, unreadable=5)).duels
    assert (found.contestant, found.against, found.n, found.unreadable) == (PIPELINE, BASELINE, 295, 5)
    assert found.win_rate is not None
    assert found.interval is not None
    assert found.interval.low < found.win_rate < found.interval.high
    assert found.position_interval is not None
    assert found.position_interval.low > 0
    assert any("sees first" in note for note in found.notes)
    assert found.consistency == pytest.approx(1 - found.ties / 295)
    assert found.length_controlled is not None


def test_of_several_duels_the_intervals_are_wider() -> None:
    one = judged(evaluation(200))
    other = judged(evaluation(200), names=("moa_lite", BASELINE))
    both = one.model_copy(update={"verdicts": (*one.verdicts, *other.verdicts)})
    (alone,), first = analysed(one).duels, analysed(both).duels[0]
    assert alone.interval is not None
    assert first.interval is not None
    assert alone.win_rate == first.win_rate
    assert first.interval.low < alone.interval.low < alone.interval.high < first.interval.high


def test_a_judge_that_prefers_the_second_place_and_long_answers_is_noted() -> None:
    whole = judged(evaluation(300), skill=0.5, bias=-0.2)
    longer = tuple(
        each.model_copy(update={"preferred": 1.0 if each.longer_by > 0 else 0.0}) if number % 3 else each
        for number, each in enumerate(whole.verdicts)
    )
    (found,) = analysed(whole.model_copy(update={"verdicts": longer})).duels
    assert any("sees second" in note for note in found.notes)
    assert any("prefers longer answers" in note for note in found.notes)


def test_a_rate_beyond_the_lengths_that_were_seen_is_noted() -> None:
    whole = judged(evaluation(200), skill=0.5)
    longer = tuple(each.model_copy(update={"longer_by": abs(each.longer_by) + 100}) for each in whole.verdicts)
    (found,) = analysed(whole.model_copy(update={"verdicts": longer})).duels
    assert any("extrapolated" in note for note in found.notes)


def test_pairs_without_a_reply_in_both_orders_are_left_out_and_noted() -> None:
    whole = judged(evaluation(40))
    silent = whole.verdicts[3].model_copy(update={"preferred": None, "problem": "the budget is used up"})
    (found,) = analysed(
        whole.model_copy(update={"verdicts": (*whole.verdicts[1:3], silent, *whole.verdicts[4:])})
    ).duels
    assert (found.n, found.unreadable) == (38, 0)
    assert found.notes[-1] == "the judge did not reply in both orders on 2 questions, left out here"


def test_pairs_with_the_same_text_tell_nothing_about_the_judge() -> None:
    whole = judged(evaluation(200), skill=0.5, bias=0.15)
    same = {each.id for each in whole.questions[:100]}
    equal = {"preferred": 0.5, "longer_by": 0, "run_id": None}
    verdicts = tuple(each.model_copy(update=equal) if each.question in same else each for each in whole.verdicts)
    judged_alone = tuple(each for each in verdicts if each.question not in same)
    (found,) = analysed(whole.model_copy(update={"verdicts": verdicts})).duels
    (alone,) = analysed(whole.model_copy(update={"verdicts": judged_alone})).duels
    assert (found.n, alone.n) == (200, 100)
    assert (found.position_bias, found.consistency) == (alone.position_bias, alone.consistency)
    assert any("same text on 100 questions" in note for note in found.notes)
    assert [note for note in found.notes if "sees" in note] == [note for note in alone.notes if "sees" in note]
    only = tuple(each for each in verdicts if each.question in same)
    (none,) = analysed(whole.model_copy(update={"verdicts": only})).duels
    assert (none.n, none.win_rate, none.position_bias, none.consistency) == (100, 0.5, None, None)


@pytest.mark.parametrize(("skill", "other"), [(0.9, BASELINE), (0.1, PIPELINE)])
def test_a_note_says_what_unreadable_verdicts_could_change(skill: float, other: str) -> None:
    (found,) = analysed(judged(evaluation(100), skill=skill, unreadable=40)).duels
    (note,) = [each for each in found.notes if "unreadable" in each]
    assert note.startswith(
        f"40 pairs with an unreadable verdict are left out; if each of these verdicts preferred {other}"
    )


def test_a_note_says_what_failures_could_change_in_a_duel() -> None:
    whole = judged(evaluation(100), skill=0.8)
    answered = {each.id for each in whole.questions[30:]}
    whole = failed(failed(whole, PIPELINE, 30), BASELINE, 10)
    verdicts = tuple(each for each in whole.verdicts if each.question in answered)
    (found,) = analysed(whole.model_copy(update={"verdicts": verdicts})).duels
    assert found.win_rate is not None
    (note,) = [each for each in found.notes if "failed" in each]
    lost = (70 * found.win_rate + 10 * 0.5 + 20 * 0.0) / 100
    assert note.startswith(f"{PIPELINE} failed on 30 questions, {BASELINE} on 10, which are left out")
    assert f"the win rate would be {100 * lost:.1f} %" in note


def test_a_duel_without_a_readable_verdict_has_no_figures() -> None:
    (found,) = analysed(judged(evaluation(6), unreadable=6)).duels
    assert (found.n, found.unreadable, found.win_rate, found.interval, found.notes) == (0, 6, None, None, ())


def test_few_pairs_have_no_length_controlled_rate_and_say_so() -> None:
    (found,) = analysed(judged(evaluation(5), skill=0.5)).duels
    assert found.length_controlled is None
    assert any(note.startswith("there is no length-controlled win rate") for note in found.notes)


@pytest.mark.parametrize(("skill", "passed"), [(0.95, True), (0.5, False)])
def test_without_scores_the_gate_takes_what_the_win_rate_is_above_one_half(skill: float, passed: bool) -> None:
    assert analysed(judged(evaluation(200, settings=GATE), skill=skill)).gate_passed is passed


def test_without_a_baseline_nothing_is_compared() -> None:
    whole = analysed(evaluation(10, {"p": 0.5, "q": 0.6}, settings=GATE))
    assert (whole.comparisons, whole.gate_passed) == ((), None)


def test_an_analysis_of_an_analysis_is_the_same() -> None:
    once = analysed(failed(evaluation(50), PIPELINE, 2).model_copy(update={"notes": ("the judge is of one family",)}))
    assert once.notes[0] == "the judge is of one family"
    assert analysed(once) == once
