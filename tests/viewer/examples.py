"""Traces for the page: one as a run leaves it, with a retry and a failure, and changes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.errors import Failure
from moa_mcp.events import RunEstimated
from moa_mcp.steps import prompts
from moa_mcp.trace.trace import AttemptTrace, CallTrace, StepTrace, Trace
from moa_mcp.values import Answer, Completion, Dollars, Message, Note, Place, Question, Tokens, Usage

BEGAN = 1_800_000_000.0
QUESTION = "Which database design will hurt us first, and why: one wide table, event sourcing, or a schema per tenant?"
WIDE = "The wide table hurts first. Every new attribute becomes a nullable column, and locks grow with the rows."
SCHEMA = "A schema per tenant fails in operations, not in queries: migrations run once for each tenant."
EVENTS = "Event sourcing is slow to hurt, since replays stay cheap while streams are short."
PLAN = "Plan the migration path before you choose."
TEAM = "Event sourcing hurts first: no one on the team can query the current state without a projection."
ANSWER = f"""**The wide table** hurts first.

- Every new attribute becomes a *nullable* column, and `ALTER TABLE` locks grow with the rows.
- {SCHEMA}
- {EVENTS}

| design | hurts after |
|---|---|
| wide table | 50 attributes |
| schema per tenant | 2000 tenants |

See [the manual](https://www.postgresql.org/docs/current/sql-altertable.html) for the locks."""
AGENTS = ("qwen3-32b", "llama-4-maverick", "mistral-large", "deepseek-v3.2")
BUSY = Failure("RateLimited", "the server answered 429: too many requests", retryable=True, paid=False)
DOWN = Failure("ServerFailed", "the server answered 503: overloaded", retryable=True, paid=False)
_Value = TypeVar("_Value")


def example() -> Trace:
    """Return a degraded run of three steps."""
    first = [_call(1, number, 0.0, *each) for number, each in enumerate(_proposals(), 1)]
    second = [_call(2, number, 6.4, *each) for number, each in enumerate(_syntheses(), 1)]
    failed = second[3]
    failed.completion, failed.failure = None, DOWN
    failed.attempts = [_failed(6.4, 1.2), _failed(8.1, 0.9), _failed(10.5, 1.0)]
    second[1].attempts.insert(0, replace(_failed(6.4, 0.6), failure=BUSY))
    second[1].attempts[1].started_at, second[1].attempts[1].seconds = BEGAN + 8.0, 2.7
    last = [_call(3, 1, 12.2, "qwen3-32b", 6.1, ANSWER)]
    for call in second:
        call.messages = _prompt(_given(first))
    last[0].messages = _prompt(_given(second))
    steps = [_step(1, "propose", first, 6.4), _step(2, "synthesize", second, 5.8), _step(3, "aggregate", last, 6.1)]
    return _trace(steps)


def large(calls: int) -> Trace:
    """Return a run whose first step has this number of calls."""
    trace = example()
    agents = (f"agent-{number}" for number in range(1, calls + 1))
    many = [
        _call(1, number, number / 1000, agent, 4.0, f"{PLAN} Number {number} says so.")
        for number, agent in enumerate(agents, 1)
    ]
    trace.steps[0] = _step(1, "propose", many, 14.0)
    return trace


def replaced(value: _Value, text: str) -> _Value:
    """Return the value with this text in place of every other, at any depth. A status stays."""
    return cast("_Value", _replaced(value, text))


def _replaced(value: object, text: str) -> object:
    if isinstance(value, str):
        return text
    if isinstance(value, Struct):
        return replace(value, **_texts_replaced(value, text, value.__struct_fields__))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in dataclasses.fields(value)]
        return dataclasses.replace(value, **_texts_replaced(value, text, names))
    return _replaced_in_list(value, text)


def _texts_replaced(value: object, text: str, names: Iterable[str]) -> dict[str, Any]:
    shown = (name for name in names if not name.startswith("_") and name != "status")
    return {name: _replaced(getattr(value, name), text) for name in shown}


def _replaced_in_list(value: object, text: str) -> object:
    if isinstance(value, Place):
        return value
    if isinstance(value, list):
        return [_replaced(each, text) for each in cast("list[object]", value)]
    if isinstance(value, tuple):
        parts = [_replaced(each, text) for each in cast("tuple[object, ...]", value)]
        return getattr(cast("object", value), "_make", tuple)(parts)
    return value


def _proposals() -> list[tuple[str, float, str]]:
    texts = (f"{WIDE} {SCHEMA} {EVENTS}", f"{WIDE} {PLAN}", f"{SCHEMA} {TEAM}", f"{EVENTS} {WIDE} {SCHEMA}")
    return [(agent, seconds, text) for agent, seconds, text in zip(AGENTS, (5.2, 6.4, 1.9, 4.4), texts, strict=True)]


def _syntheses() -> list[tuple[str, float, str]]:
    texts = (f"{WIDE} {EVENTS}", f"{WIDE} {SCHEMA} {PLAN}", f"{SCHEMA} {EVENTS} {TEAM}", "")
    return [(agent, seconds, text) for agent, seconds, text in zip(AGENTS, (5.8, 4.3, 3.4, 5.1), texts, strict=True)]


def _call(step: int, number: int, at: float, agent: str, seconds: float, text: str) -> CallTrace:
    usage = Usage(320 * step, 30 + len(text) // 4)
    completion = Completion(
        text, agent, usage=usage, cost_usd=Decimal("0.0042") * step, reasoning="First the locks." if number == 1 else ""
    )
    attempt = AttemptTrace(agent, {}, completion, seconds=seconds, started_at=BEGAN + at, first_text_s=seconds / 4)
    return CallTrace(Place(step, number), agent, _prompt([]), [attempt], completion, None, seconds, BEGAN + at)


def _failed(at: float, seconds: float) -> AttemptTrace:
    return AttemptTrace("deepseek-v3.2", {}, failure=DOWN, seconds=seconds, started_at=BEGAN + at)


def _prompt(answers: Sequence[Answer]) -> tuple[Message, ...]:
    question = Question(QUESTION)
    return prompts.synthesize(question, answers, None) if answers else prompts.ask(question)


def _given(calls: list[CallTrace]) -> list[Answer]:
    return [Answer(each.completion.text, each.agent, each.place) for each in calls if each.completion]


def _step(number: int, kind: str, calls: list[CallTrace], seconds: float) -> StepTrace:
    return StepTrace(number, kind, calls, tuple(_given(calls)), seconds=seconds)


def _trace(steps: list[StepTrace]) -> Trace:
    steps[1].notes = (Note("deepseek-v3.2 gave no answer; 3 of 4 answers were used", degrades=True),)
    estimated = RunEstimated(
        at=BEGAN,
        calls=9,
        tokens=Tokens(4000, 7900, 14000),
        cost_usd=Dollars(Decimal("0.02"), Decimal("0.06"), Decimal("0.13")),
        unpriced=(),
        max_cost_usd=None,
    )
    kinds = tuple(step.kind for step in steps)
    return Trace(
        "38824f57fc99ba55",
        "together_moa",
        Question(QUESTION),
        7,
        kinds,
        (),
        estimated,
        BEGAN,
        "degraded",
        ANSWER,
        seconds=18.3,
        steps=steps,
    )
