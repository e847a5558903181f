"""What a pipeline will do before it does it: its layers and calls, what looks like a mistake, what it can reach."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from moa_mcp.config import Pipeline, models_of
from moa_mcp.config.problems import within
from moa_mcp.routing.routes import Routes, RouteState, remedy
from moa_mcp.steps.forecast import ExpectedAnswers


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one step will do if nothing fails."""

    kind: str
    models: tuple[str, ...]
    """The aliases it asks, each as often as it is asked."""
    answers: int
    """How many answers it hands on."""

    @property
    def calls(self) -> int:
        """How many model calls it makes."""
        return len(self.models)


@dataclass(frozen=True, slots=True)
class Lint:
    """Something that is allowed and probably not meant."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pipeline will do."""

    pipeline: str
    steps: tuple[StepPlan, ...]
    lint: tuple[Lint, ...]

    @property
    def calls(self) -> int:
        """How many model calls it makes."""
        return sum(step.calls for step in self.steps)

    @property
    def layers(self) -> int:
        """How many of its steps call models."""
        return sum(step.calls > 0 for step in self.steps)


@dataclass(frozen=True, slots=True)
class Reach:
    """A model alias of a pipeline, and the routes it has."""

    alias: str
    routes: tuple[RouteState, ...]

    @property
    def route(self) -> RouteState | None:
        """The route that would be taken; None if none can be used."""
        return next((state for state in self.routes if state.target is not None), None)

    @property
    def missing(self) -> str:
        """What would make it usable; empty if it is."""
        return "" if self.route is not None else remedy(self.routes)


def plan(pipeline: Pipeline) -> Plan:
    """Return what a pipeline will do."""
    answers: ExpectedAnswers = ()
    steps: list[StepPlan] = []
    lint = [Lint(f"pipelines.{pipeline.name}", "has no description; an agent can't tell when to choose it")]
    lint = [] if pipeline.description else lint
    for index, step in enumerate(pipeline.steps):
        place = within(f"pipelines.{pipeline.name}", "steps", index)
        lint += [Lint(place, message) for message in step.lint(len(answers))]
        calls, answers = step.forecast(answers, "max")
        models = tuple(each.model for each in calls for _ in range(each.times))
        steps.append(StepPlan(step.step, models, len(answers)))
    return Plan(pipeline.name, tuple(steps), tuple(lint))


async def reach(pipeline: Pipeline, routes: Routes) -> tuple[Reach, ...]:
    """Return where each model of a pipeline can be reached from here."""
    return tuple([Reach(alias, await routes.states(alias)) for alias in models_of(pipeline)])


def blocking(pipeline: Pipeline, unreachable: Collection[str]) -> tuple[str, ...]:
    """Return those of the unreachable models without which some step can't meet its quorum."""
    blocked: list[str] = []
    for step in pipeline.steps:
        if step.fallback is not None and step.fallback not in unreachable:
            continue
        lost = [model for model in step.models if model in unreachable]
        if len(step.models) - len(lost) < step.required(len(step.models)):
            blocked += lost
    return tuple(dict.fromkeys(blocked))
