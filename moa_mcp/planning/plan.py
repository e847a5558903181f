"""Plans a run before it starts: layers and calls, lint (probable mistakes), and the routes of the models."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from moa_mcp.config import Pipeline, models_of
from moa_mcp.config.problems import within
from moa_mcp.routing.routes import ANY_KEY, Routes, RouteState, remedy
from moa_mcp.steps.forecast import ExpectedAnswers


class StepPlan(Struct, frozen=True):
    """The calls of a step, if no call fails."""

    kind: str
    models: tuple[str, ...]
    """The aliases that it calls, one for each call."""
    answers: int
    """Number of answers after the step."""

    @property
    def calls(self) -> int:
        """Number of model calls."""
        return len(self.models)


class Lint(Struct, frozen=True):
    """A setting that is valid but probably a mistake."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class Plan(Struct, frozen=True):
    """The steps and calls of a pipeline."""

    pipeline: str
    steps: tuple[StepPlan, ...]
    lint: tuple[Lint, ...]

    @property
    def calls(self) -> int:
        """Number of model calls."""
        return sum(step.calls for step in self.steps)

    @property
    def layers(self) -> int:
        """Number of steps that call models."""
        return sum(step.calls > 0 for step in self.steps)


class Reach(Struct, frozen=True):
    """A model alias of a pipeline, and its routes."""

    alias: str
    routes: tuple[RouteState, ...]
    needs: str = ANY_KEY
    """How to get a route if there is none."""

    @property
    def route(self) -> RouteState | None:
        """The route that would be used; None if there is no usable one."""
        return next((state for state in self.routes if state.target is not None), None)

    @property
    def missing(self) -> str:
        """How to make a route usable; empty if there is a usable one."""
        return "" if self.route is not None else (remedy(self.routes) if self.routes else self.needs)


def plan(pipeline: Pipeline) -> Plan:
    """Return the plan of a pipeline, with its lint."""
    answers: ExpectedAnswers = ()
    steps: list[StepPlan] = []
    lint = [Lint(f"pipelines.{pipeline.name}", "has no description; an agent can't tell when to choose it")]
    lint = [] if pipeline.description else lint
    for index, step in enumerate(pipeline.steps):
        place = within(f"pipelines.{pipeline.name}", "steps", index)
        lint += [Lint(place, message) for message in step.lint(len(answers))]
        if step.may_be_final and index == len(pipeline.steps) - 1:
            lint.append(Lint(place, f"{step.step} does nothing as the last step; it saves the steps after it"))
        if step.asks_for_confidence and not any(later.reads_confidence for later in pipeline.steps[index + 1 :]):
            lint.append(Lint(place, "confidence is asked for, but no later vote has confidence = true"))
        calls, answers, _ = step.forecast(answers, "max")
        models = tuple(each.model for each in calls for _ in range(each.times))
        steps.append(StepPlan(step.step, models, len(answers)))
    return Plan(pipeline.name, tuple(steps), tuple(lint))


async def reach(pipeline: Pipeline, routes: Routes, needs: str = ANY_KEY) -> tuple[Reach, ...]:
    """Return the models of a pipeline with the states of their routes; `needs` is how to get one if there is none."""
    return tuple([Reach(alias, await routes.states(alias), needs) for alias in models_of(pipeline)])


def sufficient(pipeline: Pipeline, reached: Sequence[Reach], of_panels: Collection[str]) -> tuple[RouteState, ...]:
    """Return the unusable routes of which each single remedy lets the pipeline run; first those that help all models.

    An API key of one of the providers `of_panels` also gives the members of panels, which have no routes yet.
    """
    unreachable = {each.alias for each in reached if each.route is None}
    members = {each.alias for each in reached if not each.routes}
    found: list[tuple[int, RouteState]] = []
    for state in (state for each in reached for state in each.routes if state.missing):
        helped = {each.alias for each in reached if any(other.missing == state.missing for other in each.routes)}
        if state.remedy == "set" and state.route.provider in of_panels:
            helped |= members
        lost = unreachable - helped
        if not blocking(pipeline, lost):
            found.append((len(lost), state))
    return tuple(state for _, state in sorted(found, key=lambda each: each[0]))


def blocking(pipeline: Pipeline, unreachable: Collection[str]) -> tuple[str, ...]:
    """Return the unreachable models without which a step can't reach its quorum."""
    blocked: list[str] = []
    for step in pipeline.steps:
        if step.fallback is not None and step.fallback not in unreachable:
            continue
        lost = [model for model in step.models if model in unreachable]
        if len(step.models) - len(lost) < step.required(len(step.models)):
            blocked += lost
    return tuple(dict.fromkeys(blocked))
