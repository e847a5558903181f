"""Splits a response with several answers into one completion per call, with its tokens and cost."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import replace

from moa_mcp.values import Completion, Usage


def shares(completion: Completion) -> tuple[Completion, ...]:
    """Return one completion for each answer. Their tokens and costs add up to the bill.

    The first has the prompt tokens, which are billed once, and the whole cost. Providers report only the total of the
    completion tokens, so these are divided by the lengths of the texts.
    """
    if not completion.others:
        return (completion,)
    answers = (replace(completion, others=()), *completion.others)
    note = (
        f"one request returned {len(answers)} answers of {completion.model}: the first has its prompt tokens and cost, "
        "its completion tokens are divided by length"
    )
    cost = None if completion.cost_usd is None else Decimal(0)
    usages = _usages(completion.usage, [len(answer.text) for answer in answers])
    return tuple(
        replace(answer, usage=usage, cost_usd=cost if number else completion.cost_usd).noted(note)
        for number, (answer, usage) in enumerate(zip(answers, usages, strict=True))
    )


def _usages(whole: Usage | None, lengths: Sequence[int]) -> list[Usage | None]:
    if whole is None:
        return [None] * len(lengths)
    written = _apportioned(whole.completion_tokens - whole.reasoning_tokens, lengths)
    reasoned = _apportioned(whole.reasoning_tokens, lengths)
    own = [Usage(0, text + reasoning, 0, reasoning) for text, reasoning in zip(written, reasoned, strict=True)]
    return [own[0] + replace(whole, completion_tokens=0, reasoning_tokens=0), *own[1:]]


def _apportioned(total: int, weights: Sequence[int]) -> list[int]:
    """Divide a total into whole numbers in proportion to the weights (largest remainder method)."""
    weights = weights if any(weights) else [1] * len(weights)
    exact = [total * weight for weight in weights]
    parts = [each // sum(weights) for each in exact]
    by_remainder = sorted(range(len(parts)), key=lambda index: -(exact[index] % sum(weights)))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts
