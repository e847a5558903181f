"""Whether a run can reach its models, fit their windows and be paid for: all that is known before its first call."""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio

from moa_mcp.budget.worst_case import RunTariff
from moa_mcp.config import BudgetSettings, Pipeline, models_of
from moa_mcp.engine.execute import RunSpec
from moa_mcp.errors import MissingKey
from moa_mcp.events import Emit, RunEstimated
from moa_mcp.middleware import Amount, Budget, Usable
from moa_mcp.planning.context_windows import too_long
from moa_mcp.planning.estimate import Estimate, estimate, prices
from moa_mcp.planning.plan import blocking
from moa_mcp.runs.money import Purses, Refusal
from moa_mcp.runs.order import Opening
from moa_mcp.values import Tokens


class Unstarted(Exception):
    """A run can't start, or not go on; the text says why and what would help."""

    def __init__(self, reason: str, *, unreached: bool = False) -> None:
        super().__init__(reason)
        self.unreached = unreached
        """Whether models can't be reached for want of keys or servers."""


async def funded(
    spec: RunSpec,
    opening: Opening,
    usable: Usable,
    purses: Purses,
    settings: BudgetSettings,
    emit: Emit,
    waits: Callable[[str], None],
) -> Budget:
    """Return the budget of a run, which can be carried through; a new one's estimate is told.

    While it waits for what other runs hold, `waits` is told for what; an empty text when it does no more.

    Raises:
        Unstarted: it can't.

    """
    finished, answers = (opening.reached.steps, opening.reached.state.answers) if opening.reached else (0, ())
    pipeline = spec.pipeline
    left = pipeline.model_copy(update={"steps": pipeline.steps[finished:]})
    await _reachable(left, spec, usable)
    known = await prices(pipeline, usable)  # of finished steps, too: what they took must be reckoned
    if opening.new:
        emit(_estimated(estimate(left, spec.question, known, answers), spec))
    asked = {alias: known[alias] for alias in models_of(left)}
    unpriced = [alias for alias, each in asked.items() if each.price is None and each.route is not None]
    if unpriced and settings.unpriced == "refuse":
        raise Unstarted(
            f'nobody knows what {", ".join(unpriced)} costs, and unpriced = "refuse"; give its route '
            'usd_per_million, or set unpriced = "allow"'
        )
    tariff = RunTariff(pipeline, spec.question, {alias: each.price for alias, each in known.items()}, settings.unpriced)
    budget = purses.budget(spec, opening, tariff, known)
    smallest = tariff.smallest(finished, answers)
    refusal: Refusal | None = None
    with anyio.move_on_after(math.inf if spec.deadline_s is None else spec.deadline_s) as time_up:
        refusal = await purses.open(budget, smallest, tariff.whole(finished), waits)
    if time_up.cancelled_caught:
        caps = " and ".join(str(purse) for purse in budget.purses if purse.shared)
        raise Unstarted(
            f"the deadline of {spec.deadline_s:g} s passed while other runs held what {caps} has left; "
            "try again when they have ended, or raise it"
        )
    if refusal is not None:
        raise Unstarted(_too_small(refusal, smallest))
    return budget


async def _reachable(pipeline: Pipeline, spec: RunSpec, usable: Usable) -> None:
    """Hold a pipeline to models that can be reached and that the question fits. Raises `Unstarted`."""
    long, unreached = too_long(pipeline, spec.question, spec.windows), dict[str, str]()
    for alias in models_of(pipeline):
        try:
            await usable(alias)
        except MissingKey as error:
            unreached[alias] = str(error)
    faults = {**long, **unreached}
    if blocked := blocking(pipeline, faults):
        reasons = "; ".join(f"{alias}: {faults[alias]}" for alias in blocked)
        raise Unstarted(reasons, unreached=any(alias in unreached for alias in blocked))


def _too_small(refusal: Refusal, smallest: Amount) -> str:
    """Return why not even the smallest form of a run fits a purse, and what can be done."""
    purse, others = refusal
    told = purse.told(others)
    why = f" ({', '.join(told)})" if told else ""
    return (
        f"the smallest form of what is to be done (as few calls as its quorums allow, then the last layer) may take up "
        f"to {purse.shown(purse.measure(smallest))}, and {purse} has no room for it{why}; raise it, or choose a "
        "cheaper pipeline"
    )


def _estimated(estimate: Estimate, spec: RunSpec) -> RunEstimated:
    """Return the event that tells what a run will take."""
    sums = (each[0] + each[1] for each in zip(estimate.prompt, estimate.completion, strict=True))
    return RunEstimated(
        calls=estimate.calls,
        tokens=Tokens(*sums),
        cost_usd=estimate.cost_usd,
        unpriced=estimate.unknown,
        max_cost_usd=spec.max_cost_usd,
    )
