"""Prompts that have to fit their models' context windows: nothing is cut unmarked, and nothing is paid in vain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moa_mcp.errors import AuthFailed, ContextTooLong
from moa_mcp.events import Event, TextReceived
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.middleware import Usable
from moa_mcp.planning.context_windows import doubts
from moa_mcp.planning.plan import Lint
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import NewRun, Run, RunRefused, Runs
from moa_mcp.server.results import progress
from moa_mcp.steps import prompts
from moa_mcp.steps.windows import Fit, least, part, tokens
from moa_mcp.testing import Reply, Scripted, ScriptedModel
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Answer, Call, Comment, Place, Question, Target
from tests.support.clocks import jumping
from tests.support.journals import config_of
from tests.support.starting import resume_run, start_run

pytestmark = pytest.mark.anyio

WHY = Question("Why?")
PROPOSE = '{ step = "propose", agents = [{ model = "a", samples = 12 }] }'
AGGREGATE = '{ step = "aggregate", agent = "x" }'
SYNTHESIZE = '{ step = "synthesize", agents = ["x", "y"] }'


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


def answer(text: str, *comments: str) -> Answer:
    return Answer(text, "a", Place(1, 1), comments=tuple(Comment(each, "b", Place(2, 1)) for each in comments))


def words(call: Call, count: int = 100) -> str:
    """Return a text that is as long for every call, and of which no other call's text is a part."""
    return " ".join([f"<{call.place}>", *["word"] * count, f"</{call.place}>"])


TEXTS = st.lists(st.text("ab é界\n.", min_size=1).map(lambda text: text * 40), min_size=1, max_size=8)


@settings(deadline=None, max_examples=150)
@given(
    texts=TEXTS,
    comments=st.lists(TEXTS.map(lambda texts: texts[:3]), max_size=4),
    reply=st.text("cd \n", max_size=30).map(lambda text: text * 40),
    room=st.integers(0, 3000),
)
def test_every_answer_is_shown_whole_or_as_marked_beginning_and_every_prompt_fits(
    texts: list[str], comments: list[list[str]], reply: str, room: int
) -> None:
    none: list[str] = []
    answers = tuple(answer(text, *said) for text, said in zip(texts, [*comments, *[none] * 8], strict=False))
    fit = Fit(lambda shown: prompts.synthesize(WHY, shown, "Merge."), room)
    so_far, rest, seen = None, answers, list[Answer]()
    while rest:
        shown = part(fit, so_far, rest)
        if shown is None:  # not even a short piece of each beside the question
            assert room < least(fit.compose((answer(""), answer(""))))
            return
        assert tokens(fit.compose(shown.shown)) <= room
        seen += shown.shown[0 if so_far is None else 1 :]
        so_far, rest = answer(reply), shown.rest
    assert len(seen) == len(answers)
    for given_, shown_ in zip(answers, seen, strict=True):
        assert shown_ == given_ or shown_.shortened or any(comment.shortened for comment in shown_.comments)
        assert given_.text.startswith(shown_.text)
        for whole, comment in zip(given_.comments, shown_.comments, strict=False):
            assert whole.text.startswith(comment.text)


def test_comments_are_left_out_before_an_answer_that_fits_without_them() -> None:
    fit = Fit(lambda shown: prompts.synthesize(WHY, shown, "Merge."), 300)
    shown = part(fit, None, (answer("word " * 100, *["remark " * 100] * 3),))
    assert shown is not None
    assert [(each.text, each.comments, each.shortened) for each in shown.shown] == [("word " * 100, (), True)]


def test_an_answer_is_cut_where_a_paragraph_ends_and_its_mark_can_be_read_back() -> None:
    paragraphs = "\n\n".join(f"{number} " + "word " * 30 for number in range(30))
    shown = part(Fit(lambda shown: prompts.synthesize(WHY, shown, "Merge."), 700), None, (answer(paragraphs),))
    assert shown is not None
    (cut,) = shown.shown
    assert paragraphs.startswith(f"{cut.text} \n\n")
    text = prompts.fenced([cut])
    assert text.startswith("----- answer 1 of 1 (")
    assert text.partition("\n")[0].endswith("), only its beginning -----")
    assert prompts.unfenced(text) == (cut.text,)


