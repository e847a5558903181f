from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.errors import ServerFailed
from moa_mcp.findings import Placement, Standing
from moa_mcp.planning.plan import plan
from moa_mcp.steps import prompts
from moa_mcp.steps.borda import Score, merged
from moa_mcp.testing import Scripted, ScriptedModel, pipeline, run_pipeline
from moa_mcp.trace.json import full, summary
from moa_mcp.values import Call, Note, Place
from tests.support.tables import AGGREGATE, PROPOSE, asked, shown, steps

pytestmark = pytest.mark.anyio

REVIEW = '{ step = "review", agents = ["a", "b", "c"] }'
FOUR = '{ step = "propose", agents = ["a", "b", "c", "d"] }'
BY_FOUR = '{ step = "review", agents = ["a", "b", "c", "d"] }'
TAKE = '{ step = "take", n = 1 }'
A, B, C = "a at 1.1", "b at 1.2", "c at 1.3"


def ballot(*best: str) -> Callable[[Call], Scripted]:
    """Propose in step 1; in step 2, rank the answers of these agents, as far as they are shown, best first."""

    def reply(call: Call) -> Scripted:
        form = prompts.asked_form(call.messages[0].content)
        if form is None:
            return f"{call.agent} at {call.place}"
        texts = [text.split()[0] for text in shown(call)]
        ranking = [texts.index(agent) + 1 for agent in best if agent in texts]
        return json.dumps({"key": form.key, "ranking": ranking})

    return reply


def voters(**ballots: str) -> ScriptedModel:
    """Return a model whose agents rank as their word says: ``a="cb"`` ranks the answer of c before that of b."""
    return ScriptedModel({agent: ballot(*best) for agent, best in ballots.items()})


async def test_every_agent_ranks_the_answers_of_the_others_in_an_order_of_its_own() -> None:
    model = voters(a="bcd", b="acd", c="abd", d="abc")
    await run_pipeline(steps(FOUR, BY_FOUR, AGGREGATE), "Why?", model, seed=1)
    seen = dict(asked(model, 2))
    assert {agent: {text[0] for text in texts} for agent, texts in seen.items()} == {
        agent: {*"abcd"} - {agent} for agent in "abcd"
    }
    orders = [[sorted(texts).index(text) for text in texts] for texts in seen.values()]
    assert any(order != [0, 1, 2] for order in orders)
    again = voters(a="bcd", b="acd", c="abd", d="abc")
    await run_pipeline(steps(FOUR, BY_FOUR, AGGREGATE), "Why?", again, seed=1)
    assert dict(asked(again, 2)) == seen


async def test_the_answers_come_out_best_first_and_the_aggregator_sees_their_ranks() -> None:
    model = voters(a="cb", b="ca", c="ab")
    trace = await run_pipeline(steps(PROPOSE, REVIEW, AGGREGATE), "Why?", model)
    assert asked(model, 3) == [("z", (C, A, B))]
    assert [answer.rank for answer in trace.steps[1].answers] == [
        Placement(1, 3, 1.0),
        Placement(2, 3, 0.5),
        Placement(3, 3, 0.0),
    ]
    heads = [line for line in model.calls[-1].messages[0].content.splitlines() if line.startswith("----- answer")]
    assert [head.partition("), ")[2] for head in heads] == [
        "rank 1 of 3 (1.00) -----",
        "rank 2 of 3 (0.50) -----",
        "rank 3 of 3 (0.00) -----",
    ]
    assert trace.notes == (
        "review: ranked by 3 reviews, best first: answers 3 of c (1.00), 1 of a (0.50), 2 of b (0.00)",
    )
    assert trace.status == "complete"


async def test_the_result_says_who_got_how_many_points_from_how_many_reviews() -> None:
    trace = await run_pipeline(steps(PROPOSE, REVIEW, AGGREGATE), "Why?", voters(a="cb", b="ca", c="ab"))
    review = trace.steps[1].review
    assert review is not None
    assert review.standings[0] == Standing("c", Place(1, 3), 3, 1.0, 2, 2)
    told = summary(trace)["review"]
    assert told == {
        "step": 2,
        "reviews": 3,
        "answers": [
            {"answer": 3, "member": "c", "points": 1.0, "ballots": 2, "firsts": 2},
            {"answer": 1, "member": "a", "points": 0.5, "ballots": 2, "firsts": 1},
            {"answer": 2, "member": "b", "points": 0.0, "ballots": 2, "firsts": 0},
        ],
    }
    whole = full(trace)["steps"]
    assert isinstance(whole, list)
    assert [step["review"] for step in whole] == [None, told, None]


