"""The messages of a chat completion as a question with its system prompt and earlier turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast

from pydantic import JsonValue

from moa_mcp.server.openai.errors import ApiError
from moa_mcp.text.redact import redact
from moa_mcp.text.surrogates import mended
from moa_mcp.text.visible import quoted
from moa_mcp.values import Message, Question

_TEXTS = {"text": "text", "refusal": "refusal"}
"""The kinds of parts that are text, and the key of it."""
_NO_TOOLS = "a pipeline calls no tools; say in a message of the user what they returned"


def question_of(messages: Sequence[JsonValue]) -> Question:
    """Return the question: the last message. System messages, wherever they are, are the system prompt.

    Raises `ApiError`, which names the message.
    """
    read = [_read(f"messages.{number}", each) for number, each in enumerate(messages)]
    system = [each.content for each in read if each.role == "system" and each.content.strip()]
    turns = [each for each in read if each.role != "system"]
    if not turns or turns[-1].role != "user":
        raise _bad("messages", "the last message should be from the user: it is the question")
    if not turns[-1].content.strip():
        raise _bad(f"messages.{len(messages) - 1}.content", "the last message of the user is blank: write a question")
    return Question(turns[-1].content, system="\n\n".join(system) or None, turns=tuple(turns[:-1]))


def _read(where: str, message: JsonValue) -> Message:
    if not isinstance(message, dict):
        raise _bad(where, 'a message should be an object such as {"role": "user", "content": "..."}')
    for key in ("tool_calls", "function_call"):
        if message.get(key):
            raise _bad(f"{where}.{key}", f"{key} is not supported: {_NO_TOOLS}")
    return Message(_role(where, message.get("role")), _text(f"{where}.content", message.get("content")))


def _role(where: str, role: JsonValue) -> Literal["system", "user", "assistant"]:
    match role:
        case "system" | "developer":
            return "system"
        case "user" | "assistant":
            return role
        case "tool" | "function":
            raise _bad(f"{where}.role", f"the role {role} is not supported: {_NO_TOOLS}")
        case _:
            shown = f" (got {quoted(redact(role[:80]))})" if isinstance(role, str) else ""
            raise _bad(f"{where}.role", f"role should be system, developer, user or assistant{shown}")


def _text(where: str, content: JsonValue) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return mended(content)
    if not isinstance(content, list):
        raise _bad(where, "content should be a text or a list of parts")
    return "\n".join(_part(f"{where}.{number}", each) for number, each in enumerate(content))


def _part(where: str, part: JsonValue) -> str:
    table = cast("Mapping[str, JsonValue]", part if isinstance(part, dict) else {})
    kind = table.get("type")
    text = table.get(_TEXTS[kind]) if isinstance(kind, str) and kind in _TEXTS else None
    if isinstance(text, str):
        return mended(text)
    if kind in _TEXTS or not isinstance(kind, str):
        raise _bad(where, 'a part should be an object such as {"type": "text", "text": "..."}')
    shown = quoted(redact(kind[:80]))
    raise _bad(f"{where}.type", f"parts of type {shown} are not supported: only text is; describe it in words")


def _bad(param: str, message: str) -> ApiError:
    return ApiError(400, "invalid_value", message, param=param)
