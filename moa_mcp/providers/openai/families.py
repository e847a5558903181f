"""What families of models are known to take, so that a first request is not wasted on what they refuse.

The rules are those by which litellm goes for OpenAI's reasoning models; what they miss is negotiated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from moa_mcp.errors import ParameterRefused
from moa_mcp.routing import catalog
from moa_mcp.values import Parameters, Target

_REASONS = re.compile(r"(o\d|gpt-[5-9])(?![^/]*-chat)(\b|[.-])")


@cache
def _reasons(model: str) -> bool:
    provider, slash, name = model.partition("/")
    return (provider == "openai" or not slash) and bool(_REASONS.match((name or provider).rpartition("/")[2]))


def renamed(target: Target, parameters: Parameters) -> Mapping[str, float | int]:
    """Return the parameters under the names that the model takes."""
    if not _reasons(target.model):
        return parameters
    return {"max_completion_tokens" if key == "max_tokens" else key: value for key, value in parameters.items()}


def check(target: Target, parameters: Parameters) -> None:
    """Refuse what the model is known to refuse while it reasons, in the provider's place.

    Raises:
        ParameterRefused: for the first such parameter.

    """
    if not _reasons(target.model) or catalog.default_effort(target.model) == "none":
        return
    for name in ("temperature", "top_p"):
        if parameters.get(name, 1) != 1:
            raise ParameterRefused(f"{target.model}: reasoning models take no {name} but 1", parameter=name)
