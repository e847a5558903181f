"""Checks pipelines in this environment, as `moa-mcp check` and `doctor` do, and routes as they show them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

from moa_mcp.cli.key_sources import KeySources
from moa_mcp.cli.text import line
from moa_mcp.config import Config, Pipeline, called, models_of
from moa_mcp.panels import Resolved, makers, needs
from moa_mcp.planning.context_windows import doubts, windows
from moa_mcp.planning.endings import endings
from moa_mcp.planning.estimate import Estimate, estimate, prices
from moa_mcp.planning.exclusions import exclusions
from moa_mcp.planning.forecast import assumed
from moa_mcp.planning.makers import too_few_makers
from moa_mcp.planning.plan import Lint, Plan, Reach, blocking, plan, reach
from moa_mcp.providers.backend import real, simulated
from moa_mcp.providers.simulated import provider as simulation
from moa_mcp.routing.hosts import host
from moa_mcp.routing.routes import Route, RouteState
from moa_mcp.steps.panel import panel_member
from moa_mcp.text.redact import redact

_USER = re.compile(r"(?<=://)[^/@\s]+@")


class Checked(Struct, frozen=True):
    """A pipeline, its plan, and which of its models are available."""

    resolved: Resolved
    plan: Plan
    reached: tuple[Reach, ...]
    estimate: Estimate | None = None
    """The estimate for a question, with --cost."""

    @property
    def pipeline(self) -> Pipeline:
        """Return the pipeline with the models that would answer."""
        return self.resolved.pipeline

    @property
    def runs(self) -> bool:
        """Whether it can run, even if degraded."""
        return not blocking(self.pipeline, {each.alias for each in self.unreached})

    @property
    def unreached(self) -> tuple[Reach, ...]:
        """Return the models without a usable route."""
        return tuple(each for each in self.reached if each.route is None)

    @property
    def missing(self) -> tuple[Reach, ...]:
        """Return the unreached models without those that are only fallbacks."""
        return tuple(each for each in self.unreached if each.alias in called(self.pipeline))


def route(state: RouteState) -> str:
    """Return a route for display, with its address if the environment sets one."""
    known = host(state.route.provider)
    usual = {state.route.api_base, known.base if known else None}
    base = state.target.api_base if state.target and state.target.api_base not in usual else None
    return safe(f"{state.route} at {base}" if base else str(state.route))


def safe(text: str) -> str:
    """Return the text without API keys, and without the user and password of an address."""
    return redact(_USER.sub("", line(text)))


async def checked_in(
    config: Config, pipelines: Iterable[Pipeline], keys: KeySources | None, cost: bool
) -> tuple[Checked, ...]:
    """Check pipelines in this environment, without requests to models; they are simulated without `keys`."""
    backend, routes = real(config.models, dict(os.environ), keys.keychain) if keys else (simulated(), None)
    resolver = backend.resolver(config)
    needed = "" if routes is None else needs(config, routes)
    typos: tuple[Lint, ...] = ()
    if routes is not None and config.panels.exclude:
        typos = tuple(exclusions(config.panels.exclude, await routes.local_models()))

    async def check(each: Pipeline) -> Checked:
        resolved = await resolver.resolve(each)
        pipeline, usable = resolved.pipeline, backend.usable(resolved.routes)
        reached = _simulated(pipeline) if routes is None else await reach(pipeline, routes.of(resolved.routes), needed)
        estimated = estimate(pipeline, assumed(), await prices(pipeline, usable)) if cost else None
        planned = plan(pipeline)
        own = (*planned.lint, *doubts(pipeline, await windows(pipeline, usable)), *endings(reached, config.stand_ins))
        if all(each.route is not None for each in reached):
            own = (*own, *too_few_makers(pipeline, await makers(pipeline, usable)))
        lint = (*own, *(typos if _chooses(each, config) else ()))
        return Checked(resolved, replace(planned, lint=lint), reached, estimated)

    return tuple([await check(each) for each in pipelines])


def _chooses(pipeline: Pipeline, config: Config) -> bool:
    """Whether models are chosen for a pipeline: it has a panel, or models with a stand-in."""
    return any(panel_member(alias) or alias in config.stand_ins for alias in models_of(pipeline))


def _simulated(pipeline: Pipeline) -> tuple[Reach, ...]:
    targets = ((alias, simulation.target(alias)) for alias in models_of(pipeline))
    return tuple(Reach(alias, (RouteState(Route(model=target.model), target, ""),)) for alias, target in targets)


class Finding(Protocol):
    """What requests to the providers showed."""

    @property
    def warnings(self) -> Mapping[str, Sequence[Lint]]:
        """The warnings about each alias."""
        ...

    def data(self) -> Mapping[str, object]:
        """Return it as JSON."""
        ...

    def show(self, out: Console) -> None:
        """Print it."""
        ...


def with_warnings(checked: Iterable[Checked], findings: Sequence[Finding]) -> tuple[Checked, ...]:
    """Return the pipelines with the warnings of the findings about their models."""
    return tuple(_with_warnings(each, findings) for each in checked)


def _with_warnings(checked: Checked, findings: Sequence[Finding]) -> Checked:
    found = [lint for each in checked.reached for finding in findings for lint in finding.warnings.get(each.alias, ())]
    lint = tuple(dict.fromkeys((*checked.plan.lint, *found)))
    return replace(checked, plan=replace(checked.plan, lint=lint))
