"""Which pipelines can run here, and which models would answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from moa_mcp.config import Config, Pipeline, called, models_of
from moa_mcp.model import targets_by_alias
from moa_mcp.panels import PROVIDERS, Resolved, replaceable
from moa_mcp.planning.plan import blocking
from moa_mcp.routing.routes import Routes
from moa_mcp.runs import CallerRuns

_NAMED = 2


class Readiness(NamedTuple):
    """Whether a pipeline can run, and the models that panels and stand-ins contribute."""

    ready: bool
    chosen: tuple[str, ...] = ()
    """Names of the models that were chosen for this environment."""

    def described(self, description: str) -> str:
        """Return the description of the pipeline with what an agent should know about its models."""
        if not self.ready:
            return f"NOT READY: no usable model. {description}"
        if not self.chosen:
            return description
        shown = ", ".join(self.chosen[:_NAMED])
        return f"{description} Now {shown}{', …' if len(self.chosen) > _NAMED else '.'}"


def surely_ready(config: Config, routes: Routes | None) -> bool:
    """Whether all pipelines can run for a reason that is quick to find: every model is simulated or has a stand-in."""
    if routes is None:
        return True
    aliases = {alias for pipeline in config.pipelines.values() for alias in models_of(pipeline)}
    known = not config.panels.exclude and not routes.wrong_addresses
    return replaceable(config, aliases) and known and routes.has_key(PROVIDERS)


async def readiness(runs: CallerRuns) -> Mapping[str, Readiness]:
    """Return the readiness of every pipeline, by name."""
    return {name: await _of(runs, pipeline) for name, pipeline in runs.config.pipelines.items()}


async def _of(runs: CallerRuns, pipeline: Pipeline) -> Readiness:
    resolved = await runs.resolved(pipeline)
    usable = runs.backend.usable(resolved.routes)
    found = await targets_by_alias(usable, models_of(resolved.pipeline))
    unreachable = [alias for alias, targets in found.items() if not targets]
    return Readiness(not blocking(resolved.pipeline, unreachable), _chosen(pipeline, resolved))


def _chosen(pipeline: Pipeline, resolved: Resolved) -> tuple[str, ...]:
    """Return the models that were chosen, without those that are only fallbacks."""
    asked = called(resolved.pipeline)
    drawn = [alias for alias in models_of(resolved.pipeline) if alias in asked and alias not in models_of(pipeline)]
    stand_ins = [each.model for each in resolved.stand_ins if each.alias in asked]
    return tuple(dict.fromkeys([*stand_ins, *drawn]))


ALL_READY = "All pipelines are ready."
SOME_BLOCKED = "The descriptions of the tools say which pipelines can't run yet."


def sentence(found: Mapping[str, Readiness], needed: str) -> str:
    """Return the sentence of the instructions about which pipelines can run; `needed` helps if none can."""
    blocked = [name for name, each in found.items() if not each.ready]
    if not blocked:
        return ALL_READY
    if len(blocked) == len(found):
        return f"No pipeline can run yet. Tell the user to {needed}."
    return f"These pipelines can't run yet; moa-mcp check shows what they need: {', '.join(blocked)}."
