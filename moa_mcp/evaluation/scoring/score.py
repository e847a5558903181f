"""What all ways of scoring share: the score of an answer, and the protocol of what returns it."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from moa_mcp.evaluation.asking import EvalRun
from moa_mcp.evaluation.question import EvalQuestion


class AnswerScore(Struct, frozen=True):
    """How right an answer is, and why."""

    value: float | None
    """From 0 (wrong) to 1 (right); None if it could not be scored: `problem` or `why` says why."""
    extracted: str | None = None
    """The value that was compared; None if the answer has none, or if whole texts were judged."""
    why: str = ""
    """In words: what was compared, or what the judge said. Parts of it are of models."""
    problem: str = ""
    """Why there is no value, where the answer itself may be fine: the run of the judge failed, or the function of the
    user did. Empty if there is a value, or if the judge replied without a verdict that can be read."""
    asked: tuple[EvalRun, ...] = ()
    """The runs of a judge that scored it."""


class Scorer(Protocol):
    """Scores the answers to questions."""

    @property
    def name(self) -> str:
        """How the result names it, such as ``number`` or ``judge``."""
        ...

    @property
    def is_free(self) -> bool:
        """Whether it calls no model, so that every sample of a run can be scored."""
        ...

    @property
    def digest(self) -> str:
        """A hash of all that determines scores besides questions and answers."""
        ...

    async def __call__(self, question: EvalQuestion, answer: str) -> AnswerScore:
        """Return the score of an answer. It raises nothing that an answer, a judge or a function of the user causes."""
        ...
