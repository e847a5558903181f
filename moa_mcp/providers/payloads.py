"""What stands in the JSON of the OpenAI wire, in every form that its servers give it. Pure; it knows no transport."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from moa_mcp.providers.replies import Choice
from moa_mcp.values import Target, Usage

Json: TypeAlias = dict[str, Any]


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


def choices(body: Json) -> list[Choice]:
    """Return the texts of a whole reply."""
    return [_choice(_object(each)) for each in _list(body.get("choices"))]


def _choice(choice: Json) -> Choice:
    message = _object(choice.get("message"))
    return Choice(_text(message.get("content")), choice.get("finish_reason"), message.get("refusal") or None)


def _text(content: object) -> str:
    """Return what is said: some models send it in parts, with their thoughts between."""
    if isinstance(content, str):
        return content
    texts = (_object(part).get("text") for part in _list(content))
    return "".join(text for text in texts if isinstance(text, str))


def usage(body: Json) -> Usage | None:
    """Return the tokens that a reply says were billed."""
    told = _object(body.get("usage"))
    if not told:
        return None
    prompt, completion = _number(told.get("prompt_tokens")), _number(told.get("completion_tokens"))
    details = _object(told.get("prompt_tokens_details"))
    cached = details.get("cached_tokens") or told.get("prompt_cache_hit_tokens") or told.get("cached_tokens")
    reasoning = _number(_object(told.get("completion_tokens_details")).get("reasoning_tokens"))
    if told.get("total_tokens") == prompt + completion + reasoning:  # some count apart what was thought
        completion += reasoning
    written = details.get("cache_write_tokens") or details.get("cache_creation_tokens")
    return Usage(prompt, completion, _number(cached), reasoning, _number(written))


def cost_usd(target: Target, body: Json) -> Decimal | None:
    """Return what the provider says that a call cost; None where it does not say."""
    told = _object(body.get("usage"))
    cost = told.get("cost")
    if not target.model.startswith("openrouter/") or not isinstance(cost, int | float):
        return None
    # With a key of one's own at the maker, the cost is OpenRouter's share alone.
    upstream = _object(told.get("cost_details")).get("upstream_inference_cost") if told.get("is_byok") else None
    return Decimal(str(cost)) + Decimal(str(upstream or 0))


@dataclass(slots=True)
class _Growing:
    text: list[str] = field(default_factory=list[str])
    refusal: list[str] = field(default_factory=list[str])
    finish_reason: str | None = None


class Stream:
    """A streamed reply as far as it came."""

    def __init__(self) -> None:
        self.billed: Json = {}
        """The part that held the usage."""
        self.ended = False
        """Whether it said that it was over."""
        self._growing: defaultdict[int, _Growing] = defaultdict(_Growing)

    def take(self, chunk: Json) -> str:
        """Keep a chunk and return what it adds to the first text."""
        if chunk.get("usage"):
            self.billed = chunk
        return "".join([self._take(_object(choice)) for choice in _list(chunk.get("choices"))])

    def _take(self, choice: Json) -> str:
        index = _number(choice.get("index"))
        growing = self._growing[index]
        delta = _object(choice.get("delta"))
        if choice.get("usage"):
            self.billed = choice
        if choice.get("finish_reason"):
            growing.finish_reason, self.ended = choice["finish_reason"], True
        if delta.get("refusal"):
            growing.refusal.append(str(delta["refusal"]))
        piece = _text(delta.get("content"))
        if piece:
            growing.text.append(piece)
        return "" if index else piece

    def choices(self) -> list[Choice]:
        """Return the texts, in the order of their numbers."""
        return [
            Choice("".join(each.text), each.finish_reason, "".join(each.refusal) or None)
            for _, each in sorted(self._growing.items())
        ]


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
