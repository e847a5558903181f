"""Advice finds what is planted in an evaluation, and recommends nothing where nothing is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moa_mcp.config import parse, shipped
from moa_mcp.evaluation.advice.values import Advice
from moa_mcp.evaluation.advice.whole import advise
from moa_mcp.evaluation.report.json_file import write
from moa_mcp.evaluation.result import Evaluation
from tests.cli.test_cli import invoke
from tests.support import planted
from tests.support.planted import EQUAL, MIX, World, evaluation

WEAK = World(skills={**EQUAL, "gpt-5-mini": 0.4})
COPY = World(copies={"claude-haiku-4": "gpt-5-mini"})
CONTRARY = World(aggregate=planted.contrary)
FIRST = World(aggregate=planted.first)
SOUND = World(skills=dict.fromkeys(EQUAL, 0.5), aggregate=planted.expert, wrong_values=1)
"""Members are equal, and the result is right more often than anything that could take its place."""
CASCADE = World(skills=dict.fromkeys(EQUAL, 0.85), difficulty=0.3)


def advised(tmp_path: Path, *evaluations: Evaluation, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the JSON of the command for these evaluations."""
    paths = [tmp_path / f"{number}.json" for number in range(len(evaluations))]
    for path, each in zip(paths, evaluations, strict=True):
        write(each, path)
    done = invoke("advise", *map(str, paths), "--json", "-", *more)
    assert (done.exit_code, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def found(advice: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each for each in advice["recommendations"] if each["kind"] == kind]


def kinds(advice: Advice) -> set[str]:
    return {each.kind for each in advice.recommendations}


def test_a_weak_member_is_to_be_replaced_by_one_that_is_better_on_the_same_questions(tmp_path: Path) -> None:
    advice = advised(tmp_path, evaluation(WEAK))
    (weak,) = found(advice, "weak_member")
    members = {each["model"]: each for each in advice["panels"][0]["members"]}
    assert weak["subjects"][0] == "gpt-5-mini"
    assert weak["effect"]["n"] == 300
    assert weak["effect"]["interval"][0] > 0
    assert set(members["gpt-5-mini"]["beaten_by"]) == set(EQUAL) - {"gpt-5-mini"}
    assert (weak["price"]["calls_before"], weak["price"]["calls_after"]) == (5, 5)


def test_a_weak_member_that_costs_less_is_not_beaten(tmp_path: Path) -> None:
    advice = advised(tmp_path, evaluation(replace(WEAK, prices={"gpt-5-mini": 0.0001})))
    assert found(advice, "weak_member") == []
    assert not any(each["beaten_by"] for each in advice["panels"][0]["members"])


def test_a_weak_member_is_kept_where_only_it_knows_some_answers() -> None:
    whole = evaluation(WEAK)
    outcomes = [only(each, right=number % 4 == 0) for number, each in enumerate(whole.outcomes)]
    advice = advise({"e": whole.model_copy(update={"outcomes": tuple(outcomes)})}, [])
    assert "weak_member" not in kinds(advice)
    alone = {each.model: each.unique for each in advice.panels[0].members}["gpt-5-mini"]
    assert alone is not None
    assert alone.value == pytest.approx(0.25)


def only(outcome: Any, *, right: bool) -> Any:
    """Return an outcome whose first member is right where the others are wrong, and wrong elsewhere, or half of it."""
    first, *others = outcome.samples
    first = first.model_copy(update={"score": float(right)})
    rest = [each.model_copy(update={"score": 0.0 if right else each.score}) for each in others]
    return outcome.model_copy(update={"samples": (first, *rest)})


@pytest.mark.parametrize("difficulty", [0.0, 0.5])
def test_two_copies_are_nearly_the_same_voice(tmp_path: Path, difficulty: float) -> None:
    advice = advised(tmp_path, evaluation(replace(COPY, difficulty=difficulty)))
    (copies,) = found(advice, "same_voice")
    assert set(copies["subjects"]) == {"claude-haiku-4", "gpt-5-mini"}
    first, *others = advice["panels"][0]["pairs"]
    assert {first["first"], first["second"]} == set(copies["subjects"])
    assert first["overlap"]["value"] > 0.8 > max(each["overlap"]["value"] for each in others)
    assert first["same_answer"]["value"] > 0.8
    assert first["both_wrong"]["value"] > 2 * first["if_independent"]


def test_members_that_only_share_hard_questions_are_not_the_same_voice() -> None:
    advice = advise({"e": evaluation(World(difficulty=1.0))}, [])
    assert min(each.overlap.value for each in advice.panels[0].pairs if each.overlap) > 0.9
    assert "same_voice" not in kinds(advice)


def test_an_aggregator_that_prefers_wrong_answers_is_to_be_replaced(tmp_path: Path) -> None:
    advice = advised(tmp_path, evaluation(CONTRARY))
    assert len(found(advice, "other_aggregator")) == 1
    made = advice["panels"][0]["aggregation"]
    assert made["efficiency"]["value"] < 0
    assert made["lost"]["value"] == pytest.approx(made["oracle"]["value"] - made["result"]["value"])
    assert made["overruled"]["value"] > 0.3
    assert found(advice, "single")


def test_a_vote_is_recommended_where_its_majority_is_better_than_the_result(tmp_path: Path) -> None:
    advice = advised(tmp_path, evaluation(FIRST))
    (vote,) = found(advice, "vote")
    gain = advice["panels"][0]["aggregation"]["vote_gain"]
    assert vote["effect"]["value"] == gain["value"] > 0.2
    assert vote["effect"]["interval"][0] < gain["interval"][0]
    price = vote["price"]
    assert (price["calls_before"], price["calls_after"]) == (5, 4)
    assert price["usd_per_1000_after"] == pytest.approx(4)
    assert found(advice, "other_aggregator") == []


def test_an_early_stop_is_recommended_where_agreement_says_who_is_right(tmp_path: Path) -> None:
    advice = advised(tmp_path, evaluation(CASCADE, 900))
    (cascade,) = found(advice, "cascade")
    finding = advice["panels"][0]["cascade"]
    assert (finding["chosen_on"], finding["gain"]["n"]) == (450, 450)
    assert cascade["effect"]["interval"][0] > -0.03
    assert cascade["price"]["calls_after"] < 4.3
    assert finding["calls_saved"] > 0.1
    levels = advice["panels"][0]["calibration"]
    assert [each["agreement"] for each in levels] == [0.25, 0.5, 0.75, 1]
    assert levels[0]["right"]["value"] < levels[-1]["right"]["value"]


def test_where_agreement_says_nothing_the_whole_pipeline_runs() -> None:
    advice = advise({"e": evaluation(SOUND, 900)}, [])
    assert "cascade" not in kinds(advice)


def test_the_seed_divides_the_questions_of_a_cascade(tmp_path: Path) -> None:
    whole = evaluation(CASCADE, 300)
    first, same, other = (
        advised(tmp_path, whole, more=("--seed", seed))["panels"][0]["cascade"] for seed in ("1", "1", "2")
    )
    assert first == same
    assert first["stopped"] != other["stopped"]


def test_samples_of_one_model_are_recommended_where_their_majority_beats_the_mix(tmp_path: Path) -> None:
    world = World(skills={**EQUAL, "gpt-5-mini": 0.9}, samples=3, aggregate=planted.contrary)
    advice = advised(tmp_path, evaluation(world))
    (own,) = found(advice, "self")
    assert own["subjects"] == ["gpt-5-mini", "3"]
    assert own["price"]["calls_after"] == 3
    curve = next(each for each in advice["panels"][0]["selves"] if each["model"] == "gpt-5-mini")["curve"]
    assert [each["samples"] for each in curve] == [1, 2, 3]
    assert curve[-1]["score"]["value"] > curve[0]["score"]["value"]


def test_another_pipeline_of_one_model_and_one_call_are_compared_on_the_same_questions(tmp_path: Path) -> None:
    whole = evaluation(CONTRARY)
    whole = planted.with_contestant(whole, "self_opus", 0.95, calls=6)
    whole = planted.with_contestant(whole, "one:claude-opus-5-5", 0.9, seed=4)
    advice = advised(tmp_path, whole)
    assert [each["subjects"] for each in found(advice, "self")] == [["self_opus"]]
    assert [each["subjects"] for each in found(advice, "single")] == [["one:claude-opus-5-5"]]
    panel = next(each for each in advice["panels"] if each["pipeline"] == MIX)
    assert [each["contestant"] for each in panel["alternatives"]] == ["self_opus", "one:claude-opus-5-5"]
    assert panel["missing"] == []


def test_a_judge_that_prefers_a_place_is_named(tmp_path: Path) -> None:
    whole = planted.with_contestant(evaluation(SOUND), "one:x", 0.4)
    biased = advised(tmp_path, planted.with_verdicts(whole, "one:x", first_place=0.3))
    (judge,) = found(biased, "other_judge")
    assert judge["subjects"] == ["panel_judge", "second", MIX, "one:x"]
    assert biased["judges"][0]["position_bias"]["value"] == pytest.approx(-0.2, abs=0.06)
    fair = advised(tmp_path, planted.with_verdicts(whole, "one:x", first_place=0.5))
    assert found(fair, "other_judge") == []


def test_nothing_is_recommended_in_at_most_one_of_twenty_evaluations_without_a_reason() -> None:
    advices = [advise({"e": evaluation(SOUND, 80, seed=seed)}, []) for seed in range(200)]
    assert sum(bool(each.recommendations) for each in advices) <= 10


def test_even_where_no_change_makes_a_difference_few_are_recommended() -> None:
    coins = World(skills=dict.fromkeys(EQUAL, 0.5), aggregate=planted.any_of, wrong_values=1)
    advices = [advise({"e": evaluation(coins, 60, seed=seed)}, []) for seed in range(100)]
    assert sum(bool(kinds(each) - {"cascade"}) for each in advices) <= 5


def test_a_member_without_an_answer_where_it_is_wrong_is_not_recommended() -> None:
    assert sum(bool(kinds(advise({"e": silent_where_wrong(seed)}, []))) for seed in range(40)) <= 2


def silent_where_wrong(seed: int) -> Evaluation:
    """Return an evaluation of equal members, of which the first one fails on half of those where it is wrong."""
    whole = evaluation(SOUND, 150, seed=seed)
    outcomes = tuple(
        each.model_copy(update={"samples": each.samples[1:]}) if number % 2 and not each.samples[0].score else each
        for number, each in enumerate(whole.outcomes)
    )
    return whole.model_copy(update={"outcomes": outcomes})


def test_a_contestant_that_fails_where_it_is_wrong_is_not_recommended() -> None:
    whole = planted.with_contestant(evaluation(World(aggregate=planted.any_of), 200), "one:x", 0.7)
    failed = {"score": None, "answer": None, "status": "failed"}
    outcomes = tuple(
        each.model_copy(update=failed) if each.contestant == "one:x" and not each.score else each
        for each in whole.outcomes
    )
    advice = advise({"e": whole.model_copy(update={"outcomes": outcomes})}, [])
    assert "single" not in kinds(advice)


def test_few_questions_recommend_nothing_and_say_how_many_would_do() -> None:
    few = advise({"e": evaluation(CONTRARY, 12)}, [])
    assert few.recommendations == ()
    wanted = {each.kind: each for each in few.undecided}
    assert wanted["vote"].needed >= 20
    assert kinds(advise({"e": evaluation(CONTRARY, wanted["vote"].needed)}, [])) >= {"vote"}


def test_the_needed_questions_find_the_effect_in_most_evaluations() -> None:
    world = replace(FIRST, skills=dict.fromkeys(EQUAL, 0.6))
    small = advise({"e": evaluation(world, 30, seed=3)}, [])
    (vote,) = [each for each in small.undecided if each.kind == "vote"]
    enough = [advise({"e": evaluation(world, vote.needed, seed=seed)}, []) for seed in range(30)]
    assert sum("vote" in kinds(each) for each in enough) >= 20


def test_the_intervals_of_more_checks_are_wider(tmp_path: Path) -> None:
    whole = evaluation(FIRST)
    other = evaluation(SOUND, name="other", seed=2)
    alone, together = (advised(tmp_path, *each) for each in ([whole], [whole, other]))
    assert together["checks"] > alone["checks"]
    (one,), (two,) = found(alone, "vote"), found(together, "vote")
    assert one["effect"]["value"] == two["effect"]["value"]
    assert two["effect"]["interval"][0] < one["effect"]["interval"][0]


def test_recommendations_come_by_aim_and_then_by_what_is_certain(tmp_path: Path) -> None:
    advice = advised(tmp_path, evaluation(replace(CONTRARY, copies=COPY.copies)))
    order = [(each["aim"], -each["certain"]) for each in advice["recommendations"]]
    aims = ["better", "cheaper", "sounder"]
    assert order == sorted(order, key=lambda each: (aims.index(each[0]), each[1]))
    assert {each["aim"] for each in advice["recommendations"]} == set(aims)


def test_questions_of_one_cluster_count_less() -> None:
    whole = evaluation(FIRST, 60)
    fives = tuple(
        each.model_copy(update={"cluster": f"text {number // 5}"}) for number, each in enumerate(whole.questions)
    )
    same = {each.question: whole.outcomes[number // 5 * 5] for number, each in enumerate(whole.outcomes)}
    outcomes = tuple(same[each.question].model_copy(update={"question": each.question}) for each in whole.outcomes)
    copied = whole.model_copy(update={"outcomes": outcomes})
    widths = [
        advise({"e": each}, []).panels[0].members[0].score.interval
        for each in (copied, copied.model_copy(update={"questions": fives}))
    ]
    assert widths[1].high - widths[1].low > 1.5 * (widths[0].high - widths[0].low)


def test_the_same_question_of_two_evaluations_counts_once() -> None:
    whole = evaluation(FIRST, 100)
    advice = advise({"new": whole, "old": whole}, [])
    assert advice.panels[0].n == 100
    other = evaluation(FIRST, 100, seed=2)
    renamed = tuple(each.model_copy(update={"question": f"Again: {each.question}"}) for each in other.questions)
    advice = advise({"new": whole, "old": other.model_copy(update={"questions": renamed})}, [])
    assert advice.panels[0].n == 200


def test_an_earlier_version_of_a_pipeline_is_not_mixed_with_the_newest() -> None:
    old = evaluation(FIRST, 100, seed=2)
    changed = tuple(each.model_copy(update={"digest": "d0"}) for each in old.contestants)
    renamed = tuple(each.model_copy(update={"question": f"Old: {each.question}"}) for each in old.questions)
    advice = advise(
        {"new": evaluation(FIRST, 50), "old": old.model_copy(update={"contestants": changed, "questions": renamed})}, []
    )
    assert advice.panels[0].n == 50


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"samples": ()}, "samples"),
        ({"score": None}, "scores"),
        ({"extracted": None}, "values"),
    ],
)
def test_what_an_evaluation_lacks_is_said(change: dict[str, Any], missing: str) -> None:
    whole = evaluation(FIRST, 60)
    outcomes = tuple(
        each.model_copy(update=change)
        if "samples" in change
        else each.model_copy(update={"samples": tuple(one.model_copy(update=change) for one in each.samples)})
        for each in whole.outcomes
    )
    advice = advise({"e": whole.model_copy(update={"outcomes": outcomes})}, [])
    assert missing in advice.panels[0].missing
    assert "vote" not in kinds(advice)


