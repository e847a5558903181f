"""The same pipelines through mixture-llm 0.1.3 and through ours, with the same replies: what is equal, and what is not.

Both draw the same chances: theirs from a `random` that starts anew at each step as ours does, and that leaves what
their `Sample` draws in order, since it shuffles too. Their `Vote` is our method "restate". A ranking of a single
answer is left out of the comparison: they pay a judge for it, ours does not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

import anyio
import mixture_llm as peer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixture_llm import core

from moa_mcp.config import Pipeline, load, shipped
from moa_mcp.errors import ServerFailed
from moa_mcp.steps import (
    Aggregate,
    Dropout,
    ModelStep,
    Propose,
    Rank,
    Refine,
    Sample,
    Shuffle,
    Step,
    Synthesize,
    Take,
    Vote,
)
from moa_mcp.testing import ScriptedModel, pipeline, run_pipeline
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call
from tests.support.tables import AGGREGATE, PROPOSE, steps

PIPELINES = load(shipped()).pipelines
STEPS_OF_MIXTURE = {"propose", "synthesize", "aggregate", "refine", "rank", "vote", "shuffle", "dropout"}
NINE = [
    name
    for name, each in PIPELINES.items()
    if not name.endswith("_paper") and {step.step for step in each.steps} <= STEPS_OF_MIXTURE and name != "verdict"
]
QUESTION = "Which {one}, 100 %?"


class InOrder(Random):
    """Draws a sample as ours does."""

    def sample(self, population: Any, k: int, *, counts: Any = None) -> list[Any]:
        del counts
        return [population[position] for position in sorted(super().sample(range(len(population)), k))]


class Asked(NamedTuple):
    """A call, as far as both sides can be compared."""

    model: str
    temperature: float
    max_tokens: int
    references: tuple[str, ...]


class Fake:
    """Replies to both sides alike: with a line of its own, or with a verdict where one is asked for."""

    def __init__(self, **said: str | None) -> None:
        self.calls: list[Asked] = []
        self._said = said
        """By model: a text in place of the usual one; None fails."""
        self._counts: Counter[str] = Counter()

    def reply(self, model: str, prompt: str, temperature: float, max_tokens: int) -> str | None:
        references = tuple(re.findall(r"«.*?»", prompt))
        self.calls.append(Asked(model, temperature, max_tokens, references))
        if model in self._said:
            return self._said[model]
        if '"ranking"' in prompt or "Rank these responses" in prompt:
            return f'{{"ranking": {list(range(len(references), 0, -1))}}}'
        if '"answer": N}' in prompt:
            return '{"answer": 1}'
        self._counts[model] += 1
        return f"«{model} {self._counts[model]}»"

    async def theirs(self, *, model: str, messages: list[Any], temp: float, max_tokens: int) -> tuple[str, int, int]:
        said = self.reply(model, "\n".join(message["content"] for message in messages), temp, max_tokens)
        if said is None:
            raise RuntimeError("out of order")
        return said, 1, 1

    def ours(self, call: Call) -> str | ServerFailed:
        prompt = "\n".join(message.content for message in call.messages)
        temperature, max_tokens = call.parameters["temperature"], call.parameters["max_tokens"]
        assert isinstance(temperature, float)
        assert isinstance(max_tokens, int)
        said = self.reply(call.agent, prompt, temperature, max_tokens)
        return ServerFailed("out of order") if said is None else said


def their_step(step: Step) -> Any:
    if isinstance(step, ModelStep):
        limits: dict[str, Any] = {"temp": step.temperature, "max_tokens": step.max_tokens}
        match step:
            case Propose() | Synthesize() | Refine():
                return getattr(peer, type(step).__name__)(list(step.models), **limits)
            case Rank():
                return peer.Rank(step.agent.model, step.n, **limits)
            case Aggregate() | Vote():
                return getattr(peer, type(step).__name__)(next(iter(step.models), None), **limits)
    match step:
        case Shuffle():
            return peer.Shuffle()
        case Dropout():
            return peer.Dropout(step.rate)
        case Sample() | Take():
            return getattr(peer, type(step).__name__)(step.n)
    raise NotImplementedError


async def run_theirs(chosen: Pipeline, fake: Fake, seed: int) -> tuple[str, list[dict[str, Any]]]:
    with pytest.MonkeyPatch.context() as patch:

        def drawing() -> Iterator[Any]:
            for number, step in enumerate(chosen.steps, 1):
                kind = InOrder if isinstance(step, Sample) else Random
                patch.setattr(core, "random", kind(f"{seed}/{number}"))
                yield their_step(step)

        return await peer.run(drawing(), QUESTION, fake.theirs)  # type: ignore[arg-type]  # it iterates, no more


async def run_ours(chosen: Pipeline, fake: Fake, seed: int) -> Trace:
    return await run_pipeline(chosen, QUESTION, ScriptedModel(otherwise=fake.ours), seed=seed)


class Both(NamedTuple):
    """What both sides made of a pipeline: the answer, and by step whom they asked what."""

    theirs: str
    their_calls: list[list[Asked]]
    ours: Trace
    our_calls: list[list[Asked]]


def both(chosen: Pipeline, seed: int = 0, **said: str | None) -> Both:
    async def run() -> Both:
        their_fake, our_fake = Fake(**said), Fake(**said)
        text, history = await run_theirs(chosen, their_fake, seed)
        trace = await run_ours(chosen, our_fake, seed)
        theirs = by_step(their_fake, [len(step["llm_calls"]) for step in history])
        return Both(text, theirs, trace, by_step(our_fake, [len(step.calls) for step in trace.steps]))

    return anyio.run(run)


def by_step(fake: Fake, counts: list[int]) -> list[list[Asked]]:
    calls = iter(fake.calls)
    return [[next(calls) for _ in range(count)] for count in counts]


def without_lone_rankings(calls: list[list[Asked]], chosen: Pipeline) -> list[list[Asked]]:
    return [
        [] if isinstance(step, Rank) and len(asked[0].references) == 1 else asked
        for step, asked in zip(chosen.steps, calls, strict=True)
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", [name for name in NINE if name != "self_moa_seq"])
def test_a_shipped_pipeline_asks_the_same_models_the_same_with_the_same_references(name: str, seed: int) -> None:
    run = both(PIPELINES[name], seed)
    assert run.our_calls == run.their_calls
    assert run.ours.status == "complete"
    if name != "vote":  # where ours returns the chosen answer word for word
        assert run.ours.answer == run.theirs


AGENTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=4)
PARAMETERS = st.builds("temp = {}, max_tokens = {}".format, st.sampled_from([0, 0.3, 1.5]), st.integers(1, 9999))
PANELS = st.builds("agents = {}, {}".format, AGENTS, PARAMETERS)
SOLE = st.builds('agent = "{}", {}'.format, st.sampled_from(["y", "z"]), PARAMETERS)
NUMBERS = st.integers(1, 4)
FIRST = st.builds('{{ step = "propose", {} }}'.format, PANELS)
MIDDLE = st.one_of(
    FIRST,
    st.builds('{{ step = "{}", {} }}'.format, st.sampled_from(["synthesize", "refine"]), PANELS),
    st.builds('{{ step = "rank", {}, n = {} }}'.format, SOLE, NUMBERS),
    st.builds('{{ step = "{}", n = {} }}'.format, st.sampled_from(["sample", "take"]), NUMBERS),
    st.builds('{{ step = "dropout", rate = {} }}'.format, st.sampled_from([0, 0.4, 0.9])),
    st.just('{ step = "shuffle" }'),
)
LAST = st.builds("{{ step = {}, {} }}".format, st.sampled_from(['"aggregate"', '"vote", method = "restate"']), SOLE)


@settings(max_examples=150)
@given(FIRST, st.lists(MIDDLE, max_size=5), LAST, st.integers(0, 2**32))
def test_any_pipeline_asks_the_same_models_the_same_with_the_same_references(
    first: str, middle: list[str], last: str, seed: int
) -> None:
    chosen = pipeline(steps(first, *middle, last))
    run = both(chosen, seed)
    assert run.our_calls == without_lone_rankings(run.their_calls, chosen)
    assert (run.ours.status, run.ours.answer) == ("complete", run.theirs)


def test_their_sequence_forgets_the_answer_so_far_and_ours_weighs_it_in() -> None:
    run = both(PIPELINES["self_moa_seq"])
    nano = PIPELINES["self_moa_seq"].steps[0].models[0]
    sofar, fresh = f"«{nano} 4»", tuple(f"«{nano} {number}»" for number in (5, 6, 7))
    assert [calls[0].references for calls in run.their_calls[1::2]] == [
        (f"«{nano} 1»", f"«{nano} 2»", f"«{nano} 3»"),
        fresh,
    ]
    assert [calls[0].references for calls in run.our_calls[1::2]] == [
        (f"«{nano} 1»", f"«{nano} 2»", f"«{nano} 3»"),
        (sofar, sofar, sofar, *fresh),
    ]
    assert run.our_calls[::2] == run.their_calls[::2]
    assert [sum(map(len, calls)) for calls in (run.our_calls, run.their_calls)] == [8, 8]


def test_their_missing_proposer_goes_unsaid_and_ours_is_named() -> None:
    run = both(pipeline(steps(PROPOSE, AGGREGATE)), b=None)
    assert run.our_calls == run.their_calls
    assert run.theirs == run.ours.answer == "«z 1»"
    assert (run.ours.status, run.ours.notes) == ("degraded", ("propose: 1 of 3 failed (b: out of order)",))


def test_their_failed_aggregator_lets_the_first_proposal_pass_for_the_answer_and_ours_fails() -> None:
    run = both(pipeline(steps(PROPOSE, AGGREGATE)), z=None)
    assert run.theirs == "«a 1»"
    assert (run.ours.status, run.ours.answer) == ("failed", None)
    assert run.ours.error == "step 2 (aggregate): no answer came: z: out of order"


def test_their_answer_from_no_proposer_is_empty_text_and_ours_is_an_error() -> None:
    run = both(pipeline(steps(PROPOSE, AGGREGATE)), a=None, b=None, c=None)
    assert run.theirs == ""
    assert (run.ours.status, run.ours.answer) == ("failed", None)


def test_their_failed_refinement_loses_the_answer_and_ours_keeps_it() -> None:
    run = both(pipeline(steps(PROPOSE, '{ step = "refine", agents = ["x", "y"] }', AGGREGATE)), y=None)
    assert [call.references for call in run.their_calls[2]] == [("«x 1»", "«x 2»")]
    assert [call.references for call in run.our_calls[2]] == [("«x 1»", "«b 1»", "«x 2»")]


def test_their_reader_guesses_a_ranking_and_ours_asks_again_and_then_keeps_all() -> None:
    five = '{ step = "propose", agents = [{ model = "a", samples = 5 }] }'
    run = both(pipeline(steps(five, '{ step = "rank", agent = "judge" }', AGGREGATE)), judge="The top 3 are: 4, 2, 5")
    assert run.their_calls[2][0].references == ("«a 3»", "«a 4»", "«a 2»")
    assert run.our_calls[2][0].references == tuple(f"«a {number}»" for number in range(1, 6))
    assert [len(calls) for calls in run.our_calls] == [5, 2, 1]
    assert run.ours.status == "degraded"


def test_their_prompts_break_on_braces_and_ours_take_them_as_they_are() -> None:
    async def theirs() -> None:
        await peer.run([peer.Propose(["a"]), peer.Refine(["x"], prompt="Reply as {json}.")], QUESTION, Fake().theirs)

    with pytest.raises(KeyError):
        anyio.run(theirs)
    refine = '{ step = "refine", agents = ["x"], prompt = "Reply as {json}." }'
    run = anyio.run(run_ours, pipeline(steps('{ step = "propose", agents = ["a"] }', refine)), Fake(), 0)
    assert run.answer == "«x 1»"
    assert run.steps[1].calls[0].messages[0].content.startswith("Reply as {json}.\n\n")


def test_their_sample_shuffles_and_ours_leaves_that_to_shuffle(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = pipeline(steps('{ step = "propose", agents = ["a", "b"] }', '{ step = "sample", n = 2 }', AGGREGATE))

    def their_order(seed: int) -> tuple[str, ...]:
        fake = Fake()
        monkeypatch.setattr(core, "random", Random(seed))
        anyio.run(peer.run, [their_step(step) for step in chosen.steps], QUESTION, fake.theirs)
        return fake.calls[-1].references

    assert {their_order(seed) for seed in range(9)} == {("«a 1»", "«b 1»"), ("«b 1»", "«a 1»")}
    assert {both(chosen, seed).our_calls[2][0].references for seed in range(9)} == {("«a 1»", "«b 1»")}
