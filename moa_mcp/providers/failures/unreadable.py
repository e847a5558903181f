"""The error for a reply of status 200 without an answer; its kind and message come from what the reply holds.

Such a reply may have been billed.
"""

from __future__ import annotations

from moa_mcp.errors import CallError, ServerFailed
from moa_mcp.providers.failures import bodies, refusals
from moa_mcp.providers.failures.bodies import Fault
from moa_mcp.providers.failures.refusals import Destination
from moa_mcp.providers.replies.json_values import Json
from moa_mcp.values import Target

_SHORT = 400
"""Maximum characters of a text that is taken for an error message: a longer one may be about anything."""
_SHOWN = 200


def text(target: Target, words: str, destination: Destination | None = None) -> CallError | None:
    """Return the error for a body that is not JSON; None if it holds no words."""
    fault = bodies.fault_in(words)
    return _error(target, fault, "the reply is not JSON", destination) if fault.message else None


def document(target: Target, body: Json, destination: Destination | None = None) -> CallError | None:
    """Return the error for a JSON object without an answer; None if it holds no words."""
    fault = bodies.words(body)
    return _error(target, fault, "the reply contains no answer", destination) if fault.message else None


def _error(target: Target, fault: Fault, what: str, destination: Destination | None) -> CallError:
    words = refusals.shown(fault.message, target.api_key, _SHOWN)
    error = refusals.refused(target, None, fault._replace(message=f"{what}: {words}"), destination=destination)
    if len(fault.message) > _SHORT:
        error = ServerFailed(str(error))
    error.paid = None
    return error
