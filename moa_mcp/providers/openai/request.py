"""What a model is sent as messages, and as the form of its reply, over either transport."""

from __future__ import annotations

import json
from typing import Any

from moa_mcp.routing import catalog
from moa_mcp.routing.capabilities import wants_cache_mark
from moa_mcp.values import Call


def messages(call: Call) -> list[dict[str, Any]]:
    """Return a call's messages as OpenAI's wire has them, marked for the provider's cache where that wants a mark."""
    said: list[dict[str, Any]] = [{"role": role, "content": content} for role, content in call.messages]
    if call.prompt_recurs and call.target is not None and wants_cache_mark(call.target):
        last = said[-1]  # equal calls have all of it in common
        last["content"] = [{"type": "text", "text": last["content"], "cache_control": {"type": "ephemeral"}}]
    return said


def reply_form(call: Call) -> dict[str, Any]:
    """Return the parameter that holds a model to the form of its reply, where it is known to take that; else none."""
    if call.reply_schema is None or call.target is None or not catalog.takes_schema(call.target):
        return {}
    name, schema = call.reply_schema
    wanted = {"name": name, "strict": True, "schema": json.loads(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": wanted}}
