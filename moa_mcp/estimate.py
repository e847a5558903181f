"""What a run would take before it is paid for: calls, tokens and US dollars, for each step and model.

`estimate` is pure. It goes through the pipeline three times, as `plan` does once: with answers as short as they can
be, of usual length, and as long as they may get. Prompts are the ones that `prompts` writes, so they grow through the
layers as real ones do. It knows no run; `prices` asks the routes, and the catalog, what the models cost now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import cycle
from typing import Literal, NamedTuple, TypeAlias

from moa_mcp import catalog, prompts
from moa_mcp.config import Defaults, Pipeline, models_of
from moa_mcp.errors import MissingKey
from moa_mcp.model import Usable
from moa_mcp.steps import Dropout, ModelStep, Propose, Rank, Refine, Sample, Shuffle, Step, Take, Vote
from moa_mcp.values import Answer, Dollars, Message, Place, Price, Question, Tokens, Usage

CHARACTERS = 4
"""Of one token, as English text has them."""
MESSAGE_TOKENS = 4
"""What a message takes beside its text."""
USUAL_ANSWER = 700
"""The most tokens that an answer is expected to have, which takes 60 % of its limit where that is less."""
USUAL_VERDICT = 15
"""Tokens of a judge's line of JSON."""
ASSUMED_TOKENS = 200
"""Of a question that is not known yet."""

NOTES = (
    f"A token is taken for {CHARACTERS} characters; scripts other than Latin take more of them.",
    "Expected: answers of 60 % of their limit, 700 tokens at most. Max: every call uses up its max_tokens.",
    "Not in it: failed, repeated and spare calls, and larger limits after empty answers.",
    "Nor what is saved where equal samples share a request, or a provider has a prompt in its cache.",
)

Bound: TypeAlias = Literal["min", "expected", "max"]
Lengths: TypeAlias = tuple[int, ...]
"""The answers that one step hands to the next, as their tokens."""


Count: TypeAlias = Callable[[Sequence[Message], int], int]
"""Returns the tokens of messages in the first of which so many tokens of answers will stand."""


@dataclass(frozen=True, slots=True)
class Priced:
    """What a model alias costs on the route that would be taken now."""

    route: str | None
    """The provider's name for the model; None if no route can be used."""
    price: Price | None
    """None if it is not known."""
    source: str
    """Where the price came from, or why there is none."""


UNROUTED = Priced(None, None, "no route can be used here")


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """What a step will take of one model."""

    model: str
    """Its alias."""
    calls: int
    """At most: a dropout before them may leave less to do."""
    prompt: Tokens
    completion: Tokens
    cost_usd: Dollars | None
    """None where the price is not known."""
    priced: Priced


@dataclass(frozen=True, slots=True)
class StepEstimate:
    """What a step will take."""

    kind: str
    models: tuple[ModelEstimate, ...]

    @property
    def calls(self) -> int:
        """How many calls it makes at most."""
        return sum(each.calls for each in self.models)

    @property
    def prompt(self) -> Tokens:
        """Tokens of its prompts."""
        return _tokens(each.prompt for each in self.models)

    @property
    def completion(self) -> Tokens:
        """Tokens of its answers."""
        return _tokens(each.completion for each in self.models)

    @property
    def cost_usd(self) -> Dollars | None:
        """US dollars; None where one of its models has no known price."""
        return _dollars(each.cost_usd for each in self.models)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run of a pipeline will take, if nothing fails."""

    pipeline: str
    steps: tuple[StepEstimate, ...]

    @property
    def calls(self) -> int:
        """How many calls it makes at most."""
        return sum(step.calls for step in self.steps)

    @property
    def prompt(self) -> Tokens:
        """Tokens of all prompts."""
        return _tokens(step.prompt for step in self.steps)

    @property
    def completion(self) -> Tokens:
        """Tokens of all answers."""
        return _tokens(step.completion for step in self.steps)

    @property
    def cost_usd(self) -> Dollars | None:
        """US dollars; None where one of its models has no known price."""
        return _dollars(step.cost_usd for step in self.steps)

    @property
    def priced(self) -> Mapping[str, Priced]:
        """The models that are asked, each with its price."""
        return {each.model: each.priced for step in self.steps for each in step.models}

    @property
    def unknown(self) -> tuple[str, ...]:
        """The models whose price is not known."""
        return tuple(model for model, priced in self.priced.items() if priced.price is None)


class ModelCall(NamedTuple):
    """A call of a step, and what it takes."""

    model: str
    usage: Usage


class _Walk(NamedTuple):
    """The pipeline's calls, step by step, with answers of one kind of length."""

    min: Sequence[ModelCall]
    expected: Sequence[ModelCall]
    max: Sequence[ModelCall]


