"""The line of an item in the output: its ID, and the result of its run as ``ask --json`` has it, without the calls."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from moa_mcp.batch.items import Item
from moa_mcp.runs.admission import RefusalReason
from moa_mcp.trace.json import facts
from moa_mcp.trace.trace import Trace
from moa_mcp.values import FailureReason, Status

Outcome: TypeAlias = Status | Literal["not_started"]
"""`not_started`: the budget of the batch was used up."""
_FACTS = (
    *("answer", "answer_json", "error", "reason", "cost_usd", "seconds", "usage", "degradations", "notes", "tally"),
    *("agreement", "dissent", "analysis", "review", "layers"),
)
"""What a line has of a run, in this order. The question and the prompts are in the journal."""


class NoRun(NamedTuple):
    """Why an item has no run with a result, or none that can be read."""

    outcome: Outcome
    reason: FailureReason | RefusalReason | Literal["file", "not_resumable"]
    error: str
    """A sentence."""


def line(item: Item, position: int, batch: str, run_id: str, result: Trace | NoRun) -> bytes:
    """Return the line of an item: an object in ASCII, which no terminal and no reader of lines can misread.

    Positions count from 1. What an item without a run lacks is null.
    """
    whole: dict[str, object] = {
        "item": position,
        "id": item.id,
        "run_id": run_id,
        "batch": batch,
        "status": outcome(result),
    }
    if isinstance(result, Trace):
        every = facts(result)
        whole |= {name: every[name] for name in _FACTS}
    else:
        whole |= {**dict.fromkeys(_FACTS), "error": result.error, "reason": result.reason}
    return json.dumps(whole).encode() + b"\n"


def outcome(result: Trace | NoRun) -> Outcome:
    """Return what became of an item."""
    return result.status if isinstance(result, Trace) else result.outcome


def cost(result: Trace | NoRun) -> Decimal | None:
    """Return what its run cost, in US dollars; None if that is unknown."""
    return result.cost_usd if isinstance(result, Trace) else Decimal(0)
