"""JSON schemas of tool results, for clients that validate structured content.

Every pipeline tool repeats the schema of a run, so a schema declares only the fields that clients need, and allows
others. `trace.json` and `budget.worst_case` produce the fields.
"""

from __future__ import annotations

from typing import Any

_STRING = {"type": "string"}
_INTEGER = {"type": "integer"}
_NUMBER = {"type": "number"}
_BOOLEAN = {"type": "boolean"}
_OBJECT = {"type": "object"}
_ARRAY = {"type": "array"}


def _or_null(schema: dict[str, str]) -> dict[str, Any]:
    return {"type": [schema["type"], "null"]}


def _object(required: tuple[str, ...], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


RUN = _object(
    ("status", "run_id", "answer"),
    status={"type": "string", "enum": ["complete", "degraded", "queued", "running", "failed", "cancelled"]},
    run_id=_STRING,
    answer=_or_null(_STRING),
    answer_json={},
    error=_or_null(_STRING),
    cost_usd=_or_null(_NUMBER),
    notes=_ARRAY,
)
"""A run. It has an answer if the status is complete or degraded, and an error if it is failed."""

TRACE_PAGE = _object(
    ("run_id", "page", "pages", "calls"),
    run_id=_STRING,
    page=_INTEGER,
    pages=_INTEGER,
    calls={"type": "array", "items": _OBJECT},
    status=_STRING,
    pipeline=_STRING,
    continues=_or_null(_STRING),
    seed=_INTEGER,
    answer=_or_null(_STRING),
    answer_json={},
    layers=_ARRAY,
    usage=_OBJECT,
    cost_usd=_or_null(_NUMBER),
    estimate=_or_null(_OBJECT),
    tally=_or_null(_OBJECT),
    analysis=_or_null(_OBJECT),
    review=_or_null(_OBJECT),
    agreement=_or_null(_OBJECT),
    dissent=_ARRAY,
    saved_calls=_INTEGER,
    notes=_ARRAY,
    error=_or_null(_STRING),
    reason=_or_null(_STRING),
    degradations=_ARRAY,
    interrupted=_BOOLEAN,
    resumed=_INTEGER,
    forked_from=_or_null(_STRING),
    inherited_steps=_INTEGER,
    started_at=_or_null(_NUMBER),
    seconds=_or_null(_NUMBER),
    question=_OBJECT,
    planned=_ARRAY,
    not_needed=_ARRAY,
    steps=_ARRAY,
)
"""A page of a trace. All pages have calls; the first also describes the run."""

ESTIMATE = _object(
    ("pipeline", "calls", "cost_usd"),
    pipeline=_STRING,
    calls=_INTEGER,
    prompt_tokens=_OBJECT,
    completion_tokens=_OBJECT,
    cost_usd=_or_null(_OBJECT),
    unknown=_ARRAY,
    steps=_ARRAY,
    enough_usd=_or_null(_NUMBER),
    notes=_ARRAY,
)
"""An estimate. Ranges have min, expected and max; the cost is null if a price is unknown."""
