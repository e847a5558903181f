"""What an evaluation asks whom, and how answers are scored: all that determines its result."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import TypeAlias

from msgspec import Struct

from moa_mcp.config import Pipeline
from moa_mcp.evaluation.asking import Ask
from moa_mcp.evaluation.contestants import Field
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.questions import digest_of
from moa_mcp.evaluation.result import Verdict
from moa_mcp.evaluation.scoring.score import Scorer

Dueling: TypeAlias = Callable[[Ask, EvalQuestion, "Duellist", "Duellist"], Awaitable[tuple[Verdict, ...]]]
"""Returns what a judge says about the answers of a contestant and of a baseline to a question, in both orders."""
_CHARACTERS = 32


class Duellist(Struct, frozen=True):
    """An answer that is compared with another one."""

    contestant: str
    answer: str


class Judgement(Struct, frozen=True):
    """How answers are judged: each by a scorer, or two at a time."""

    digest: str
    """Of all that determines scores and verdicts besides questions and answers."""
    scorer: Callable[[Ask], Scorer] | None = None
    duel: Dueling | None = None
    judge: Pipeline | None = None
    """What is asked; None if no model is."""

    @property
    def is_free(self) -> bool:
        """Whether no model is asked, so that every sample can be scored."""
        return self.judge is None


class EvalPlan(Struct, frozen=True):
    """An evaluation before it starts."""

    questions: tuple[EvalQuestion, ...]
    field: Field
    judgement: Judgement
    digests: Mapping[str, str]
    """Of the entrants by name, and of the judge as ``judge``."""

    @property
    def digest(self) -> str:
        """A hash of the questions, the contestants and the scoring: another one is another evaluation."""
        contestants = [(each.name, each.kind, each.digest) for each in self.field.contestants(self.digests)]
        content = [digest_of(self.questions), sorted(contestants), self.judgement.digest, self.digests.get("judge")]
        return sha256(json.dumps(content).encode()).hexdigest()[:_CHARACTERS]

    @property
    def batch(self) -> str:
        """What its runs are listed under."""
        return self.digest[:16]
