"""Whether the intervals and conclusions of evaluations hold, on simulated evaluations whose truth is known.

Run it as `python benchmarks/interval_coverage.py [--simulations 2000]`. It takes ten minutes on two cores. A contestant
has a stated competence; questions have a difficulty that all share, so errors correlate, and clusters have a difficulty
and tastes too. Scores are 0/1, or the means of 4 samples of each question. Clusters have 3 questions of 30, 5 of more.
Judges like longer answers and the first place.

An interval of 95 % must have the truth in 93 to 97 % of the evaluations; in up to 99 % for at most 30 questions or
clusters, where it may be wider than it must be. Where no pipeline is better than the baseline, "better" may be
concluded of any in 5 %, and a gate "no gain below 0" passed by any in 5 %. 1 is the exit code if a limit is exceeded.

The paired percentile and BCa bootstrap of SciPy are measured as well, without a limit: `--only bootstraps` has
them alone. So is how often "better" is concluded by who looks ten times: `--only looks`.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from moa_mcp.evaluation.statistics import (  # noqa: E402  the folder above is not on the path before
    Figure,
    LengthControl,
    aggregator_efficiency,
    compared,
    joint_errors,
    mean_score,
    oracle_rate,
    preference,
)
from moa_mcp.evaluation.statistics.families import simultaneous_level  # noqa: E402
from moa_mcp.evaluation.statistics.paired import Differences  # noqa: E402
from tests.support.simulated_scores import Floats, Tastes, answers, clusters_of, judged, scores  # noqa: E402

BASELINE = 0.7
HIGH, HIGH_GAIN = 0.9, 0.05
"""A baseline that is mostly right, and the gain over it."""
GAINS = (0.1, 0.0, 0.05, 0.1, 0.15)
MEMBERS, AGGREGATE = (0.6, 0.7, 0.8), 0.75
TASTES = Tastes(quality=0.4, length=0.8, place=0.5)
BOOTSTRAPS = {"percentile bootstrap": "percentile", "BCa bootstrap": "BCa"}
PEER_SETTINGS = (
    (30, False, "0/1"),
    (30, False, "fractional"),
    (30, True, "0/1"),
    (100, False, "0/1"),
    (100, True, "0/1"),
)
RESAMPLES = 2000
FREE, LOOKS = 6, 10
WITHOUT_LIMIT = ("bootstrap,", "looks")
"""Words of the columns that are measured to be compared with others."""
SAMPLES = {"0/1": 1, "fractional": 4}
LEAST, MOST, MOST_OF_FEW = 0.93, 0.97, 0.99
MOST_FALSE = 0.05
LEVEL = 0.95
CHUNK, LARGE = 100, 500_000


class Setting(NamedTuple):
    """How large an evaluation is."""

    questions: int
    clustered: bool
    kind: str = "0/1"

    @property
    def cluster_size(self) -> int:
        return (3 if self.questions == 30 else 5) if self.clustered else 1

    @property
    def clusters(self) -> list[int] | None:
        return clusters_of(self.questions, self.cluster_size)

    @property
    def most(self) -> float:
        """The limit of a coverage."""
        return MOST_OF_FEW if self.questions // self.cluster_size <= 30 else MOST

    def scores(self, rng: np.random.Generator, competences: Iterable[float], questions: int = 0) -> Floats:
        return scores(
            rng,
            [*competences],
            questions or self.questions,
            samples=SAMPLES[self.kind],
            cluster_size=self.cluster_size,
        )


Found = Iterator[tuple[str, bool]]
"""Of one evaluation: a column of a table, and whether it happened."""


def contestants(setting: Setting, rng: np.random.Generator) -> Found:
    """Yield which intervals have the truth. The p values of `compared` are left out, since they take long."""
    base, *others = setting.scores(rng, [BASELINE, *(BASELINE + gain for gain in GAINS)])
    yield "score", not mean_score(others[0], setting.clusters).mean.excludes(BASELINE + GAINS[0])
    differences = [Differences.between(each, base, setting.clusters) for each in others]
    yield "gain", not differences[0].figure(LEVEL).excludes(GAINS[0])
    together = simultaneous_level(differences, LEVEL)
    found = zip(differences, GAINS, strict=True)
    yield "5 gains", not any(each.figure(together).excludes(gain) for each, gain in found)


def bootstraps(setting: Setting, rng: np.random.Generator) -> Found:
    """Yield which intervals of a gain have the truth: ours, and paired bootstraps of questions or of clusters."""
    for name, base_competence, gain in (("70 %", BASELINE, GAINS[0]), ("90 %", HIGH, HIGH_GAIN)):
        base, better = setting.scores(rng, [base_competence, base_competence + gain])
        ours = Differences.between(better, base, setting.clusters).figure(LEVEL)
        yield f"gain, {name}", not ours.excludes(gain)
        means = (better - base).reshape(-1, setting.cluster_size).mean(axis=1)
        for peer, method in BOOTSTRAPS.items():
            yield f"{peer}, {name}", _bootstrap_has(gain, means, method, rng)


def _bootstrap_has(gain: float, means: Floats, method: str, rng: np.random.Generator) -> bool:
    """Whether a bootstrap interval has the truth; without any difference, it has the single value 0."""
    if not means.any():
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = bootstrap(
            (means,), np.mean, n_resamples=RESAMPLES, method=method, confidence_level=LEVEL, rng=rng
        ).confidence_interval
    return bool(low <= gain <= high)


def equals(setting: Setting, rng: np.random.Generator) -> Found:
    """Yield what is concluded wrongly of pipelines that are as good as the baseline."""
    base, *others = setting.scores(rng, [BASELINE] * 6)
    for number in (1, 5):
        named = {"base": base, **{str(each): others[each] for each in range(number)}}
        gains = compared(named, [(name, "base") for name in named if name != "base"], setting.clusters)
        yield f"better, {number}", any(each.conclusion == "better" for each in gains)
        yield f"gate, {number}", any(each.at_least(0.0) for each in gains)


def free(setting: Setting, rng: np.random.Generator) -> Found:
    """Yield what is concluded wrongly of a single answer, against the mean of other samples of the same model."""
    for name, competence in (("70 %", BASELINE), ("90 %", HIGH)):
        own, *others = answers(rng, competence, 1 + FREE, setting.questions)
        (found,) = compared({"own": own, "mean": np.mean(others, axis=0)}, [("own", "mean")])
        yield f"better, {name}", found.conclusion == "better"
        yield f"gate, {name}", found.at_least(0.0)


def looks(setting: Setting, rng: np.random.Generator) -> Found:
    """Yield whether a pipeline as good as the baseline is called better: at any of ten looks, and at the end."""
    base, other = setting.scores(rng, [BASELINE] * 2)
    stops = [setting.questions * look // LOOKS for look in range(1, LOOKS + 1)]
    found = [compared({"base": base[:n], "other": other[:n]}, [("other", "base")])[0].conclusion for n in stops]
    yield f"better, {LOOKS} looks", "better" in found
    yield "better, at the end", found[-1] == "better"


def members(setting: Setting, rng: np.random.Generator) -> Found:
    """Yield which intervals about members have the truth. Those that can't be given count as having it."""
    truth = _of_members(setting.cluster_size)
    *each, aggregate = setting.scores(rng, [*MEMBERS, AGGREGATE])
    joint = joint_errors({"one": each[0], "two": each[1]}, setting.clusters)[0]
    efficiency = aggregator_efficiency(aggregate, each, setting.clusters)
    found = (joint.both_wrong, joint.association, oracle_rate(each, setting.clusters), efficiency)
    yield from _covered(("both wrong", "association", "oracle", "efficiency"), found, truth)


