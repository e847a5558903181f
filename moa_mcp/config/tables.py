"""The tables of a configuration as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from moa_mcp.routes import Dollars, Route, RouteEntry
from moa_mcp.steps import PanelStep, SoleStep, Step, Vote

FILE_NAME = "pipelines.toml"


class Table(BaseModel):
    """A table: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


USDollars = Annotated[Decimal, Field(gt=0, strict=False)]


class Defaults(Table):
    """What holds where a step or a call says nothing."""

    temperature: Annotated[float, Field(ge=0, le=2)] = Field(
        default=0.7, validation_alias=AliasChoices("temperature", "temp")
    )
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    timeout_s: Annotated[float, Field(gt=0)] = 180.0
    """Seconds for one attempt of one call."""
    stall_s: Annotated[float, Field(gt=0)] = 30.0
    """Seconds that a streamed text may pause; once it has begun, `timeout_s` no longer ends it."""
    quorum: Annotated[int, Field(ge=1)] = 1
    """How many calls of a step must be answered, at most all of them."""
    grace_s: Annotated[float, Field(ge=0)] | None = None
    """Seconds that the other calls of a step have once so many are answered; None waits for all."""
    hedge: bool = False
    """Whether a call that takes much longer than its step's others gets a spare one."""
    deadline_s: Annotated[float, Field(gt=0)] | None = None
    """Seconds after which a run ends with what it has."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """How often a call is tried on one route."""
    wait_s: Annotated[float, Field(ge=0, le=3600)] = 45.0
    """Seconds that an MCP call waits before it returns the run's id instead of its answer."""
    max_cost_usd: USDollars | None = None
    """What a run may cost, in US dollars; a pipeline's own takes its place."""
    max_cost_usd_per_day: USDollars | None = None
    """What all runs on one journal may cost that begin, or go on, on one day (UTC)."""
    max_cost_usd_per_server: USDollars | None = None
    """What all runs of one process may cost."""
    max_run_tokens: Annotated[int, Field(ge=1)] = 5_000_000
    """Tokens of a run's prompts and answers; it holds for models without a known price, too."""
    unpriced: Literal["allow", "refuse"] = "allow"
    """Whether a run may ask models whose price is not known, which no cap in dollars can hold."""
    confirm_above_usd: Dollars | None = None
    """What a run may be expected to cost, in US dollars, before somebody is asked; None asks nobody."""
    record: Literal["calls", "hashes"] = "calls"
    """Whether the journal keeps questions, prompts and answers, or their hashes only; then only the process that began
    a run can finish it."""
    retention_days: Annotated[int, Field(ge=1)] | Literal["forever"] = 90
    """How long a run that nobody drives is kept since it was last touched: long enough to come back to one, and not for
    ever, since it holds people's questions in full."""
    retention_mb: Annotated[int, Field(ge=1)] | None = None
    """How much the journal may hold, in millions of bytes, before the oldest runs go; no limit if left out."""
    resume: Literal["on-request", "auto"] = "on-request"
    """Whether a server goes on, when it starts, with runs that were interrupted; that costs money unasked."""
    durability: Literal["process", "power"] = "process"
    """What an answer on record survives: the death of the process, or also a loss of power, which costs an fsync."""
    concurrency: Annotated[int, Field(ge=1)] = 256
    """Requests under way at once, over all runs."""
    provider_concurrency: Annotated[int, Field(ge=1)] = 64
    """Requests under way at once at one provider."""
    requests_per_minute: dict[str, Annotated[int, Field(ge=1)]] = {}
    """By provider, as its prefix in routes; of each key."""
    tokens_per_minute: dict[str, Annotated[int, Field(ge=1)]] = {}
    """By provider, of prompts and answers; of each key."""
    cache_first: bool = True
    """Whether equal samples of a long prompt, where one request can't bring them all, wait until the first has begun,
    so that they find the prompt in the provider's cache."""


class ModelTable(Table):
    """A model alias: where it is served."""

    routes: Annotated[
        tuple[RouteEntry, ...],
        BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),  # pyright: ignore[reportUnknownArgumentType, reportUnknownLambdaType]
        Field(min_length=1),
    ]


class Pipeline(Table):
    """A named sequence of steps, complete: nothing in it refers to a file any more."""

    name: str
    title: str
    description: str
    """When an agent should choose it."""
    max_cost_usd: USDollars | None = None
    """What a run may cost, in US dollars."""
    deadline_s: Annotated[float, Field(gt=0)] | None = None
    """Seconds after which a run ends with what it has."""
    confirm_above_usd: Dollars | None = None
    """As in the defaults."""
    steps: tuple[Annotated[Step, Field(discriminator="step")], ...]


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration without faults."""

    source: str
    """The file it was read from."""
    defaults: Defaults
    models: Mapping[str, tuple[Route, ...]]
    pipelines: Mapping[str, Pipeline]


def named_models(step: Step) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the models that a step names, each with the key where it stands."""
    if isinstance(step, PanelStep):
        yield from ((("agents", index), agent.model) for index, agent in enumerate(step.agents))
    elif isinstance(step, SoleStep | Vote) and step.agent is not None:
        yield ("agent",), step.agent
    if step.fallback is not None:
        yield ("fallback_agent",), step.fallback


def models_of(pipeline: Pipeline) -> tuple[str, ...]:
    """Return the model aliases that a pipeline names, each once, in order."""
    named: dict[str, None] = {}
    for step in pipeline.steps:
        named |= dict.fromkeys(step.models)
        if step.fallback is not None:
            named[step.fallback] = None
    return tuple(named)