def served(windows: Mapping[str, int]) -> Usable:
    async def usable(alias: str) -> tuple[Target, ...]:
        return (Target(f"p/{alias}", "p", window=windows.get(alias)),)

    return usable


def runs_of(
    model: ScriptedModel, windows: Mapping[str, int], *steps: str, journal: MemoryJournal | None = None
) -> Runs:
    config = config_of(*steps, settings="defaults.max_tokens = 100")
    return Runs(config, Backend(model, lambda _: served(windows)), journal)


async def refusal(runs: Runs, question: Question) -> RunRefused:
    outcome = await runs.admit(NewRun(pipeline=runs.config.pipelines["p"], question=question))
    assert isinstance(outcome, RunRefused)
    return outcome


async def ended(runs: Runs, question: Question = WHY) -> Trace:
    async with runs.open():
        run = await start_run(runs, runs.config.pipelines["p"], question, seed=0)
        await run.ended.wait()
    return run.trace


def shown(call: Call) -> tuple[str, ...]:
    """Return the answers that a call was shown."""
    return prompts.unfenced(call.messages[0].content)


async def test_answers_that_do_not_fit_together_are_put_together_in_windows() -> None:
    model = ScriptedModel({"a": words, "x": words})
    trace = await ended(runs_of(model, {"x": 1500}, PROPOSE, AGGREGATE))
    calls = model.calls_of("x")
    answers = [words(call) for call in sorted(model.calls_of("a"), key=lambda call: call.place)]
    assert [len(shown(call)) for call in calls] == [6, 6, 2]
    assert all(tokens(call.messages) <= 1400 for call in calls)
    assert shown(calls[0]) == tuple(answers[:6])
    assert shown(calls[1]) == (words(calls[0]), *answers[6:11])
    assert shown(calls[2]) == (words(calls[1]), answers[11])
    assert (trace.answer, trace.status) == (words(calls[2]), "complete")
    assert trace.notes == (
        "aggregate: the 12 answers did not fit the context window of x (1500 tokens): combined in 3 calls",
    )


@pytest.mark.parametrize("windows", [{}, {"x": 4000}], ids=["unknown", "large"])
async def test_answers_that_fit_or_whose_window_nobody_knows_are_put_together_at_once(windows: dict[str, int]) -> None:
    model = ScriptedModel({"a": words, "x": words})
    trace = await ended(runs_of(model, windows, PROPOSE, AGGREGATE))
    (call,) = model.calls_of("x")
    assert len(shown(call)) == 12
    assert trace.notes == ()


async def test_only_the_text_of_the_last_window_is_told_and_progress_says_which_is_asked() -> None:
    seen: list[str] = []
    events: list[Event] = []
    running: list[Run] = []

    def says(call: Call) -> str:
        seen.append(progress(running[0].trace))
        return words(call)

    runs = runs_of(ScriptedModel({"a": words, "x": says}), {"x": 1500}, PROPOSE, AGGREGATE)
    async with runs.open():
        running.append(await start_run(runs, runs.config.pipelines["p"], WHY, seed=0, watch=events.append))
        await running[0].ended.wait()
    (run,) = running
    told = "".join(event.text for event in events if isinstance(event, TextReceived))
    on_record = await runs.trace(run.run_id)
    assert told == run.trace.answer
    assert [each.partition("answered, ")[2] for each in seen] == [
        "window 1, answers 1 to 6 of 12",
        "window 2, answers 7 to 11 of 12",
        "window 3, answer 12 of 12",
    ]
    assert [call.window for call in on_record.steps[1].calls] == [each.partition("answered, ")[2] for each in seen]


async def test_each_agent_of_a_panel_is_asked_as_often_as_its_own_window_needs() -> None:
    model = ScriptedModel({"a": words, "x": words, "y": words, "z": words})
    last = '{ step = "aggregate", agent = "z" }'
    trace = await ended(runs_of(model, {"x": 1500}, PROPOSE, SYNTHESIZE, last))
    assert (len(model.calls_of("x")), len(model.calls_of("y"))) == (3, 1)
    (whole,) = model.calls_of("y")
    assert shown(*model.calls_of("z")) == (words(model.calls_of("x")[-1]), words(whole))
    assert trace.status == "complete"


