"""Converts replies in the format of OpenAI's Responses API, which some gateways return, to chat completions. Pure.

A reply is a list of items (``output``): messages are the answer, reasoning items the reasoning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from moa_mcp.providers.replies.json_values import Json, as_list, as_object

_UNFINISHED = ("in_progress", "queued")
_TEXTS = ("output_text", "text", "input_text")
_ASIDE = ("commentary", "analysis")
"""Phases of messages that are not part of the final answer."""


def chat(body: Json) -> Json | None:
    """Return the reply as a chat completion; None if it is in another format, or incomplete."""
    items = [as_object(item) for item in as_list(body.get("output"))]
    output = body.get("output_text")
    is_one = body.get("object") == "response" or any("type" in item for item in items)
    if not is_one or body.get("status") in _UNFINISHED or not (items or isinstance(output, str) or "usage" in body):
        return None
    messages = [item for item in items if item.get("type", "message") == "message"]
    final = [item for item in messages if item.get("phase") not in _ASIDE]
    aside = [item for item in messages if item not in final]
    text = "\n\n".join(filter(None, map(_text, final))) or (output if isinstance(output, str) else "")
    message = {
        "content": text,
        "refusal": "".join(_in_parts(final, "refusal", ("refusal",))) or None,
        "reasoning": "\n\n".join(filter(None, (*map(_thought, items), *map(_text, aside)))),
    }
    return {
        "choices": [{"message": message, "finish_reason": _finish_reason(body)}],
        "usage": body.get("usage"),
        "error": body.get("error"),
    }


def _text(item: Json) -> str:
    content = item.get("content")
    return content if isinstance(content, str) else "".join(_in_parts([item], "text", _TEXTS))


def _thought(item: Json) -> str:
    """Return the text of a reasoning item: the reasoning if it is included, otherwise its summary."""
    if item.get("type") != "reasoning":
        return ""
    return next((text for name in ("content", "summary") if (text := _parts(item.get(name)))), "")


def _parts(held: object) -> str:
    if isinstance(held, str):
        return held
    texts = (part if isinstance(part, str) else as_object(part).get("text") for part in as_list(held))
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)


def _in_parts(items: Sequence[Json], name: str, kinds: Sequence[str]) -> Iterator[str]:
    for item in items:
        for part in map(as_object, as_list(item.get("content"))):
            value = part.get(name)
            if part.get("type") in kinds and isinstance(value, str):
                yield value


def _finish_reason(body: Json) -> str:
    """Return the finish reason for the status of the reply."""
    status = body.get("status")
    if status in (None, "completed"):
        return "stop"
    why = as_object(body.get("incomplete_details")).get("reason")
    return why if isinstance(why, str) and why else str(status)
