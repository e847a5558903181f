"""Asks the user of a client to confirm the cost of a run before it starts (elicitation).

Up to protocol 2025-11-25, the server asks while the call waits. From 2026-07-28 on, it answers the call with the
question, and the client calls again with the user's reply.
"""

from __future__ import annotations

import logging
from typing import TypeAlias

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from msgspec.structs import replace
from pydantic import ValidationError

from moa_mcp.budget.confirmation import Confirmation
from moa_mcp.runs import CallerRuns, ConfirmationRequired, Ready, RunRefused, RunRequest
from moa_mcp.server import results
from moa_mcp.server.waiting import Context, beat

_log = logging.getLogger(__name__)

STATE_S = 24 * 3600.0
"""Seconds in which a question can be answered by a second call."""
_KEY = "agreement"
_FORM: types.ElicitRequestedSchema = {
    "type": "object",
    "properties": {"start": {"type": "boolean", "title": "Start the run", "default": True}},
    "required": ["start"],
}
_NOTHING = "No model was called and nothing was spent."

Unstarted: TypeAlias = types.CallToolResult | types.InputRequiredResult
"""The result of a call that starts no run, or not yet."""


async def admitted(
    runs: CallerRuns, context: Context, params: types.CallToolRequestParams, request: RunRequest
) -> Ready | Unstarted:
    """Return a run that may start, or the result of a call that starts none.

    If the client can ask its user, the user must confirm the cost. Otherwise, a `max_cost_usd` of at least the expected
    cost confirms it.
    """
    outcome = await runs.admit(replace(request, consent="none" if _can_ask(context) else "budget"))
    match outcome:
        case Ready():
            return outcome
        case RunRefused():
            return results.error(f"Not started: {outcome.message}. {_NOTHING}")
        case ConfirmationRequired():  # exhaustive
            unstarted = await _unconfirmed(context, params, outcome.confirmation)
            return outcome.confirmed() if unstarted is None else unstarted


async def _unconfirmed(
    context: Context, params: types.CallToolRequestParams, confirmation: Confirmation
) -> Unstarted | None:
    """Return the result of a call whose cost is not confirmed; None if the user confirms it."""
    if not _can_ask(context):
        return results.error(_refusal("this client does not support form elicitation", confirmation))
    if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        reply = (params.input_responses or {}).get(_KEY)
        # The state is the question that the user saw; the cost may have changed since.
        if reply is None or params.request_state != str(confirmation):
            return types.InputRequiredResult(
                input_requests={_KEY: types.ElicitRequest(params=_question(confirmation))},
                request_state=str(confirmation),
            )
    else:
        reply = await _elicited(context, confirmation)
        if reply is None:
            return results.error(_refusal("the client could not show the confirmation", confirmation))
    if _confirms(reply):
        return None
    return results.error(f"Not started: the user declined the cost. {confirmation} {_NOTHING}")


def _can_ask(context: Context) -> bool:
    """Whether the client can show forms. Clients that declare no mode can."""
    capabilities = context.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _question(confirmation: Confirmation) -> types.ElicitRequestFormParams:
    return types.ElicitRequestFormParams(message=f"{confirmation} Start the run?", requested_schema=_FORM)


async def _elicited(context: Context, confirmation: Confirmation) -> types.ElicitResult | None:
    """Ask the user and wait, with progress reports meanwhile; return None if the client fails to ask."""
    question = _question(confirmation)
    reply: types.ElicitResult | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat, context, "waiting for the user to confirm the cost")
        try:
            reply = await context.session.elicit_form(question.message, _FORM, related_request_id=context.request_id)
        except (MCPError, ValidationError) as error:  # the task group would wrap it
            _log.warning("the client failed to ask its user for confirmation: %s", error)
        finally:
            tasks.cancel_scope.cancel()
    return reply


def _confirms(reply: types.InputResponse) -> bool:
    if not isinstance(reply, types.ElicitResult):
        return False
    return reply.action == "accept" and (reply.content or {}).get("start") is True


def _refusal(reason: str, confirmation: Confirmation) -> str:
    """Return why a run was not started, and how to start it."""
    remedy = (
        f"call again with max_cost_usd = {confirmation.least_usd} or more. {confirmation.enough_usd} covers the "
        "worst-case cost of every call with a known price; a lower budget may skip calls."
    )
    return (
        f"Not started: confirmation required, and {reason}. {confirmation} {_NOTHING} If the user accepts this cost, "
        f"{remedy}"
    )
