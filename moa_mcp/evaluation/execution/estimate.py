"""What the runs that are left of an evaluation are expected to cost, by contestant, and for the judge."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from functools import partial

from msgspec import Struct

from moa_mcp.batch.costs import BatchEstimate, estimated
from moa_mcp.batch.items import Item
from moa_mcp.budget.worst_case import rounded
from moa_mcp.evaluation.execution.asker import Asker
from moa_mcp.evaluation.execution.plan import EvalPlan
from moa_mcp.evaluation.execution.survey import EvalSurvey, asked_at
from moa_mcp.text.tokens import size
from moa_mcp.values import Dollars

_NANO = Decimal(10**9)
_CENT = Decimal("0.01")
JUDGE = "judge"


class EvalPart(Struct, frozen=True):
    """The runs of a contestant, or of the judge."""

    name: str
    recorded: int
    """The runs with a result."""
    left: BatchEstimate | None
    """None if no run is left."""
    most_usd: Decimal = Decimal(0)
    """What a budget must have left for the longest of these runs to start; zero if no price is known."""


class EvalEstimate(Struct, frozen=True):
    """What an evaluation is expected to need."""

    parts: tuple[EvalPart, ...]

    @property
    def left(self) -> list[BatchEstimate]:
        """The parts with runs that are left."""
        return [each.left for each in self.parts if each.left is not None]

    @property
    def runs(self) -> int:
        """The number of runs that are left."""
        return sum(each.runs for each in self.left)

    @property
    def calls(self) -> int:
        """The number of model calls that are left."""
        return sum(each.calls for each in self.left)

    @property
    def most_usd(self) -> Decimal:
        """What a budget must have left so that each run can start."""
        return max((each.most_usd for each in self.parts), default=Decimal(0))

    @property
    def cost_usd(self) -> Dollars:
        """The cost of the models whose price is known."""
        return Dollars(*(sum((each.cost_usd[at] for each in self.left), Decimal(0)) for at in range(3)))

    @property
    def unknown(self) -> tuple[str, ...]:
        """The models whose price is unknown."""
        return tuple(dict.fromkeys(name for each in self.left for name in each.unknown))


async def estimate_of(plan: EvalPlan, asker: Asker, found: EvalSurvey) -> EvalEstimate:
    """Return the estimate of the runs that are left."""
    parts: list[EvalPart] = []
    for entrant in plan.field.entrants:
        positions = found.left[entrant.name]
        tariffs = await asker.tariffs(entrant.pipeline)
        left = estimated(partial(asked_at, plan, entrant), positions, tariffs) if positions else None
        longest = max(positions, key=lambda each: _length(plan.questions[each].item), default=None)
        most = 0 if longest is None else await asker.worst_case(entrant.pipeline, asked_at(plan, entrant, longest))
        parts.append(EvalPart(entrant.name, len(plan.questions) - len(positions), left, most / _NANO))
    if plan.judgement.judge is not None:
        questions, tariffs = found.judgements, await asker.tariffs(plan.judgement.judge)
        left = estimated(questions.__getitem__, range(len(questions)), tariffs) if questions else None
        asked = max(questions, key=lambda each: size(each.text), default=None)
        most = 0 if asked is None else await asker.worst_case(plan.judgement.judge, asked)
        parts.append(EvalPart(JUDGE, found.recorded_judgements, left, most / _NANO))
    return EvalEstimate(tuple(parts))


async def sufficient_usd(asker: Asker, expected: EvalEstimate) -> Decimal:
    """Return the budget that probably finishes an evaluation whose start had this estimate, in US dollars, rounded up.

    It has room for the worst case of the largest run, which must fit before that run starts.
    """
    left = Decimal(0)
    for pipeline, questions in asker.ledger.not_started.items():
        tariffs = await asker.tariffs(pipeline)
        left += estimated(questions.__getitem__, range(len(questions)), tariffs).cost_usd.expected
    needed = asker.budget.spent / _NANO + left
    if any(each.name == JUDGE for each in expected.parts):  # what it would be asked about the missing answers
        needed = max(needed, asker.ledger.before / _NANO + expected.cost_usd.expected)
    return _up(needed + asker.ledger.largest / _NANO)


def _length(item: Item) -> int:
    return size(item.question) + size(item.context or "")


def _up(usd: Decimal) -> Decimal:
    return usd.quantize(_CENT, ROUND_CEILING) if usd > _CENT else rounded(usd)
