"""The messages of a chat completion as a question with its system prompt, earlier turns and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

from pydantic import JsonValue

from moa_mcp.images import ImageRefused, checked, read_image
from moa_mcp.server.openai.errors import ApiError
from moa_mcp.text.redact import redact
from moa_mcp.text.surrogates import mended
from moa_mcp.text.visible import quoted
from moa_mcp.values import Image, Message, Question, images_of

_TEXTS = {"text": "text", "refusal": "refusal"}
"""The kinds of parts that are text, and the key of it."""
_NO_TOOLS = "a pipeline calls no tools; say in a message of the user what they returned"


class _Part(NamedTuple):
    """A part of a message."""

    text: str | None = None
    image: Image | None = None


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
    try:
        checked(images_of(turns))
    except ImageRefused as error:
        raise _bad("messages", str(error)) from error
    last = turns[-1]
    return Question(last.content, system="\n\n".join(system) or None, turns=tuple(turns[:-1]), images=last.images)


def _read(where: str, message: JsonValue) -> Message:
    if not isinstance(message, dict):
        raise _bad(where, 'a message should be an object such as {"role": "user", "content": "..."}')
    for key in ("tool_calls", "function_call"):
        if message.get(key):
            raise _bad(f"{where}.{key}", f"{key} is not supported: {_NO_TOOLS}")
    role = _role(where, message.get("role"))
    parts = _parts(f"{where}.content", message.get("content"))
    images = tuple(each.image for each in parts if each.image is not None)
    if images and role != "user":
        raise _bad(f"{where}.content", "only messages of the user can have images")
    return Message(role, "\n".join(each.text for each in parts if each.text is not None), images)


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


def _parts(where: str, content: JsonValue) -> Sequence[_Part]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (_Part(mended(content)),)
    if not isinstance(content, list):
        raise _bad(where, "content should be a text or a list of parts")
    return [_part(f"{where}.{number}", each) for number, each in enumerate(content)]


def _part(where: str, part: JsonValue) -> _Part:
    table = cast("Mapping[str, JsonValue]", part if isinstance(part, dict) else {})
    kind = table.get("type")
    text = table.get(_TEXTS[kind]) if isinstance(kind, str) and kind in _TEXTS else None
    if isinstance(text, str):
        return _Part(mended(text))
    if kind == "image_url":
        return _Part(image=_image(f"{where}.image_url.url", table.get("image_url")))
    if kind in _TEXTS or not isinstance(kind, str):
        raise _bad(where, 'a part should be an object such as {"type": "text", "text": "..."}')
    shown = quoted(redact(kind[:80]))
    raise _bad(
        f"{where}.type", f"parts of type {shown} are not supported: only text and image_url are; describe it in words"
    )


def _image(where: str, value: JsonValue) -> Image:
    url = value.get("url") if isinstance(value, dict) else None
    if not isinstance(url, str):
        raise _bad(where, 'image_url should be an object such as {"url": "data:image/png;base64,..."}')
    try:
        return read_image(url)
    except ImageRefused as error:
        raise _bad(where, f"the image {error}") from error


def _bad(param: str, message: str) -> ApiError:
    return ApiError(400, "invalid_value", message, param=param)