def test_results_without_scores_still_tell_about_members() -> None:
    whole = evaluation(replace(WEAK, samples=2))
    outcomes = tuple(each.model_copy(update={"score": None}) for each in whole.outcomes)
    advice = advise({"e": whole.model_copy(update={"outcomes": outcomes})}, [])
    assert advice.panels[0].aggregation is None
    assert [each.gain for each in advice.panels[0].selves] == [None] * 4
    assert kinds(advice) == {"weak_member"}


def test_members_without_scores_or_a_common_question_are_not_compared() -> None:
    whole = evaluation(World(), 60)
    outcomes = [
        each.model_copy(update={"samples": (*each.samples[number % 2 : 4 : 2], unscored(each.samples[0], "new"))})
        for number, each in enumerate(whole.outcomes)
    ]
    (panel,) = advise({"e": whole.model_copy(update={"outcomes": tuple(outcomes)})}, []).panels
    assert {each.model for each in panel.members} == set(EQUAL)
    assert {(each.first, each.second) for each in panel.pairs} == {
        ("gpt-5-mini", "gemini-2.5-flash"),
        ("claude-haiku-4", "mistral-small"),
    }
    other = planted.with_contestant(whole, "one:x", 0.5)
    unknown = [
        each.model_copy(update={"score": None}) if each.contestant == "one:x" else each for each in other.outcomes
    ]
    (panel,) = advise({"e": other.model_copy(update={"outcomes": tuple(unknown)})}, []).panels
    assert panel.alternatives == ()