def judges(setting: Setting, rng: np.random.Generator) -> Found:
    """Yield which intervals about a judge have the truth. Those that can't be given count as having it."""
    verdicts = judged(rng, TASTES, setting.questions, cluster_size=setting.cluster_size)
    found = preference(*(each.tolist() for each in verdicts[:2]), verdicts.length_differences, setting.clusters)
    controlled = found.length_controlled
    lengths = controlled.win_rate if isinstance(controlled, LengthControl) else None
    figures = (found.win_rate, found.position_bias, found.consistency, lengths)
    truth = _of_judges(setting.cluster_size)
    yield from _covered(("win rate", "position bias", "consistency", "length-controlled"), figures, truth)


def _covered(names: Iterable[str], found: Iterable[Figure | None], truth: Iterable[float]) -> Found:
    for name, figure, true in zip(names, found, truth, strict=True):
        yield name, figure is None or not figure.excludes(true)


@cache
def _of_members(cluster_size: int) -> tuple[float, ...]:
    """Return the true figures of `members`, from one large evaluation."""
    *each, aggregate = scores(np.random.default_rng(1), [*MEMBERS, AGGREGATE], LARGE, cluster_size=cluster_size)
    right, best = np.stack(each), np.max(each, axis=0).mean()
    neither, one, two, both = (
        float((right[:2] == np.array([[a], [b]])).all(axis=0).mean()) for a, b in itertools.product((0, 1), (0, 1))
    )
    association = (neither * both - one * two) / (neither * both + one * two)
    return neither, association, float(best), float((aggregate.mean() - right.mean()) / (best - right.mean()))


