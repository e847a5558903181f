"""Who answers the questions: pipelines and single models with runs of their own, and baselines from samples.

The first step of many pipelines asks its models the bare question, as one call of a model would. Its samples are single
calls that are paid for anyway: the mean score of those of a model is what one call of it scores, and what most of them
say is a majority. `samples` reads them from runs; this module decides which of them count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.config import Config, Pipeline, single
from moa_mcp.evaluation.result import Contestant
from moa_mcp.runs import Runs
from moa_mcp.steps.panel import PanelMember
from moa_mcp.steps.results import writers
from moa_mcp.values import CallSettings, Request

OwnKind: TypeAlias = Literal["pipeline", "model"]
FreeKind: TypeAlias = Literal["model", "majority", "best_of"]
_FEWEST = 3
"""Samples from which a majority is more than one of them."""


class Entrant(Struct, frozen=True):
    """A contestant with runs of its own."""

    name: str
    kind: OwnKind
    pipeline: Pipeline
    """With the names that its user wrote."""
    resolved: Pipeline
    """With the models that answer now."""

    @property
    def bare(self) -> BareSamples:
        """The samples of its first step that are single calls."""
        return bare_samples(self.resolved)


class Asking(NamedTuple):
    """What decides the answers of a model to a question, besides its prompt."""

    model: str
    temperature: float | None
    max_tokens: int | None
    settings: CallSettings

    def __str__(self) -> str:
        """Return the settings in words; reasoning and further parameters only if they are set."""
        settings = {"temperature": self.temperature, "max_tokens": self.max_tokens, **self.settings._asdict()}
        return ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)


class BareSamples(Struct, frozen=True):
    """The samples of a pipeline that are single calls of their models, which every run asks."""

    askings: Mapping[int, Asking]
    """By the number of the call in the first step, from 1."""
    obstacle: str = ""
    """Why there are none."""


class FreeBaseline(Struct, frozen=True):
    """A contestant whose answers are samples of an entrant."""

    name: str
    kind: FreeKind
    entrant: Entrant
    numbers: tuple[int, ...]
    """Of the calls of the first step that it consists of, from 1."""

    @property
    def models(self) -> tuple[str, ...]:
        """The aliases of its models, each once."""
        askings = self.entrant.bare.askings
        return tuple(dict.fromkeys(askings[number].model for number in self.numbers))

    @property
    def asking(self) -> Asking:
        """How its first sample is asked."""
        return self.entrant.bare.askings[self.numbers[0]]


class Field(Struct, frozen=True):
    """All contestants of an evaluation."""

    entrants: tuple[Entrant, ...]
    free: tuple[FreeBaseline, ...]
    usual: Asking
    """How a single call is asked, of no particular model."""

    @property
    def baselines(self) -> tuple[str, ...]:
        """The names of those that the others are compared with."""
        own = [each.name for each in self.entrants if each.kind == "model"]
        return (*own, *(each.name for each in self.free if each.kind == "model"))

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The names of each pipeline and of each baseline that it is compared with."""
        pipelines = [each.name for each in self.entrants if each.kind == "pipeline"]
        return tuple((name, baseline) for name in pipelines for baseline in self.baselines)

    @property
    def obstacles(self) -> Iterator[str]:
        """Why pipelines have no samples that are single calls."""
        for each in self.entrants:
            if each.kind == "pipeline" and each.bare.obstacle:
                yield f"{each.name}: {each.bare.obstacle}"

    def contestants(self, digests: Mapping[str, str]) -> tuple[Contestant, ...]:
        """Return all contestants as the result has them; `digests` are those of the entrants, by name."""
        own = [
            Contestant(
                name=each.name,
                kind=each.kind,
                models=tuple(dict.fromkeys(model for step in each.resolved.steps for model in step.models)),
                baseline=each.kind == "model",
                digest=digests[each.name],
            )
            for each in self.entrants
        ]
        return (*own, *(_derived(each, digests[each.entrant.name]) for each in self.free))


