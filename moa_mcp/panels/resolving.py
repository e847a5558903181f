"""Replaces the members of panels in a pipeline by models, and models without a usable route by their stand-ins.

The result depends only on the configuration, the API keys and the local servers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from moa_mcp.config import Config, PanelSettings, Pipeline, models_of
from moa_mcp.errors import MissingKey
from moa_mcp.model import Usable
from moa_mcp.panels.candidates import Candidate
from moa_mcp.panels.drawing import drawn
from moa_mcp.routing.routes import Route, Routes
from moa_mcp.steps import Step
from moa_mcp.steps.panel import Tier, panel_member

Candidates: TypeAlias = Callable[[PanelSettings], Awaitable[Sequence[Candidate]]]
"""Returns the models that can be called in this environment, best first."""
Routing: TypeAlias = Mapping[str, tuple[Route, ...]]
"""The routes of aliases, in order of preference."""


class StandIn(NamedTuple):
    """A model that answers for an alias without a usable route."""

    alias: str
    """The alias in the configuration."""
    model: str
    """The model that answers."""
    remedy: str
    """What would make a route of the alias usable."""

    def __str__(self) -> str:
        return f"{self.model} is the stand-in for {self.alias}, which has no usable route ({self.remedy})"


class Resolved(Struct, frozen=True):
    """A pipeline with the models that answer in this environment."""

    pipeline: Pipeline
    routes: Routing
    """Of all its aliases."""
    stand_ins: tuple[StandIn, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the result should know."""
        return tuple(str(each) for each in self.stand_ins)


def replaceable(config: Config, aliases: Iterable[str]) -> bool:
    """Whether any usable model can answer for all of these aliases."""
    return config.panels.stand_ins and all(alias in config.stand_ins or panel_member(alias) for alias in aliases)


def needs(config: Config, routes: Routes) -> str:
    """Return what panels and stand-ins need, if no model can be called here."""
    if config.panels.exclude and routes.has_key() and not routes.wrong_addresses:
        return "shorten exclude in [panels], which leaves no model that can be called here"
    return routes.any_key


class Resolver:
    """Resolves pipelines in one environment."""

    def __init__(self, config: Config, usable: Callable[[Routing], Usable], candidates: Candidates) -> None:
        self._config = config
        self._usable = usable
        self._candidates = candidates

    async def resolve(self, pipeline: Pipeline, fixed: Routing | None = None) -> Resolved:
        """Return the pipeline with its models.

        Aliases in `fixed` keep these routes and get no stand-in. A member of a panel for which there is no model keeps
        its provisional alias, which has no route.
        """
        fixed = fixed or {}
        routes = {alias: fixed.get(alias) or self._routes(alias) for alias in models_of(pipeline)}
        lacking = await self._lacking({alias: each for alias, each in routes.items() if alias not in fixed})
        if not lacking and not any(map(panel_member, routes)):
            return Resolved(pipeline, routes)
        known = await self._candidates(self._config.panels)
        taken = _serving(known, (routes[alias] for alias in routes.keys() - lacking))
        stand_ins: list[StandIn] = []
        for alias, remedy in lacking.items():
            for chosen in drawn(known, self._config.stand_ins[alias], 1, taken):
                taken.append(chosen)
                stand_ins.append(StandIn(alias, chosen.name, remedy))
                routes[alias] = chosen.routes
        return _seated(pipeline, routes, tuple(stand_ins), known)

    def _routes(self, alias: str) -> tuple[Route, ...]:
        named = (Route(model=alias),) if "/" in alias else ()
        return tuple(self._config.models.get(alias, named))

    async def _lacking(self, routes: Routing) -> dict[str, str]:
        """Return the aliases that need a stand-in, each with what would make its own routes usable."""
        usable = self._usable(routes)
        found: dict[str, str] = {}
        for alias in routes:
            if self._config.panels.stand_ins and alias in self._config.stand_ins:
                try:
                    await usable(alias)
                except MissingKey as error:
                    found[alias] = error.remedy
        return found


def _serving(known: Iterable[Candidate], routes: Iterable[Sequence[Route]]) -> list[Candidate]:
    """Return the candidates to which any of these routes lead."""
    models = {route.model for each in routes for route in each}
    return [each for each in known if any(route.model in models for route in each.routes)]


def _seated(
    pipeline: Pipeline, routes: Routing, stand_ins: tuple[StandIn, ...], known: Sequence[Candidate]
) -> Resolved:
    """Return the pipeline with a model for each member of its panels."""
    seats = {alias: seat for alias in routes if (seat := panel_member(alias)) is not None}
    counts: Counter[Tier] = Counter()
    for seat in seats.values():
        counts[seat.tier] = max(counts[seat.tier], seat.number)
    panels = {tier: drawn(known, tier, count) for tier, count in counts.items()}
    chosen = {alias: panels[seat.tier][seat.number - 1] for alias, seat in seats.items() if panels[seat.tier]}
    names = {alias: each.name for alias, each in chosen.items()}
    of_models = {each.name: each.routes for each in chosen.values()}
    steps: list[Step] = []
    for step in pipeline.steps:
        fallback = step.fallback
        if fallback in seats and known:
            other = _fallback(step, seats[fallback].tier, {**routes, **of_models}, names, known)
            of_models |= {} if other is None else {other.name: other.routes}
            fallback = None if other is None else other.name
        steps.append(step.renamed(names, fallback))
    resolved = pipeline.model_copy(update={"steps": tuple(steps)})
    found = {**of_models, **{alias: each for alias, each in routes.items() if alias not in names}}
    return Resolved(resolved, {alias: found[alias] for alias in models_of(resolved)}, stand_ins)


def _fallback(
    step: Step, tier: Tier, routes: Routing, names: Mapping[str, str], known: Sequence[Candidate]
) -> Candidate | None:
    """Return a model that is not the one the step calls, of another maker if possible; None if there is no other."""
    own = _serving(known, (routes[names.get(alias, alias)] for alias in step.models))
    other = drawn(known, tier, 1, own)
    return other[0] if other and other[0] not in own else None
