"""How scoring asks a judge: through the runs of the evaluation, so that each of its calls is recorded and budgeted."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from moa_mcp.config import Pipeline
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Question


class EvalRun(Struct, frozen=True):
    """What a run of the evaluation returned."""

    run_id: str
    trace: Trace | None
    """None if there was no run, such as for a lack of budget."""
    problem: str = ""
    """Why it has no answer, in a sentence; empty if it has one."""

    @property
    def answer(self) -> str | None:
        """The answer; None if there is none."""
        return None if self.trace is None or self.problem else self.trace.answer

    @property
    def cost_usd(self) -> Decimal | None:
        """US dollars; None if the price of a call is unknown."""
        return Decimal(0) if self.trace is None else self.trace.cost_usd


class Ask(Protocol):
    """Asks a pipeline a question. The same pipeline, question and repetition is the same run: it is paid once."""

    async def __call__(self, pipeline: Pipeline, question: Question, *, repetition: int = 0) -> EvalRun: ...
