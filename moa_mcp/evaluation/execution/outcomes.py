"""The outcome of a run of an evaluation: its answer, its figures from the trace, and its score."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from moa_mcp.evaluation.execution.asker import Replied
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.result import Outcome, OutcomeStatus
from moa_mcp.evaluation.samples import SampleCall, agreement
from moa_mcp.evaluation.scoring.score import AnswerScore
from moa_mcp.trace.costs import calls_of, known_cost


def status_of(reply: Replied) -> OutcomeStatus:
    """Return what became of a run."""
    if reply.trace is not None:
        return reply.trace.status
    return "not_started" if reply.not_started else "failed"


def outcome_of(
    question: EvalQuestion, contestant: str, reply: Replied, score: AnswerScore | None, samples: Sequence[SampleCall]
) -> Outcome:
    """Return the outcome of a contestant's own run; `score` is None if its answer is not scored, or if it has none."""
    calls = () if reply.trace is None else calls_of(reply.trace)
    cost = known_cost(calls)
    outcome = Outcome(
        question=question.id,
        contestant=contestant,
        status=status_of(reply),
        run_id=None if reply.trace is None else reply.run_id,
        answer=reply.answer,
        problem=reply.problem,
        cost_usd=cost.usd,
        unknown_costs=cost.unknown,
        calls=len(calls),
        seconds=None if reply.trace is None else reply.trace.seconds,
        samples=tuple(each.sample for each in samples),
        agreement=agreement(samples),
    )
    return outcome if score is None else with_score(outcome, score)


def with_score(outcome: Outcome, score: AnswerScore) -> Outcome:
    """Return an outcome with its score, and what its judge cost."""
    traces = [each.trace for each in score.asked if each.trace is not None]
    unscored = score.problem or score.why or "it could not be scored"
    return outcome.model_copy(
        update={
            "score": score.value,
            "extracted": score.extracted,
            "why": score.why,
            "problem": unscored if score.value is None else "",
            "judge_runs": tuple(each.run_id for each in score.asked),
            "judge_cost_usd": sum((known_cost(calls_of(each)).usd for each in traces), Decimal(0)),
        }
    )