async def test_an_answer_that_alone_does_not_fit_is_cut_marked_and_degrades_the_result() -> None:
    model = ScriptedModel({"a": lambda call: words(call, 1000), "x": "short"})
    one = '{ step = "propose", agents = ["a"] }'
    trace = await ended(runs_of(model, {"x": 800}, one, AGGREGATE))
    (call,) = model.calls_of("x")
    assert ", only its beginning -----" in call.messages[0].content
    assert tokens(call.messages) <= 700
    assert trace.status == "degraded"
    assert trace.notes == ("aggregate: cut to fit the context window of x (800 tokens): answer 1",)


def refusing(longest: int) -> Reply:
    """Reply as a model does that takes so many answers at once."""
    return lambda call: ContextTooLong("too long") if len(shown(call)) > longest else words(call)


async def test_where_a_provider_finds_the_answers_too_long_half_of_them_are_shown_at_once() -> None:
    model = ScriptedModel({"a": words, "x": refusing(7)})
    trace = await ended(runs_of(model, {}, PROPOSE, AGGREGATE))
    assert [len(shown(call)) for call in model.calls_of("x")] == [12, 6, 7]
    assert trace.status == "complete"
    assert trace.notes == ("aggregate: the 12 answers did not fit the context window of x: combined in 2 calls",)


async def test_where_half_of_them_are_too_long_as_well_the_step_fails_with_the_providers_words() -> None:
    model = ScriptedModel({"a": words, "x": refusing(5)})
    trace = await ended(runs_of(model, {}, PROPOSE, AGGREGATE))
    assert [len(shown(call)) for call in model.calls_of("x")] == [12, 6]
    assert (trace.status, trace.error) == ("failed", "step 2 (aggregate): no answer came: x: too long")


async def test_a_panel_keeps_what_came_while_one_agent_is_shown_less() -> None:
    model = ScriptedModel({"a": words, "x": refusing(7), "y": words, "z": words, "b": AuthFailed("401")})
    panel = '{ step = "synthesize", agents = ["b", "x", "y"], quorum = 2 }'
    trace = await ended(runs_of(model, {}, PROPOSE, panel, '{ step = "aggregate", agent = "z" }'))
    assert (len(model.calls_of("x")), len(model.calls_of("y"))) == (3, 1)
    assert len(shown(*model.calls_of("z"))) == 2
    assert trace.status == "degraded"
    assert trace.notes == (
        "synthesize: 1 of 2 failed (b: 401)",
        "synthesize: the 12 answers did not fit the context window of x: combined in 2 calls",
    )


@pytest.mark.parametrize("agent", ["a", "x"])
async def test_a_question_that_fits_no_window_is_refused_before_anything_is_paid(agent: str) -> None:
    refused = await refusal(runs_of(ScriptedModel(), {agent: 2000}, PROPOSE, AGGREGATE), Question("Why? " * 3000))
    assert (refused.reason, refused.models) == ("question_too_long", (agent,))
    assert refused.message.startswith(f"{agent}: the question takes at least ")
    assert refused.message.endswith(
        "tokens; with max_tokens = 100 for the answer, that exceeds the context window of 2000 tokens; shorten the "
        "question or its context, lower max_tokens, or choose a model with a larger context window"
    )


async def test_a_question_that_leaves_no_room_for_answers_is_refused_before_anything_is_paid() -> None:
    refused = await refusal(runs_of(ScriptedModel(), {"x": 400}, PROPOSE, AGGREGATE), WHY)
    assert (refused.reason, refused.models) == ("question_too_long", ("x",))


async def test_an_answer_that_may_fill_the_whole_window_is_what_is_blamed_and_not_the_question() -> None:
    refused = await refusal(runs_of(ScriptedModel(), {"a": 100}, PROPOSE, AGGREGATE), Question("Why?"))
    assert refused.message == (
        "a: max_tokens = 100 for the answer leaves no room for the question in the context window of 100 tokens; "
        "lower max_tokens, or choose a model with a larger context window"
    )


