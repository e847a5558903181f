"""What `moa-mcp check` found about a pipeline, and routes as it shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rich.console import Console

from moa_mcp.cli.text import line
from moa_mcp.config import Pipeline, called
from moa_mcp.panels import Resolved
from moa_mcp.planning.estimate import Estimate
from moa_mcp.planning.plan import Lint, Plan, Reach, blocking
from moa_mcp.routing.hosts import host
from moa_mcp.routing.routes import RouteState
from moa_mcp.text.redact import redact

_USER = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True, slots=True)
class Checked:
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
