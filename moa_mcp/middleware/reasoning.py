"""Fits the reasoning parameters of a call to its route: effort or tokens, within the token limit. Pure."""

from __future__ import annotations

from typing import NamedTuple

from moa_mcp.parameters import with_settings
from moa_mcp.routing.reasoning import counts_thinking
from moa_mcp.values import TOKEN_LIMITS, Call, Parameters, Target, token_limit

_LEAST_TOKENS = 1024
"""The fewest tokens for reasoning that Anthropic accepts; other providers accept fewer."""


class Fitted(NamedTuple):
    """A call with other parameters, and notes about the changes."""

    call: Call
    notes: tuple[str, ...] = ()


def routed(call: Call) -> tuple[Call, tuple[str, ...]]:
    """Return a call with the settings of its route, and without the parameters that its model is known to reject.

    If both reasoning parameters are set, a provider that counts tokens gets the tokens, and every other the effort. A
    token limit is always sent.
    """
    target = call.target
    if target is None or not (target.lacks or any(target.settings) or "thinking_tokens" in call.parameters):
        return call, ()  # the usual case
    parameters = with_settings(call.parameters, target.settings) if any(target.settings) else call.parameters
    lacking = [name for name in parameters if name in target.lacks and name not in TOKEN_LIMITS] if target.lacks else []
    for name in lacking:
        parameters = _without(name, parameters)
    call = call if parameters is call.parameters else call._replace(parameters=parameters)
    call, notes = _one_of_both(call, target)
    return call, (*(f"{target.model} does not take {name}; left out" for name in lacking), *notes)


def _one_of_both(call: Call, target: Target) -> Fitted:
    """Return a call with the reasoning parameter that its provider takes."""
    parameters = call.parameters
    if "thinking_tokens" not in parameters:
        return Fitted(call)
    if counts_thinking(target):
        return fitted(target.model, call._replace(parameters=_without("reasoning_effort", parameters)))
    call = call._replace(parameters=_without("thinking_tokens", parameters))
    has_effort = "reasoning_effort" in parameters
    return Fitted(call, () if has_effort else (f"{target.model} does not take thinking_tokens; left out",))


def fitted(model: str, call: Call) -> Fitted:
    """Return a call whose tokens for reasoning leave room for an answer within the token limit."""
    tokens, limit = call.parameters.get("thinking_tokens"), token_limit(call.parameters)
    if not isinstance(tokens, int) or limit is None or tokens < limit:
        return Fitted(call)
    within = f"{model}: thinking_tokens = {tokens} leaves no room for an answer within {limit} tokens"
    if limit // 2 < _LEAST_TOKENS:
        return Fitted(call._replace(parameters=_without("thinking_tokens", call.parameters)), (f"{within}; left out",))
    fewer = call._replace(parameters={**call.parameters, "thinking_tokens": limit // 2})
    return Fitted(fewer, (f"{within}; sent {limit // 2}",))


def _without(name: str, parameters: Parameters) -> Parameters:
    return {key: value for key, value in parameters.items() if key != name}