@cache
def _of_judges(cluster_size: int) -> tuple[float, ...]:
    """Return the true figures of `judges`; the last is the win rate of a judge without a taste for length."""
    ab, ba, _ = judged(np.random.default_rng(1), TASTES, LARGE, cluster_size=cluster_size)
    fair = judged(np.random.default_rng(1), TASTES._replace(length=0), LARGE, cluster_size=cluster_size)
    rates = (ab.mean() + ba.mean()) / 2, (ab.mean() - ba.mean()) / 2, (ab == ba).mean()
    return (*map(float, rates), float(fair.a_first.mean() + fair.b_first.mean()) / 2)


Simulation = Callable[[Setting, np.random.Generator], Found]


def chunk(simulation: Simulation, setting: Setting, seed: int) -> dict[str, int]:
    """Return how often each thing happened in some evaluations."""
    counts: defaultdict[str, int] = defaultdict(int)
    for number in range(CHUNK):
        for name, happened in simulation(setting, np.random.default_rng([seed, number])):
            counts[name] += happened
    return dict(counts)


def shares(pool: ProcessPoolExecutor, simulation: Simulation, setting: Setting, simulations: int) -> dict[str, float]:
    """Return the shares of evaluations in which each thing happened."""
    chunks = max(1, simulations // CHUNK)
    done = [*pool.map(chunk, *zip(*[(simulation, setting, seed) for seed in range(chunks)], strict=True))]
    return {name: sum(each[name] for each in done) / (chunks * CHUNK) for name in done[0]}


def row(setting: Setting, found: Mapping[str, float], least: float, most: float) -> bool:
    """Print a row, and return whether it keeps its limit."""
    clusters = f"of {setting.cluster_size}" if setting.clustered else "no"
    kept = all(least <= each <= most for name, each in found.items() if not set(WITHOUT_LIMIT) & {*name.split()})
    limit = f"{least:.0%} to {most:.0%}" if least else f"{most:.0%}"
    cells = " | ".join(f"{each:.1%}" for each in found.values())
    mark = "" if kept else " EXCEEDED"
    print(f"| {setting.questions} | {clusters} | {setting.kind} | {cells} | {limit}{mark} |", flush=True)
    return kept


def header(title: str, columns: Iterable[str]) -> None:
    """Print the head of a table."""
    names = ["questions", "clusters", "scores", *columns, "limit"]
    print(f"\n{title}\n\n| {' | '.join(names)} |\n|{'---|' * len(names)}")


class Table(NamedTuple):
    """What is simulated, with a row for each setting."""

    title: str
    simulation: Simulation
    settings: tuple[Setting, ...]


def _settings(*kinds: str) -> tuple[Setting, ...]:
    return tuple(itertools.starmap(Setting, itertools.product((30, 100, 300), (False, True), kinds)))


TABLES = (
    Table("Intervals that have the truth:", contestants, _settings("0/1", "fractional")),
    Table(
        "Wrong conclusions about pipelines that are as good as the baseline:", equals, _settings("0/1", "fractional")
    ),
    Table(
        "Wrong conclusions about another sample of the model whose mean of 6 samples is the baseline:",
        free,
        tuple(Setting(questions, clustered=False) for questions in (20, 30, 100, 300)),
    ),
    Table(
        "Wrong conclusions of who looks ten times and stops when it is better, without a limit; and at the end:",
        looks,
        (Setting(200, clustered=False), Setting(200, clustered=False, kind="fractional")),
    ),
    Table("Intervals about members that have the truth:", members, _settings("0/1")),
    Table("Intervals about a judge that have the truth:", judges, _settings("0/1")),
    Table(
        "Intervals of a gain that have the truth, with baselines of 70 and 90 %; bootstraps have no limit:",
        bootstraps,
        tuple(itertools.starmap(Setting, PEER_SETTINGS)),
    ),
)


def main() -> int:
    """Simulate and print; 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--only", choices=[each.simulation.__name__ for each in TABLES])
    options = parser.parse_args()
    print(f"{options.simulations} simulated evaluations for each row.")
    kept = True
    with ProcessPoolExecutor() as pool:
        for table in TABLES:
            if options.only in {None, table.simulation.__name__}:
                kept &= printed(pool, table, options.simulations)
    return int(not kept)


def printed(pool: ProcessPoolExecutor, table: Table, simulations: int) -> bool:
    """Simulate and print a table, and return whether it keeps its limits."""
    kept = True
    for number, setting in enumerate(table.settings):
        found = shares(pool, table.simulation, setting, simulations)
        if number == 0:
            header(table.title, found)
        least, most = (0.0, MOST_FALSE) if table.simulation in {equals, free, looks} else (LEAST, setting.most)
        kept &= row(setting, found, least, most)
    return kept


if __name__ == "__main__":
    sys.exit(main())
