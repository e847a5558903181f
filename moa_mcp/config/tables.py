"""The tables of the configuration as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Struct
from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from moa_mcp.parameters import Effort, ThinkingTokens
from moa_mcp.routing.prices import Dollars
from moa_mcp.routing.routes import Route, RouteEntry
from moa_mcp.schemas import checked_value
from moa_mcp.steps import Step
from moa_mcp.steps.forecast import MAX_TOKENS
from moa_mcp.steps.panel import Tier
from moa_mcp.values import Hedge, Question

FILE_NAME = "pipelines.toml"


class Table(BaseModel):
    """A table: frozen, and unknown keys are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _absolute(folder: str) -> str:
    if not Path(folder).expanduser().is_absolute():
        raise ValueError(f"{folder!r} should be an absolute path, or begin with ~/")
    return folder


Folder = Annotated[str, AfterValidator(_absolute)]
USDollars = Annotated[Decimal, Field(gt=0, strict=False)]


class StepDefaults(Table):
    """Defaults of steps, `[defaults]`, which a step can override, and the pipeline of the command line."""

    temperature: Annotated[float, Field(ge=0, le=2)] = Field(
        default=0.7, validation_alias=AliasChoices("temperature", "temp")
    )
    """Sampling temperature."""
    max_tokens: Annotated[int, Field(ge=1)] = MAX_TOKENS
    """Maximum number of tokens of an answer, reasoning included."""
    timeout_s: Annotated[float, Field(gt=0)] = 180.0
    """Seconds for one attempt of a call."""
    quorum: Annotated[int, Field(ge=1)] = 1
    """Number of calls of a step that must succeed, at most all of them."""
    grace_s: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    """Seconds to wait for the other calls after the quorum is reached. "auto" waits for the last third of four or
    more calls many times as long as for the others; `inf` waits for all."""
    reasoning_effort: Effort | None = None
    """How much reasoning models reason. By default, the provider decides."""
    thinking_tokens: ThinkingTokens | None = None
    """Tokens for reasoning, a part of `max_tokens`, where the provider counts them."""
    hedge: Hedge = "auto"
    """Whether to send a second request for a call that takes much longer than the others of its step. "auto" limits
    these requests to a share of the run's expected cost."""
    pipeline: str | None = None
    """Pipeline that `moa-mcp ask` and `moa-mcp chat` use if none is named."""


class LimitSettings(Table):
    """How long calls and runs may take, and how many requests go out at once, `[limits]`."""

    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """Attempts of a call on one route."""
    stall_s: Annotated[float, Field(gt=0)] = 30.0
    """Seconds that a streamed answer may pause. After the first text, this replaces `timeout_s`."""
    deadline_s: Annotated[float, Field(gt=0)] | None = None
    """Time limit of a run, in seconds; it then returns the best answer so far. A pipeline can override it."""
    wait_s: Annotated[float, Field(ge=0, le=3600)] = 45.0
    """Seconds that an MCP call waits before it returns the run ID."""
    concurrency: Annotated[int, Field(ge=1)] = 256
    """Concurrent requests of all runs."""
    provider_concurrency: Annotated[int, Field(ge=1)] = 64
    """Concurrent requests to one provider."""
    command_concurrency: Annotated[int, Field(ge=1)] = 2
    """Programs of command routes that run at once."""
    requests_per_minute: dict[str, Annotated[int, Field(ge=1)]] = {}
    """Requests by provider, such as `{ openai = 500 }`; for each API key."""
    tokens_per_minute: dict[str, Annotated[int, Field(ge=1)]] = {}
    """Tokens of prompts and answers by provider, such as `{ groq = 30000 }`; for each API key."""
    image_folders: Annotated[tuple[Folder, ...], BeforeValidator(_listed)] = ()
    """Folders from which MCP clients may name images by path, such as `"~/Pictures"`. None by default."""
    image_folders_over_http: bool = False
    """Whether clients over HTTP, too, may name images in these folders. They are on other machines."""
    cache_first: bool = True
    """Whether equal samples of a long prompt wait for the first one, so that they hit the provider's prompt cache.
    Applies where one request can't return them all."""


class BudgetSettings(Table):
    """What runs may cost, `[budget]`."""

    max_cost_usd: USDollars | None = None
    """Maximum cost of a run, in US dollars. A pipeline can override it."""
    max_cost_usd_per_day: USDollars | None = None
    """Maximum cost of all runs in one journal that start or continue on one day (UTC)."""
    max_cost_usd_per_server: USDollars | None = None
    """Maximum cost of all runs of one process."""
    max_run_tokens: Annotated[int, Field(ge=1)] = 5_000_000
    """Maximum number of tokens of a run, prompts and answers. Includes models without a known price."""
    unpriced: Literal["allow", "refuse"] = "allow"
    """Whether a run may use models without a known price, which a cap in dollars can't limit."""
    confirm_above_usd: Dollars | None = None
    """Expected cost of a run, in US dollars, above which it needs confirmation. A pipeline can override it."""


