"""The parameters of requests that the configuration sets: types of their values, and which of them prevail.

It knows neither steps nor routes, which have them as keys, and no provider.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, cast

from pydantic import BeforeValidator, Field, JsonValue, PlainSerializer

from moa_mcp.text.suggest import closest
from moa_mcp.values import NO_SETTINGS, CallSettings, Parameters

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""The reasoning efforts, least first. Providers accept different subsets."""

_NAMED = {
    **dict.fromkeys(("model", "models"), "name the model with model, and others as routes"),
    **dict.fromkeys(("messages", "prompt", "system"), "the prompt comes from the step; set prompt or system"),
    **dict.fromkeys(("stream", "stream_options"), "moa-mcp decides whether it streams"),
    **dict.fromkeys(("n", "best_of"), "set samples"),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_output_tokens"), "set max_tokens of the step"),
    "temperature": "set temperature",
    "reasoning_effort": "set reasoning_effort",
    **dict.fromkeys(("thinking_tokens", "thinking_budget", "thinking_token_budget"), "set thinking_tokens"),
    **dict.fromkeys(("tools", "tool_choice", "functions", "function_call"), "moa-mcp calls no tools"),
    "response_format": "moa-mcp sets it for judges",
    **dict.fromkeys(("api_key", "key", "token", "authorization"), "set api_key_env of the route"),
    **dict.fromkeys(("api_base", "base_url", "api_version"), "set api_base of the route"),
    **dict.fromkeys(("timeout", "request_timeout"), "set timeout_s"),
    **dict.fromkeys(("max_retries", "num_retries"), "set attempts in [limits]"),
    "fallbacks": "add routes to the model",
    **dict.fromkeys(("headers", "extra_headers", "custom_llm_provider", "mock_response", "logger_fn"), "remove it"),
}
"""Parameters that are not free, each with the remedy."""


def _effort(value: object) -> object:
    if not isinstance(value, str) or value in EFFORTS:
        return value
    near = closest(value.lower(), EFFORTS)
    meant = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"{value!r} should be one of {', '.join(map(repr, EFFORTS))}{meant}")


def _as_json(value: object) -> object:
    """Return a table as the text of a JSON object, with sorted keys: equal tables have equal texts."""
    if not isinstance(value, dict):
        return value if value is None else _refuse(value)
    table = cast("dict[str, object]", value)
    for name, each in table.items():
        if (remedy := _NAMED.get(name.lower())) is not None:
            raise ValueError(f"should not contain {name}; {remedy}")
        if not _is_json(each):
            raise ValueError(f"{name} should be text, a number, true or false, a list or a table")
    return json.dumps(table, sort_keys=True)


def _refuse(value: object) -> object:
    raise ValueError(f"{value!r} should be a table, {{ top_p = 0.9 }}")


def _is_json(value: object) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case str() | bool() | int() | None:
            return True
        case list():
            return all(map(_is_json, cast("list[object]", value)))
        case dict():
            return all(map(_is_json, cast("dict[str, object]", value).values()))
        case _:
            return False


Effort: TypeAlias = Annotated[str, BeforeValidator(_effort)]
"""A reasoning effort, one of `EFFORTS`."""
ThinkingTokens: TypeAlias = Annotated[int, Field(ge=1)]
"""Tokens that a model may spend on reasoning, for providers that count them."""
Extra: TypeAlias = Annotated[
    str, BeforeValidator(_as_json), PlainSerializer(lambda text: text and json.loads(text), return_type=Any)
]
"""Parameters that have no key of their own: a table, kept as the text of a JSON object so that it can be hashed."""


def prevailing(outer: CallSettings, inner: CallSettings) -> CallSettings:
    """Return the settings of a level within another one. What the inner level sets, prevails.

    Effort and thinking tokens are two ways to say one thing: a level that sets one of them replaces both.
    """
    if inner == NO_SETTINGS:
        return outer
    reasoning = inner if inner.reasoning_effort or inner.thinking_tokens else outer
    if inner.extra is None or outer.extra is None:
        extra = inner.extra or outer.extra
    else:
        extra = json.dumps({**json.loads(outer.extra), **json.loads(inner.extra)}, sort_keys=True)
    return CallSettings(reasoning.reasoning_effort, reasoning.thinking_tokens, extra)


def with_settings(parameters: Parameters, settings: CallSettings) -> Parameters:
    """Return parameters with those of the settings, which prevail as in `prevailing`."""
    effort, thinking_tokens, extra = settings
    after: dict[str, JsonValue] = dict(parameters)
    if effort is not None or thinking_tokens is not None:
        for name, value in (("reasoning_effort", effort), ("thinking_tokens", thinking_tokens)):
            after.pop(name, None)
            if value is not None:
                after[name] = value
    if extra is not None:
        further: Mapping[str, JsonValue] = json.loads(extra)
        after.update(further)
    return after
