"""The fast path for the usual reply: one text with its usage.

It returns what `Collecting` would, in a quarter of the time, and None for any other reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moa_mcp.providers.replies import billing, completions
from moa_mcp.providers.replies.limits import excess
from moa_mcp.providers.replies.reasoning import has_no_marks
from moa_mcp.text.surrogates import mended
from moa_mcp.values import Call, Completion, FinishReason, Target, token_limit

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENDS: Mapping[object, FinishReason] = {"stop": "stop", "length": "length"}
_OF_REPLY = frozenset({"choices", "created", "id", "model", "object", "service_tier", "system_fingerprint", "usage"})
_OF_CHOICE = frozenset({"finish_reason", "index", "logprobs", "message"})
_OF_MESSAGE = frozenset({"annotations", "audio", "content", "function_call", "refusal", "role", "tool_calls"})
"""The fields of OpenAI's own messages. A message with any other field takes the slow path."""


def completion(call: Call, target: Target, raw: bytes) -> Completion | None:
    """Return the completion of a complete reply in the usual form; None if it needs the slow path."""
    import orjson  # noqa: PLC0415  lazy, see `client`

    try:
        body = orjson.loads(raw)
        (choice,) = body["choices"]
        message = choice["message"]
        text, reason, reported = message["content"], _ENDS[choice["finish_reason"]], body["usage"]
    except (LookupError, TypeError, ValueError):
        return None
    usual = body.keys() <= _OF_REPLY and choice.keys() <= _OF_CHOICE and message.keys() <= _OF_MESSAGE
    if not usual or message.get("refusal") or body.get("object") == "error" or not isinstance(body["usage"], dict):
        return None
    if not isinstance(text, str) or not text.strip() or not has_no_marks(text):
        return None
    if excess(token_limit(call.parameters), len(text), 0):
        return None
    taken = billing.credible(billing.usage(reported), answered=True)
    cost = completions.cost_of(target, taken, billing.cost_usd(target, reported))
    return Completion(mended(text), target.model, reason, taken, cost)
