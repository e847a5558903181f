"""Hashes of what questions ask and how they are scored: not of their lines, nor of their order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256

from moa_mcp.evaluation.question import EvalQuestion


def key_of(question: EvalQuestion) -> str:
    """Return a hash of what a question asks. Two questions with the same one have the same run."""
    item = question.item
    content = [item.question, item.context, item.system, list(item.image_hashes)]
    return sha256(json.dumps(content).encode()).hexdigest()


def digest_of(questions: Iterable[EvalQuestion]) -> str:
    """Return a hash of a set of questions with their IDs, answers, clusters and other fields, in any order."""
    every = sorted(
        json.dumps(
            [key_of(each), each.id, each.answer, each.choices, each.cluster, dict(each.metadata)], sort_keys=True
        )
        for each in questions
    )
    return sha256(json.dumps(every).encode()).hexdigest()