async def test_the_best_answer_is_taken_word_for_word() -> None:
    for last in (TAKE, None):
        review = REVIEW if last else REVIEW.replace("}", ", n = 1 }")
        trace = await run_pipeline(
            steps(PROPOSE, review, *([last] if last else [])), "Why?", voters(a="cb", b="ca", c="ab")
        )
        assert (trace.status, trace.answer) == ("complete", C)


async def test_a_review_that_cant_be_read_twice_is_left_out_and_noted() -> None:
    model = ScriptedModel({"a": ["a at 1.1", "I like them all."], "b": ballot("c", "a"), "c": ballot("b", "a")})
    trace = await run_pipeline(steps(PROPOSE, REVIEW, AGGREGATE), "Why?", model)
    assert [agent for agent, _ in asked(model, 2)] == ["a", "b", "c", "a"]
    assert trace.steps[1].notes == (
        Note("a's reply was invalid, so a was called again"),
        Note("a's reply was invalid again", degrades=True),
        Note("ranked by 2 of 3 reviews, best first: answers 2 of b (1.00), 3 of c (1.00), 1 of a (0.00)"),
        Note("tie between answers 2, 3; they stay in their order"),
    )
    assert trace.status == "degraded"


async def test_without_a_valid_review_all_answers_go_on_unranked_and_the_result_is_degraded() -> None:
    model = ScriptedModel()
    trace = await run_pipeline(steps(PROPOSE, REVIEW, AGGREGATE), "Why?", model)
    assert asked(model, 3) == [("z", (A, B, C))]
    assert (trace.status, trace.steps[1].review) == ("degraded", None)
    assert trace.steps[1].notes[-1] == Note("no valid review; the answers are unranked", degrades=True)


async def test_reviewers_that_fail_are_left_out_as_long_as_the_quorum_is_met() -> None:
    def model() -> ScriptedModel:
        return ScriptedModel({"a": ["a at 1.1", ServerFailed("out")], "b": ballot("c", "a"), "c": ballot("b", "a")})

    trace = await run_pipeline(steps(PROPOSE, REVIEW, AGGREGATE), "Why?", model())
    assert trace.steps[1].notes[-2].text.startswith("ranked by 2 of 3 reviews")
    trace = await run_pipeline(steps(PROPOSE, REVIEW.replace("}", ", quorum = 3 }"), AGGREGATE), "Why?", model())
    assert (trace.status, trace.error) == (
        "failed",
        "step 2 (review): 2 of 3 calls were answered, 3 are needed: a: out",
    )


async def test_an_answer_that_no_review_ranked_is_placed_in_the_middle() -> None:
    model = ScriptedModel({"a": ballot("c", "b"), "b": ["b at 1.2", "?"], "c": ["c at 1.3", "?"]})
    trace = await run_pipeline(steps(PROPOSE, REVIEW, AGGREGATE), "Why?", model)
    assert asked(model, 3) == [("z", (C, A, B))]
    middle = Note("not ranked by any review, so placed in the middle: answers 1", degrades=True)
    assert middle in trace.steps[1].notes


async def test_a_reviewer_that_wrote_no_answer_ranks_all_and_one_that_wrote_all_does_too() -> None:
    model = ScriptedModel({"x": '{"ranking": [1, 2, 3]}'})
    await run_pipeline(steps(PROPOSE, '{ step = "review", agents = ["x"] }', AGGREGATE), "Why?", model)
    assert [{*texts} for _, texts in asked(model, 2)] == [{A, B, C}]
    alone = '{ step = "propose", agents = [{ model = "a", samples = 3 }] }'
    model = ScriptedModel({"a": ["1", "2", "3", '{"ranking": [1, 2, 3]}']})
    await run_pipeline(steps(alone, '{ step = "review", agents = ["a"] }', AGGREGATE), "Why?", model)
    assert [{*texts} for _, texts in asked(model, 2)] == [{"1", "2", "3"}]


