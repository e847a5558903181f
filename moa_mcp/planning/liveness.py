"""Compares the routes of models with the lists of their providers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from moa_mcp.config.problems import as_key
from moa_mcp.planning.plan import Lint, Reach
from moa_mcp.routing.hosts import wire_name
from moa_mcp.routing.listings import ListAddress, ListedModels, ListFailed, Outcome, list_address
from moa_mcp.routing.local import LOCAL
from moa_mcp.routing.model_names import listed_as, nearest
from moa_mcp.routing.routes import RouteState

Liveness: TypeAlias = Literal["listed", "not listed", "unknown", "can't be listed"]
"""Unknown: the provider's list could not be read."""


class ListedRoute(Struct, frozen=True):
    """A usable route of a model alias, and whether its provider lists the model."""

    alias: str
    state: RouteState
    address: ListAddress | None
    liveness: Liveness
    name: str = ""
    """The name in the list; empty if it has none."""
    nearest: str | None = None
    """The most similar name of the list, for a model that is not listed."""

    @property
    def provider(self) -> str:
        """The provider of the route."""
        return self.state.route.provider

    @property
    def lint(self) -> Lint | None:
        """The warning about a model that is not listed."""
        if self.liveness != "not listed":
            return None
        near = f"; nearest: {self.nearest}" if self.nearest else ""
        return Lint(f"models.{as_key(self.alias)}", f"{self.state.route} is not listed by {self.provider}{near}")


def usable_routes(reached: Iterable[Reach]) -> Iterator[tuple[str, RouteState]]:
    """Yield each alias with each of its usable routes, once."""
    found = ((each.alias, state) for each in reached for state in each.routes if state.target is not None)
    yield from dict.fromkeys(found)


def list_addresses(reached: Iterable[Reach], environ: Mapping[str, str]) -> tuple[ListAddress, ...]:
    """Return where the providers of the usable routes list their models, each once."""
    found = (_address(state, environ) for _, state in usable_routes(reached))
    return tuple(dict.fromkeys(each for each in found if each is not None))


def listed_routes(
    reached: Iterable[Reach], environ: Mapping[str, str], found: Mapping[ListAddress, Outcome]
) -> tuple[ListedRoute, ...]:
    """Return whether the usable routes are listed."""
    return tuple(_compared(alias, state, environ, found) for alias, state in usable_routes(reached))


def _address(state: RouteState, environ: Mapping[str, str]) -> ListAddress | None:
    return list_address(state.route, state.target, environ) if state.target else None


def _compared(
    alias: str, state: RouteState, environ: Mapping[str, str], found: Mapping[ListAddress, Outcome]
) -> ListedRoute:
    address = _address(state, environ)
    if address is None:
        return ListedRoute(alias, state, None, "can't be listed")
    match found[address]:
        case ListFailed():
            return ListedRoute(alias, state, address, "unknown")
        case ListedModels() as models:  # exhaustive
            name = _name(state)
            local = LOCAL.get(state.route.provider)
            listed = name if local and local.load is None else listed_as(name, models)
            if listed is not None:
                return ListedRoute(alias, state, address, "listed", listed)
            return ListedRoute(alias, state, address, "not listed", nearest=nearest(name, models))


def _name(state: RouteState) -> str:
    """Return the name of the model in requests."""
    route = state.route
    return (state.target.wire_model if state.target else None) or wire_name(route.provider, route.model)
