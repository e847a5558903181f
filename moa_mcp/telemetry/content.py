"""Prompts and answers as attributes of spans, in the JSON format of the GenAI semantic conventions. Keys are masked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from moa_mcp.telemetry.attributes import Attributes
from moa_mcp.text.redact import redact
from moa_mcp.text.surrogates import mended
from moa_mcp.values import Completion, Message


def of_prompt(messages: Sequence[Message]) -> Attributes:
    """Return the attributes of a prompt."""
    system = [_part(each.content) for each in messages if each.role == "system"]
    others = [{"role": each.role, "parts": _parts(each)} for each in messages if each.role != "system"]
    found: Attributes = {"gen_ai.input.messages": _text(others)}
    if system:
        found["gen_ai.system_instructions"] = _text(system)
    return found


def of_answers(completion: Completion) -> Attributes:
    """Return the attribute of a provider's answers."""
    return {"gen_ai.output.messages": _text([_answer(each) for each in (completion, *completion.others)])}


def shown(text: str) -> str:
    """Return a text without keys and lone surrogates."""
    return redact(mended(text))


def _answer(completion: Completion) -> dict[str, Any]:
    reasoning = [_part(completion.reasoning, "reasoning")] if completion.reasoning else []
    parts = [*reasoning, _part(completion.text)]
    return {"role": "assistant", "parts": parts, "finish_reason": completion.finish_reason}


def _parts(message: Message) -> list[dict[str, str]]:
    """Return the parts of a message. Spans have a description of each image, never its content."""
    return [*(_part(str(image), "image") for image in message.images), _part(message.content)]


def _part(content: str, kind: str = "text") -> dict[str, str]:
    return {"type": kind, "content": shown(content)}


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
