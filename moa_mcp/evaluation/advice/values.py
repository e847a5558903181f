"""What the advice consists of: findings as numbers with intervals, what follows from them, and what they can't tell.

Shares and scores are from 0 to 1, gains from -1 to 1, money is in US dollars, time in seconds. An interval of a finding
is one of 95 % on its own; that of a recommendation is wide enough for all checks of the advice together.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from moa_mcp.evaluation.result import EvalValue, Interval

FORMAT = 1
"""The version of the JSON form."""

Kind: TypeAlias = Literal[
    "weak_member",
    "same_voice",
    "other_aggregator",
    "vote",
    "single",
    "self",
    "cascade",
    "other_judge",
    "more_passes",
    "failing_member",
    "idle_member",
]
"""What is recommended. `weak_member`: replace a member that another one beats at no higher price. `same_voice`: replace
one of two members whose errors are the same. `other_aggregator`: it is worse than a random one of its answers. `vote`:
a majority instead of the steps after the first. `single`: one call of a model. `self`: several samples of one model.
`cascade`: stop where the answers agree. `other_judge`: it prefers a place. `more_passes`: the judge of a step prefers a
place. `failing_member`: its calls fail. `idle_member`: it never changes the result of a vote."""

Missing: TypeAlias = Literal["samples", "scores", "values", "self"]
"""What an evaluation lacks for a part of the advice. `self`: several samples of one model beside a mix."""
Aim: TypeAlias = Literal["better", "cheaper", "sounder"]
"""Whether it makes answers right more often, saves money, or makes results more reliable."""

AIMS: dict[Kind, Aim] = {
    "weak_member": "better",
    "same_voice": "sounder",
    "other_aggregator": "better",
    "vote": "better",
    "single": "better",
    "self": "better",
    "cascade": "cheaper",
    "other_judge": "sounder",
    "more_passes": "sounder",
    "failing_member": "sounder",
    "idle_member": "cheaper",
}


class Measured(EvalValue):
    """A number with its interval."""

    value: float
    interval: Interval
    n: int
    """The questions, pairs, calls or runs that it is computed from."""


class PriceEffect(EvalValue):
    """What a recommendation does to the price. What is unknown is None."""

    calls_before: float | None = None
    """Calls per question."""
    calls_after: float | None = None
    usd_per_1000_before: float | None = None
    """Of 1000 questions."""
    usd_per_1000_after: float | None = None


class Recommendation(EvalValue):
    """What to change. Its interval excludes `threshold`."""

    kind: Kind
    aim: Aim
    pipeline: str
    """Empty for a judge of evaluations."""
    subjects: tuple[str, ...]
    """The models or contestants that it is about; the first one is what to change."""
    effect: Measured
    """With the simultaneous interval."""
    threshold: float
    """What the interval must exclude: no effect, or the least that matters."""
    certain: float
    """How far the nearer end of the interval is from the threshold."""
    price: PriceEffect
    toml: str | None = None
    """What to write in pipelines.toml; None if nothing can be suggested."""


class Undecided(EvalValue):
    """A change that these data neither recommend nor exclude."""

    kind: Kind
    pipeline: str
    subjects: tuple[str, ...]
    effect: Measured
    """With the simultaneous interval."""
    threshold: float
    sought: float
    """The effect that `needed` questions would find with a probability of 80 %: the measured one, or the least that
    matters if that is larger."""
    needed: int
    """Questions, or calls or runs of the journal, in total."""


class MemberQuality(EvalValue):
    """How right a member of a panel is on its own, from its samples."""

    model: str
    maker: str | None
    """Who trained it; None if that is not known."""
    score: Measured
    unique: Measured | None
    """How often it is right where all others are wrong; None for a panel of one, or scores between 0 and 1."""
    samples: float
    """Per question."""
    usd_per_1000: float | None
    """Of one sample each for 1000 questions; None if a price is unknown."""
    beaten_by: tuple[str, ...] = ()
    """Members that are better, by the simultaneous interval, and not more expensive, as far as prices are known."""


class ErrorPair(EvalValue):
    """How far the errors of two members go together."""

    first: str
    second: str
    both_wrong: Measured
    if_independent: float
    """The same share if their errors were independent."""
    overlap: Measured | None
    """Of the questions on which one of them is wrong: how often both are. None if neither is ever wrong."""
    same_answer: Measured | None
    """Of the questions on which both are wrong: how often with the same value. None without values."""
    association: Measured | None
    """Yule's Q of the errors, from -1 to 1: 0 if they are independent, 1 if one is wrong only where the other is too.
    None if a member is always right or always wrong."""
    maker: str | None
    """The maker of both; None if they differ or are not known."""


class Aggregation(EvalValue):
    """What the steps after the first make of its answers."""

    result: Measured
    """The score of the pipeline."""
    random_answer: Measured
    """The score of a random one of its answers."""
    oracle: Measured
    """How often some answer is right: an upper bound of what choosing among them can reach."""
    lost: Measured
    """How often some answer is right and the result is wrong."""
    rescued: Measured
    """How often the result is right and no answer is."""
    efficiency: Measured | None
    """0 for a random answer, 1 for the oracle; None if the two hardly differ."""
    majority: Measured | None
    """The score of the majority of the same samples, where ties share; None without values."""
    vote_gain: Measured | None
    """Of the majority over the result, paired."""
    overruled: Measured | None
    """Of the questions on which the majority is right: how often the result is wrong."""


class CurvePoint(EvalValue):
    """The majority of some samples of one model."""

    samples: int
    score: Measured


class SelfConsistency(EvalValue):
    """Several samples of one model of a panel."""

    model: str
    curve: tuple[CurvePoint, ...]
    gain: Measured | None
    """Of the majority of all its samples over the pipeline, paired; None if no result has a score."""


class Alternative(EvalValue):
    """Another contestant on the same questions: one call of a model, or a pipeline of one model."""

    contestant: str
    kind: Literal["single", "self"]
    gain: Measured
    """Over the pipeline, paired."""
    calls: float
    usd_per_1000: float | None


class AgreementRow(EvalValue):
    """Questions on which the same share of the samples has the most frequent value."""

    agreement: float
    right: Measured


class CascadeFinding(EvalValue):
    """Stopping after the first step where its answers agree, with a threshold chosen on half of the questions."""

    threshold: float | None
    """The share of the answers; None if no threshold is as good as the whole pipeline on the first half."""
    chosen_on: int
    """Questions of the first half."""
    score: Measured | None
    """On the other half."""
    gain: Measured | None
    """Over the whole pipeline, on the other half; never to be read without its interval."""
    stopped: Measured | None
    """The share of the questions of the other half on which it stops."""
    calls_saved: float | None
    """Share of the calls."""
    seed: int


class PanelFindings(EvalValue):
    """What the evaluations say about a pipeline."""

    pipeline: str
    n: int
    """Questions with scored samples."""
    scoring: str
    members: tuple[MemberQuality, ...]
    pairs: tuple[ErrorPair, ...]
    aggregation: Aggregation | None
    """None if the pipeline has no scores of its own."""
    selves: tuple[SelfConsistency, ...]
    alternatives: tuple[Alternative, ...]
    calibration: tuple[AgreementRow, ...]
    cascade: CascadeFinding | None
    missing: tuple[Missing, ...] = ()
    self_toml: str | None = None
    """A pipeline that would tell whether several samples of the best member beat the mix; None if it is not missing,
    or can't be written."""


