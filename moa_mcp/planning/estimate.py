"""Estimates a run before it starts: calls, tokens and US dollars, for each step and model.

`estimate` is a pure function. It follows the pipeline three times: with the shortest possible, the expected and the
longest possible answers, so that prompts grow from layer to layer as in a run. `prices` reads the current prices from
the routes and the catalog.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TypeAlias

from msgspec import Struct

from moa_mcp.config import Pipeline, models_of
from moa_mcp.model import Usable, targets_by_alias
from moa_mcp.planning.forecast import Drafts, ModelCalls, known, model_calls, step_forecast
from moa_mcp.routing import catalog
from moa_mcp.routing.images import tokens_at
from moa_mcp.steps import Step
from moa_mcp.steps.forecast import Bound, ExpectedAnswers
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.values import Analysis, Answer, Dollars, Price, Question, Target, Tokens, images_of

NOTES = (
    f"Tokens are estimated at {EXPECTED.per_token} characters each; non-Latin scripts use more tokens.",
    "Expected: each answer has 60 % of max_tokens, at most 700 tokens, after the reasoning that its effort suggests.",
    "Max: each answer has max_tokens, which include its reasoning.",
    "Min: a step that may end the run early does so. Expected and max: the run goes on.",
    "Not included: failed calls, retries (also with a higher max_tokens), hedged requests (by default, at most 20 %).",
    "Not included: additional calls if the answers do not fit in the context window of a model.",
    "Not included: savings from samples that share a request, and from the prompt caches of providers.",
)


@dataclass(frozen=True, slots=True)
class Priced:
    """The price of a model alias on the route that would be used now."""

    route: str | None
    """The name of the model at the provider; None if no route can be used."""
    price: Price | None
    """None if it is unknown."""
    source: str
    """The source of the price, or why it is unknown."""
    target: Target | None = field(default=None, repr=False, compare=False)
    """None if no route can be used."""


Prices: TypeAlias = Mapping[str, Priced]
"""By alias."""

UNROUTED = Priced(None, None, "no route can be used here")


class ModelEstimate(Struct, frozen=True):
    """The estimate for one model in a step."""

    model: str
    """Alias of the model."""
    calls: int
    """Largest number of calls; a dropout before the step may reduce it."""
    prompt: Tokens
    completion: Tokens
    cost_usd: Dollars | None
    """None if the price is unknown."""
    priced: Priced


class StepEstimate(Struct, frozen=True, dict=True):
    """The estimate for a step."""

    kind: str
    models: tuple[ModelEstimate, ...]

    @cached_property
    def calls(self) -> int:
        """Largest number of calls."""
        return sum([each.calls for each in self.models])

    @cached_property
    def prompt(self) -> Tokens:
        """Tokens of all prompts of the step."""
        return _tokens([each.prompt for each in self.models])

    @cached_property
    def completion(self) -> Tokens:
        """Tokens of all answers of the step."""
        return _tokens([each.completion for each in self.models])

    @cached_property
    def cost_usd(self) -> Dollars | None:
        """US dollars; None if the price of a model is unknown."""
        return _dollars([each.cost_usd for each in self.models])


class Estimate(Struct, frozen=True, dict=True):
    """The estimate for a run of a pipeline, if no call fails."""

    pipeline: str
    steps: tuple[StepEstimate, ...]

    @cached_property
    def calls(self) -> int:
        """Largest number of calls."""
        return sum([step.calls for step in self.steps])

    @cached_property
    def prompt(self) -> Tokens:
        """Tokens of all prompts."""
        return _tokens([step.prompt for step in self.steps])

    @cached_property
    def completion(self) -> Tokens:
        """Tokens of all answers."""
        return _tokens([step.completion for step in self.steps])

    @cached_property
    def cost_usd(self) -> Dollars | None:
        """US dollars; None if the price of a model is unknown."""
        return _dollars([step.cost_usd for step in self.steps])

    @cached_property
    def priced(self) -> Mapping[str, Priced]:
        """The models that are called, each with its price."""
        return {each.model: each.priced for step in self.steps for each in step.models}

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """The models whose price is unknown."""
        return tuple(model for model, priced in self.priced.items() if priced.price is None)


def estimate(
    pipeline: Pipeline,
    question: Question,
    prices: Mapping[str, Priced],
    answers: Sequence[Answer] = (),
    drafts: Drafts | None = None,
    analysis: Analysis | None = None,
) -> Estimate:
    """Return the estimate for a run that starts with `answers` and their `analysis`, if no call fails.

    If an agent has no usable route, its fallback is counted.

    Tokens are counted as characters / 4, without a tokenizer: tokenizers differ between models, the one of litellm
    needs up to 24 seconds for some models since it uses the network, and the text of the answers is not known yet.
    """
    steps = [_reachable(step, prices) for step in pipeline.steps]
    drafts = drafts or drafts_of(question, prices)
    given = known(answers, analysis, EXPECTED.text)
    walks = [_walk(steps, drafts, given, bound) for bound in ("min", "expected", "max")]
    each_step = zip(steps, *walks, strict=True)
    return Estimate(pipeline.name, tuple(_step(step.step, tuple(asked), prices) for step, *asked in each_step))


def drafts_of(question: Question, prices: Mapping[str, Priced]) -> Drafts:
    """Return the prompts for a question, with the tokens of the images that each model gets."""
    images = (*question.images, *images_of(question.turns))
    if not images:
        return Drafts(question)
    return Drafts(question, {alias: tokens_at(each.target, images) for alias, each in prices.items()})


def _reachable(step: Step, prices: Mapping[str, Priced]) -> Step:
    """Return the step with its fallback as its model, if only the fallback has a usable route."""
    if step.fallback is None or any(_can_be_reached(model, prices) for model in step.models):
        return step
    return step.on_fallback() if _can_be_reached(step.fallback, prices) else step


def _can_be_reached(model: str, prices: Mapping[str, Priced]) -> bool:
    return prices.get(model, UNROUTED).route is not None


async def prices(pipeline: Pipeline, usable: Usable) -> Prices:
    """Return the prices of the models of a pipeline on the routes that would be used now."""
    found = await targets_by_alias(usable, models_of(pipeline))
    return {alias: _priced(targets[0]) if targets else UNROUTED for alias, targets in found.items()}


def _priced(target: Target) -> Priced:
    price = catalog.price_at(target)
    return Priced(target.model, price, price.source if price else _unpriced(target), target)


def _unpriced(target: Target) -> str:
    return "subscription" if target.transport == "command" else f"no price in the {catalog.source()}"


def data(estimated: Estimate) -> dict[str, object]:
    """Return an estimate as data for JSON. Dollars are floats, or None if unknown."""
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
"""The calls with the shortest possible, the expected and the longest possible answers, in this order."""


class _Sums:
    """The totals of the calls to one model, each by the length of the answers: shortest, expected and longest."""

    __slots__ = ("calls", "completion", "cost", "priced", "prompt")

    def __init__(self, priced: Priced) -> None:
        self.priced = priced
        self.calls, self.prompt, self.completion = [0, 0, 0], [0, 0, 0], [0, 0, 0]
        self.cost = [Decimal(0), Decimal(0), Decimal(0)]


def _step(kind: str, asked: _Asked, prices: Mapping[str, Priced]) -> StepEstimate:
    sums: dict[str, _Sums] = {}
    for bound, of_bound in enumerate(asked):
        for models, usage in of_bound:
            for model, times in models:
                if model not in sums:
                    sums[model] = _Sums(prices.get(model, UNROUTED))
                total = sums[model]
                total.calls[bound] += times
                total.prompt[bound] += times * usage.prompt_tokens
                total.completion[bound] += times * usage.completion_tokens
                if total.priced.price is not None:
                    total.cost[bound] += times * total.priced.price.cost_usd(usage)
    return StepEstimate(kind, tuple([_model(*each) for each in sums.items()]))


def _model(model: str, total: _Sums) -> ModelEstimate:
    cost = Dollars(*total.cost) if total.priced.price else None
    return ModelEstimate(model, total.calls[-1], Tokens(*total.prompt), Tokens(*total.completion), cost, total.priced)


def _walk(steps: Sequence[Step], drafts: Drafts, answers: ExpectedAnswers, bound: Bound) -> list[list[ModelCalls]]:
    """Return the calls of each step; `answers` are those before the first step."""
    walked: list[list[ModelCalls]] = []
    final = False
    for step, in_json in zip(steps, drafts.in_json(steps), strict=True):
        if final:
            walked.append([])
            continue
        forecast = step_forecast(step, answers, bound, in_json=in_json)
        answers, final = forecast.answers, forecast.final
        walked.append(model_calls(forecast.prompts, drafts, bound))
    return walked


def _tokens(each: Iterable[Tokens]) -> Tokens:
    return Tokens(*map(sum, zip(Tokens(0, 0, 0), *each, strict=True)))


def _dollars(each: Iterable[Dollars | None]) -> Dollars | None:
    least = expected = most = Decimal(0)
    for cost in each:
        if cost is None:
            return None
        least, expected, most = least + cost.min, expected + cost.expected, most + cost.max
    return Dollars(least, expected, most)
