"""The worst-case cost of calls and of the later steps of a run, which `middleware.budget` holds and reserves.

In every tokenizer, a token is at least one byte of text. So no prompt has more tokens than bytes, and no call costs
more than the amount held for it, provided that its provider respects `max_tokens`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from functools import cached_property, reduce
from itertools import accumulate
from math import ceil
from typing import Literal

from msgspec.structs import replace

from moa_mcp.budget.caps import Amount
from moa_mcp.config import Pipeline
from moa_mcp.errors import CallError, Failure, Unpriced
from moa_mcp.events import AttemptFailed, AttemptFinished, AttemptStarted, CallStarted, Event
from moa_mcp.images.tokens import image_tokens
from moa_mcp.planning.estimate import Estimate, Priced, drafts_of
from moa_mcp.planning.estimate import data as estimate_data
from moa_mcp.planning.forecast import Drafts, ModelCalls, PromptCalls, StepForecast, known, model_calls, step_forecast
from moa_mcp.routing import catalog
from moa_mcp.steps import Step
from moa_mcp.steps.forecast import ExpectedAnswers
from moa_mcp.text.tokens import UPPER, size
from moa_mcp.values import (
    Analysis,
    Answer,
    Call,
    Completion,
    Image,
    Message,
    Parameters,
    Place,
    Price,
    Question,
    ReplySchema,
    Usage,
    images_of,
    token_limit,
)

SCHEMA_TOKENS = 512
"""Maximum prompt tokens of the schema of a verdict, and of the text that providers add around any schema."""
_OF_VERDICT = 400
"""Maximum bytes of the schema of a verdict."""
LARGEST_ANSWER = 32_768
"""Maximum tokens of an answer if its limit is neither set nor known."""

_NANO = Decimal(10**9)
_SAID = Decimal("0.0001")


class RunTariff:
    """The cost of the calls of a run, and the amounts that its steps need."""

    def __init__(
        self,
        pipeline: Pipeline,
        question: Question,
        prices: Mapping[str, Price | None],
        unpriced: Literal["allow", "refuse"] = "allow",
        drafts: Drafts | None = None,
    ) -> None:
        """`prices` are by alias, on the current route; None if unknown."""
        self._steps = pipeline.steps
        self._positions = [at for at, step in enumerate(pipeline.steps) if step.models]
        """The positions of the steps that call models."""
        self._drafts = drafts or Drafts(question)
        self._in_json = self._drafts.in_json(pipeline.steps)
        self._prices = prices
        self._refuses = unpriced == "refuse"
        self._written: tuple[Sequence[Message], int, tuple[Image, ...]] = ((), 0, ())
        """The last messages, their maximum tokens, and their images. The agents of a step get the same ones."""
        self._forms: dict[tuple[int, int | None, int], Amount] = {}
        self._layers: dict[tuple[int, ExpectedAnswers], Amount] = {}

    def worst_case(self, call: Call) -> Amount:
        """Return the worst-case cost of a call. Raises `Unpriced` if the price must be known and is not."""
        price = catalog.price_at(call.target) if call.target else None
        model = call.target.model if call.target else call.agent
        if price is None and self._refuses:
            raise Unpriced(
                f'the price of {model} is not known, and unpriced = "refuse"; give its route usd_per_million, or '
                'set unpriced = "allow"'
            )
        if self._written[0] is not call.messages:
            self._written = call.messages, most_tokens(call.messages), images_of(call.messages)
        _, prompt, images = self._written
        if images:
            prompt += image_tokens(images, model).most
        if call.reply_schema:
            prompt += schema_tokens(call.reply_schema)
        return worst_case(price, model, prompt, call.parameters, call.samples, written=call.prompt_recurs)

    def bill(self, ended: Completion | CallError, held: Amount) -> Amount:
        """Return the actual cost of a call; if it is unknown, the amount that was held for it."""
        if isinstance(ended, Completion):
            return _billed(ended.usage, ended.cost_usd, held)
        return _of_failure(Failure.of(ended), held)

    def needed(self, step: int) -> int:
        """Return the minimum number of calls of a step. Steps count from 1."""
        return self._steps[step - 1].required(self._forecasts[step - 1].calls)

    def smallest(self, finished: int, answers: Sequence[Answer], analysis: Analysis | None = None) -> Amount:
        """Return the worst-case cost of the smallest form of the rest of a run, from these answers.

        The smallest form is the last layer, after the first one if there are no answers yet, each with the fewest
        calls that its quorum allows. `finished` is the number of finished steps.
        """
        layers = self._left(finished)
        kept = {*layers[-1:], *([] if answers else layers[:1])}
        return self._least(finished, kept, known(answers, analysis, UPPER.unwritten))

    def reserves(self, step: int, answers: int | None) -> Iterator[Amount]:
        """Yield the worst-case cost of the later steps, given the number of answers of this one; None for all answers.

        The first amount covers all later steps in their smallest form, the next ones fewer and fewer layers, and the
        last one only the last layer.
        """
        for kept in range(max(0, len(self._left(step)) - 1), -1, -1):
            key = step, answers, kept
            if key not in self._forms:
                self._forms[key] = self._least_after(*key)
            yield self._forms[key]

    def whole(self, finished: int) -> Amount:
        """Return the worst-case cost of all steps after the first `finished` ones."""
        return self._after[finished]

    @cached_property
    def _after(self) -> tuple[Amount, ...]:
        """By the number of finished steps: the worst-case cost of the later ones."""
        taken = [
            reduce(lambda total, asked: total.plus(*asked), self._amounts(forecast.prompts), Amount())
            for forecast in self._forecasts
        ]
        return tuple(accumulate(reversed(taken), Amount.plus, initial=Amount()))[::-1]

    @cached_property
    def _forecasts(self) -> tuple[StepForecast, ...]:
        """The forecast of the maximum of each step, in order."""
        forecasts: list[StepForecast] = []
        answers: ExpectedAnswers = ()
        for position in range(len(self._steps)):
            forecasts.append(self._maximum(position, answers))
            answers = forecasts[-1].answers
        return tuple(forecasts)

    def _maximum(self, position: int, answers: ExpectedAnswers) -> StepForecast:
        """Return the forecast of a step with these answers, with replies as long as they can be."""
        return step_forecast(self._steps[position], answers, "max", in_json=self._in_json[position])

    def _least_after(self, step: int, answers: int | None, kept: int) -> Amount:
        """Return the worst-case cost of the first `kept` layers after a step, and of the last layer."""
        layers = self._left(step)
        return self._least(step, {*layers[:kept], *layers[-1:]}, self._handed_on(step, answers))

    def _handed_on(self, step: int, made: int | None) -> ExpectedAnswers:
        """Return the answers of a step with their maximum lengths, if it makes `made` calls; None for all calls."""
        answers = self._forecasts[step - 1].answers
        return answers if made is None else _after_calls(self._steps[step - 1], answers, made)

    def _least(self, finished: int, kept: Collection[int], answers: ExpectedAnswers) -> Amount:
        """Return the worst-case cost of the steps after the finished ones.

        Only the layers in `kept` make calls, each the fewest that its quorum allows.
        """
        total = Amount()
        for position, step in enumerate(self._steps[finished:], finished):
            if step.models:
                if position not in kept:
                    continue
                key = position, answers
                if key not in self._layers:
                    self._layers[key] = self._least_of(*key)
                total = total.plus(self._layers[key])
            answers = self._maximum(position, answers).answers
            answers = _after_calls(step, answers, step.required(len(step.models)))
        return total

    def _left(self, finished: int) -> list[int]:
        """Return the positions of the remaining layers, given the number of finished steps."""
        return [position for position in self._positions if position >= finished]

    def _least_of(self, position: int, answers: ExpectedAnswers) -> Amount:
        """Return the worst-case cost of a step with these answers and the fewest calls that its quorum allows."""
        forecast = self._maximum(position, answers)
        return _cheapest(self._amounts(forecast.prompts), self._steps[position].required(forecast.calls))

    def _amounts(self, prompts: Iterable[PromptCalls]) -> list[tuple[Amount, int]]:
        """Return the worst-case cost of the calls, and how often each is made."""
        asked = _most(prompts, self._drafts)
        return [(_amount(self._prices.get(model), usage), times) for models, usage in asked for model, times in models]


def _after_calls(step: Step, answers: ExpectedAnswers, made: int) -> ExpectedAnswers:
    """Return the answers of a step if it makes only `made` calls."""
    return answers[: len(answers) - max(0, len(step.models) - made)] if step.adds_answers else answers


def _cheapest(calls: Iterable[tuple[Amount, int]], needed: int) -> Amount:
    """Return the total cost of the `needed` cheapest calls."""
    total = Amount()
    for amount, count in sorted(calls):
        if not needed:
            break
        total = total.plus(amount, min(count, needed))
        needed -= min(count, needed)
    return total


def worst_case(
    price: Price | None,
    model: str,
    prompt: int,
    parameters: Parameters,
    samples: int = 1,
    *,
    written: bool = False,
) -> Amount:
    """Return the worst-case cost of a request to a model with a prompt of at most `prompt` tokens.

    `written` is whether the prompt may be written to a cache.
    """
    completion = samples * (token_limit(parameters) or catalog.largest_answer(model) or LARGEST_ANSWER)
    return _amount(price, Usage(prompt, completion, cache_write_tokens=prompt if written else 0))


def most_tokens(messages: Sequence[Message], unwritten: int = 0) -> int:
    """Return the maximum number of tokens of messages, with `unwritten` tokens of future answers."""
    return UPPER.messages([message.content for message in messages], unwritten)


def schema_tokens(schema: ReplySchema) -> int:
    """Return the maximum prompt tokens of a reply schema, which a provider adds to the prompt."""
    return SCHEMA_TOKENS + max(0, size(schema.json_schema) - _OF_VERDICT)


def _most(prompts: Iterable[PromptCalls], drafts: Drafts) -> list[ModelCalls]:
    """Return the calls with their maximum tokens."""
    of_answer = schema_tokens(ReplySchema("answer", drafts.answer_schema)) if drafts.answer_schema else 0

    def count(messages: Sequence[Message], prompt: PromptCalls) -> int:
        schema = prompt.call.reply_schema
        more = schema_tokens(schema) if schema else of_answer if prompt.call.in_json else 0
        return most_tokens(messages, prompt.unwritten) + more

    return model_calls(prompts, drafts, "max", count)


def spent(events: Iterable[Event], prices: Mapping[str, Price | None], since: float = 0.0) -> Amount:
    """Return what a run spent since a time (seconds since the epoch), computed from its events.

    Attempts without an end were in progress when their process died. Whether they were billed is unknown, so they count
    with their worst-case cost. `prices` are by the name of a model at its provider.
    """
    asked: dict[Place, Sequence[Message]] = {}
    held: dict[tuple[Place, int], Amount] = {}
    for event in events:
        match event:
            case CallStarted():
                asked[event.place] = event.messages
            case AttemptStarted() if event.at >= since:
                price = prices.get(event.model) or catalog.price(event.model)
                messages = asked.get(event.place, ())
                prompt = most_tokens(messages) + image_tokens(images_of(messages), event.model).most
                most = worst_case(price, event.model, prompt, event.parameters, 1 + len(event.others), written=True)
                held[event.place, event.attempt] = most
            case AttemptFinished() if event.at >= since:
                key = (event.place, event.attempt)
                held[key] = _billed(event.completion.usage, event.completion.cost_usd, held.get(key, Amount()))
            case AttemptFailed() if event.at >= since:
                key = (event.place, event.attempt)
                held[key] = _of_failure(event.failure, held.get(key, Amount()))
            case _:
                pass
    return reduce(Amount.plus, held.values(), Amount())


def enough_usd(
    pipeline: Pipeline,
    question: Question,
    priced: Mapping[str, Priced],
    answers: Sequence[Answer] = (),
    analysis: Analysis | None = None,
) -> Decimal:
    """Return the worst-case cost of all calls of a run that starts with these answers, in US dollars.

    A budget of this amount skips no call.
    """
    total = Amount()
    drafts = drafts_of(question, priced)
    given = known(answers, analysis, UPPER.unwritten)
    for step, in_json in zip(pipeline.steps, drafts.in_json(pipeline.steps), strict=True):
        forecast = step_forecast(step, given, "max", in_json=in_json)
        given = forecast.answers
        for models, usage in _most(forecast.prompts, drafts):
            for model, times in models:
                total = total.plus(_amount(priced[model].price, usage), times)
    return rounded(Decimal(total.nanodollars) / _NANO)


def data(estimated: Estimate, enough: Decimal) -> dict[str, object]:
    """Return an estimate as JSON values, with a sufficient budget; null if a price is unknown."""
    return {**estimate_data(estimated), "enough_usd": None if estimated.unknown else float(enough)}


def least_usd(
    pipeline: Pipeline,
    question: Question,
    priced: Mapping[str, Priced],
    answers: Sequence[Answer] = (),
    analysis: Analysis | None = None,
) -> Decimal:
    """Return the smallest budget with which a run that starts with these answers is admitted, in US dollars."""
    by_alias = {alias: each.price for alias, each in priced.items()}
    tariff = RunTariff(pipeline, question, by_alias, drafts=drafts_of(question, priced))
    return Decimal(tariff.smallest(0, answers, analysis).nanodollars) / _NANO


def rounded(usd: Decimal) -> Decimal:
    """Return a cost rounded up to four decimals, at least 0.0001."""
    return max(usd.quantize(_SAID, ROUND_CEILING), _SAID)


def nanodollars(usd: Decimal) -> int:
    """Return US dollars as billionths, rounded up."""
    return ceil(usd * _NANO)


def _amount(price: Price | None, usage: Usage) -> Amount:
    tokens = usage.prompt_tokens + usage.completion_tokens
    if price is None:
        return Amount(0, tokens)
    rates = price.at(usage.prompt_tokens) if price.tiers else price.rates
    if rates.reasoning > rates.completion:
        usage = replace(usage, reasoning_tokens=usage.completion_tokens)
    return Amount(nanodollars(price.cost_usd(usage)), tokens)


def _billed(usage: Usage | None, cost_usd: Decimal | None, held: Amount) -> Amount:
    return Amount(
        held.nanodollars if cost_usd is None else nanodollars(cost_usd),
        held.tokens if usage is None else usage.prompt_tokens + usage.completion_tokens,
    )


def _of_failure(failure: Failure, held: Amount) -> Amount:
    return Amount() if failure.paid is False else _billed(failure.usage, failure.cost_usd, held)
