"""Tokens and what they cost: as billed, as estimated, and the price of a model."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct


class Usage(Struct, frozen=True):
    """Tokens that a provider billed.

    Cached and cache-write tokens are included in `prompt_tokens`, reasoning tokens in `completion_tokens`.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
        )


class Rates(NamedTuple):
    """Prices of one token, in US dollars."""

    prompt: Decimal
    completion: Decimal
    cached: Decimal
    """For prompt tokens that the provider read from its cache."""
    reasoning: Decimal
    """For reasoning tokens."""
    cache_write: Decimal | None = None
    """For prompt tokens that the provider wrote to its cache; None if they cost the same as other prompt tokens."""


class Price(NamedTuple):
    """The price of a model."""

    rates: Rates
    source: str
    """The source of the price."""
    tiers: tuple[tuple[int, Rates], ...] = ()
    """Higher prices for long prompts: `(tokens, rates)` applies to all tokens of a call with a longer prompt.
    Ascending."""

    def at(self, prompt_tokens: int) -> Rates:
        """Return the rates for a call with this many prompt tokens."""
        for above, rates in reversed(self.tiers):
            if prompt_tokens > above:
                return rates
        return self.rates

    def cost_usd(self, usage: Usage) -> Decimal:
        """Return the cost of one call, in US dollars."""
        rates = self.at(usage.prompt_tokens) if self.tiers else self.rates
        cost = usage.prompt_tokens * rates.prompt + usage.completion_tokens * rates.completion
        if usage.cached_tokens:
            cost += usage.cached_tokens * (rates.cached - rates.prompt)
        if usage.cache_write_tokens and rates.cache_write is not None:
            cost += usage.cache_write_tokens * (rates.cache_write - rates.prompt)
        if usage.reasoning_tokens:
            cost += usage.reasoning_tokens * (rates.reasoning - rates.completion)
        return cost


class Tokens(NamedTuple):
    """An estimated number of tokens."""

    min: int
    expected: int
    max: int


class Dollars(NamedTuple):
    """An estimated cost, in US dollars."""

    min: Decimal
    expected: Decimal
    max: Decimal
