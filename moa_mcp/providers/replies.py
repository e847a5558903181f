"""From what a model said to a completion, whichever transport brought it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from moa_mcp import catalog
from moa_mcp.errors import AnswerEmpty, AnswerRefused, CallError, ServerFailed
from moa_mcp.redact import redact
from moa_mcp.surrogates import mended
from moa_mcp.values import Completion, FinishReason, Target, Usage

_AT_LIMIT = {"length", "max_tokens"}
_AT_END = {"stop", "eos", "end_turn", "", None}


class Choice(NamedTuple):
    """One of the texts that a reply holds."""

    text: str
    finish_reason: str | None
    refusal: str | None = None
    """What the model said in place of an answer."""
    fault: str = ""
    """Why it broke off, if it did."""


def completed(
    target: Target, choices: Sequence[Choice], usage: Usage | None, cost_usd: Decimal | None = None, *, most: int = 1
) -> Completion:
    """Return the answers of a reply as one completion, without the choices that are none; `most` were asked for.

    `cost_usd` is what the provider said that it cost; without it, the price decides.

    Raises:
        CallError: not one of the choices is an answer.

    """
    answers: list[tuple[str, FinishReason]] = []
    faults: list[CallError] = []
    for choice in choices:
        try:
            answers.append(_answer(target, choice))
        except CallError as error:
            faults.append(error)
    cost = cost_of(target, usage, cost_usd)
    if answers:
        (text, reason), *rest = answers[:most]
        others = tuple([Completion(text, target.model, reason) for text, reason in rest])
        return Completion(text, target.model, reason, usage, cost, others=others)
    fault = faults[0] if faults else unanswered(target)
    fault.usage, fault.cost_usd = usage, cost
    raise fault


def unanswered(target: Target) -> ServerFailed:
    """Return the error for a reply in which no answer was looked for."""
    return _unclear(f"{target.model} sent a reply without an answer in it")


def garbled(target: Target) -> ServerFailed:
    """Return the error for a reply that can't be read."""
    return _unclear(f"{target.model} sent a reply that is not valid JSON")


def _unclear(message: str) -> ServerFailed:
    """Return the error for a reply that came, and may be billed."""
    error = ServerFailed(message)
    error.paid = None
    return error


def _answer(target: Target, choice: Choice) -> tuple[str, FinishReason]:
    """Return a text and why it ended. Raises `CallError` where there is no answer."""
    if choice.fault:
        raise _unclear(f"{target.model}: {redact(mended(choice.fault))}")
    if choice.refusal and not choice.text:
        raise AnswerRefused(f"{target.model} declined: {redact(mended(choice.refusal))}")
    if choice.finish_reason == "content_filter":
        raise AnswerRefused(f"the provider's filter stopped {target.model}")
    at_limit = choice.finish_reason in _AT_LIMIT
    if not choice.text.strip():
        why = "used up its token limit before it wrote any" if at_limit else "returned none"
        raise AnswerEmpty(f"no text: {target.model} {why}", at_limit=at_limit)
    reason: FinishReason = "length" if at_limit else "stop" if choice.finish_reason in _AT_END else "other"
    return mended(choice.text), reason


def cost_of(target: Target, usage: Usage | None, told: Decimal | None = None) -> Decimal | None:
    """Return what was billed in US dollars: what the provider told, else by the price; None if neither is known."""
    price = catalog.price_at(target)
    if told is not None:
        return told
    return None if usage is None or price is None else price.cost_usd(usage)
