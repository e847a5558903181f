"""Scores by a function of the user, which runs in a thread: a slow one stops nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import cast

import anyio
import anyio.to_thread

from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.scoring.comparing import digest_of
from moa_mcp.evaluation.scoring.functions.failures import described
from moa_mcp.evaluation.scoring.functions.loading import UserFunction
from moa_mcp.evaluation.scoring.functions.results import InvalidResult, Returned, returned
from moa_mcp.evaluation.scoring.score import AnswerScore

_ASYNC_CALLS = 8
"""Calls of an async function at the same time. Others are called one at a time: few are written for threads."""


class _Failed(Exception):
    """The function of the user raised an error, or returned something that is not a score. Has the message."""


@dataclass(frozen=True, slots=True)
class ByFunction:
    """Scores by a function of the user."""

    function: UserFunction
    _calls: anyio.CapacityLimiter = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        several = inspect.iscoroutinefunction(self.function.call)
        object.__setattr__(self, "_calls", anyio.CapacityLimiter(_ASYNC_CALLS if several else 1))

    @property
    def name(self) -> str:
        return f"{self.function.path.name}:{self.function.name}"

    @property
    def is_free(self) -> bool:
        return True

    @property
    def digest(self) -> str:
        return digest_of(self.function.name, self.function.digest)

    def problem_of(self, question: EvalQuestion) -> str:
        """Return nothing: the function gets whatever there is."""
        del question
        return ""

    async def __call__(self, question: EvalQuestion, answer: str) -> AnswerScore:
        try:
            found = await anyio.to_thread.run_sync(
                self._score, question, answer, limiter=self._calls, abandon_on_cancel=True
            )
        except _Failed as failed:
            return AnswerScore(None, problem=f"the scoring function failed: {failed}")
        return AnswerScore(found.value, why=found.why or f"{self.name} returned {found.value:g}")

    def _score(self, question: EvalQuestion, answer: str) -> Returned:
        first, named = self.function.parameters.arguments(question, answer)
        try:
            result = self.function.call(*first, **named)
            if inspect.isawaitable(result):
                result = anyio.run(_awaited, cast("Awaitable[object]", result))
            return returned(result)
        except InvalidResult as error:
            raise _Failed(f"{self.name} {error}") from error
        except (Exception, SystemExit) as error:  # whatever a function of the user raises
            raise _Failed(described(error, self.function.path)) from error


async def _awaited(result: Awaitable[object]) -> object:
    return await result
