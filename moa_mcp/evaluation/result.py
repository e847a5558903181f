"""The result of an evaluation: values that ``--json`` writes, and that reports and the advice read.

Money is in US dollars, time in seconds, scores and shares are from 0 to 1; gains are differences of scores, from -1
to 1. What is unknown is None, never 0.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from moa_mcp.values import Status

FORMAT = 1
"""The version of this format. A reader refuses a later one."""

ContestantKind: TypeAlias = Literal["pipeline", "model", "majority", "best_of"]
"""`model`: one call. `majority`: the most frequent value of k samples. `best_of`: any of k samples is right, which only
who knows the answers can choose (an upper bound)."""
OutcomeStatus: TypeAlias = Status | Literal["not_started"]
Conclusion: TypeAlias = Literal["better", "worse", "undecided"]


Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
_LARGEST = 10**15
"""Of amounts and lengths: sums of what is larger may be no numbers."""
_ROUNDING = 1e-6
Usd: TypeAlias = Annotated[Decimal, Field(ge=-_LARGEST, le=_LARGEST)]


def _verdict(preferred: float) -> float:
    if preferred not in {0, 0.5, 1}:
        raise ValueError("expected 0, 0.5 or 1")
    return preferred


def _moment(text: str) -> str:
    datetime.fromisoformat(text).timestamp()  # readers sort by it
    return text


class EvalValue(BaseModel):
    """A frozen value that refuses unknown fields, and numbers that JSON can't have."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


class Contestant(EvalValue):
    """Who answers the questions."""

    name: str
    """Unique: the name of a pipeline; ``one:MODEL`` for one call; ``majority:PIPELINE:K``, ``best_of:PIPELINE:K``."""
    kind: ContestantKind
    models: tuple[str, ...]
    """The models that answered, as their routes name them."""
    baseline: bool = False
    """Whether the others are compared with it."""
    derived_from: str | None = None
    """The pipeline whose samples it consists of, so that it cost nothing more; None if it had runs of its own."""
    samples: tuple[int, ...] = ()
    """The numbers of these samples."""
    digest: str = ""
    """Of what determines its answers: steps, models, settings."""


class AskedQuestion(EvalValue):
    """A question, as the evaluation asked it."""

    id: str
    line: int
    """In its file, from 1; 0 if it is not from a file."""
    question: str
    answer: str | None = None
    choices: tuple[str, ...] = ()
    cluster: str | None = None


class MemberSample(EvalValue):
    """One answer of the first step of a pipeline, asked with the bare question: what one call of its model gives."""

    number: int = 0
    """Of its call in the first step, from 1; 0 if it is not known."""
    model: str
    """The alias of the agent."""
    text: str
    extracted: str | None = None
    score: Share | None = None
    """None if it was not scored."""
    cost_usd: Usd | None = None
    """Its share of what its call and the equal ones cost, which may share requests; None if that is unknown."""


class Outcome(EvalValue):
    """What a contestant answered to a question, and how it scored."""

    question: str
    """Its ID."""
    contestant: str
    """Its name."""
    status: OutcomeStatus
    run_id: str | None = None
    """None for a contestant that is derived from the samples of others, or if no run began."""
    answer: str | None = None
    score: Share | None = None
    """None if there is no answer, or if it could not be scored. A mean of several samples may lie between 0 and 1."""
    extracted: str | None = None
    why: str = ""
    """Why it was scored so, in words."""
    problem: str = ""
    """Why there is no answer or no score; empty if there is one."""
    cost_usd: Usd | None = None
    """The known cost of its calls. That of one call from samples has the whole prompt, even if samples shared it."""
    unknown_costs: Annotated[int, Field(ge=0)] = 0
    """The number of calls whose cost is unknown."""
    calls: Annotated[float, Field(ge=0, le=_LARGEST)] = 0
    seconds: float | None = None
    samples: tuple[MemberSample, ...] = ()
    """Of a pipeline. A contestant that is derived from it consists of some of them: `Contestant.samples`."""
    agreement: Share | None = None
    """The share of the most frequent value among the samples; None if they have no values."""
    judge_runs: tuple[str, ...] = ()
    """The IDs of the runs that scored it."""
    judge_cost_usd: Usd = Decimal(0)


class Verdict(EvalValue):
    """What a judge said about the answers of a contestant and of the baseline to a question, in one order."""

    question: str
    contestant: str
    against: str
    first: Literal["contestant", "against"]
    """Whose answer the judge saw first."""
    preferred: Annotated[float, AfterValidator(_verdict)] | None
    """1: the contestant's answer; 0: the other one; 0.5: a tie; None: the verdict could not be read, or `problem`."""
    longer_by: Annotated[int, Field(ge=-_LARGEST, le=_LARGEST)]
    """Characters by which the contestant's answer is longer; negative if it is shorter."""
    why: str = ""
    """What the judge said; parts of it are of models."""
    problem: str = ""
    """Why the judge did not reply: its run failed or could not start. Empty if it replied."""
    run_id: str | None = None
    """None if both answers are the same, so that no judge was asked; or if no run began."""


