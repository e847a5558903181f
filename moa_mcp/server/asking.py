"""Asks the user of a client to confirm the cost of a run before it starts (elicitation).

Until 2025-11-25 the server asks while the call waits. Since 2026-07-28 it answers the call with the question, and the
client calls again with what its user said.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TypeAlias

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from moa_mcp.budget.confirmation import Confirmation
from moa_mcp.runs import ConfirmationRequired, Ready, RunRefused, RunRequest, Runs
from moa_mcp.server import results
from moa_mcp.server.waiting import Context, beat

_log = logging.getLogger(__name__)

STATE_S = 24 * 3600.0
"""How long a question may stay unanswered between two calls, in seconds."""
_KEY = "agreement"
_FORM: types.ElicitRequestedSchema = {
    "type": "object",
    "properties": {"start": {"type": "boolean", "title": "Start the run", "default": True}},
    "required": ["start"],
}
_NOTHING = "No model was called and nothing was spent."

Unstarted: TypeAlias = types.CallToolResult | types.InputRequiredResult
"""What a call is answered with that starts no run, or not yet."""


async def admitted(
    runs: Runs, context: Context, params: types.CallToolRequestParams, request: RunRequest
) -> Ready | Unstarted:
    """Return a run that may start, or what to answer its call with instead.

    If the client can ask its user, the user confirms the cost. Otherwise a `max_cost_usd` of at least the expected cost
    does.
    """
    outcome = await runs.admit(replace(request, consent="none" if _can_ask(context) else "budget"))
    match outcome:
        case Ready():
            return outcome
        case RunRefused():
            return results.error(f"Not started: {outcome.message}. {_NOTHING}")
        case ConfirmationRequired():
            unstarted = await _unconfirmed(context, params, outcome.confirmation)
            return outcome.confirmed() if unstarted is None else unstarted


async def _unconfirmed(
    context: Context, params: types.CallToolRequestParams, confirmation: Confirmation
) -> Unstarted | None:
    """Return what to answer a call with instead of starting its run; None if the user confirms the cost."""
    if not _can_ask(context):
        return results.error(_refusal("this client does not support form elicitation", confirmation))
    if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        said = (params.input_responses or {}).get(_KEY)
        # The state tells what the user was asked; by now the run may cost something else.
        if said is None or params.request_state != str(confirmation):
            return types.InputRequiredResult(
                input_requests={_KEY: types.ElicitRequest(params=_question(confirmation))},
                request_state=str(confirmation),
            )
    else:
        said = await _elicited(context, confirmation)
        if said is None:
            return results.error(_refusal("the client could not show the confirmation", confirmation))
    if _agrees(said):
        return None
    return results.error(f"Not started: the user declined the cost. {confirmation} {_NOTHING}")


def _can_ask(context: Context) -> bool:
    """Whether the client shows forms to its user; one that names no mode does."""
    capabilities = context.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _question(confirmation: Confirmation) -> types.ElicitRequestFormParams:
    return types.ElicitRequestFormParams(message=f"{confirmation} Start the run?", requested_schema=_FORM)


async def _elicited(context: Context, confirmation: Confirmation) -> types.ElicitResult | None:
    """Ask and wait for as long as the client does, with a sign of life now and then; None if it fails to ask."""
    question = _question(confirmation)
    said: types.ElicitResult | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(beat, context, "waiting for the user to confirm the cost")
        try:
            said = await context.session.elicit_form(question.message, _FORM, related_request_id=context.request_id)
        except (MCPError, ValidationError) as error:  # the task group would wrap it
            _log.warning("the client failed to ask its user for confirmation: %s", error)
        finally:
            tasks.cancel_scope.cancel()
    return said


def _agrees(said: types.InputResponse) -> bool:
    if not isinstance(said, types.ElicitResult):
        return False
    return said.action == "accept" and (said.content or {}).get("start") is True


def _refusal(reason: str, confirmation: Confirmation) -> str:
    """Return why a run was not started, and how to start it."""
    remedy = (
        f"call again with max_cost_usd = {confirmation.least_usd} or more. {confirmation.enough_usd} covers the "
        "worst-case cost of every call; a lower budget may skip calls."
    )
    return (
        f"Not started: confirmation required, and {reason}. {confirmation} {_NOTHING} If the cost is acceptable to "
        f"whoever pays, {remedy}"
    )
