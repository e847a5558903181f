"""What is better than a pipeline on the same questions, as a check; and what the pipeline costs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from moa_mcp.evaluation.advice.checks import Check
from moa_mcp.evaluation.advice.panel import Panel, measured
from moa_mcp.evaluation.advice.values import Kind, Measured, PriceEffect
from moa_mcp.evaluation.statistics import Floats, PairedGain, paired_gain


def gain_of(panel: Panel, first: Floats, second: Floats) -> Measured | None:
    """Return the paired gain of the first over the second; None without a question that both have a score for."""
    gain = paired_gain(first, second, panel.clusters)
    return measured(gain.mean, gain.questions) if gain.questions else None


def gain_check(
    panel: Panel,
    kind: Kind,
    subjects: tuple[str, ...],
    instead: Floats,
    *,
    price: PriceEffect,
    toml: Callable[[], str | None] = lambda: None,
) -> Check:
    """Return the check whether scores are better than those of the pipeline."""

    def measure(level: float) -> PairedGain:
        return paired_gain(instead, panel.result, panel.clusters, level=level)

    n = int((~np.isnan(instead - panel.result)).sum())
    return Check(kind, panel.name, subjects, n, measure, price=price, toml=toml)


def usd_per_1000(panel: Panel) -> float | None:
    """Return the mean cost of 1000 questions; None if the cost of a run is unknown."""
    costs = [None if each.unknown_costs or each.cost_usd is None else float(each.cost_usd) for each in panel.outcomes]
    known = [each for each in costs if each is not None]
    return 1000 * sum(known) / len(known) if known and len(known) == len(costs) else None


def whole_price(panel: Panel) -> PriceEffect:
    """Return the price of the pipeline as it is."""
    return PriceEffect(calls_before=float(panel.calls.mean()), usd_per_1000_before=usd_per_1000(panel))
