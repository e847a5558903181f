"""Attributes of spans, by the GenAI semantic conventions of OpenTelemetry; what they do not name begins with `moa.`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from opentelemetry.util.types import AttributeValue

from moa_mcp.events import AttemptStarted, CallStarted, RunEstimated
from moa_mcp.values import Completion, Usage, token_limit

Attributes: TypeAlias = dict[str, AttributeValue]

_PROVIDERS: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""The names of the conventions, by the prefix of a route. Providers that they do not name keep their prefix."""
_REQUEST = ("temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty")


def of_run(run_id: str, pipeline: str) -> Attributes:
    """Return the attributes of a run."""
    return {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": pipeline,
        "gen_ai.conversation.id": run_id,
        "moa.run.id": run_id,
    }


def of_estimate(event: RunEstimated) -> Attributes:
    """Return the attributes of a run's estimate."""
    expected: Attributes = {"moa.estimate.calls": event.calls, "moa.estimate.tokens": event.tokens.expected}
    if event.cost_usd is not None:
        expected["moa.estimate.cost_usd"] = float(event.cost_usd.expected)
    if event.max_cost_usd is not None:
        expected["moa.run.max_cost_usd"] = float(event.max_cost_usd)
    return expected


def of_call(event: CallStarted) -> Attributes:
    """Return the attributes of an agent's call."""
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": event.agent,
        "moa.call.number": event.place.number,
        "moa.call.sample": event.place.sample,
    }


def of_model(event: AttemptStarted) -> dict[str, str | int]:
    """Return what spans and metrics of a request have in common: its provider, model and server."""
    provider, _, name = event.model.partition("/")
    about: dict[str, str | int] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": name or provider,
    }
    host, _, port = event.server.rpartition(":")
    if host and port.isdecimal():
        about.update({"server.address": host.strip("[]"), "server.port": int(port)})
    return about


def of_request(event: AttemptStarted) -> Attributes:
    """Return the attributes of a request to a provider."""
    found: Attributes = {"moa.attempt.number": event.attempt}
    for name in _REQUEST:
        value = event.parameters.get(name)
        if isinstance(value, int | float):
            found[f"gen_ai.request.{name}"] = value
    if (limit := token_limit(event.parameters)) is not None:
        found["gen_ai.request.max_tokens"] = limit
    if event.others:
        found["gen_ai.request.choice.count"] = len(event.others) + 1
    return found


def of_reply(completion: Completion) -> Attributes:
    """Return the attributes of a provider's answer."""
    answers = (completion, *completion.others)
    return {
        "gen_ai.response.finish_reasons": [each.finish_reason for each in answers],
        **of_usage(completion.usage, completion.cost_usd),
    }


def of_usage(usage: Usage | None, cost_usd: Decimal | None) -> Attributes:
    """Return the attributes of what a provider billed; none of what is unknown."""
    billed: Attributes = {} if cost_usd is None else {"moa.cost_usd": float(cost_usd)}
    if usage is None:
        return billed
    return {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        **billed,
    }
