"""What became of the samples of a task, as outcomes. Several epochs of a sample are one outcome: their means."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from statistics import fmean

from inspect_ai.event import ModelEvent, SpanBeginEvent
from inspect_ai.log import EvalSample, resolve_sample_attachments
from msgspec import Struct, field

from moa_mcp.evaluation.execution.asker import Replied
from moa_mcp.evaluation.inspecting.scores import score_of
from moa_mcp.evaluation.result import Outcome, OutcomeStatus
from moa_mcp.evaluation.samples import SampleCall, agreement
from moa_mcp.evaluation.single_costs import mean_usd
from moa_mcp.text.redact import redact
from moa_mcp.text.surrogates import mended
from moa_mcp.trace.costs import KnownCost, calls_of, known_cost

_SCORING = "scorers"
"""The span of a sample in which it is scored."""
_SEVERITY: tuple[OutcomeStatus, ...] = ("complete", "degraded", "failed", "not_started")


class AskedEpoch(Struct):
    """One epoch of a sample, as a contestant answered it."""

    sample: EvalSample
    answers: list[Replied]
    """The runs of its solver."""
    judgements: list[Replied]
    """The runs of its scorers."""
    was_scored: bool
    """Whether its scorers were called, so that it has an answer even if they failed."""
    calls: list[SampleCall] = field(default_factory=list[SampleCall])
    """The samples of the first step of its run, if they are single calls."""

    @property
    def is_single(self) -> bool:
        """Whether its answer is that of a single run."""
        return len(self.answers) == 1 and self.sample.output.completion == self.answers[0].answer


def epoch_of(sample: EvalSample, replies: Sequence[Replied]) -> AskedEpoch:
    """Return one epoch of a sample with the runs that were made for it."""
    whole = resolve_sample_attachments(sample, "full")
    began = [
        at for at, event in enumerate(whole.events) if isinstance(event, SpanBeginEvent) and event.name == _SCORING
    ]
    if not began:
        return AskedEpoch(whole, [*replies], [], was_scored=False)
    before = {
        event.output.metadata["run_id"]
        for event in whole.events[: began[0]]
        if isinstance(event, ModelEvent) and event.output.metadata and "run_id" in event.output.metadata
    }
    answers = [each for each in replies if each.run_id in before]
    return AskedEpoch(whole, answers, [each for each in replies if each.run_id not in before], was_scored=True)


def outcome_of(question: str, contestant: str, epochs: Sequence[AskedEpoch]) -> Outcome:
    """Return the outcome of a sample. Costs, calls and seconds are those of one epoch, on average."""
    each = [_outcome(question, contestant, epoch) for epoch in epochs]
    if len(each) == 1:
        return each[0]
    best = min(each, key=lambda one: (_SEVERITY.index(one.status), one.score is None))
    scores = [one.score for one in each if one.score is not None]
    seconds = [one.seconds for one in each if one.seconds is not None]
    worse = any(one.status != best.status for one in each) and best.status == "complete"
    return best.model_copy(
        update={
            "status": "degraded" if worse else best.status,
            "score": fmean(scores) if scores else None,
            "why": f"the mean of {len(scores)} of {len(each)} epochs: {', '.join(f'{score:g}' for score in scores)}"
            if scores
            else best.why,
            "cost_usd": mean_usd(sum((one.cost_usd or Decimal(0) for one in each), Decimal(0)), len(each)),
            "unknown_costs": sum(one.unknown_costs for one in each),
            "calls": fmean([one.calls for one in each]),
            "seconds": fmean(seconds) if seconds else None,
            "samples": each[0].samples,  # those of which baselines consist
            "agreement": each[0].agreement,
            "judge_runs": tuple(run for one in each for run in one.judge_runs),
            "judge_cost_usd": mean_usd(sum((one.judge_cost_usd for one in each), Decimal(0)), len(each)),
        }
    )


def status_of(epoch: AskedEpoch) -> OutcomeStatus:
    """Return what became of one epoch."""
    if epoch.sample.error is not None and not epoch.was_scored:
        unstarted = any(each.not_started for each in epoch.answers)
        return "not_started" if unstarted else "failed"
    degraded = any(each.trace is not None and each.trace.status == "degraded" for each in epoch.answers)
    return "degraded" if degraded else "complete"


def problem_of(epoch: AskedEpoch) -> str:
    """Return why one epoch has no answer, or no score because a scorer failed; empty if it has one."""
    error = epoch.sample.error
    return "" if error is None else mended(redact(error.message))


def _outcome(question: str, contestant: str, epoch: AskedEpoch) -> Outcome:
    status, problem = status_of(epoch), problem_of(epoch)
    answered = status in {"complete", "degraded"}
    score = score_of(epoch.sample.scores) if answered and not problem else None
    cost, judged = _cost(epoch.answers), _cost(epoch.judgements)
    runs = [each for each in epoch.answers if each.trace is not None]
    traces = [each.trace for each in runs if each.trace is not None]
    return Outcome(
        question=question,
        contestant=contestant,
        status=status,
        run_id=runs[-1].run_id if runs else None,
        answer=mended(epoch.sample.output.completion) if answered else None,
        score=None if score is None else score.value,
        extracted=None if score is None else score.extracted,
        why="" if score is None else score.why,
        problem=problem if score is None else score.problem,
        cost_usd=cost.usd,
        unknown_costs=cost.unknown,
        calls=sum(len(calls_of(trace)) for trace in traces),
        seconds=sum(trace.seconds or 0.0 for trace in traces) if traces else None,
        samples=tuple(each.sample for each in epoch.calls),
        agreement=agreement(epoch.calls),
        judge_runs=tuple(each.run_id for each in epoch.judgements),
        judge_cost_usd=judged.usd,
    )


def _cost(replies: Sequence[Replied]) -> KnownCost:
    traces = [each.trace for each in replies if each.trace is not None]
    return known_cost(call for trace in traces for call in calls_of(trace))
