"""The table of living models, models.toml: makers, tiers, routes, and announced ends.

It does not know which models can be used here, nor litellm's table beyond prices and windows. The file is read when
its models are first needed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moa_mcp.errors import ConfigError, Problem
from moa_mcp.routing import catalog
from moa_mcp.routing.prices import PerMillion
from moa_mcp.routing.routes import PROVIDERS, Route, RouteEntry
from moa_mcp.steps.panel import Tier

Source: TypeAlias = Literal["litellm", "provider", "gateway", "search"]
"""Where the names of an entry's routes were read: litellm's table, the provider's documentation, the pages and lists
of a gateway, or public code."""

TABLE = Path(__file__).parent.parent / "models.toml"
_Text: TypeAlias = Annotated[str, Field(min_length=1)]


class KnownModel(Struct, frozen=True):
    """A model that providers serve today."""

    name: str
    maker: str
    """Who trained it."""
    tier: Tier
    routes: tuple[Route, ...]
    """In order of preference. They have a price and a window where litellm's table has none."""
    lacks: tuple[str, ...]
    """Parameters that it rejects."""
    window: int
    """Context window in tokens, prompt and answer together."""
    ends: date | None
    """The announced last day of its first route; None if none is announced."""
    successor: str | None
    """The name of the model that replaces it."""
    source: Source
    checked: date
    """When the source was read."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    maker: _Text
    tier: Tier
    routes: Annotated[tuple[RouteEntry, ...], Field(min_length=1, strict=False)]
    lacks: Annotated[tuple[_Text, ...], Field(strict=False)] = ()
    window: Annotated[int, Field(ge=1)]
    usd_per_million: PerMillion | None = None
    ends: date | None = None
    successor: _Text | None = None
    source: Source
    checked: date


@cache
def known_models() -> Mapping[str, KnownModel]:
    """Return the models of the shipped table by name. Within a tier, the preferred ones come first."""
    return read(TABLE)


def read(path: Path) -> Mapping[str, KnownModel]:
    """Return the models of a table by name, in the order of the file.

    Raises:
        ConfigError: the file is not valid; the message names each place and what would be valid.

    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(str(path), [Problem("", f"can't be read: {exc}")]) from exc
    entries, problems = _entries(document)
    problems += [*_repeated(entries), *_without_provider(entries), *_unknown_successors(entries)]
    if problems:
        raise ConfigError(str(path), problems)
    return MappingProxyType({name: _known(name, entry) for name, entry in entries.items()})


def _entries(document: Mapping[str, Any]) -> tuple[dict[str, _Entry], list[Problem]]:
    entries: dict[str, _Entry] = {}
    problems: list[Problem] = []
    for name, table in document.items():
        try:
            entries[name] = _Entry.model_validate(table)
        except ValidationError as exc:
            for error in exc.errors(include_url=False):
                place = ", ".join((name, *map(str, error["loc"])))
                problems.append(Problem(place, f"{error['msg']}, not {error['input']!r}"))
    return entries, problems


def _repeated(entries: Mapping[str, _Entry]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name, entry in entries.items():
        for route in entry.routes:
            if route.model in seen:
                yield Problem(f"{name}, routes", f"{route.model} is also in {seen[route.model]}; keep one of them")
            seen[route.model] = name


def _without_provider(entries: Mapping[str, _Entry]) -> Iterator[Problem]:
    for name, entry in entries.items():
        for route in entry.routes:
            prefix = route.model.partition("/")[0]
            if prefix not in PROVIDERS:
                known = ", ".join(sorted(PROVIDERS))
                yield Problem(f"{name}, routes", f"{route.model} has no known provider; begin it with one of {known}")


def _unknown_successors(entries: Mapping[str, _Entry]) -> Iterator[Problem]:
    for name, entry in entries.items():
        if entry.successor is not None and (entry.successor not in entries or entry.successor == name):
            yield Problem(f"{name}, successor", f"{entry.successor!r} should be another model of this file")


def _known(name: str, entry: _Entry) -> KnownModel:
    return KnownModel(
        name,
        entry.maker,
        entry.tier,
        tuple(_completed(route, entry) for route in entry.routes),
        entry.lacks,
        entry.window,
        entry.ends,
        entry.successor,
        entry.source,
        entry.checked,
    )


def _completed(route: Route, entry: _Entry) -> Route:
    """Return the route with what the entry lacks, and its price and window where litellm's table has none."""
    facts: dict[str, Any] = {"lacks": entry.lacks} if entry.lacks and not route.lacks else {}
    if route.usd_per_million is None and catalog.price(route.model) is None:
        facts["usd_per_million"] = entry.usd_per_million
    if route.window is None and catalog.window(route.model) is None:
        facts["window"] = entry.window
    return route.model_copy(update=facts) if facts else route
