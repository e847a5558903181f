"""A random sample of questions that depends on their content and a seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.questions.content import key_of


def sampled(questions: Sequence[EvalQuestion], size: int | None, seed: int) -> tuple[EvalQuestion, ...]:
    """Return `size` of the questions, in their order; all of them for None or if there are not more.

    Another order of the questions gives the same sample, and a smaller sample with the same seed is a part of it.
    """
    if size is None or size >= len(questions):
        return tuple(questions)
    drawn = sorted(questions, key=lambda each: sha256(f"{seed}/{key_of(each)}".encode()).digest())[:size]
    chosen = {each.id for each in drawn}
    return tuple(each for each in questions if each.id in chosen)