def estimate(pipeline: Pipeline, question: Question, prices: Mapping[str, Priced]) -> Estimate:
    """Return what a run will take, if nothing fails.

    A fallback is counted where its agent has no route that can be used.

    Tokens are characters by four, not a tokenizer's: those differ from model to model, litellm's takes up to 24 seconds
    for some of them, since it asks the network, and nobody knows yet what the answers will say (facts/llm.md 4.4).
    """
    pipeline = pipeline.model_copy(update={"steps": tuple(_reachable(step, prices) for step in pipeline.steps)})
    walks = [_walk(pipeline, question, bound) for bound in ("min", "expected", "max")]
    each_step = zip(pipeline.steps, *walks, strict=True)
    return Estimate(pipeline.name, tuple(_step(step.step, _Walk(*calls), prices) for step, *calls in each_step))


def _reachable(step: Step, prices: Mapping[str, Priced]) -> Step:
    """Return the step with its fallback for an agent, if that alone can be reached."""

    def reached(model: str) -> bool:
        return prices.get(model, UNROUTED).route is not None

    stands_in = step.fallback is not None and reached(step.fallback) and not any(map(reached, step.models))
    return step.model_copy(update={"agent": step.fallback}) if stands_in else step


async def prices(pipeline: Pipeline, usable: Usable) -> Mapping[str, Priced]:
    """Return what the models of a pipeline cost on the routes that would be taken now."""
    return {alias: await _priced(alias, usable) for alias in models_of(pipeline)}


async def _priced(alias: str, usable: Usable) -> Priced:
    try:
        target = (await usable(alias))[0]
    except MissingKey:
        return UNROUTED
    price = catalog.price_at(target)
    return Priced(target.model, price, price.source if price else f"no price in the {catalog.source()}")


def assumed() -> Question:
    """Return a question of usual length, to stand for one that is not known yet."""
    return Question("x" * (CHARACTERS * ASSUMED_TOKENS))


