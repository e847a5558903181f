"""Simulated evaluations whose true gain is known, through the real scoring and analysis.

The members of tests/support/simulated_members.py answer in prose, the scoring reads their answers, and the analysis
returns gains with intervals, as for a real evaluation. Only runs and HTTP are left out. `benchmarks/evaluation.py`
prints how often the intervals contain the true gain, and how often the gate passes without one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import anyio

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from moa_mcp.batch.items import Item  # noqa: E402  the folder above is not on the path before
from moa_mcp.evaluation.analysis import analysed  # noqa: E402
from moa_mcp.evaluation.question import EvalQuestion  # noqa: E402
from moa_mcp.evaluation.result import AskedQuestion, Contestant, EvalSettings, Evaluation, Outcome  # noqa: E402
from moa_mcp.evaluation.scoring.numbers import ByNumber  # noqa: E402
from tests.support.known_questions import KnownQuestion, sums  # noqa: E402
from tests.support.simulated_members import NORMAL, Member, World  # noqa: E402

MEMBER = Member("able", competence=0.7, shared=0.3, own=0.25, picks=0.8, sentences=0)
SAMPLES = 6
PIPELINE, BASELINE = "self_moa", "one:able"
_GRID = [NORMAL.inv_cdf((index + 0.5) / 20_000) for index in range(20_000)]


@dataclass(frozen=True, slots=True)
class Design:
    """What is evaluated, again and again with other questions."""

    name: str
    questions: int
    clusters: int = 0
    """0 for independent questions."""
    gains: bool = True
    """Whether the pipeline merges its samples; otherwise it returns another sample of the baseline's model."""

    @property
    def true_gain(self) -> float:
        """The difference of the expected scores over all questions of the kind."""
        return merged_truth(MEMBER, SAMPLES) - MEMBER.competence if self.gains else 0.0


class Found(NamedTuple):
    """What an evaluation found."""

    gain: float
    low: float
    high: float
    passed: bool
    """The gate of a gain of at least 0 points."""


def merged_truth(member: Member, samples: int) -> float:
    """Return how often a member is right that merges so many of its own samples, over all questions.

    Samples of a question are independent given its latent variables, whose normal distribution is summed over.
    """
    common = member.shared + member.own
    cut, noise = NORMAL.inv_cdf(member.competence), math.sqrt(1 - common)
    right = [NORMAL.cdf((cut - math.sqrt(common) * latent) / noise) for latent in _GRID]
    return fmean(each**samples + (1 - each**samples - (1 - each) ** samples) * member.picks for each in right)


def evaluated(design: Design, seed: int) -> Found:
    """Simulate an evaluation and return what it found."""
    evaluation = anyio.run(simulated, design, seed)
    (comparison,) = evaluation.comparisons
    assert comparison.interval is not None
    assert comparison.gain is not None
    return Found(comparison.gain, *comparison.interval, evaluation.gate_passed is True)


async def simulated(design: Design, seed: int) -> Evaluation:
    """Return an evaluation of answers of simulated members, analysed."""
    known = sums(design.questions, clusters=design.clusters)
    world = World((MEMBER,), known, seed)
    outcomes = [each for question in known for each in await _outcomes(world, question, gains=design.gains)]
    return analysed(
        Evaluation(
            digest=f"{design.name} {seed}",
            created_at="2026-01-01T00:00:00+00:00",
            source=design.name,
            versions={},
            settings=EvalSettings(scoring="number", seed=seed, fail_under=0.0, simulated=True),
            questions=tuple(
                AskedQuestion(id=each.id, line=0, question=each.text, answer=each.right, cluster=each.cluster)
                for each in known
            ),
            contestants=(
                Contestant(name=PIPELINE, kind="pipeline", models=(MEMBER.name,)),
                Contestant(name=BASELINE, kind="model", models=(MEMBER.name,), baseline=True, derived_from=PIPELINE),
            ),
            outcomes=tuple(outcomes),
        )
    )


async def _outcomes(world: World, question: KnownQuestion, *, gains: bool) -> Iterable[Outcome]:
    """Return the outcomes of the pipeline and of the baseline, which has the mean score of its samples."""
    values = [world.value(MEMBER, question, str(number)) for number in range(SAMPLES)]
    samples = [world.answer(MEMBER, question, value, str(number)) for number, value in enumerate(values)]
    last = world.merged(MEMBER, question, values, "merged") if gains else world.value(MEMBER, question, "another")
    answer = world.answer(MEMBER, question, last, "merged")
    of_baseline = fmean([await _score(question, sample) for sample in samples])
    return (
        Outcome(question=question.id, contestant=PIPELINE, status="complete", score=await _score(question, answer)),
        Outcome(question=question.id, contestant=BASELINE, status="complete", score=of_baseline),
    )


_scores: dict[tuple[str, str], float] = {}
"""Of answers to questions, since members without words of their own repeat themselves."""


async def _score(question: KnownQuestion, answer: str) -> float:
    if (question.text, answer) not in _scores:
        asked = EvalQuestion(question.id, Item(1, question.text), question.right)
        value = (await ByNumber()(asked, answer)).value
        assert value is not None
        _scores[question.text, answer] = value
    return _scores[question.text, answer]


class Coverage(NamedTuple):
    """How often intervals contained the truth, and the gate passed."""

    evaluations: int
    covered: float
    passed: float
    mean_gain: float


def coverage(design: Design, evaluations: int, seed: int = 0) -> Coverage:
    """Simulate this number of evaluations."""
    found = [evaluated(design, seed + number) for number in range(evaluations)]
    truth = design.true_gain
    return Coverage(
        evaluations,
        fmean(each.low <= truth <= each.high for each in found),
        fmean(each.passed for each in found),
        fmean(each.gain for each in found),
    )
