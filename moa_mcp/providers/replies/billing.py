"""What a reply says that it took, in tokens and dollars, as far as it can be true.

A count that can't be is corrected where only one correction is possible, and unknown otherwise: an unknown cost keeps
what a budget held for the call, while a known zero would let calls out for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from moa_mcp.providers.replies.json_values import as_object
from moa_mcp.values import Target, Usage

_MANY = 2**53
"""More tokens than any request has."""
_PROMPT = ("prompt_tokens", "input_tokens")
_COMPLETION = ("completion_tokens", "output_tokens")


def usage(told: Mapping[str, Any]) -> Usage | None:
    """Return the tokens of a usage object; None where it does not tell both the prompt's and the completion's.

    Tokens that only the total counts are reasoning, billed as output: Gemini, xAI and others leave them out of the
    completion's. A detail beyond its whole is dropped, so that all of the whole is billed at the full price.
    """
    prompt, completion = count(told, *_PROMPT), count(told, *_COMPLETION)
    total = count(told, "total_tokens")
    if prompt is None or completion is None:
        return None
    reasoning = _reasoning(told)
    beyond = 0 if total is None else max(0, total - prompt - completion)
    if beyond:
        reasoning = max(reasoning, beyond)
    elif total is None and reasoning > completion:  # counted apart, and no total tells of it
        beyond = reasoning
    completion += beyond
    cached, written = _cached(told), _written(told)
    if (
        "prompt_tokens" not in told
        and count(told, "cache_read_input_tokens", "cache_creation_input_tokens") is not None
    ):
        prompt += cached + written  # Anthropic's form counts them apart
    return Usage(
        prompt,
        completion,
        cached if cached <= prompt else 0,
        reasoning if reasoning <= completion else 0,
        written if cached + written <= prompt else 0,
    )


def credible(usage: Usage | None, *, said: bool) -> Usage | None:
    """Return the tokens of a request, unless they are zeros where there was a prompt, or where a text was `said`."""
    if usage is None or not usage.prompt_tokens or (said and not usage.completion_tokens):
        return None
    return usage


def later(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return which of two usage objects of one stream tells more: the later, unless it takes a count back."""
    if before:
        for names in (_PROMPT, _COMPLETION, ("total_tokens",)):
            if (count(before, *names) or 0) > (count(after, *names) or 0):
                return before
    return after


def cost_usd(target: Target, told: Mapping[str, Any]) -> Decimal | None:
    """Return what the provider says that a call cost, in US dollars; None where it does not say.

    Zero is what it says of a free model, and otherwise of what it does not know.
    """
    cost = dollars(told.get("cost"))
    if not target.model.startswith("openrouter/") or cost is None:
        return None
    # With a key of one's own at the maker, the cost is OpenRouter's share alone.
    upstream = (
        dollars(as_object(told.get("cost_details")).get("upstream_inference_cost")) if told.get("is_byok") else None
    )
    cost += upstream or 0
    return cost if cost or target.model.endswith(":free") else None


def count(told: Mapping[str, Any], *names: str) -> int | None:
    """Return the first of some counts that is one; None if none is."""
    for name in names:
        if name in told and (number := _number(told[name])) is not None:
            return number
    return None


def dollars(value: object) -> Decimal | None:
    """Return an amount of money; None if it is none."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount < _MANY else None


def _number(value: object) -> int | None:
    if type(value) is int:  # as nearly all are; the rest takes ten times as long
        return value if 0 <= value < _MANY else None
    amount = dollars(value)
    return None if amount is None or amount != amount.to_integral_value() else int(amount)


def _reasoning(told: Mapping[str, Any]) -> int:
    return _largest(told, ("completion_tokens_details", "output_tokens_details"), _REASONING)


def _cached(told: Mapping[str, Any]) -> int:
    return _largest(told, _OF_PROMPT, _CACHED)


def _written(told: Mapping[str, Any]) -> int:
    return _largest(told, _OF_PROMPT, _WRITTEN)


_OF_PROMPT = ("prompt_tokens_details", "input_tokens_details")
_REASONING = ("reasoning_tokens",)
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens", "num_cached_tokens")
_WRITTEN = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")


def _largest(told: Mapping[str, Any], holders: tuple[str, str], names: tuple[str, ...]) -> int:
    """Return a detail, which stands in one of several places under one of several names."""
    largest = 0
    for place in (told, told.get(holders[0]), told.get(holders[1])):
        if place:
            held = as_object(place)
            for name in names:
                if value := held.get(name):
                    largest = max(largest, _number(value) or 0)
    return largest
