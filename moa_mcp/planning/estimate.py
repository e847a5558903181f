"""What a run would take before it is paid for: calls, tokens and US dollars, for each step and model.

`estimate` is pure. It goes through the pipeline three times, as `plan` does once: with answers as short as they can
be, of usual length, and as long as they may get. So prompts grow through the layers as real ones do. It knows no run;
`prices` asks the routes, and the catalog, what the models cost now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from moa_mcp.config import Pipeline, models_of
from moa_mcp.errors import MissingKey
from moa_mcp.model import Usable
from moa_mcp.planning.forecast import Drafts, ModelCalls, model_calls
from moa_mcp.routing import catalog
from moa_mcp.steps import Step
from moa_mcp.steps.forecast import Bound, ExpectedAnswer, ExpectedAnswers
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.values import Answer, Dollars, Price, Question, Tokens

NOTES = (
    f"A token is taken for {EXPECTED.per_token} characters; scripts other than Latin take more of them.",
    "Expected: answers of 60 % of their limit, 700 tokens at most. Max: every call uses up its max_tokens.",
    "Not in it: failed, repeated and spare calls, and larger limits after empty answers.",
    "Nor the further calls for answers that do not fit a model's window together.",
    "Nor what is saved where equal samples share a request, or a provider has a prompt in its cache.",
)


@dataclass(frozen=True, slots=True)
class Priced:
    """What a model alias costs on the route that would be taken now."""

    route: str | None
    """The provider's name for the model; None if no route can be used."""
    price: Price | None
    """None if it is not known."""
    source: str
    """Where the price came from, or why there is none."""


Prices: TypeAlias = Mapping[str, Priced]
"""By alias."""

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


def estimate(
    pipeline: Pipeline, question: Question, prices: Mapping[str, Priced], answers: Sequence[Answer] = ()
) -> Estimate:
    """Return what a run will take that begins with these answers, if nothing fails.

    A fallback is counted where its agent has no route that can be used.

    Tokens are characters by four, not a tokenizer's: those differ from model to model, litellm's takes up to 24 seconds
    for some of them, since it asks the network, and nobody knows yet what the answers will say.
    """
    steps = [_reachable(step, prices) for step in pipeline.steps]
    drafts = Drafts(question)
    given = tuple(_expected(answer) for answer in answers)
    walks = [_walk(steps, drafts, given, bound) for bound in ("min", "expected", "max")]
    each_step = zip(steps, *walks, strict=True)
    return Estimate(pipeline.name, tuple(_step(step.step, tuple(asked), prices) for step, *asked in each_step))


def _expected(answer: Answer) -> ExpectedAnswer:
    return ExpectedAnswer(sum(map(EXPECTED.text, answer.texts)), answer.agent, len(answer.comments))


def _reachable(step: Step, prices: Mapping[str, Priced]) -> Step:
    """Return the step with its fallback for an agent, if that alone can be reached."""
    if step.fallback is None or any(_can_be_reached(model, prices) for model in step.models):
        return step
    return step.on_fallback() if _can_be_reached(step.fallback, prices) else step


def _can_be_reached(model: str, prices: Mapping[str, Priced]) -> bool:
    return prices.get(model, UNROUTED).route is not None


async def prices(pipeline: Pipeline, usable: Usable) -> Prices:
    """Return what the models of a pipeline cost on the routes that would be taken now."""
    return {alias: await _priced(alias, usable) for alias in models_of(pipeline)}


async def _priced(alias: str, usable: Usable) -> Priced:
    try:
        target = (await usable(alias))[0]
    except MissingKey:
        return UNROUTED
    price = catalog.price_at(target)
    return Priced(target.model, price, price.source if price else f"no price in the {catalog.source()}")


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


_Asked: TypeAlias = tuple[Sequence[ModelCalls], ...]
"""What is asked with answers as short as they can be, of usual length, and as long as they may get."""


def _step(kind: str, asked: _Asked, prices: Mapping[str, Priced]) -> StepEstimate:
    by_model: dict[str, tuple[list[ModelCalls], ...]] = {}
    for bound, of_bound in enumerate(asked):
        for each in of_bound:
            if each.model not in by_model:
                by_model[each.model] = tuple([[] for _ in asked])
            by_model[each.model][bound].append(each)
    models = [_model(model, of_it, prices.get(model, UNROUTED)) for model, of_it in by_model.items()]
    return StepEstimate(kind, tuple(models))


def _model(model: str, asked: _Asked, priced: Priced) -> ModelEstimate:
    sums = [_sums(of_bound, priced.price) for of_bound in asked]
    calls, prompt, completion, cost = zip(*sums, strict=True)
    dollars = Dollars(*cost) if priced.price else None
    return ModelEstimate(model, calls[-1], Tokens(*prompt), Tokens(*completion), dollars, priced)


def _sums(asked: Sequence[ModelCalls], price: Price | None) -> tuple[int, int, int, Decimal]:
    """Return how many calls there are, and what all of them take: tokens of prompts, of answers, US dollars."""
    calls, prompt, completion, cost = 0, 0, 0, Decimal(0)
    for _, times, usage in asked:
        calls += times
        prompt += times * usage.prompt_tokens
        completion += times * usage.completion_tokens
        if price is not None:
            cost += times * price.cost_usd(usage)
    return calls, prompt, completion, cost


def _walk(steps: Iterable[Step], drafts: Drafts, answers: ExpectedAnswers, bound: Bound) -> list[list[ModelCalls]]:
    """Return the calls of every step, the first of which is given these answers."""
    walked: list[list[ModelCalls]] = []
    for step in steps:
        calls, answers = step.forecast(answers, bound)
        walked.append(list(model_calls(calls, drafts, bound)))
    return walked


def _tokens(each: Iterable[Tokens]) -> Tokens:
    return Tokens(*map(sum, zip(Tokens(0, 0, 0), *each, strict=True)))


def _dollars(each: Iterable[Dollars | None]) -> Dollars | None:
    total = Dollars(Decimal(0), Decimal(0), Decimal(0))
    for cost in each:
        if cost is None:
            return None
        total = Dollars(total.min + cost.min, total.expected + cost.expected, total.max + cost.max)
    return total
