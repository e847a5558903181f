"""What became of a request that has no answer, as an error with a status by which clients can act."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from moa_mcp.budget.confirmation import Confirmation
from moa_mcp.errors import ChangeRefused, JournalError, MoaError, TooManyRuns
from moa_mcp.runs import Admitted, ConfirmationRequired, Ready, RunRefused
from moa_mcp.server.openai.completions import Data
from moa_mcp.server.openai.errors import ApiError
from moa_mcp.server.openai.parameters import RESPONSE_FORMAT
from moa_mcp.server.probes import RETRY_S
from moa_mcp.trace.trace import Trace


class _Fault(NamedTuple):
    status: int
    code: str


_FAULTS: Mapping[str, _Fault] = {
    "no_provider": _Fault(503, "no_provider"),
    "question_too_long": _Fault(400, "context_length_exceeded"),
    "images_not_taken": _Fault(400, "images_not_supported"),
    "answer_schema": _Fault(400, "invalid_value"),
    "unpriced": _Fault(402, "price_unknown"),
    "budget": _Fault(402, "budget_exceeded"),
    "deadline": _Fault(504, "deadline_exceeded"),
    "step": _Fault(502, "models_failed"),
    "journal": _Fault(503, "journal_unavailable"),
    "internal": _Fault(500, "internal_error"),
}
"""By the reason of a refused or failed run."""
INTERNAL = ApiError(500, "internal_error", "unexpected error in moa-mcp; see the server's log (stderr)")


def started(outcome: Admitted) -> Ready:
    """Return the run that may start. Raises `ApiError` if it may not."""
    match outcome:
        case Ready():
            return outcome
        case RunRefused(reason="draining"):
            raise ApiError(503, "draining", outcome.message, retry_after_s=RETRY_S)
        case RunRefused():
            param = RESPONSE_FORMAT if outcome.reason == "answer_schema" else None
            raise ApiError(*_FAULTS[outcome.reason], f"not started: {outcome.message}", param=param)
        case ConfirmationRequired():  # exhaustive
            raise ApiError(402, "confirmation_required", _unconfirmed(outcome.confirmation), param="moa.max_cost_usd")


def _unconfirmed(confirmation: Confirmation) -> str:
    return (
        f"not started: confirmation required. {confirmation} No model was called and nothing was spent. If the user "
        f'accepts this cost, send the request again with "moa": {{"max_cost_usd": {confirmation.least_usd}}} or more '
        f"in its body. {confirmation.enough_usd} covers the worst-case cost of every call with a known price; a lower "
        "budget may skip calls."
    )


def of_error(error: MoaError) -> ApiError:
    """Return the error for what prevents a run."""
    match error:
        case TooManyRuns():
            return ApiError(429, "too_many_runs", str(error), retry_after_s=RETRY_S)
        case JournalError():
            return ApiError(503, "journal_unavailable", str(error), retry_after_s=RETRY_S)
        case ChangeRefused():
            return ApiError(400, "invalid_value", f"{error}. {error.remedy}", param="moa")
        case _:
            return ApiError(500, "internal_error", str(error))


def of_run(trace: Trace, about: Data) -> ApiError:
    """Return the error for a run that ended without an answer."""
    run = f"run {trace.run_id}"
    if trace.status == "cancelled":
        return ApiError(409, "cancelled", f"{run} was cancelled", moa=about)
    if trace.status != "failed":
        left = f"{run} is interrupted; moa-mcp runs resume {trace.run_id} continues it"
        goes_on = f"{run} goes on without this server; moa-mcp runs show {trace.run_id} has its answer"
        message = f"this server is about to end: {left if trace.interrupted else goes_on}"
        return ApiError(503, "interrupted", message, moa=about)
    return ApiError(*_FAULTS[trace.reason or "step"], f"{trace.pipeline} failed: {trace.error} ({run})", moa=about)


def replaced(trace: Trace, about: Data) -> ApiError:
    """Return the error for an answer that does not begin with the text that was streamed."""
    message = (
        f"the text that was streamed is not the answer of run {trace.run_id}: a request failed after it had begun to "
        "answer, and another one was answered. The answer is in moa.answer"
    )
    return ApiError(502, "answer_replaced", message, moa={**about, "answer": trace.answer})
