"""Several answers of one request as an answer for each call that asked for one, with what was billed shared out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from moa_mcp.values import Completion, Usage


def shares(completion: Completion) -> tuple[Completion, ...]:
    """Return one completion for each answer; their sums are what was billed.

    The prompt, billed once, and the cost of all stand on the first. Nobody bills a single answer's tokens, so
    those of all are shared out by the lengths of the texts.
    """
    if not completion.others:
        return (completion,)
    answers = (replace(completion, others=()), *completion.others)
    note = (
        f"one request brought {len(answers)} answers of {completion.model}: its prompt and cost stand with the first, "
        "its completion tokens are shared out by length"
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
    said = _apportioned(whole.completion_tokens - whole.reasoning_tokens, lengths)
    thought = _apportioned(whole.reasoning_tokens, lengths)
    own = [Usage(0, words + thoughts, 0, thoughts) for words, thoughts in zip(said, thought, strict=True)]
    return [own[0] + replace(whole, completion_tokens=0, reasoning_tokens=0), *own[1:]]


def _apportioned(total: int, weights: Sequence[int]) -> list[int]:
    """Return whole numbers that add up to a total, as near to the weights as may be (largest remainder)."""
    weights = weights if any(weights) else [1] * len(weights)
    exact = [total * weight for weight in weights]
    parts = [each // sum(weights) for each in exact]
    by_remainder = sorted(range(len(parts)), key=lambda index: -(exact[index] % sum(weights)))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts
