"""What the runs of a batch may cost: for the estimate before it starts, and for the budget of each run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from moa_mcp.budget.worst_case import enough_usd, least_usd, nanodollars
from moa_mcp.config import Pipeline
from moa_mcp.planning.estimate import Estimate, Prices, estimate, prices
from moa_mcp.runs import Runs
from moa_mcp.values import Dollars, Question, Tokens

_SAMPLE = 500
"""Runs whose estimates stand for those of a larger batch."""


class Needs(NamedTuple):
    """What a run may need, in billionths of a US dollar. Models without a known price count as zero."""

    whole: int
    """The worst-case cost of all its calls."""
    least: int
    """The smallest budget worth starting with: its expected cost, and what the fewest calls may cost."""


class Tariffs(Struct, frozen=True):
    """The models that would answer a batch now, with their prices."""

    pipeline: Pipeline
    prices: Prices

    def needs(self, question: Question) -> Needs:
        """Return what the run of a question may need."""
        whole = nanodollars(enough_usd(self.pipeline, question, self.prices))
        known = [each.cost_usd for step in self.estimate(question).steps for each in step.models]
        expected = sum((cost.expected for cost in known if cost is not None), Decimal(0))
        least = max(expected, least_usd(self.pipeline, question, self.prices))
        return Needs(whole if any(known) else 0, min(whole, nanodollars(least)))

    def estimate(self, question: Question) -> Estimate:
        """Return the estimate of one run."""
        return estimate(self.pipeline, question, self.prices)


class BatchEstimate(NamedTuple):
    """What the runs of a batch are expected to need."""

    runs: int
    sampled: int
    """The number of runs that it was computed from; fewer than all for a large batch."""
    calls: int
    prompt: Tokens
    completion: Tokens
    cost_usd: Dollars
    """Of the models whose price is known."""
    unknown: tuple[str, ...]
    """The models whose price is unknown."""
    of_one: Estimate
    """The estimate of the first run, for the prices of its models."""


async def tariffs(runs: Runs, pipeline: Pipeline) -> Tariffs:
    """Return the models that would answer now, with their prices."""
    resolved = await runs.resolved(pipeline)
    return Tariffs(resolved.pipeline, await prices(resolved.pipeline, runs.backend.usable(resolved.routes)))


def estimated(asked: Callable[[int], Question], positions: Sequence[int], tariffs: Tariffs) -> BatchEstimate:
    """Return the estimate for the runs of the questions at these positions, of which there is at least one.

    For many runs, it is computed from evenly spaced ones.
    """
    sample = positions[:: -(-len(positions) // _SAMPLE)]
    each = [tariffs.estimate(asked(position)) for position in sample]
    share = Decimal(len(positions)) / len(sample)
    known = [model.cost_usd for run in each for step in run.steps for model in step.models]
    return BatchEstimate(
        len(positions),
        len(sample),
        round(sum(run.calls for run in each) * share),
        _tokens((run.prompt for run in each), share),
        _tokens((run.completion for run in each), share),
        Dollars(*(sum((cost[at] for cost in known if cost is not None), Decimal(0)) * share for at in range(3))),
        tuple(dict.fromkeys(name for run in each for name in run.unknown)),
        each[0],
    )


def _tokens(each: Iterable[Tokens], share: Decimal) -> Tokens:
    return Tokens(*(round(sum(counts) * share) for counts in zip(*each, strict=True)))
