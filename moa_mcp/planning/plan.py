"""What a pipeline will do before it does it: its layers and calls, what looks like a mistake, what it can reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from moa_mcp.config import Pipeline, models_of
from moa_mcp.config.problems import within
from moa_mcp.routing.routes import Routes, RouteState, remedy
from moa_mcp.steps import ModelStep, MultiAgentStep, Propose, Rank, Refine, Sample, Step, Take, Vote


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What one step will do if nothing fails."""

    kind: str
    models: tuple[str, ...]
    """The aliases it asks, each as often as it is asked."""
    calls: int
    answers: int
    """How many answers it hands on."""


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
    answers = 0
    steps: list[StepPlan] = []
    lint = [Lint(f"pipelines.{pipeline.name}", "has no description; an agent can't tell when to choose it")]
    lint = [] if pipeline.description else lint
    for index, step in enumerate(pipeline.steps):
        place = within(f"pipelines.{pipeline.name}", "steps", index)
        lint += [Lint(place, message) for message in _doubts(step, answers)]
        out = step.answers_out(answers)
        steps.append(StepPlan(step.step, _asked(step, answers), step.calls(answers), out))
        answers = out
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
        needed = (step.quorum or 1) if isinstance(step, MultiAgentStep) else 1
        if len(step.models) - len(lost) < min(needed, len(step.models)):
            blocked += lost
    return tuple(dict.fromkeys(blocked))


def _asked(step: Step, answers: int) -> tuple[str, ...]:
    if isinstance(step, Refine):
        return tuple(step.models[index % len(step.models)] for index in range(answers))
    return step.models


def _doubts(step: Step, answers: int) -> Iterator[str]:
    """Yield what looks like a mistake in a step that is given so many answers."""
    if isinstance(step, Propose):
        yield from _proposing(step, answers)
    if isinstance(step, ModelStep) and step.temperature == 0:
        yield from _equal_samples(step)
    if isinstance(step, Refine) and len(step.models) > answers:
        yield f"{len(step.models)} agents for {answers} answers: the last {len(step.models) - answers} are never asked"
    if isinstance(step, Rank | Vote) and answers == 1:
        yield f"{step.step} has only one answer to choose from"
    elif isinstance(step, Rank | Sample | Take) and step.n >= answers:
        yield f"n = {step.n} keeps all {answers} answers"


def _proposing(step: Propose, answers: int) -> Iterator[str]:
    if answers and not step.keep:
        yield f"discards the {answers} paid answers before it; keep = 1 would keep the answer so far"
    if answers > 1 and step.keep:
        yield f"keep repeats the first of {answers} answers and discards the others; aggregate them first"


def _equal_samples(step: ModelStep) -> Iterator[str]:
    for model, count in Counter(step.models).items():
        if count > 1 and not isinstance(step, Rank | Refine):
            yield f"{count} samples of {model} at temperature 0 are {count} times the same answer"
