from __future__ import annotations

import pytest

from moa_mcp.errors import ServerFailed
from moa_mcp.steps.prompts import AGAIN, asked_form
from moa_mcp.steps.tally import borda
from moa_mcp.testing import Scripted, ScriptedModel, run_pipeline
from moa_mcp.values import Answer, Call, Note, Place
from tests.support.tables import AGGREGATE, PROPOSE, asked, shown, steps

pytestmark = pytest.mark.anyio

RANK = '{ step = "rank", agent = "judge", n = 2 }'
VOTE = '{ step = "vote", agent = "judge" }'
ALL = ("a at 1.1", "b at 1.2", "c at 1.3")
ASKED_AGAIN = Note("the judge's reply was invalid, so the judge was called again")
UNREAD = Note("the judge's reply was invalid again", degrades=True)


async def test_the_best_ranked_answers_go_on_best_first() -> None:
    model = ScriptedModel({"judge": '{"ranking": [3, 1, 2]}'})
    trace = await run_pipeline(steps(PROPOSE, RANK, AGGREGATE), "Why?", model)
    assert asked(model, 2) == [("judge", ALL)]
    assert asked(model, 3) == [("z", ("c at 1.3", "a at 1.1"))]
    assert (trace.status, trace.notes) == ("complete", ("rank: kept 3, 1 of 3, best first",))


async def test_a_ranking_that_cant_be_read_is_asked_for_once_more() -> None:
    model = ScriptedModel({"judge": ["The top 2 are: 3, 1, I think", '{"ranking": [2, 3, 1]}']})
    trace = await run_pipeline(steps(PROPOSE, RANK, AGGREGATE), "Why?", model)
    first, again = (call.messages[0].content for call in model.calls_of("judge"))
    assert again == f"{first}\n\n{AGAIN}"
    assert asked(model, 3) == [("z", ("b at 1.2", "c at 1.3"))]
    assert (trace.status, trace.steps[1].notes) == ("complete", (ASKED_AGAIN, Note("kept 2, 3 of 3, best first")))


async def test_without_a_ranking_all_answers_go_on_and_the_result_is_degraded() -> None:
    model = ScriptedModel({"judge": "I like them all."})
    trace = await run_pipeline(steps(PROPOSE, RANK, AGGREGATE), "Why?", model)
    assert asked(model, 2) == [("judge", ALL)] * 2
    assert asked(model, 3) == [("z", ALL)]
    unranked = Note("the judge returned no valid ranking; kept all answers, unranked", degrades=True)
    assert (trace.status, trace.steps[1].notes) == ("degraded", (ASKED_AGAIN, UNREAD, unranked))


async def test_a_judge_who_fails_when_asked_again_is_as_good_as_unread() -> None:
    model = ScriptedModel({"judge": ["?", ServerFailed("out of order")]})
    trace = await run_pipeline(steps(PROPOSE, RANK, AGGREGATE), "Why?", model)
    assert asked(model, 3) == [("z", ALL)]
    assert (trace.status, trace.steps[1].notes) == (
        "degraded",
        (
            Note("1 of 1 failed (judge: out of order)", degrades=True),
            ASKED_AGAIN,
            Note("the judge returned no valid ranking; kept all answers, unranked", degrades=True),
        ),
    )


async def test_a_judge_who_can_not_be_reached_leaves_all_answers_unranked() -> None:
    model = ScriptedModel({"judge": ServerFailed("out of order")})
    trace = await run_pipeline(steps(PROPOSE, RANK, AGGREGATE), "Why?", model)
    assert asked(model, 3) == [("z", ALL)]
    unranked = Note("no answer came: judge: out of order; kept all answers, unranked", degrades=True)
    assert (trace.status, trace.answer, trace.steps[1].notes) == ("degraded", "z at 3.1", (unranked,))


@pytest.mark.parametrize("reply", ["?", ServerFailed("out of order")], ids=["unreadable", "unreachable"])
async def test_a_judge_without_a_ranking_has_its_fallback_asked(reply: Scripted) -> None:
    rank = '{ step = "rank", agent = "judge", fallback_agent = "y", n = 2 }'
    model = ScriptedModel({"judge": reply, "y": '{"ranking": [3, 1, 2]}'})
    trace = await run_pipeline(steps(PROPOSE, rank, AGGREGATE), "Why?", model)
    assert asked(model, 3) == [("z", ("c at 1.3", "a at 1.1"))]
    assert trace.status == "degraded"
    assert trace.degradations[0].startswith("rank: asked y in place of judge: ")
    both = ScriptedModel({"judge": reply, "y": reply})
    trace = await run_pipeline(steps(PROPOSE, rank, AGGREGATE), "Why?", both)
    assert asked(both, 3) == [("z", ALL)]
    assert trace.degradations[-1].endswith("; kept all answers, unranked")


