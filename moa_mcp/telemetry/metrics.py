"""The metrics of model requests: tokens, seconds and US dollars by model.

Names and buckets are those of the GenAI semantic conventions of OpenTelemetry; `moa.cost` is the only one of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from opentelemetry.metrics import Counter, Histogram, Meter
from opentelemetry.util.types import AttributeValue

from moa_mcp.values import Usage

_TOKENS = tuple(4.0**power for power in range(14))
_SECONDS = tuple(0.01 * 2**power for power in range(14))


class Instruments(NamedTuple):
    """The instruments that all runs of a process share."""

    tokens: Histogram
    seconds: Histogram
    first_text: Histogram
    cost: Counter

    @classmethod
    def of(cls, meter: Meter) -> Instruments:
        """Create the instruments."""
        return cls(
            meter.create_histogram(
                "gen_ai.client.token.usage",
                "{token}",
                "Tokens of a request",
                explicit_bucket_boundaries_advisory=_TOKENS,
            ),
            meter.create_histogram(
                "gen_ai.client.operation.duration",
                "s",
                "Duration of a request",
                explicit_bucket_boundaries_advisory=_SECONDS,
            ),
            meter.create_histogram(
                "gen_ai.client.operation.time_to_first_chunk",
                "s",
                "Time until the first text of a streamed answer",
                explicit_bucket_boundaries_advisory=_SECONDS,
            ),
            meter.create_counter("moa.cost", "{USD}", "Cost of requests with a known price, in US dollars"),
        )

    def record(
        self, seconds: float, usage: Usage | None, cost_usd: Decimal | None, about: Mapping[str, AttributeValue]
    ) -> None:
        """Record a request that ended. An unknown usage or cost is not recorded."""
        self.seconds.record(seconds, about)
        if usage is not None:
            self.tokens.record(usage.prompt_tokens, {**about, "gen_ai.token.type": "input"})
            self.tokens.record(usage.completion_tokens, {**about, "gen_ai.token.type": "output"})
        if cost_usd is not None:
            self.cost.add(float(cost_usd), about)
