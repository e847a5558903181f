"""What stands in the JSON of the OpenAI wire, in every form that its servers give it. Pure; it knows no transport."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from moa_mcp.providers.replies import Choice
from moa_mcp.surrogates import mended
from moa_mcp.values import Target, Usage

Json: TypeAlias = dict[str, Any]

_SAID = {"text", "output_text"}
_MANY = 2**53
"""More tokens than any request has."""


class Fault(NamedTuple):
    """What a server says went wrong."""

    told: str
    code: str = ""
    status: int | None = None


def fault(body: Json) -> Fault:
    """Return what an error's body says: OpenAI's form, or one of those that other servers use."""
    error: object = body.get("error", body)
    entries = _object(error)
    if not entries:
        return Fault(str(error))
    told = next((str(entries[key]) for key in ("message", "detail", "msg") if entries.get(key)), "")
    code = entries.get("code")
    return Fault(told, str(code or entries.get("type") or ""), code if isinstance(code, int) else None)


def said_in(text: str) -> str:
    """Return what an error's body says, where the text is one; else the text."""
    try:
        body: object = json.loads(text)
    except ValueError:
        return text
    return fault(_object(body)).told or text


def broken(body: Json) -> Fault | None:
    """Return what went wrong after all, where a reply of status 200 or a part of a stream says so; else None."""
    return fault(body) if body.get("error") or body.get("object") == "error" else None


def choices(body: Json) -> list[Choice]:
    """Return the texts of a whole reply."""
    return [_choice(_object(each)) for each in _list(body.get("choices"))]


def _choice(choice: Json) -> Choice:
    message = _object(choice.get("message"))
    text, refusal = _text(message.get("content")), message.get("refusal")
    reason = _name(choice.get("finish_reason"))
    return Choice(text, reason, str(refusal) if refusal else None, _broke_off(choice))


def _broke_off(choice: Json) -> str:
    """Return why an answer that had begun broke off; empty if it did not."""
    told = fault(choice).told if choice.get("error") else ""
    return told or ("the answer broke off" if choice.get("finish_reason") == "error" else "")


def _text(content: object) -> str:
    """Return what is said: some models send it in parts, with their thoughts between."""
    if isinstance(content, str):
        return content
    parts = (_object(part) for part in _list(content))
    texts = (part.get("text") for part in parts if part.get("type", "text") in _SAID)
    return "".join(text for text in texts if isinstance(text, str))


def _name(value: object) -> str | None:
    return value if isinstance(value, str) else None


def usage(body: Json) -> Usage | None:
    """Return the tokens that a reply says were billed."""
    told = _object(body.get("usage"))
    if not any(isinstance(told.get(name), int | float) for name in ("prompt_tokens", "completion_tokens")):
        return None
    prompt, completion = number(told.get("prompt_tokens")), number(told.get("completion_tokens"))
    details = _object(told.get("prompt_tokens_details"))
    cached = details.get("cached_tokens") or told.get("prompt_cache_hit_tokens") or told.get("cached_tokens")
    reasoning = number(_object(told.get("completion_tokens_details")).get("reasoning_tokens"))
    if told.get("total_tokens") == prompt + completion + reasoning:  # some count apart what was thought
        completion += reasoning
    written = details.get("cache_write_tokens") or details.get("cache_creation_tokens")
    return Usage(prompt, completion, number(cached), reasoning, number(written))


def cost_usd(target: Target, body: Json) -> Decimal | None:
    """Return what the provider says that a call cost; None where it does not say."""
    told = _object(body.get("usage"))
    cost = _dollars(told.get("cost"))
    if not target.model.startswith("openrouter/") or cost is None:
        return None
    # With a key of one's own at the maker, the cost is OpenRouter's share alone.
    upstream = _object(told.get("cost_details")).get("upstream_inference_cost") if told.get("is_byok") else None
    return cost + (_dollars(upstream) or 0)


@dataclass(slots=True)
class _Growing:
    text: list[str] = field(default_factory=list[str])
    refusal: list[str] = field(default_factory=list[str])
    finish_reason: str | None = None
    fault: str = ""


class Stream:
    """A streamed reply as far as it came."""

    def __init__(self) -> None:
        self.billed: Json = {}
        """The part that held the usage."""
        self.ended = False
        """Whether it said that it was over."""
        self._growing: defaultdict[int, _Growing] = defaultdict(_Growing)

    @property
    def begun(self) -> bool:
        """Whether any text came."""
        return any(each.text for each in self._growing.values())

    def take(self, chunk: Json) -> str:
        """Keep a chunk and return what it adds to the first text."""
        if chunk.get("usage"):
            self.billed = chunk
        return "".join([self._take(_object(choice)) for choice in _list(chunk.get("choices"))])

    def _take(self, choice: Json) -> str:
        index = number(choice.get("index"))
        growing = self._growing[index]
        delta = _object(choice.get("delta"))
        if choice.get("usage"):
            self.billed = choice
        if reason := _name(choice.get("finish_reason")):
            growing.finish_reason, self.ended = reason, True
        if fault := _broke_off(choice):
            growing.fault, self.ended = fault, True
        if delta.get("refusal"):
            growing.refusal.append(str(delta["refusal"]))
        piece = _text(delta.get("content"))
        if piece:
            growing.text.append(piece)
        return "" if index else mended(piece)

    def choices(self) -> list[Choice]:
        """Return the texts, in the order of their numbers."""
        return [
            Choice("".join(each.text), each.finish_reason, "".join(each.refusal) or None, each.fault)
            for _, each in sorted(self._growing.items())
        ]


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


def _dollars(value: object) -> Decimal | None:
    return Decimal(str(value)) if isinstance(value, int | float) and 0 <= value < _MANY else None


def number(value: object) -> int:
    """Return how many tokens were counted; none where no such number is told."""
    return int(value) if isinstance(value, int | float) and 0 <= value < _MANY else 0