class JournalSettings(Table):
    """What the journal stores, and for how long, `[journal]`."""

    record: Literal["calls", "hashes"] = "calls"
    """Whether the journal stores questions, prompts and answers, or only their hashes. With hashes, only the process
    that started a run can finish it."""
    durability: Literal["process", "power"] = "process"
    """What a stored answer survives: a crash of the process, or also a power failure, which costs an fsync."""
    resume: Literal["on-request", "auto"] = "on-request"
    """Whether a server resumes interrupted runs when it starts, which costs money without a request."""
    retention_days: Annotated[int, Field(ge=1)] | Literal["forever"] = 90
    """Days until an inactive run is deleted, counted from its last change. Runs contain questions in full, so the
    default is not `"forever"`."""
    retention_mb: Annotated[int, Field(ge=1)] | None = None
    """Maximum size of the journal, in millions of bytes. The oldest runs are deleted first. No limit by default."""


class PanelSettings(Table):
    """Which models may be members of panels and stand-ins, `[panels]`."""

    stand_ins: bool = True
    """Whether a stand-in answers for a model that has no usable route; otherwise the model is unavailable."""
    exclude: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    """Makers and models that are never chosen, such as `"DeepSeek"` or `"gpt-6-luna"`."""
    local: Literal["alone", "always", "never"] = "alone"
    """Whether the models of local servers are chosen: only if no hosted model can be, always (after hosted ones),
    or never."""


SETTINGS: Mapping[str, type[Table]] = {
    "defaults": StepDefaults,
    "limits": LimitSettings,
    "budget": BudgetSettings,
    "journal": JournalSettings,
    "panels": PanelSettings,
}
"""The tables of settings by name. No key is in two of them."""


class ModelTable(Table):
    """A model alias."""

    routes: Annotated[tuple[RouteEntry, ...], BeforeValidator(_listed), Field(min_length=1)]
    """Where the model is served, in order of preference."""
    stand_in: Tier | None = None
    """The panel that answers for the model if no route is usable."""


class Pipeline(Table):
    """A named sequence of steps, with all defaults filled in."""

    name: str
    title: str
    """The name that clients show to people."""
    description: str
    """Tells an agent when to use it."""
    listed: bool = True
    """Whether MCP clients list it as a tool. Its name can be called either way."""
    max_cost_usd: USDollars | None = None
    """Maximum cost of a run, in US dollars."""
    deadline_s: Annotated[float, Field(gt=0)] | None = None
    """Time limit of a run, in seconds."""
    confirm_above_usd: Dollars | None = None
    """Expected cost of a run, in US dollars, above which it needs confirmation."""
    answer_schema: Annotated[str, BeforeValidator(checked_value)] | None = None
    """JSON Schema of the answer: a table, or its JSON as a text. A caller can give another one."""
    steps: tuple[Annotated[Step, Field(discriminator="step")], ...]
    """The steps in order. The last one must return a single answer."""

    def asked(self, question: Question) -> Question:
        """Return a question as the pipeline answers it: with its answer schema, if the question has none."""
        if self.answer_schema is None or question.answer_schema is not None:
            return question
        return replace(question, answer_schema=self.answer_schema)


class Config(Struct, frozen=True):
    """A valid configuration."""

    source: str
    """Path of the file."""
    defaults: StepDefaults
    limits: LimitSettings
    budget: BudgetSettings
    journal: JournalSettings
    panels: PanelSettings
    models: Mapping[str, tuple[Route, ...]]
    stand_ins: Mapping[str, Tier]
    """By alias: the panel that answers for a model without a usable route."""
    pipelines: Mapping[str, Pipeline]
    notes: tuple[str, ...] = ()
    """What the author should change, though the file is valid."""


def models_of(pipeline: Pipeline) -> tuple[str, ...]:
    """Return the model aliases of a pipeline, without duplicates, in order."""
    named: dict[str, None] = {}
    for step in pipeline.steps:
        for model in step.models:
            named[model] = None
        if step.fallback is not None:
            named[step.fallback] = None
    return tuple(named)


def called(pipeline: Pipeline) -> tuple[str, ...]:
    """Return the model aliases that a pipeline calls if no agent fails, without duplicates, in order."""
    return tuple(dict.fromkeys([model for step in pipeline.steps for model in step.models]))