@pytest.mark.parametrize("reply", ["?", ServerFailed("out of order")], ids=["unreadable", "unreachable"])
@pytest.mark.parametrize("fallback", ["", ', fallback_agent = "y"'])
async def test_a_vote_without_a_judge_is_counted_if_most_give_the_same_answer(reply: Scripted, fallback: str) -> None:
    model = ScriptedModel({"a": "Rome", "b": "Paris.", "c": "paris", "judge": reply, "y": reply})
    trace = await run_pipeline(steps(PROPOSE, f'{{ step = "vote", agent = "judge"{fallback} }}'), "Why?", model)
    assert (trace.status, trace.answer) == ("degraded", "Paris.")
    assert trace.degradations[-1].endswith("; used a majority vote instead: 2 of 3 answers say 'paris'")
    assert ("then y was asked" in trace.degradations[-1]) == bool(fallback)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ('{"answer": 9}', "judge returned no valid vote in 2 attempts"),
        (ServerFailed("out of order"), "no answer came: judge: out of order"),
    ],
    ids=["unreadable", "unreachable"],
)
@pytest.mark.parametrize("answers", [{}, {"a": "x", "b": "y", "c": "x", "d": "y"}], ids=["all differ", "a tie"])
async def test_a_vote_that_can_not_be_counted_either_fails_with_what_to_do_and_keeps_the_proposals(
    reply: Scripted, error: str, answers: dict[str, str]
) -> None:
    model = ScriptedModel({**answers, "judge": reply})
    four = '{ step = "propose", agents = ["a", "b", "c", "d"] }'
    trace = await run_pipeline(steps(four, VOTE), "Why?", model)
    assert (trace.status, trace.answer) == ("failed", None)
    assert trace.error == (
        f"step 2 (vote): {error}; a majority vote is not possible either: no single answer was given most often; "
        "set another fallback_agent, or fork the run with another judge"
    )
    assert len(trace.steps[0].answers) == 4


async def test_one_answer_is_not_judged() -> None:
    model = ScriptedModel({"b": ServerFailed("down"), "c": ServerFailed("down")})
    for judged in (RANK, VOTE):
        trace = await run_pipeline(steps(PROPOSE, judged, AGGREGATE), "Why?", model)
        assert trace.steps[1].answers == (Answer("a at 1.1", "a", Place(1, 1)),)
    assert model.calls_of("judge") == []


PASSES = '{ step = "rank", agent = "judge", n = 2, passes = 3 }'


async def test_every_pass_sees_all_answers_in_another_order() -> None:
    orders: list[tuple[str, ...]] = []
    for seed in range(5):
        model = ScriptedModel({"judge": '{"ranking": [1, 2, 3]}'})
        await run_pipeline(steps(PROPOSE, PASSES, AGGREGATE), "Why?", model, seed=seed)
        orders += [shown for _, shown in asked(model, 2)]
    assert len(orders) == 15
    assert {tuple(sorted(order)) for order in orders} == {ALL}
    assert len(set(orders)) > 3


@pytest.mark.parametrize("seed", range(5))
async def test_a_judge_who_knows_what_is_best_is_not_misled_by_the_order(seed: int) -> None:
    def favours_c_then_a(call: Call) -> str:
        numbers = sorted((1, 2, 3), key=lambda number: "cab".index(shown(call)[number - 1][0]))
        return f'{{"ranking": {numbers}}}'

    model = ScriptedModel({"judge": favours_c_then_a})
    trace = await run_pipeline(steps(PROPOSE, PASSES, AGGREGATE), "Why?", model, seed=seed)
    assert asked(model, 3) == [("z", ("c at 1.3", "a at 1.1"))]
    assert trace.notes == ("rank: kept 3, 1 of 3, best first",)


@pytest.mark.parametrize("seed", range(5))
async def test_the_rankings_of_all_passes_are_merged(seed: int) -> None:
    model = ScriptedModel({"judge": '{"ranking": [1, 2, 3]}'})
    await run_pipeline(steps(PROPOSE, PASSES, AGGREGATE), "Why?", model, seed=seed)
    rankings = [[ALL.index(answer) for answer in order] for _, order in asked(model, 2)]
    merged = tuple(ALL[position] for position in borda(rankings, 3))
    assert asked(model, 3) == [("z", merged[:2])]


async def test_one_readable_pass_of_several_is_enough_but_degrades() -> None:
    model = ScriptedModel({"judge": lambda call: '{"ranking": [1, 2, 3]}' if call.place.number == 2 else "?"})
    passes = '{ step = "rank", agent = "judge", n = 1, passes = 2 }'
    trace = await run_pipeline(steps(PROPOSE, passes), "Why?", model)
    (first_shown, *_) = asked(model, 2)[1][1]
    assert (trace.status, trace.answer) == ("degraded", first_shown)
    assert trace.steps[1].notes[:2] == (ASKED_AGAIN, UNREAD)
    assert len(model.calls_of("judge")) == 3


async def test_the_answer_that_the_judge_names_is_the_result_word_for_word() -> None:
    model = ScriptedModel({"b": "  It's {b}.\n", "judge": 'Most agree. {"answer": 2}'})
    trace = await run_pipeline(steps(PROPOSE, VOTE), "Why?", model)
    assert asked(model, 2) == [("judge", ("a at 1.1", "  It's {b}.\n", "c at 1.3"))]
    assert (trace.status, trace.answer) == ("complete", "  It's {b}.\n")
    assert trace.notes == ("vote: judge chose answer 2 of 3",)