async def entrants_of(
    runs: Runs, config: Config, pipelines: Sequence[Pipeline], baselines: Sequence[str]
) -> tuple[Entrant, ...]:
    """Return pipelines, and named models as pipelines of one call. Raises `ConfigError` for an unknown model."""
    singles = [single(config, each, f"one:{each}") for each in dict.fromkeys(baselines)]
    own = [*(Entrant(each.name, "pipeline", each, each) for each in pipelines)]
    own += [Entrant(each.name, "model", each, each) for each in singles]
    return tuple([replace(each, resolved=(await runs.resolved(each.pipeline)).pipeline) for each in own])


def field_of(entrants: Sequence[Entrant], config: Config, *, counts: bool) -> Field:
    """Return the contestants of an evaluation: those given, and baselines from samples.

    A named model whose calls are among the samples of a pipeline has no runs of its own. If none is named, each model
    of a first step is a baseline. With `counts`, answers are scored for free and have values, so that there are also
    majorities and the best of the samples.
    """
    pipelines = [each for each in entrants if each.kind == "pipeline"]
    named = [each for each in entrants if each.kind == "model"]
    if named:
        found = {each.name: _same(each, pipelines) for each in named}
        free = [each for each in found.values() if each is not None]
        own = [*pipelines, *(each for each in named if found[each.name] is None)]
    else:
        free, own = [*_of_models(pipelines, config)], pipelines
    counted = (each for one in pipelines for each in _counted(one) if counts)
    return Field(tuple(own), (*free, *counted), _usual(config))


def bare_samples(pipeline: Pipeline) -> BareSamples:
    """Return the samples of a pipeline, with the models that answer now, that are single calls of their models."""
    if pipeline.answer_schema is not None and writers(pipeline.steps)[0]:
        return BareSamples({}, "its first step is asked for JSON by its answer_schema")
    found = pipeline.steps[0].single_calls
    return BareSamples({number: _asking(each) for number, each in found.requests.items()}, found.obstacle)


def _asking(request: Request) -> Asking:
    return Asking(request.agent, request.temperature, request.max_tokens, request.settings)


def _same(model: Entrant, pipelines: Sequence[Entrant]) -> FreeBaseline | None:
    """Return a named baseline from the samples of the pipeline that has most of them; None if none has any."""
    wanted = model.bare.askings[1]
    groups = [(each, _numbers(each, wanted)) for each in pipelines]
    most = max(groups, key=lambda group: len(group[1]), default=None)
    return FreeBaseline(model.name, "model", *most) if most and most[1] else None


def _numbers(entrant: Entrant, wanted: Asking) -> tuple[int, ...]:
    return tuple(number for number, asking in entrant.bare.askings.items() if asking == wanted)


def _of_models(pipelines: Sequence[Entrant], config: Config) -> Iterator[FreeBaseline]:
    """Yield a baseline for each model: of samples with default settings, else of its largest group of equal ones."""
    usual = _usual(config)
    groups: defaultdict[str, list[FreeBaseline]] = defaultdict(list)
    for entrant in pipelines:
        for asking in dict.fromkeys(entrant.bare.askings.values()):
            numbers = _numbers(entrant, asking)
            groups[asking.model].append(FreeBaseline(f"one:{asking.model}", "model", entrant, numbers))
    for found in groups.values():
        yield max(found, key=lambda each: (each.asking[1:] == usual[1:], len(each.numbers)))


def _usual(config: Config) -> Asking:
    return bare_samples(single(config, PanelMember("fast", 1).alias, "")).askings[1]


def _counted(entrant: Entrant) -> Iterator[FreeBaseline]:
    """Yield the majority and the best of the samples of a pipeline."""
    numbers = tuple(entrant.bare.askings)
    kinds: tuple[FreeKind, ...] = ("majority", "best_of")
    for kind in kinds if len(numbers) >= _FEWEST else kinds[1:] if len(numbers) > 1 else ():
        yield FreeBaseline(f"{kind}:{entrant.name}:{len(numbers)}", kind, entrant, numbers)


def _derived(free: FreeBaseline, digest: str) -> Contestant:
    numbers = ",".join(map(str, free.numbers))
    return Contestant(
        name=free.name,
        kind=free.kind,
        models=free.models,
        baseline=free.kind == "model",
        derived_from=free.entrant.name,
        samples=free.numbers,
        digest=f"{digest}:{free.kind}:{numbers}",
    )