class ContestantStanding(EvalValue):
    """A row of the table: what a contestant scored and cost."""

    contestant: str
    n: int
    """The questions with a score."""
    score: float | None
    interval: Interval | None
    calls: float
    """Per question."""
    usd_per_1000: float | None
    """Of the calls whose price is known; None if none is."""
    seconds: float | None
    """The median per question."""
    degraded: int
    failed: int
    """Questions whose run ended without an answer."""
    unscored: int
    """Questions with an answer that could not be scored."""
    unknown_costs: int
    """Calls whose cost is unknown."""
    on_frontier: bool = False
    """Whether no contestant scores at least as much for less. Only those whose costs are all known are compared, and
    `best_of` is none of them, since it can't be run without the answers."""
    not_started: int = 0
    """Questions that were not asked, or whose run has not ended."""


class Comparison(EvalValue):
    """A contestant against a baseline, on the questions that both have a score for."""

    contestant: str
    against: str
    n: int
    clusters: int | None
    """None if the questions have none."""
    gain: float | None
    interval: Interval | None
    """Simultaneous over all comparisons of the evaluation."""
    won: int
    lost: int
    tied: int
    p: float | None
    p_adjusted: float | None
    """By Holm, over all comparisons of the evaluation."""
    conclusion: Conclusion
    """`better` only if the interval lies above zero and the adjusted p value is at most 0.05, also where each failure
    counts as wrong."""
    detectable: float | None
    """The gain that would have been found with a probability of 80 %."""
    usd_per_point: float | None = None
    """The additional cost of 1000 questions for each point (0.01) of gain, negative if it costs less; None unless it is
    better, or if a cost is unknown."""
    needed: int | None = None
    """The number of questions that would find a gain of `sought` with a probability of 80 %."""

    @property
    def has_parts(self) -> bool:
        """Whether a question may be won by a part of a score, such as against the mean of several samples."""
        return self.gain is not None and abs(self.won - self.lost - self.gain * self.n) > _ROUNDING

    @property
    def sought(self) -> float | None:
        """Half of `detectable`, in whole points and at least one."""
        return None if self.detectable is None else max(1, ceil(self.detectable * 100) // 2) / 100


class Duel(EvalValue):
    """What a judge prefers, over all questions: a contestant against a baseline."""

    contestant: str
    against: str
    n: int
    """The pairs with a readable verdict in both orders."""
    unreadable: int
    ties: int
    """Pairs whose verdicts, over both orders, prefer neither."""
    win_rate: float | None
    interval: Interval | None
    """Simultaneous over all duels of the evaluation, as that of the length-controlled rate."""
    length_controlled: float | None
    """The win rate if both answers had the same length; None if it can't be computed."""
    length_interval: Interval | None
    position_bias: float | None
    """How much more often than half the first place won, from -0.5 to 0.5."""
    position_interval: Interval | None
    consistency: float | None
    """The share of pairs with the same verdict in both orders."""
    consistency_interval: Interval | None
    notes: tuple[str, ...] = ()


class EvalSettings(EvalValue):
    """What determines an evaluation besides its questions and contestants."""

    scoring: str
    """How answers were scored, in words that the command line takes."""
    judge: str | None = None
    judge_models: tuple[str, ...] = ()
    rubric: str | None = None
    sample: int | None = None
    seed: int = 0
    budget_usd: Decimal | None = None
    fail_under: float | None = None
    """The gain in points (hundredths) that the lower bounds of all comparisons must reach."""
    simulated: bool = False


class Evaluation(EvalValue):
    """The whole result."""

    format: int = FORMAT
    digest: str
    """Of the questions, the contestants and the scoring: another digest is another evaluation."""
    created_at: Annotated[str, AfterValidator(_moment)]
    """ISO 8601, UTC."""
    source: str
    """The name of the file or task with the questions."""
    versions: dict[str, str]
    """Of moa-mcp, Python and the libraries of the statistics."""
    settings: EvalSettings
    questions: tuple[AskedQuestion, ...]
    contestants: tuple[Contestant, ...]
    outcomes: tuple[Outcome, ...]
    verdicts: tuple[Verdict, ...] = ()
    standings: tuple[ContestantStanding, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    duels: tuple[Duel, ...] = ()
    cost_usd: Decimal = Decimal(0)
    """The known cost of all runs, those of judges among them."""
    unknown_costs: int = 0
    complete: bool = True
    """Whether every contestant has an answer and a score for every question."""
    gate_passed: bool | None = None
    """None without a gate, or if the evaluation is not complete."""
    notes: tuple[str, ...] = ()
    """What a reader must know: warnings about judges, dropped samples, assumptions."""
