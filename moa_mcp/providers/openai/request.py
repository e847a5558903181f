"""The messages, parameters and response format of a request, for both transports."""

from __future__ import annotations

import json
from typing import Any

from moa_mcp.routing import catalog
from moa_mcp.routing.capabilities import wants_cache_mark
from moa_mcp.routing.reasoning import thinking
from moa_mcp.values import Call, Message, Parameters

_FOLLOWING = frozenset({"azure", "openai"})
"""Providers that also take a schema with keywords that they do not enforce."""


def messages(call: Call) -> list[dict[str, Any]]:
    """Return a call's messages as in OpenAI's API, with a cache breakpoint if the provider needs one."""
    messages: list[dict[str, Any]] = [
        {"role": each.role, "content": _parts(each) if each.images else each.content} for each in call.messages
    ]
    if call.prompt_recurs and call.target is not None and wants_cache_mark(call.target):
        last = messages[-1]  # identical calls share the whole prompt
        *images, text = _parts(call.messages[-1])
        last["content"] = [*images, {**text, "cache_control": {"type": "ephemeral"}}]
    return messages


def _parts(message: Message) -> list[dict[str, Any]]:
    """Return the images of a message, and its text after them."""
    images = [{"type": "image_url", "image_url": {"url": image.url}} for image in message.images]
    return [*images, {"type": "text", "text": message.content}]


def parameters(call: Call, named: Parameters) -> Parameters:
    """Return parameters in the form of the call's provider."""
    if "thinking_tokens" not in named or not isinstance(tokens := named["thinking_tokens"], int):
        return named
    return {key: value for key, value in named.items() if key != "thinking_tokens"} | thinking(call.target, tokens)


def reply_form(call: Call) -> dict[str, Any]:
    """Return the `response_format` parameter if the model is known to support it; otherwise none."""
    if call.reply_schema is None or call.target is None or not catalog.takes_schema(call.target):
        return {}
    name, schema, sending = call.reply_schema
    if sending == "never" or (sending == "loose" and call.target.provider not in _FOLLOWING):
        return {}
    wanted = {"name": name, "strict": sending == "strict", "schema": json.loads(schema)}
    return {"response_format": {"type": "json_schema", "json_schema": wanted}}
