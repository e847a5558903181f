"""The tokens and the cost in US dollars that a reply reports, corrected or dropped where they can't be true.

An impossible count is corrected if only one correction is possible, otherwise it is unknown. An unknown cost leaves
the call's budget reservation in place, while a cost of zero would make calls free.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from moa_mcp.providers.replies.json_values import as_object
from moa_mcp.values import Target, Usage

_MANY = 2**53
"""Counts from here on are invalid: no request has as many tokens."""
_PROMPT = ("prompt_tokens", "input_tokens")
_COMPLETION = ("completion_tokens", "output_tokens")


def usage(reported: Mapping[str, Any]) -> Usage | None:
    """Return the tokens of a usage object; None unless it has both prompt and completion tokens.

    Tokens that only the total includes are reasoning, billed as output: Gemini, xAI and others leave them out of the
    completion tokens. A detail larger than its total is dropped, so that the total is billed at the full price.
    """
    prompt, completion = count(reported, *_PROMPT), count(reported, *_COMPLETION)
    total = count(reported, "total_tokens")
    if prompt is None or completion is None:
        return None
    reasoning = _largest(reported, _OF_COMPLETION, _REASONING)
    if total is None:
        beyond = reasoning if reasoning > completion else 0  # counted separately, and missing from the total
    elif total > prompt + completion:
        beyond = total - prompt - completion
        reasoning = max(reasoning, beyond)
    else:
        beyond = 0
    completion += beyond
    cached, written = _largest(reported, _OF_PROMPT, _CACHED), _largest(reported, _OF_PROMPT, _WRITTEN)
    if (
        "prompt_tokens" not in reported
        and count(reported, "cache_read_input_tokens", "cache_creation_input_tokens") is not None
    ):
        prompt += cached + written  # Anthropic counts them separately
    return Usage(
        prompt,
        completion,
        cached if cached <= prompt else 0,
        reasoning if reasoning <= completion else 0,
        written if cached + written <= prompt else 0,
    )


def credible(usage: Usage | None, *, answered: bool) -> Usage | None:
    """Return the usage; None if the prompt is zero, or the completion is zero although text was `said`."""
    if usage is None or not usage.prompt_tokens or (answered and not usage.completion_tokens):
        return None
    return usage


def later(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the more complete of two usage objects of a stream: the later one, unless a count in it is lower."""
    if before:
        for names in (_PROMPT, _COMPLETION, ("total_tokens",)):
            if (count(before, *names) or 0) > (count(after, *names) or 0):
                return before
    return after


def cost_usd(target: Target, reported: Mapping[str, Any]) -> Decimal | None:
    """Return the cost of a call in US dollars, as OpenRouter reports it; None for other providers or without a report.

    Zero counts only for a free model: for others it means unknown.
    """
    cost = dollars(reported.get("cost")) if target.model.startswith("openrouter/") else None
    if cost is None:
        return None
    # With the user's own provider key (BYOK), `cost` is only OpenRouter's fee.
    upstream = (
        dollars(as_object(reported.get("cost_details")).get("upstream_inference_cost"))
        if reported.get("is_byok")
        else None
    )
    cost += upstream or 0
    return cost if cost or target.model.endswith(":free") else None


def count(reported: Mapping[str, Any], *names: str) -> int | None:
    """Return the first valid count; None if there is none."""
    for name in names:
        if name in reported:
            value = reported[name]
            if type(value) is int:  # the usual case; the rest takes ten times as long
                if 0 <= value < _MANY:
                    return value
            elif (amount := dollars(value)) is not None and amount == amount.to_integral_value():
                return int(amount)
    return None


def dollars(value: object) -> Decimal | None:
    """Return an amount in US dollars; None if the value is not one."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount < _MANY else None


_OF_COMPLETION = ("completion_tokens_details", "output_tokens_details")
_OF_PROMPT = ("prompt_tokens_details", "input_tokens_details")
_REASONING = ("reasoning_tokens",)
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens", "num_cached_tokens")
_WRITTEN = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")


def _largest(reported: Mapping[str, Any], holders: tuple[str, str], names: tuple[str, ...]) -> int:
    """Return the largest value of a detail, which may be beside the totals or in an object, under several names."""
    places = [reported]
    for holder in holders:
        if holder in reported:
            places += [as_object(reported[holder])]
    largest = 0
    for held in places:
        for name in names:
            if name in held and (number := count(held, name)) and number > largest:
                largest = number
    return largest
