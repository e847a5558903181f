"""A trace as plain JSON data: `summary` for a result, `full` with every call, and the parts of `full`.

Dollars are floats, or None if unknown. Parts that a run has not reached yet are None, or missing from their list.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from decimal import Decimal

from msgspec.structs import asdict

from moa_mcp.errors import Failure
from moa_mcp.events import RunEstimated
from moa_mcp.images import describing
from moa_mcp.steps.sides import Side
from moa_mcp.trace.agreement import Agreement, agreement, wilson
from moa_mcp.trace.findings import analysis_of, review_of
from moa_mcp.trace.trace import AttemptTrace, CallTrace, StepTrace, Trace
from moa_mcp.values import Answer, Comment, Completion, Image, Place, Usage

_LONGEST_VALUE = 200
"""Maximum characters of a tally's value in a summary."""
_LONGEST_POINT = 400
"""Maximum characters of a text of an analysis in a summary."""


def summary(trace: Trace) -> dict[str, object]:
    """Return a run's result: its answer, its layers (the steps that called models), usage and cost."""
    found = agreement(trace)
    return {
        "status": trace.status,
        "run_id": trace.run_id,
        "pipeline": trace.pipeline,
        "continues": trace.continues,
        "seed": trace.seed,
        "answer": trace.answer,
        "answer_json": trace.answer_json,
        "layers": [_layer(step) for step in trace.steps if step.calls],
        "usage": _usage(trace.usage),
        "cost_usd": _dollars(trace.cost_usd),
        "estimate": _estimate(trace.estimated),
        "tally": _last_tally(trace),
        "analysis": _last_analysis(trace),
        "review": _last_review(trace),
        "agreement": _agreement(found),
        "dissent": [_side(side) for side in found.dissent] if found else [],
        "saved_calls": trace.saved,
        "notes": list(trace.notes),
    }


def full(trace: Trace) -> dict[str, object]:
    """Return a whole run: its summary, its question, and every step with calls, prompts and answers."""
    return {**facts(trace), "steps": [step_with(step, [call_of(call) for call in step.calls]) for step in trace.steps]}


def facts(trace: Trace) -> dict[str, object]:
    """Return a whole run without its steps."""
    return {
        **summary(trace),
        "error": trace.error,
        "reason": trace.reason,
        "degradations": list(trace.degradations),
        "interrupted": trace.interrupted,
        "resumed": trace.resumed,
        "forked_from": trace.forked_from,
        "inherited_steps": trace.inherited,
        "started_at": trace.started_at,
        "seconds": trace.seconds,
        "question": {
            "text": trace.question.text,
            "context": trace.question.context,
            "system": trace.question.system,
            "turns": [
                {"role": each.role, "content": each.content, **_images(each.images)} for each in trace.question.turns
            ],
            **_images(trace.question.images),
            "answer_schema": _schema(trace.question.answer_schema),
        },
        "planned": list(trace.planned),
        "not_needed": list(trace.not_needed),
    }