@pytest.mark.parametrize(("quorum", "status"), [(1, "degraded"), (2, "failed")])
async def test_an_agent_that_fails_in_a_later_window_fails_the_step_if_its_quorum_needs_it(
    quorum: int, status: str
) -> None:
    model = ScriptedModel({"a": words, "x": [words, AuthFailed("401")], "y": words})
    panel = f'{{ step = "synthesize", agents = ["x", "y"], quorum = {quorum} }}'
    trace = await ended(runs_of(model, {"x": 1500}, PROPOSE, panel, '{ step = "aggregate", agent = "z" }'))
    assert trace.status == status


async def test_of_a_panel_only_those_are_asked_whose_windows_the_question_fits() -> None:
    model = ScriptedModel({"a": words, "y": words})
    propose = '{ step = "propose", agents = ["a", { model = "x", samples = 3 }] }'
    trace = await ended(
        runs_of(model, {"x": 200}, propose, '{ step = "aggregate", agent = "y" }'), Question("Why? " * 300)
    )
    assert (trace.status, model.calls_of("x")) == ("degraded", [])
    (reason,) = trace.degradations
    assert reason == (
        "propose: 3 of 4 failed (x: not sent: the prompt has at least 250 tokens, and the context window only 200; "
        "shorten the question or its context, choose a model with a larger window, or correct window of its route "
        "(3 times))"
    )
    assert [call.attempts for call in trace.steps[0].calls if call.agent == "x"] == [[], [], []]


async def test_a_question_that_only_leaves_too_little_room_is_sent_since_the_provider_may_lower_the_limit() -> None:
    model = ScriptedModel({"a": words, "x": words, "y": words})
    propose = '{ step = "propose", agents = ["a", "x"] }'
    trace = await ended(
        runs_of(model, {"x": 300}, propose, '{ step = "aggregate", agent = "y" }'), Question("Why? " * 300)
    )
    assert (trace.status, len(model.calls_of("x"))) == ("complete", 1)


async def test_a_run_keeps_its_windows_so_that_a_resume_writes_the_same_prompts() -> None:
    hanging = anyio.Event()

    async def hang(_: Call) -> Scripted:
        hanging.set()
        await anyio.sleep_forever()
        raise NotImplementedError

    journal = MemoryJournal()
    first = ScriptedModel({"a": words, "x": [words, hang]})
    before = runs_of(first, {"x": 1500}, PROPOSE, AGGREGATE, journal=journal)
    async with before.open():
        run = await start_run(before, before.config.pipelines["p"], WHY, seed=0)
        await hanging.wait()
    record = await journal.record(run.run_id)
    assert record is not None
    assert json.loads(record.spec)["spec"]["windows"] == {"x": 1500}
    second = ScriptedModel({"x": words})
    after = runs_of(second, {"x": 100_000}, PROPOSE, AGGREGATE, journal=journal)
    async with after.open():
        again = await resume_run(after, run.run_id)
        await again.ended.wait()
    assert second.calls[0].messages == first.calls_of("x")[1].messages
    assert [len(shown(call)) for call in second.calls] == [6, 2]
    assert again.trace.status == "complete"


def test_what_may_not_fit_is_told_beforehand() -> None:
    pipeline = config_of(PROPOSE, SYNTHESIZE, AGGREGATE, settings="defaults.max_tokens = 1000").pipelines["p"]
    reserved = (
        "12 answers may have 12000 tokens, but the context window of x has 8192 tokens, of which 1000 are reserved for "
        "its reply (max_tokens)"
    )
    assert doubts(pipeline, {"x": 8192, "y": 32_768}) == (
        Lint("pipelines.p, step 2", f"{reserved}; x would be called several times"),
    )
    assert doubts(pipeline, {}) == ()
    judged = config_of(PROPOSE, '{ step = "vote", agent = "x" }', settings="defaults.max_tokens = 1000").pipelines["p"]
    assert doubts(judged, {"x": 8192}) == (
        Lint("pipelines.p, step 2", f"{reserved}; x would see only the beginnings of answers"),
    )


