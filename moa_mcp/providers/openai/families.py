"""Parameters that model families are known to accept or reject, so that no request is wasted on a known rejection.

The rules are litellm's for OpenAI's reasoning models. Rejections that they don't cover are negotiated.
"""

from __future__ import annotations

import re
from functools import cache

from moa_mcp.errors import ParameterRefused
from moa_mcp.routing import catalog
from moa_mcp.values import Parameters, Target

_REASONS = re.compile(r"(o\d|gpt-[5-9])(?![^/]*-chat)(\b|[.-])")


@cache
def _reasons(model: str) -> bool:
    provider, slash, name = model.partition("/")
    return (provider == "openai" or not slash) and bool(_REASONS.match((name or provider).rpartition("/")[2]))


def renamed(target: Target, parameters: Parameters) -> Parameters:
    """Return the parameters under the names that the model accepts."""
    if not _reasons(target.model):
        return parameters
    return {"max_completion_tokens" if key == "max_tokens" else key: value for key, value in parameters.items()}


def check(target: Target, parameters: Parameters) -> None:
    """Reject a parameter that the model is known to reject while it reasons.

    Raises:
        ParameterRefused: the first such parameter.

    """
    if not _reasons(target.model):
        return
    effort = parameters.get("reasoning_effort") or catalog.default_effort(target.model)
    if effort == "none":
        return
    for name in ("temperature", "top_p"):
        if parameters.get(name, 1) != 1:
            raise ParameterRefused(f"{target.model}: reasoning models only accept {name} = 1", parameter=name)
