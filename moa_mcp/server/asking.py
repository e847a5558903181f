"""Asks the user of a client to confirm the cost of a run before it starts (elicitation).

Until 2025-11-25 the server asks while the call waits. Since 2026-07-28 it answers the call with the question, and the
client calls again with what its user said.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import TypeAlias

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from moa_mcp.budget.confirmation import Agreement
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


async def hindrance(
    context: Context, params: types.CallToolRequestParams, agreement: Agreement, max_cost_usd: Decimal | None
) -> Unstarted | None:
    """Return what to answer a call with in place of starting its run; None if the run is agreed to.

    Somebody who can be asked is asked. Where nobody can be, a `max_cost_usd` of the expected cost or more says that
    whoever calls has agreed.
    """
    if not _can_ask(context):
        if agreement.given_by(max_cost_usd):
            return None
        return results.error(_refusal("this client does not support form elicitation", agreement))
    if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        said = (params.input_responses or {}).get(_KEY)
        # The state tells what the user was asked; by now the run may cost something else.
        if said is None or params.request_state != str(agreement):
            return types.InputRequiredResult(
                input_requests={_KEY: types.ElicitRequest(params=_question(agreement))}, request_state=str(agreement)
            )
    else:
        said = await _elicited(context, agreement)
        if said is None:
            return results.error(_refusal("the client could not show the confirmation", agreement))
    return None if _agrees(said) else results.error(f"Not started: the user declined the cost. {agreement} {_NOTHING}")


def _can_ask(context: Context) -> bool:
    """Whether the client shows forms to its user; one that names no mode does."""
    capabilities = context.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _question(agreement: Agreement) -> types.ElicitRequestFormParams:
    return types.ElicitRequestFormParams(message=f"{agreement} Start the run?", requested_schema=_FORM)


async def _elicited(context: Context, agreement: Agreement) -> types.ElicitResult | None:
    """Ask and wait for as long as the client does, with a sign of life now and then; None if it fails to ask."""
    question = _question(agreement)
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


def _refusal(reason: str, agreement: Agreement) -> str:
    """Return why a run was not started, and how to start it."""
    remedy = (
        f"call again with max_cost_usd = {agreement.least_usd} or more. {agreement.enough_usd} covers the worst-case "
        "cost of every call; a lower budget may skip calls."
    )
    return (
        f"Not started: confirmation required, and {reason}. {agreement} {_NOTHING} If the cost is acceptable to "
        f"whoever pays, {remedy}"
    )