@pytest.mark.parametrize(
    "judge",
    [
        '{ step = "rank", agent = "x", n = 12, passes = 2 }',
        '{ step = "vote", agent = "x" }',
        '{ step = "vote", agent = "x", method = "restate" }',
    ],
)
async def test_a_judge_is_shown_as_much_of_every_answer_as_fits_and_chooses_among_the_whole_ones(judge: str) -> None:
    def says(call: Call) -> str:
        asked = call.messages[0].content
        return json.dumps({"ranking": [*range(1, 13)], "answer": 2}) if "JSON" in asked else "So."

    model = ScriptedModel({"a": lambda call: words(call, 400), "x": says, "z": "last"})
    last = () if "vote" in judge else ('{ step = "aggregate", agent = "z" }',)
    trace = await ended(runs_of(model, {"x": 2500}, PROPOSE, judge, *last))
    for call in model.calls_of("x"):
        assert len(shown(call)) == 12
        assert tokens(call.messages) <= 2400
        assert call.messages[0].content.count(", only its beginning -----") == 12
    note = "cut to fit the context window of x (2500 tokens): answers 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"
    assert (trace.status, trace.notes[0].partition(": ")[2]) == ("degraded", note)
    handed_on = trace.steps[1].answers
    assert all(len(each.text) > 2000 for each in handed_on if each.agent == "a")
    assert not any(each.shortened for each in handed_on)


JUDGES = [
    '{ step = "rank", agent = "x", n = 2, passes = 2 }',
    '{ step = "vote", agent = "x", passes = 2 }',
    '{ step = "vote", agent = "x", method = "restate" }',
]


def narrow(tokens_most: int) -> Reply:
    """Reply as a judge does whose window is smaller than anybody knew."""

    def says(call: Call) -> Scripted:
        if tokens(call.messages) > tokens_most:
            return ContextTooLong("too long")
        return json.dumps({"ranking": [2, 1, 3], "answer": 2}) if "JSON" in call.messages[0].content else "So."

    return says


def judged_by(judge: str) -> tuple[str, ...]:
    three = '{ step = "propose", agents = [{ model = "a", samples = 3 }] }'
    return (three, judge, *(() if "vote" in judge else (AGGREGATE.replace("x", "z"),)))


@pytest.mark.parametrize("judge", JUDGES)
async def test_a_judge_whose_provider_finds_the_answers_too_long_is_shown_half_of_them_and_again(judge: str) -> None:
    model = ScriptedModel({"a": lambda call: words(call, 400), "x": narrow(1000), "z": "last"})
    trace = await ended(runs_of(model, {}, *judged_by(judge)))
    calls = model.calls_of("x")
    passes = 1 if "restate" in judge else 2
    sizes = [sum(len(answer) for answer in shown(call)) for call in calls[::passes]]
    assert len(sizes) == 3
    assert all(half <= whole / 2 for whole, half in pairwise(sizes))
    assert all(call.messages[0].content.count(", only its beginning -----") == 3 for call in calls[passes:])
    assert trace.status == "degraded"
    assert trace.notes[0].partition(": ")[2] == "cut to fit the context window of x: answers 1, 2, 3"
    assert not any(each.shortened for each in trace.steps[1].answers)


@pytest.mark.parametrize(("judge", "status"), [*zip(JUDGES, ["degraded", "failed", "failed"], strict=True)])
async def test_a_judge_that_finds_everything_too_long_is_asked_a_few_times_and_then_counts_as_failed(
    judge: str, status: str
) -> None:
    model = ScriptedModel({"a": words, "x": ContextTooLong("too long"), "z": "last"})
    trace = await ended(runs_of(model, {}, *judged_by(judge)))
    assert len(model.calls_of("x")) == 6 * (1 if "restate" in judge else 2)
    assert trace.status == status
    assert "x: too long" in (trace.error or trace.notes[-1])


async def test_a_pass_that_fits_is_not_asked_again_while_another_is_shown_less() -> None:
    def says(call: Call) -> Scripted:
        return ContextTooLong("too long") if call.place.number == 2 else json.dumps({"ranking": [1, 2, 3]})

    model = ScriptedModel({"a": words, "x": says, "z": "last"})
    trace = await ended(runs_of(model, {}, *judged_by(JUDGES[0])))
    assert len(model.calls_of("x")) == 3
    assert trace.status == "degraded"


