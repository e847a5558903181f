"""The level of agreement at which a cascade stops, chosen on one half of the questions and reported on the other."""

from __future__ import annotations

from math import inf

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from moa_mcp.evaluation.statistics.arrays import Clusters, Floats, checked_scores, cluster_codes, same_length
from moa_mcp.evaluation.statistics.intervals import MeanScore, mean_score
from moa_mcp.evaluation.statistics.paired import PairedGain, paired_gain


class CascadeReport(Struct, frozen=True):
    """A cascade with one threshold, on some questions."""

    threshold: float
    """It stops where agreement is at least this. Infinity: it never stops."""
    score: MeanScore
    gain: PairedGain
    """Over the full pipeline on each question; at most 0 where stopping costs accuracy."""
    calls: float
    """Mean calls for each question."""
    stopped: float
    """Share of the questions on which it stopped."""


class ThresholdChoice(Struct, frozen=True):
    """A threshold that was chosen on one half of the questions."""

    chosen: CascadeReport
    """On the questions that it was chosen on: too good to be true."""
    reported: CascadeReport
    """On the other questions: what to expect."""
    candidates: tuple[CascadeReport, ...]
    """All thresholds on the half that it was chosen on, from the cheapest to the full pipeline."""
    within_margin: bool
    """Whether the interval of the reported gain is above minus the margin."""


def choose_threshold(
    agreement: ArrayLike,
    stopped_scores: ArrayLike,
    full_scores: ArrayLike,
    stopped_calls: ArrayLike,
    full_calls: ArrayLike,
    clusters: Clusters = None,
    *,
    margin: float = 0.01,
    level: float = 0.95,
    seed: int = 0,
) -> ThresholdChoice:
    """Choose the cheapest threshold whose score is not more than `margin` below that of the full pipeline.

    All arrays have one value for each question: agreement from 0 to 1, the scores of the cascade where it stops and
    where it runs in full, and the calls that each of the two takes in total. `margin` is a difference of mean scores.
    Clusters are not divided between the halves.

    Raises:
        ValueError: a value or the number of values is wrong, or there are fewer than four questions or two clusters.

    """
    agreed, stopped, full = checked_scores(agreement), checked_scores(stopped_scores), checked_scores(full_scores)
    calls = np.asarray(stopped_calls, dtype=np.float64), np.asarray(full_calls, dtype=np.float64)
    codes = cluster_codes(clusters, same_length(agreed, stopped, full, *calls))
    table = Cascade(agreed, stopped, full, *calls, codes, clustered=clusters is not None)
    choosing, reporting = (table.only(half) for half in _halves(codes, seed))
    thresholds = [*np.unique(choosing.agreement[~np.isnan(choosing.agreement)]).tolist(), inf]
    reports = [choosing.report(each, level=level, seed=seed) for each in thresholds]
    candidates = tuple(sorted(reports, key=lambda each: (each.calls, each.threshold)))
    chosen = next(each for each in candidates if each.threshold == inf or each.gain.mean.value >= -margin)
    reported = reporting.report(chosen.threshold, level=level, seed=seed)
    return ThresholdChoice(chosen, reported, candidates, reported.gain.mean.low > -margin)


class Cascade(Struct, frozen=True):
    """What a cascade gives with and without stopping, by question."""

    agreement: Floats
    stopped_scores: Floats
    full_scores: Floats
    stopped_calls: Floats
    full_calls: Floats
    codes: NDArray[np.intp]
    clustered: bool

    def only(self, chosen: NDArray[np.bool_]) -> Cascade:
        """Return some of its questions."""
        return Cascade(
            self.agreement[chosen],
            self.stopped_scores[chosen],
            self.full_scores[chosen],
            self.stopped_calls[chosen],
            self.full_calls[chosen],
            self.codes[chosen],
            self.clustered,
        )

    def report(self, threshold: float, *, level: float, seed: int) -> CascadeReport:
        """Report the cascade that stops at this agreement."""
        stops = self.agreement >= threshold
        scores = np.where(stops, self.stopped_scores, self.full_scores)
        clusters = self.codes.tolist() if self.clustered else None
        return CascadeReport(
            threshold,
            mean_score(scores, clusters, level=level),
            paired_gain(scores, self.full_scores, clusters, level=level, seed=seed),
            float(np.where(stops, self.stopped_calls, self.full_calls).mean()),
            float(stops.mean()),
        )


def _halves(codes: NDArray[np.intp], seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    clusters = np.unique(codes)
    if len(clusters) < 2 or len(codes) < 4:  # noqa: PLR2004
        raise ValueError(
            f"{len(codes)} questions in {len(clusters)} clusters can't be divided; expected at least 4 in 2"
        )
    drawn = np.random.default_rng(seed).permutation(clusters)[: len(clusters) // 2]
    half = np.isin(codes, drawn)
    return half, ~half