@pytest.mark.parametrize(
    ("agents", "why", "status"),
    [
        ('"a", "b"', "no agent has two answers of others to rank", "degraded"),
        ('"a"', "there is only one answer", "complete"),
    ],
)
async def test_with_too_few_answers_no_reviewer_is_called(agents: str, why: str, status: str) -> None:
    model = ScriptedModel()
    both = f'{{ step = "propose", agents = [{agents}] }}'
    trace = await run_pipeline(steps(both, '{ step = "review", agents = ["a", "b"] }', AGGREGATE), "Why?", model)
    assert asked(model, 2) == []
    assert (trace.status, trace.notes) == (status, (f"review: not reviewed: {why}",))


def test_a_review_with_nothing_to_rank_is_probably_a_mistake() -> None:
    def lint(agents: str) -> list[str]:
        table = steps(f'{{ step = "propose", agents = [{agents}] }}', REVIEW, AGGREGATE)
        return [each.message for each in plan(pipeline(table)).lint[1:]]

    assert lint('"a"') == ["review has only one answer to rank"]
    assert lint('"a", "b"') == ["review has two answers: an agent that wrote one of them has no two others to rank"]
    assert lint('"a", "b", "c"') == []


def test_points_are_the_mean_over_the_ballots_and_first_places_break_ties() -> None:
    assert merged([(0, 1, 2), (0, 2), (1, 0)], 4) == (
        (Score(1, 0.75, 2, 1), Score(0, 0.666666667, 3, 2), Score(3, 0.5, 0, 0), Score(2, 0.0, 2, 0)),
        (),
    )
    level = merged([(1, 0, 2), (2, 0, 1), (0, 1, 2), (2, 1, 0)], 3)
    assert [(score.position, score.points, score.firsts) for score in level.scores] == [
        (2, 0.5, 2),
        (0, 0.5, 1),
        (1, 0.5, 1),
    ]
    assert level.tied == ((0, 1),)


QUALITIES = st.lists(st.integers(0, 9), min_size=3, max_size=6, unique=True)


def reviewed(order: Sequence[int], seed: int = 0) -> tuple[list[int], ScriptedModel]:
    """Return the qualities of the answers as a review returns them, if each agent's answer has one of these."""
    agents = {f"m{quality}": quality for quality in order}
    best = sorted(agents, key=lambda agent: -agents[agent])
    model = ScriptedModel({agent: ballot(*best) for agent in agents})
    listed = ", ".join(f'"{agent}"' for agent in agents)
    table = steps(f'{{ step = "propose", agents = [{listed}] }}', f'{{ step = "review", agents = [{listed}] }}', TAKE)
    trace = anyio.run(lambda: run_pipeline(table, "Why?", model, seed=seed))
    return [agents[answer.agent] for answer in trace.steps[1].answers], model


@given(order=QUALITIES, seed=st.integers(0, 9))
def test_reviewers_who_agree_rank_by_quality_in_any_order_and_never_see_their_own(order: list[int], seed: int) -> None:
    ranked, model = reviewed(order, seed)
    assert ranked == sorted(order, reverse=True)
    assert all(
        call.agent not in {text.split()[0] for text in shown(call)} for call in model.calls if call.place.step == 2
    )


BALLOTS = st.integers(2, 5).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(
            st.permutations(range(count)).flatmap(
                lambda all_: st.integers(2, count).map(lambda size: tuple(all_[:size]))
            ),
            max_size=5,
        ),
    )
)


@given(BALLOTS)
def test_a_merged_ranking_has_every_answer_once_and_depends_on_no_order(
    case: tuple[int, list[tuple[int, ...]]],
) -> None:
    count, ballots = case
    outcome = merged(ballots, count)
    assert sorted(score.position for score in outcome.scores) == [*range(count)]
    assert merged(ballots[::-1], count) == outcome
    turned = merged([tuple(count - 1 - at for at in each) for each in ballots], count)
    if not outcome.tied:
        assert [count - 1 - score.position for score in turned.scores] == [score.position for score in outcome.scores]


@given(BALLOTS)
def test_an_answer_that_every_ballot_ranks_first_wins(case: tuple[int, list[tuple[int, ...]]]) -> None:
    count, ballots = case
    won = [(count, *each) for each in ballots] or [(count, 0)]
    assert merged(won, count + 1).scores[0].position == count
