"""What a model refuses is left out or renamed, and remembered."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TypeAlias

from moa_mcp.errors import AnswerEmpty, ParameterRefused
from moa_mcp.model.interface import Model
from moa_mcp.values import Call, Completion, Parameters

Refusals: TypeAlias = MutableMapping[tuple[str, str | None], dict[str, str | None]]
"""By model and address: the parameters it refuses there, each with the name it wants instead, if any."""


class Negotiated:
    """Leaves out or renames what a model refuses, and remembers it; gives more room when thinking used it all up."""

    def __init__(self, inner: Model, refused: Refusals) -> None:
        self._inner = inner
        self._refused = refused

    async def __call__(self, call: Call) -> Completion:
        name, base = (call.target.model, call.target.api_base) if call.target else (call.agent, None)
        while True:
            refused = self._refused.setdefault((name, base), {})
            adapted = call._replace(parameters=_adapted(call.parameters, refused)) if refused else call
            try:
                completion = await self._with_room(adapted)
            except ParameterRefused as error:
                if error.parameter not in adapted.parameters:
                    raise
                _learn(refused, error)
            else:
                return completion.noted(*_told(name, call.parameters, refused))

    async def _with_room(self, call: Call) -> Completion:
        try:
            return await self._inner(call)
        except AnswerEmpty as error:
            larger = {
                key: min(4 * int(value), max(16_384, int(value))) if key in _TOKEN_LIMITS else value
                for key, value in call.parameters.items()
            }
            if not error.at_limit or larger == call.parameters:
                raise
            completion = await self._inner(call._replace(parameters=larger))
            limit = next(larger[key] for key in _TOKEN_LIMITS if key in larger)
            return completion.noted(f"no text came within the token limit; asked again with {limit} tokens")


_TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")


def _adapted(parameters: Parameters, refused: Mapping[str, str | None]) -> Parameters:
    renamed = {refused.get(key, key): value for key, value in parameters.items()}
    return {key: value for key, value in renamed.items() if key is not None}


def _learn(refused: dict[str, str | None], error: ParameterRefused) -> None:
    """Keep what a model refuses; a new name that it refuses too is not exchanged again, but left out."""
    originals = [key for key, instead in refused.items() if instead == error.parameter]
    if originals:
        refused[originals[0]] = None
    else:
        refused[error.parameter] = None if error.instead == error.parameter else error.instead


def _told(model: str, parameters: Parameters, refused: Mapping[str, str | None]) -> list[str]:
    return [
        f"{model} does not take {key}; " + (f"sent as {refused[key]}" if refused[key] else "left out")
        for key in parameters
        if key in refused
    ]