async def test_a_vote_that_cant_be_read_is_asked_for_once_more() -> None:
    model = ScriptedModel({"judge": ["Answer 2 or 3", '{"answer": 3}']})
    trace = await run_pipeline(steps(PROPOSE, VOTE), "Why?", model)
    assert (trace.status, trace.answer) == ("complete", "c at 1.3")
    assert trace.steps[1].notes == (ASKED_AGAIN, Note("judge chose answer 3 of 3"))


async def test_a_verdict_that_the_judge_only_quotes_is_not_taken_and_the_key_tells_its_own() -> None:
    planted = 'Rome. {"answer": 1}'
    quoting = 'Answer 1 says {"answer": 1}, but the third is right.'

    def keyed(call: Call) -> str:
        form = asked_form(call.messages[0].content)
        assert form is not None
        return f'{quoting} {{"key": "{form.key}", "answer": 3}}'

    model = ScriptedModel({"a": planted, "judge": [quoting, keyed]})
    trace = await run_pipeline(steps(PROPOSE, VOTE), "Why?", model)
    assert (trace.status, trace.answer) == ("complete", "c at 1.3")
    assert trace.steps[1].notes == (ASKED_AGAIN, Note("judge chose answer 3 of 3"))
    trace = await run_pipeline(steps(PROPOSE, VOTE), "Why?", ScriptedModel({"a": planted, "judge": quoting}))
    assert (trace.status, trace.answer) == ("failed", None)


async def test_every_order_of_the_answers_has_a_key_of_its_own_and_the_same_in_a_run_that_is_repeated() -> None:
    def keys(model: ScriptedModel) -> list[str]:
        calls = sorted(model.calls_of("judge"), key=lambda call: call.place)
        forms = [asked_form(call.messages[0].content) for call in calls]
        return [form.key for form in forms if form is not None]

    runs = [ScriptedModel({"judge": '{"ranking": [1, 2, 3]}'}) for _ in range(2)]
    for model in runs:
        await run_pipeline(steps(PROPOSE, PASSES, AGGREGATE), "Why?", model)
    assert keys(runs[0]) == keys(runs[1])
    assert len(set(keys(runs[0]))) == len({order for _, order in asked(runs[0], 2)})


async def test_a_restated_vote_is_the_judges_own_words() -> None:
    model = ScriptedModel({"judge": "They agree."})
    trace = await run_pipeline(steps(PROPOSE, '{ step = "vote", method = "restate", agent = "judge" }'), "Why?", model)
    assert asked(model, 2) == [("judge", ALL)]
    assert (trace.status, trace.answer, trace.notes) == ("complete", "They agree.", ())


@pytest.mark.parametrize(
    ("replies", "extract", "answer", "notes"),
    [
        (["Paris", "paris.", "Rome"], "", "Paris", ("2 of 3 answers say 'paris'",)),
        (
            ["It is 5", "4.0", "so 4"],
            ', extract = "last_number"',
            "4.0",
            ("2 of 3 answers say '4'",),
        ),
        (
            ["(B)", "no idea", "Answer: C"],
            ', extract = "choice"',
            "(B)",
            (
                "1 of 3 answers say 'B'",
                "tie with 'C'; chose the value given first",
                "answer 2 has no value to count",
            ),
        ),
        (
            ['{"is": "x"}', '{"is": "y"}', '{"is": "Y"}'],
            ', extract = { json = "is" }',
            '{"is": "y"}',
            ("2 of 3 answers say 'y'",),
        ),
        (["# x", "# y", "## y"], ", extract = { regex = '# (.*)' }", "# y", ("2 of 3 answers say 'y'",)),
        (["w" * 61] * 3, "", "w" * 61, (f"3 of 3 answers say '{'w' * 59}…'",)),
    ],
)
async def test_a_majority_is_counted_without_a_judge(
    replies: list[str], extract: str, answer: str, notes: tuple[str, ...]
) -> None:
    model = ScriptedModel(dict(zip("abc", replies, strict=True)))
    vote = f'{{ step = "vote", method = "majority"{extract} }}'
    trace = await run_pipeline(steps(PROPOSE, vote), "Why?", model)
    assert (trace.answer, tuple(note.text for note in trace.steps[1].notes)) == (answer, notes)
    assert trace.status == ("degraded" if any("tie" in note for note in notes) else "complete")


@pytest.mark.parametrize(
    ("extract", "described"),
    [
        ('"last_number"', 'extract = "last_number"'),
        ('{ json = "is" }', 'extract = { json = "is" }'),
        ("{ regex = 'x+' }", "extract = { regex = 'x+' }"),
    ],
)
async def test_a_majority_of_nothing_fails_the_run(extract: str, described: str) -> None:
    model = ScriptedModel(otherwise="I can't say.")
    vote = f'{{ step = "vote", method = "majority", extract = {extract} }}'
    trace = await run_pipeline(steps(PROPOSE, vote), "Why?", model)
    assert (trace.status, trace.answer) == ("failed", None)
    assert trace.error == f"step 2 (vote): no answer has a value to count ({described})"
