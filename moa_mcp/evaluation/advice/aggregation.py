"""What the steps after the first make of its answers, against a random answer, the majority, and the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from moa_mcp.evaluation.advice.checks import Check
from moa_mcp.evaluation.advice.gains import gain_check, gain_of, usd_per_1000
from moa_mcp.evaluation.advice.panel import Panel, measured
from moa_mcp.evaluation.advice.snippets import Snippets
from moa_mcp.evaluation.advice.values import Aggregation, Measured, PriceEffect
from moa_mcp.evaluation.statistics import Floats, aggregator_efficiency, mean_score

_EVEN = 0.5
_FROM = 10
"""Questions from which an efficiency is stated: it is a quotient, whose interval needs some."""


def aggregation(panel: Panel) -> Aggregation | None:
    """Return what the pipeline makes of its answers; None if none of its results has a score."""
    result, mean, oracle = panel.result, panel.baselines.single, panel.oracle
    known = ~np.isnan(result + mean)
    if not known.any():
        return None
    majority = panel.majority if panel.has_values else None
    return Aggregation(
        result=_share(panel, np.where(known, result, np.nan)),
        random_answer=_share(panel, np.where(known, mean, np.nan)),
        oracle=_share(panel, np.where(known, oracle, np.nan)),
        lost=_share(panel, np.where(known, np.maximum(0, oracle - result), np.nan)),
        rescued=_share(panel, np.where(known, np.maximum(0, result - oracle), np.nan)),
        efficiency=_efficiency(panel, known),
        majority=None if majority is None else _share(panel, np.where(known, majority, np.nan)),
        vote_gain=None if majority is None else gain_of(panel, majority, result),
        overruled=None if majority is None else _overruled(panel, majority),
    )


def _share(panel: Panel, values: Floats) -> Measured:
    share = mean_score(values, panel.clusters)
    return measured(share.mean, share.questions)


def _efficiency(panel: Panel, known: NDArray[np.bool_]) -> Measured | None:
    """Return the efficiency; None if a question has another number of samples than most, or if there are few."""
    table = [[one.score for one in each] for each in panel.samples]
    width = max(len(each) for each in table)
    full = np.array([len(each) == width for each in table]) & known
    if full.sum() < _FROM:
        return None
    members = np.array([each for each, whole in zip(table, full, strict=True) if whole], dtype=np.float64).T
    clusters = None if panel.clusters is None else [*compress(panel.clusters, full)]
    figure = aggregator_efficiency(panel.result[full], [*members], clusters)
    return None if figure is None else measured(figure, int(full.sum()))


def _overruled(panel: Panel, majority: Floats) -> Measured | None:
    wrong = np.where(majority > _EVEN, 1 - panel.result, np.nan)
    return None if np.isnan(wrong).all() else _share(panel, wrong)


def aggregation_checks(panel: Panel, snippets: Snippets) -> Iterator[Check]:
    """Yield whether a random answer, or the majority of the same samples, is better than the result."""
    if np.isnan(panel.result + panel.baselines.single).all():
        return
    whole = PriceEffect(calls_before=float(panel.calls.mean()), usd_per_1000_before=usd_per_1000(panel))
    same = whole.model_copy(update={"calls_after": whole.calls_before, "usd_per_1000_after": None})
    yield gain_check(panel, "other_aggregator", (panel.name,), panel.baselines.single, price=same)
    if panel.has_values:
        yield gain_check(
            panel,
            "vote",
            (f"majority:{panel.name}",),
            panel.majority,
            price=first_step_only(panel, whole),
            toml=partial(snippets.vote, panel),
        )


def first_step_only(panel: Panel, whole: PriceEffect) -> PriceEffect:
    """Return the price of the first step alone."""
    usd = panel.usd_of_first_step
    return whole.model_copy(
        update={
            "calls_after": float(panel.first_calls.mean()),
            "usd_per_1000_after": None if usd is None else 1000 * usd,
        }
    )