class JudgeFindings(EvalValue):
    """What a judge of an evaluation does with the places of answers."""

    judge: str
    contestant: str
    against: str
    position_bias: Measured
    """How much more often than half the first place wins."""
    consistency: Measured
    """How often both orders have the same verdict."""


class RecordedMember(EvalValue):
    """A model in the recorded runs of a pipeline."""

    model: str
    failed: Measured
    """Share of its calls."""
    failures: dict[str, int]
    """By kind."""
    cost_share: Measured | None
    """Of the known cost of all calls; None if no cost is known."""
    usd_per_call: float | None
    seconds_share: Measured | None
    """Of the time of all calls."""
    seconds: float | None
    """Mean of its calls."""
    slowest: Measured | None
    """How often it ends last of a step with several calls."""
    dissents: Measured | None
    """How often it has another value than the majority; None without counts."""
    changes: Measured | None
    """How often the result of a vote would be another one without it; None without counts."""


class RecordedJudge(EvalValue):
    """A model that ranks or chooses answers in the recorded runs of a pipeline."""

    judge: str
    step: str
    """The kind of the step."""
    first_place: Measured
    """How often it puts the answer in first place first."""
    expected: float
    """The same without a preference for a place, if the order is random."""
    random_order: bool
    """Whether the answers have a random order, so that a preference for a place differs from quality."""
    consistency: Measured | None
    """How often the passes of a step name the same answer; None with single passes."""


class Cause(EvalValue):
    """Why results are degraded."""

    text: str
    runs: int
    example: str
    """The ID of a run."""


class RecordedPipeline(EvalValue):
    """What recorded runs say about a pipeline, without labels."""

    pipeline: str
    runs: int
    """Ended runs."""
    failed: Measured
    degraded: Measured
    causes: tuple[Cause, ...]
    members: tuple[RecordedMember, ...]
    judges: tuple[RecordedJudge, ...]
    agreement: dict[str, int]
    """Runs by how their last count or comparison ended, such as `unanimous`."""
    dissent: Measured | None
    """How often answers differ; None without counts."""


class UsedEvaluation(EvalValue):
    """An evaluation that the advice rests on."""

    source: str
    digest: str
    created_at: str
    questions: int
    file: str


class Advice(EvalValue):
    """The whole advice."""

    format: int = FORMAT
    simulated: bool
    """Whether the models were simulated, so that it means nothing for real ones."""
    level: float
    """Of all intervals of recommendations together."""
    checks: int
    """How many checks share that level."""
    evaluations: tuple[UsedEvaluation, ...]
    runs: int
    """Recorded runs that were read."""
    recommendations: tuple[Recommendation, ...]
    undecided: tuple[Undecided, ...]
    panels: tuple[PanelFindings, ...]
    judges: tuple[JudgeFindings, ...]
    recorded: tuple[RecordedPipeline, ...]
    notes: tuple[str, ...] = ()