async def test_short_answers_stay_whole_beside_a_long_one_that_is_cut() -> None:
    model = ScriptedModel({"a": lambda call: words(call, 400 if call.place.number == 2 else 3), "x": narrow(500)})
    trace = await ended(runs_of(model, {}, *judged_by('{ step = "vote", agent = "x" }')))
    assert trace.notes[0] == "vote: cut to fit the context window of x: answers 2"


@pytest.mark.parametrize("sizes", [(200, 9000), (200, None)], ids=["known", "unknown"])
async def test_a_question_that_does_not_fit_the_first_route_is_sent_on_the_next(sizes: tuple[int, int | None]) -> None:
    async def usable(alias: str) -> tuple[Target, ...]:
        first = [Target(f"p/{alias}-{size}", "p", window=size) for size in sizes]
        return tuple(first) if alias == "a" else (Target(f"p/{alias}", "p"),)

    model = ScriptedModel({"a": words, "y": words})
    config = config_of('{ step = "propose", agents = ["a"] }', settings="defaults.max_tokens = 100")
    trace = await ended(Runs(config, Backend(model, lambda _: usable)), Question("Why? " * 300))
    assert trace.status == "complete"
    assert [call.target and call.target.window for call in model.calls] == [sizes[1]]
    (note,) = trace.notes
    assert note.startswith("p/a-200 failed, so the next route was used: not sent: the prompt has at least 250 tokens")


async def test_an_agent_whose_window_takes_no_answer_is_not_called_and_the_step_goes_on_without_it() -> None:
    model = ScriptedModel({"a": words, "y": words})
    panel = '{ step = "synthesize", agents = ["x", "y"] }'
    runs = runs_of(model, {"x": 400}, PROPOSE, panel, '{ step = "aggregate", agent = "y" }')
    trace = await ended(runs, Question("Why? " * 100))
    assert (trace.status, model.calls_of("x")) == ("degraded", [])
    assert "no answer fits the context window of x (400 tokens)" in " ".join(trace.degradations)


def compares(call: Call) -> str:
    """Return an analysis if the call asks for one."""
    form = prompts.asked_form(call.messages[0].content)
    return words(call) if form is None else json.dumps({"key": form.key, "blind_spots": ["word " * 100]})


@pytest.mark.parametrize(("window", "is_shown"), [(3000, True), (2700, False)])
async def test_an_analysis_is_left_out_before_answers_are_divided_among_several_prompts(
    window: int, is_shown: bool
) -> None:
    model = ScriptedModel({"a": words, "x": words, "z": compares})
    analyze = '{ step = "analyze", agent = "z" }'
    trace = await ended(runs_of(model, {"x": window}, PROPOSE, analyze, AGGREGATE))
    (call,) = model.calls_of("x")
    assert len(shown(call)) == 12
    assert ("comparison of the answers" in call.messages[0].content) is is_shown
    what = f"it did not fit the context window of x ({window} tokens) beside the answers"
    assert trace.notes[1:] == (() if is_shown else (f"aggregate: the analysis was left out: {what}",))
    assert trace.status == ("complete" if is_shown else "degraded")


async def test_reviewers_and_analysts_see_the_beginnings_of_answers_that_do_not_fit() -> None:
    def says(call: Call) -> str:
        form = prompts.asked_form(call.messages[0].content)
        said = {"ranking": [*range(1, len(shown(call)) + 1)], "blind_spots": ["time"]}
        return words(call, 400) if form is None else json.dumps({"key": form.key, **said})

    three = '{ step = "propose", agents = ["a", "b", "c"] }'
    review = '{ step = "review", agents = ["a", "x"] }'
    model = ScriptedModel(otherwise=says)
    trace = await ended(
        runs_of(model, {"a": 900, "x": 900}, three, review, '{ step = "analyze", agent = "x" }', AGGREGATE)
    )
    cut = [note for note in trace.notes if ": cut to fit the context window of " in note]
    assert cut[:3] == [
        "review: cut to fit the context window of a (900 tokens): answers 2, 3",
        "review: cut to fit the context window of x (900 tokens): answers 1, 2, 3",
        "analyze: cut to fit the context window of x (900 tokens): answers 1, 2, 3",
    ]
    assert all(tokens(call.messages) <= 800 for call in model.calls if call.place.step in {2, 3})
    assert (trace.steps[1].review is None, trace.steps[2].analysis is None) == (False, False)
