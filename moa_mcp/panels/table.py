"""The table of living models that ships with the package: `models.toml`, which says what its keys mean."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from moa_mcp.routing.routes import PerMillion, Route
from moa_mcp.steps.panel import Tier

PATH = Path(__file__).parent.parent / "models.toml"
_GATEWAYS = ("openrouter/", "vercel_ai_gateway/")
"""Hosts that litellm's table of prices does not list, or lists in part."""


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


Names = Annotated[tuple[str, ...], BeforeValidator(_tuple)]


class KnownModel(BaseModel):
    """A model of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    maker: Annotated[str, Field(min_length=1)]
    tier: Tier
    models: Annotated[Names, Field(min_length=1, alias="routes")]
    """The names of its routes, in order of preference."""
    lacks: Names = ()
    """Parameters that it rejects."""
    window: Annotated[int, Field(ge=1)] | None = None
    """Context window in tokens."""
    usd_per_million: PerMillion | None = None
    """Price of its first route."""
    ends: date | None = None
    """The announced end of its first route."""
    successor: str | None = None
    """The model of the table that replaces it."""
    source: Annotated[tuple[Literal["litellm", "search"], ...], BeforeValidator(_tuple)]
    """Where its routes were found."""
    checked: date
    """When they were found."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """Return its routes. Those of gateways have the price and the window of the table."""
        return tuple(self._route(model) for model in self.models)

    def _route(self, model: str) -> Route:
        if not model.startswith(_GATEWAYS):
            return Route(model=model)
        return Route(model=model, usd_per_million=self.usd_per_million, window=self.window)


@cache
def known_models() -> Mapping[str, KnownModel]:
    """Return the models of the table by name, in its order. It is read at the first call."""
    return read(PATH.read_text("utf-8"))


def read(text: str) -> dict[str, KnownModel]:
    """Return the models of a table. Raises `pydantic.ValidationError` if it is not valid."""
    tables: dict[str, dict[str, Any]] = tomllib.loads(text)
    return {name: KnownModel.model_validate({**table, "name": name}) for name, table in tables.items()}
