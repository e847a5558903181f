"""The error for a reply of status 200 that holds no answer: what came in place of one gives its kind and its words.

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
"""Characters up to which a text is taken for an error's: a longer one may speak of anything."""
_SHOWN = 200


def text(target: Target, words: str, destination: Destination | None = None) -> CallError | None:
    """Return the error for a body that is no JSON; None if it says nothing."""
    fault = bodies.fault_in(words)
    return _error(target, fault, "the reply is not JSON", destination) if fault.told else None


def document(target: Target, body: Json, destination: Destination | None = None) -> CallError | None:
    """Return the error for a JSON object in which no answer was found; None if it says nothing."""
    fault = bodies.words(body)
    return _error(target, fault, "the reply holds no answer", destination) if fault.told else None


def _error(target: Target, fault: Fault, what: str, destination: Destination | None) -> CallError:
    told = refusals.said(fault.told, target.api_key, _SHOWN)
    error = refusals.refused(target, None, fault._replace(told=f"{what}: {told}"), destination=destination)
    if len(fault.told) > _SHORT:
        error = ServerFailed(str(error))
    error.paid = None
    return error
