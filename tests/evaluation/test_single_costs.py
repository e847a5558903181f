"""What a call costs alone of those that shared a request: the whole prompt, and its part of the completion."""

from __future__ import annotations

from decimal import Decimal

import pytest

from moa_mcp.config import Pipeline
from moa_mcp.errors import Failure
from moa_mcp.evaluation.contestants import Entrant, FreeBaseline
from moa_mcp.evaluation.samples import about_costs, samples_of
from moa_mcp.evaluation.single_costs import SingleCost, mean_usd, single_cost
from moa_mcp.middleware.shares import shares
from moa_mcp.planning.estimate import Priced, Prices
from moa_mcp.prices import Price, Rates, Usage
from moa_mcp.steps import Aggregate, Propose
from moa_mcp.trace.trace import AttemptTrace, CallTrace, StepTrace, Trace
from moa_mcp.values import Completion, Place

MODEL = "openrouter/x/y"
BILL = Decimal("0.16")
USAGE = Usage(prompt_tokens=100, completion_tokens=30)


def priced(prompt: str, completion: str) -> Prices:
    one, other = Decimal(prompt), Decimal(completion)
    return {"a": Priced(MODEL, Price(Rates(one, other, one, other), "set"), "set")}


PRICES = priced("0.001", "0.002")


def shared(usage: Usage | None = USAGE, cost: Decimal | None = BILL) -> list[CallTrace]:
    """Return three calls that one request answered."""
    two, three = Completion("2", MODEL), Completion("3", MODEL)
    answers = shares(Completion("1", MODEL, usage=usage, cost_usd=cost, others=(two, three)))
    first = Place(1, 1, 1)
    calls = [CallTrace(Place(1, number, number), "a", ()) for number in (1, 2, 3)]
    for call, answer in zip(calls, answers, strict=True):
        call.attempts.append(AttemptTrace(MODEL, {}, answer, joined=None if call is calls[0] else first))
        call.completion = answer
    return calls


def test_a_call_has_the_whole_prompt_and_its_part_of_the_completion() -> None:
    assert single_cost(shared(), PRICES) == SingleCost(Decimal("0.12"))


def test_the_bill_of_a_provider_is_divided_as_the_prices_say() -> None:
    assert single_cost(shared(cost=2 * BILL), PRICES) == SingleCost(Decimal("0.24"))


def test_calls_with_requests_of_their_own_cost_their_mean_with_failed_attempts() -> None:
    calls = shared()[:1]
    failure = Failure("X", "x", retryable=True, paid=True, cost_usd=Decimal("0.1"))
    calls[0].attempts.insert(0, AttemptTrace(MODEL, {}, failure=failure))
    assert single_cost(calls, {}) == SingleCost(Decimal("0.26"))


@pytest.mark.parametrize(
    ("prices", "usage"), [({}, USAGE), (PRICES, None), (PRICES, Usage(0, 30)), (priced("0", "0"), USAGE)]
)
def test_without_a_price_of_the_prompt_the_share_is_a_lower_bound(prices: Prices, usage: Usage | None) -> None:
    assert single_cost(shared(usage), prices) == SingleCost(Decimal("0.0533333333333"), is_least=True)


def test_calls_that_cost_nothing_cost_nothing_alone_and_an_unknown_cost_stays_unknown() -> None:
    assert single_cost(shared(cost=Decimal(0)), {}) == SingleCost(Decimal(0))
    assert single_cost(shared(cost=None), PRICES) == SingleCost(None)


def test_a_lower_bound_is_told() -> None:
    steps = (
        Propose.model_validate({"agents": [{"model": "a", "samples": 3}]}),
        Aggregate.model_validate({"agent": "a"}),
    )
    pipeline = Pipeline(name="p", title="p", description="x", steps=steps)
    entrant = Entrant("p", "pipeline", pipeline, pipeline)
    trace = Trace(steps=[StepTrace(1, "propose", shared())])
    one = FreeBaseline("one:a", "model", entrant, (1, 2, 3))
    assert about_costs(one, samples_of(entrant, trace, PRICES)) == ""
    assert about_costs(one, samples_of(entrant, trace, {})) == (
        "one:a: its samples shared requests, and what a prompt costs is not known, so that its cost is a lower bound, "
        "with its share of each request."
    )


def test_a_mean_has_at_most_twelve_digits() -> None:
    assert str(mean_usd(Decimal("0.1"), 3)) == "0.0333333333333"
