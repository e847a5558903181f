"""Agreement on labelled questions: how often the majority is right, and whether to stop where the answers agree.

The threshold is chosen on one half of the questions and reported on the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import compress
from math import isinf
from typing import NamedTuple

import numpy as np

from moa_mcp.evaluation.advice.checks import LEVEL, Check
from moa_mcp.evaluation.advice.gains import whole_price
from moa_mcp.evaluation.advice.panel import Panel, measured
from moa_mcp.evaluation.advice.snippets import Snippets
from moa_mcp.evaluation.advice.values import AgreementRow, CascadeFinding, PriceEffect
from moa_mcp.evaluation.statistics import (
    Figure,
    Floats,
    ThresholdChoice,
    agreement_calibration,
    choose_threshold,
    wilson,
)

MARGIN = 0.03
"""How much worse a cascade may be than the whole pipeline, as a difference of scores, to be recommended."""
_LEAST = 20
"""Questions that are divided."""
_HALVES = 2


class Divided(NamedTuple):
    """The questions that a cascade can be chosen and reported on; arrays of shape (questions,)."""

    agreement: Floats
    """NaN for a tie, where it never stops."""
    majority: Floats
    result: Floats
    first_calls: Floats
    calls: Floats
    clusters: list[str] | None
    seed: int

    def choice(self, level: float) -> ThresholdChoice:
        """Return the threshold that loses nothing on the first half, and what it gives on the other."""
        return choose_threshold(*self[:6], margin=0.0, level=level, seed=self.seed)


def calibration(panel: Panel) -> tuple[AgreementRow, ...]:
    """Return how often the majority is right, by the share of the samples that agree on it, from the least on."""
    found = agreement_calibration(panel.agreement, panel.majority, panel.clusters)
    return tuple(
        AgreementRow(agreement=each.agreement, right=measured(each.accuracy, each.questions)) for each in found.levels
    )


def divided(panel: Panel, seed: int) -> Divided | None:
    """Return the questions of a cascade; None if there are too few, or if no calls follow the first step."""
    usable = ~np.isnan(panel.agreement + panel.majority + panel.result)
    if usable.sum() < _LEAST or not (panel.calls > panel.first_calls)[usable].any():
        return None
    clusters = None if panel.clusters is None else [*compress(panel.clusters, usable)]
    if clusters is not None and len(set(clusters)) < _HALVES:
        return None
    untied = np.where(panel.is_tied, np.nan, panel.agreement)
    return Divided(
        untied[usable],
        panel.majority[usable],
        panel.result[usable],
        panel.first_calls[usable],
        panel.calls[usable],
        clusters,
        seed,
    )


def cascade(questions: Divided) -> CascadeFinding:
    """Return the cascade of a threshold that was chosen on one half, as it does on the other half."""
    choice = questions.choice(LEVEL)
    chosen, reported = choice.chosen, choice.reported
    finding = CascadeFinding(
        threshold=None,
        chosen_on=chosen.score.questions,
        score=None,
        gain=None,
        stopped=None,
        calls_saved=None,
        seed=questions.seed,
    )
    if isinf(reported.threshold):
        return finding
    n = reported.score.questions
    return finding.model_copy(
        update={
            "threshold": reported.threshold,
            "score": measured(reported.score.mean, n),
            "gain": measured(reported.gain.mean, n),
            "stopped": measured(wilson(reported.stopped, n), n),
            "calls_saved": 1 - reported.calls / float(questions.calls.mean()),
        }
    )


def cascade_checks(panel: Panel, questions: Divided | None, snippets: Snippets) -> Iterator[Check]:
    """Yield whether the cascade is as good as the whole pipeline, if a threshold was found."""
    if questions is None:
        return
    chosen = questions.choice(LEVEL).reported
    if isinf(chosen.threshold) or not chosen.stopped:
        return

    def measure(level: float) -> Figure:
        return questions.choice(level).reported.gain.mean

    yield Check(
        "cascade",
        panel.name,
        (f"{chosen.threshold:.4g}",),
        chosen.score.questions,
        measure,
        threshold=-MARGIN,
        matters=MARGIN,
        price=_price(panel, chosen.stopped, chosen.calls),
        toml=partial(snippets.cascade, panel, chosen.threshold),
    )


def _price(panel: Panel, stopped: float, calls: float) -> PriceEffect:
    """Return the price of a cascade: where it stops, only the first step is paid."""
    whole, first = whole_price(panel), panel.usd_of_first_step
    before = whole.usd_per_1000_before
    after = None if before is None or first is None else stopped * 1000 * first + (1 - stopped) * before
    return whole.model_copy(update={"calls_after": calls, "usd_per_1000_after": after})