def _schema(text: str | None) -> object:
    """Return a schema as JSON; a text that is none if it was not stored."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _estimate(estimated: RunEstimated | None) -> dict[str, object] | None:
    if estimated is None:
        return None
    cost = estimated.cost_usd
    return {
        "calls": estimated.calls,
        "tokens": estimated.tokens._asdict(),
        "cost_usd": None if cost is None else {name: float(dollars) for name, dollars in cost._asdict().items()},
        "unpriced": list(estimated.unpriced),
        "max_cost_usd": _dollars(estimated.max_cost_usd),
    }


def _layer(step: StepTrace) -> dict[str, object]:
    usage = step.usage
    return {
        "step": step.step,
        "kind": step.kind,
        "models": list(step.models),
        "answered": step.answered,
        "failed": step.failed,
        "saved_calls": step.saved,
        "seconds": step.seconds,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost_usd": _dollars(step.cost_usd),
    }


def step_with(step: StepTrace, calls: list[dict[str, object]]) -> dict[str, object]:
    """Return a step with these calls as JSON."""
    return {
        "step": step.step,
        "kind": step.kind,
        "seconds": step.seconds,
        "calls": calls,
        "answers": [_answer(answer) for answer in step.answers],
        "notes": [{"text": note.text, "degrades": note.degrades} for note in step.notes],
        "tally": _tally(step),
        "analysis": analysis_of(step),
        "review": review_of(step),
        "verdict": step.verdict or None,
        "final": step.final,
    }


def _last_tally(trace: Trace) -> dict[str, object] | None:
    """Return the tally of the last step that has one. Long values are shortened to keep the result small."""
    step = next((step for step in reversed(trace.steps) if step.tally is not None), None)
    return None if step is None else _tally(step, _LONGEST_VALUE)


def _last_analysis(trace: Trace) -> dict[str, object] | None:
    """Return the last analysis. Long texts are shortened to keep the result small."""
    return next((analysis_of(each, _LONGEST_POINT) for each in reversed(trace.steps) if each.analysis), None)


def _last_review(trace: Trace) -> dict[str, object] | None:
    return next((review_of(each) for each in reversed(trace.steps) if each.review), None)


def _agreement(found: Agreement | None) -> dict[str, object] | None:
    """Return how far the answers agree. What only a count has is null if a judge decided."""
    if found is None:
        return None
    leading = found.leading
    interval = None if leading is None else [round(end, 3) for end in wilson(leading.count, found.total)]
    return {
        "step": found.step,
        "of": found.of,
        "verdict": found.verdict,
        "total": found.total or None,
        **(dict.fromkeys(Side.__struct_fields__) if leading is None else _side(leading)),
        "share": None if leading is None else round(leading.count / found.total, 3),
        "interval": interval,
    }


def _side(side: Side) -> dict[str, object]:
    return {**asdict(side), "value": _shortened(side.value)}


def _shortened(value: str, longest: int = _LONGEST_VALUE) -> str:
    return value if len(value) <= longest else f"{value[: longest - 1]}…"


def _tally(step: StepTrace, longest: int = sys.maxsize) -> dict[str, object] | None:
    if step.tally is None:
        return None
    return {
        "step": step.step,
        "values": [
            {"value": _shortened(each.value, longest), "votes": each.votes, "weight": each.weight}
            for each in step.tally.values
        ],
        "abstained": step.tally.abstained,
        "of": step.tally.of,
    }


def call_of(call: CallTrace) -> dict[str, object]:
    """Return a call with its prompt, its attempts and its outcome."""
    return {
        "place": _place(call.place),
        "agent": call.agent,
        "messages": [{"role": each.role, "content": each.content, **_images(each.images)} for each in call.messages],
        "attempts": [_attempt(attempt) for attempt in call.attempts],
        "text": None if call.completion is None else call.completion.text,
        "reasoning": None if call.completion is None else call.completion.reasoning or None,
        "notes": [] if call.completion is None else list(call.completion.notes),
        "failure": _failure(call.failure),
        "window": call.window or None,
        "started_at": call.started_at,
        "seconds": call.seconds,
        "usage": _usage(call.usage),
        "cost_usd": _dollars(call.cost_usd),
    }


def _images(images: Sequence[Image]) -> dict[str, object]:
    """Return images without their content; nothing if there are none."""
    return {"images": [describing.data(image) for image in images]} if images else {}


def _attempt(attempt: AttemptTrace) -> dict[str, object]:
    return {
        "model": attempt.model,
        "parameters": dict(attempt.parameters),
        "completion": _completion(attempt.completion),
        "failure": _failure(attempt.failure),
        "started_at": attempt.started_at,
        "seconds": attempt.seconds,
        "first_text_s": attempt.first_text_s,
        "joined": None if attempt.joined is None else _place(attempt.joined),
    }


def _completion(completion: Completion | None) -> dict[str, object] | None:
    if completion is None:
        return None
    return {
        "text": completion.text,
        "reasoning": completion.reasoning or None,
        "model": completion.model,
        "finish_reason": completion.finish_reason,
        "usage": None if completion.usage is None else _usage(completion.usage),
        "cost_usd": _dollars(completion.cost_usd),
    }


def _failure(failure: Failure | None) -> dict[str, object] | None:
    if failure is None:
        return None
    return {
        "kind": failure.kind,
        "message": failure.message,
        "retryable": failure.retryable,
        "paid": failure.paid,
        "reasoning": failure.reasoning or None,
        "usage": None if failure.usage is None else _usage(failure.usage),
        "cost_usd": _dollars(failure.cost_usd),
    }


def _answer(answer: Answer) -> dict[str, object]:
    comments = [_written(comment) for comment in answer.comments]
    return {**_written(answer), "comments": comments, "confidence": answer.confidence}


def _written(written: Answer | Comment) -> dict[str, object]:
    return {"text": written.text, "agent": written.agent, "place": _place(written.place), "cut": written.cut}


def _place(place: Place) -> dict[str, object]:
    return {"step": place.step, "number": place.number, "sample": place.sample}


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
    }


def _dollars(cost: Decimal | None) -> float | None:
    return None if cost is None else float(cost)