def unscored(sample: Any, model: str) -> Any:
    return sample.model_copy(update={"model": model, "score": None})


def test_scores_between_right_and_wrong_are_compared_without_pairs_of_errors() -> None:
    whole = evaluation(FIRST, 200)
    outcomes = tuple(
        each.model_copy(
            update={
                "samples": tuple(one.model_copy(update={"score": 0.25 + (one.score or 0) / 2}) for one in each.samples)
            }
        )
        for each in whole.outcomes
    )
    advice = advise({"e": whole.model_copy(update={"outcomes": outcomes})}, [])
    assert advice.panels[0].pairs == ()
    assert advice.panels[0].members[0].unique is None


AGENTS = ("gpt-5-nano-2025-08-07", "claude-sonnet-4-5", "llama-3.3-70b")
SHIPPED = World(skills=dict(zip(AGENTS, (0.35, 0.8, 0.8), strict=True)), aggregate=planted.contrary)


def test_what_to_write_in_the_configuration_is_valid_and_does_what_is_recommended(tmp_path: Path) -> None:
    advice = advised(tmp_path, evaluation(SHIPPED, name="vote"), more=("--config", str(shipped())))
    before = shipped().read_text("utf-8")
    written = {each["kind"]: each["toml"] for each in advice["recommendations"] if each["toml"]}
    assert set(written) == {"vote", "single", "weak_member", "cascade"}
    made = {
        kind: (set(parse(before + text).pipelines) - set(parse(before).pipelines)).pop()
        for kind, text in written.items()
    }
    assert made["vote"] == "vote_majority"
    assert made["cascade"] == "vote_cascade"
    assert made["weak_member"] == "vote_without_gpt_5_nano_2025_08_07"
    assert made["single"] in {"vote_claude_sonnet_4_5", "vote_llama_3_3_70b"}
    cascade = parse(before + written["cascade"]).pipelines[made["cascade"]].steps
    assert [each.step for each in cascade] == ["propose", "agree", "vote"]
    agree = cascade[1].model_dump()
    assert (agree["extract"], agree["makers"]) == ("last_number", 1)
    assert 0 < agree["share"] <= advice["panels"][0]["cascade"]["threshold"]
    vote = parse(before + written["vote"]).pipelines[made["vote"]]
    assert vote.steps[0] == parse(before).pipelines["vote"].steps[0]
    assert vote.steps[1].model_dump()["method"] == "majority"
    replaced = parse(before + written["weak_member"]).pipelines[made["weak_member"]]
    assert AGENTS[0] not in replaced.steps[0].models
    assert len(replaced.steps[0].models) == 3