def prompt_tokens(messages: Sequence[Message], unwritten: int = 0) -> int:
    """Return about how many tokens the messages have. `unwritten` tokens of answers will stand in the first one.

    They are counted, not written, so that an estimate for a million tokens takes no memory for them.
    """
    lengths = [len(message.content) for message in messages]
    lengths[0] += CHARACTERS * unwritten
    return sum(-(-length // CHARACTERS) + MESSAGE_TOKENS for length in lengths)


def data(estimated: Estimate) -> dict[str, object]:
    """Return an estimate as plain data that JSON can hold; dollars become floats, None where unknown."""
    return {
        "pipeline": estimated.pipeline,
        **_amounts(estimated),
        "unknown": list(estimated.unknown),
        "steps": [
            {
                "step": number,
                "kind": step.kind,
                **_amounts(step),
                "models": [
                    {"model": each.model, **_amounts(each), "route": each.priced.route, "source": each.priced.source}
                    for each in step.models
                ],
            }
            for number, step in enumerate(estimated.steps, 1)
        ],
        "notes": list(NOTES),
    }


def _amounts(each: Estimate | StepEstimate | ModelEstimate) -> dict[str, object]:
    cost = each.cost_usd
    return {
        "calls": each.calls,
        "prompt_tokens": each.prompt._asdict(),
        "completion_tokens": each.completion._asdict(),
        "cost_usd": None if cost is None else {name: float(dollars) for name, dollars in cost._asdict().items()},
    }


def _step(kind: str, walk: _Walk, prices: Mapping[str, Priced]) -> StepEstimate:
    models = dict.fromkeys(call.model for call in walk.max)
    return StepEstimate(kind, tuple(_model(model, walk, prices.get(model, UNROUTED)) for model in models))


def _model(model: str, walk: _Walk, priced: Priced) -> ModelEstimate:
    usages = [[call.usage for call in calls if call.model == model] for calls in walk]
    price = priced.price
    return ModelEstimate(
        model,
        len(usages[-1]),
        Tokens(*(sum(usage.prompt_tokens for usage in each) for each in usages)),
        Tokens(*(sum(usage.completion_tokens for usage in each) for each in usages)),
        Dollars(*(sum(map(price.cost_usd, each), Decimal(0)) for each in usages)) if price else None,
        priced,
    )


def _walk(pipeline: Pipeline, question: Question, bound: Bound) -> list[list[ModelCall]]:
    """Return the calls of every step."""
    lengths: Lengths = ()
    walked: list[list[ModelCall]] = []
    for step in pipeline.steps:
        walked.append(list(calls(step, question, lengths, bound)) if isinstance(step, ModelStep) else [])
        lengths = after(step, lengths, bound)
    return walked


def calls(
    step: ModelStep, question: Question, lengths: Lengths, bound: Bound, count: Count = prompt_tokens
) -> Iterator[ModelCall]:
    """Yield what each of a step's calls takes that is given answers of such lengths."""
    if step.judges and len(lengths) == 1:
        return  # there is nothing to choose from
    said = _said(step, bound)
    # An answer of full length has been cut off, and prompts say so.
    answers = [Answer("", "", Place(0, 0), cut=bound == "max")] * len(lengths)
    if isinstance(step, Refine):
        for model, answer, length in zip(cycle(step.models), answers, lengths, strict=False):
            messages = prompts.refine(question, answer, step.prompt)
            yield ModelCall(model, Usage(count(messages, length), said))
    elif step.models:
        shown = 0 if isinstance(step, Propose) else sum(lengths)
        prompt = count(_conversation(step, question, answers), shown)
        yield from (ModelCall(model, Usage(prompt, said)) for model in _asked(step, bound))


def _asked(step: ModelStep, bound: Bound) -> tuple[str, ...]:
    """Return the models that a step asks, which may stop early."""
    return step.models[: step.fewest] if bound == "min" else step.models


def _conversation(step: ModelStep, question: Question, answers: Sequence[Answer]) -> tuple[Message, ...]:
    match step:
        case Propose():
            return prompts.ask(question, step.prompt)
        case Rank():
            return prompts.rank(question, answers, step.prompt)
        case Vote(method="judge"):
            return prompts.vote(question, answers, step.prompt)
        case Vote():
            return prompts.restate(question, answers, step.prompt)
        case _:
            return prompts.synthesize(question, answers, step.prompt)


def _said(step: ModelStep, bound: Bound) -> int:
    """Return how many tokens one of the step's calls answers with."""
    limit = step.max_tokens or Defaults().max_tokens
    match bound:
        case "min":
            return 1
        case "expected":
            return min(USUAL_VERDICT, limit) if step.judges else min(USUAL_ANSWER, -(-limit * 3 // 5))
        case _:
            return limit


def after(step: Step, lengths: Lengths, bound: Bound) -> Lengths:
    """Return the answers that a step hands on."""
    match step:
        case Propose():
            return lengths[:1] * step.keep + (_said(step, bound),) * len(_asked(step, bound))
        case Take():
            return lengths[: step.n]
        case Dropout():
            return _drawn(lengths, _kept(step.rate, len(lengths), bound), bound)
        case Rank() | Vote(method="judge" | "majority") | Shuffle() | Sample():
            return _drawn(lengths, step.answers_out(len(lengths)), bound)
        case _:
            return (_said(step, bound),) * step.answers_out(len(lengths))


def _kept(rate: float, count: int, bound: Bound) -> int:
    """Return how many answers a dropout leaves; one always stays."""
    match bound:
        case "min":
            return 1 if rate else count
        case "expected":
            return max(1, round((1 - rate) * count))
        case _:
            return count


def _drawn(lengths: Lengths, count: int, bound: Bound) -> Lengths:
    """Return `count` answers in an order that nobody knows yet: the shortest, average ones, the longest."""
    match bound:
        case "min":
            return tuple(sorted(lengths)[:count])
        case "expected":
            return (-(-sum(lengths) // len(lengths)),) * count
        case _:
            return tuple(sorted(lengths, reverse=True)[:count])


def _tokens(each: Iterable[Tokens]) -> Tokens:
    return Tokens(*map(sum, zip(Tokens(0, 0, 0), *each, strict=True)))


def _dollars(each: Iterable[Dollars | None]) -> Dollars | None:
    total = Dollars(Decimal(0), Decimal(0), Decimal(0))
    for cost in each:
        if cost is None:
            return None
        total = Dollars(total.min + cost.min, total.expected + cost.expected, total.max + cost.max)
    return total
