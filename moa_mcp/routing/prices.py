"""Prices of models as the configuration states them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from moa_mcp.values import Price, Rates

_MILLION = 1_000_000

Dollars = Annotated[Decimal, Field(ge=0, strict=False)]


class PerMillion(BaseModel):
    """Prices in US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    prompt: Dollars
    """For tokens of prompts."""
    completion: Dollars
    """For tokens of answers, reasoning included."""
    cached: Dollars | None = None
    """For prompt tokens that the provider reads from its cache. Default: the price of other prompt tokens."""

    @property
    def price(self) -> Price:
        """Return the price per token."""
        cached = self.prompt if self.cached is None else self.cached
        return Price(
            Rates(*(each / _MILLION for each in (self.prompt, self.completion, cached, self.completion))),
            "configuration",
        )
