"""Builds a completion from the choices of a reply, for both transports."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from moa_mcp.errors import AnswerEmpty, AnswerRefused, CallError, ServerFailed
from moa_mcp.providers.replies import billing
from moa_mcp.providers.replies.finish_reasons import ending
from moa_mcp.providers.replies.reasoning import joined, split
from moa_mcp.routing import catalog
from moa_mcp.text.redact import redact
from moa_mcp.text.surrogates import mended
from moa_mcp.values import Completion, FinishReason, Target, Usage


class Choice(NamedTuple):
    """One of the answers in a reply."""

    text: str
    finish_reason: str | None
    refusal: str | None = None
    """The model's refusal, which replaces the answer."""
    fault: str = ""
    """Why the answer was interrupted; empty if it was not."""
    reasoning: str = ""
    """The reasoning, if the provider returns it separately."""


def completed(
    target: Target, choices: Sequence[Choice], usage: Usage | None, cost_usd: Decimal | None = None, *, most: int = 1
) -> Completion:
    """Return the answers of a reply, at most `most`, as one completion; choices without an answer are left out.

    `cost_usd` is the cost that the provider reports; if it is None, the cost follows from the price.

    Raises:
        CallError: none of the choices is an answer.

    """
    usage = billing.credible(usage, answered=any(each.text or each.reasoning for each in choices))
    cost = cost_of(target, usage, cost_usd)
    answers: list[Completion] = []
    faults: list[CallError] = []
    for choice in choices:
        try:
            answers.append(_answer(target, choice) if answers else _answer(target, choice, usage, cost))
        except CallError as error:
            faults.append(error)
    if answers:
        first, *rest = answers[:most]
        return replace(first, others=tuple(rest)) if rest else first
    fault = faults[0] if faults else unanswered(target)
    fault.usage, fault.cost_usd = usage, cost
    raise fault


def unanswered(target: Target) -> ServerFailed:
    """Return the error for a reply without an answer."""
    return unclear(f"{target.model} sent a reply that contains no answer")


def garbled(target: Target) -> ServerFailed:
    """Return the error for a reply that is not valid JSON."""
    return unclear(f"{target.model} sent a reply that is not valid JSON")


def unclear(message: str) -> ServerFailed:
    """Return the error for an invalid reply, which may have been billed."""
    error = ServerFailed(message)
    error.paid = None
    return error


def _answer(target: Target, choice: Choice, usage: Usage | None = None, cost_usd: Decimal | None = None) -> Completion:
    """Return the completion of one choice. Raises `CallError` if it is not an answer."""
    if choice.fault:
        raise unclear(f"{target.model}: {redact(mended(choice.fault))}")
    thought, text = split(mended(choice.text))
    reasoning = joined(mended(choice.reasoning), thought)
    text = text.lstrip() if reasoning or choice.reasoning else text
    kind = ending(choice.finish_reason)
    if choice.refusal and not text:
        raise AnswerRefused(f"{target.model} declined: {redact(mended(choice.refusal))}")
    if kind == "filter":
        raise AnswerRefused(
            f"a content filter blocked the answer of {target.model} (finish_reason {choice.finish_reason!r})"
        )
    if kind == "fault":
        raise unclear(f"the answer of {target.model} was interrupted (finish_reason {choice.finish_reason!r})")
    if not text.strip():
        raise _empty(target, reasoning, at_limit=kind == "limit")
    if kind == "unknown":
        note = f"{target.model} ended with an unknown finish_reason: {choice.finish_reason!r:.80}"
        return Completion(text, target.model, "other", usage, cost_usd, (redact(note),), reasoning=reasoning)
    reason: FinishReason = "length" if kind == "limit" else "stop"
    return Completion(text, target.model, reason, usage, cost_usd, reasoning=reasoning)


def _empty(target: Target, reasoning: str, *, at_limit: bool) -> AnswerEmpty:
    what = "only reasoning" if reasoning else "no text"
    why = f"reached its token limit and returned {what}" if at_limit else f"returned {what}"
    error = AnswerEmpty(f"empty answer: {target.model} {why}", at_limit=at_limit)
    error.reasoning = reasoning
    return error


def cost_of(target: Target, usage: Usage | None, reported: Decimal | None = None) -> Decimal | None:
    """Return the billed US dollars: as reported, otherwise by the price; None if neither is known."""
    price = catalog.price_at(target)
    if reported is not None:
        return reported
    return None if usage is None or price is None else price.cost_usd(usage)
