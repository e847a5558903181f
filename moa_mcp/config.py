"""pipelines.toml as values. Every problem found is told at once, with its file, table, key, value and remedy."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from platformdirs import user_config_path
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from moa_mcp import faults
from moa_mcp.errors import ConfigError, Problem
from moa_mcp.faults import as_key, hinted, listed, shown
from moa_mcp.routes import PROVIDERS, Dollars, Route, RouteEntry
from moa_mcp.steps import ModelStep, PanelStep, Propose, Refine, SoleStep, Step, Vote

FILE_NAME = "pipelines.toml"
ENVIRONMENT_VARIABLE = "MOA_MCP_CONFIG"
STEP_TYPES: Mapping[str, type[Step]] = {kind.model_fields["step"].default: kind for kind in get_args(Step)}

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
OWN_TOOLS = frozenset({"moa_wait", "moa_cancel", "moa_trace", "moa_resume", "moa_estimate"})
"""The server's own tools: no pipeline can have their names."""
_TABLES = ("defaults", "models", "pipelines")


_AnyTable = TypeVar("_AnyTable", bound=BaseModel)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


USDollars = Annotated[Decimal, Field(gt=0, strict=False)]


class Defaults(_Table):
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


class ModelTable(_Table):
    """A model alias: where it is served."""

    routes: Annotated[
        tuple[RouteEntry, ...],
        BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),  # pyright: ignore[reportUnknownArgumentType, reportUnknownLambdaType]
        Field(min_length=1),
    ]


class Pipeline(_Table):
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


def find() -> Path:
    """Return the file that holds: `MOA_MCP_CONFIG`, else the one in the user's folder, else the shipped one."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named).expanduser()
    own = user_config_path("moa-mcp") / FILE_NAME
    return own if own.exists() else shipped()


def shipped() -> Path:
    """Return the file that comes with the package; in a source tree, the one at its root."""
    inside = Path(__file__).with_name(FILE_NAME)
    return inside if inside.exists() else Path(__file__).parent.parent / FILE_NAME


def load(path: Path | None = None) -> Config:
    """Read a configuration.

    Raises:
        ConfigError: it can't be read, or holds problems; all that were found.

    """
    path = path or find()
    return parse(_read(path), str(path))


def parse(text: str, source: str = FILE_NAME) -> Config:
    """Read a configuration from its text. Raises `ConfigError` as `load` does."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [Problem("", f"not valid TOML: {_located(error, text)}")]) from error
    reader = _Reader()
    config = reader.config(source, document)
    if reader.problems:
        raise ConfigError(source, reader.problems)
    return config


def _located(error: tomllib.TOMLDecodeError, text: str) -> str:
    """Return a syntax error with line and column, which tomllib leaves out at the end of a file."""
    line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    return str(error).replace("(at end of document)", f"(at line {line}, column {column}, the end of the file)")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(str(path), [Problem("", "there is no such file")]) from error
    except UnicodeDecodeError as error:
        fault = f"not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start}; save the file as UTF-8"
        raise ConfigError(str(path), [Problem("", fault)]) from error
    except OSError as error:
        raise ConfigError(str(path), [Problem("", f"can't be read: {error.strerror}")]) from error


class _Reader:
    """Goes through a document once and keeps what it finds wrong."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def config(self, source: str, document: dict[str, Any]) -> Config:
        for name in document:
            if name not in _TABLES:
                remedy = hinted(name, _TABLES, f"the tables are {listed(_TABLES)}")
                self._say(as_key(name), f"unknown table{remedy}")
        defaults = self._model(Defaults, "defaults", self._table("defaults", document)) or Defaults()
        for key in ("requests_per_minute", "tokens_per_minute"):
            for provider in getattr(defaults, key):
                self._check_provider(f"defaults.{key}.{as_key(provider)}", provider)
        models = {
            name: table.routes
            for name, raw in self._table("models", document).items()
            if (table := self._model(ModelTable, f"models.{as_key(name)}", raw)) is not None
        }
        for name, routes in models.items():
            self._check_routes(f"models.{as_key(name)}", routes)
        declared = set(self._table("models", document, quiet=True))
        tables = self._table("pipelines", document)
        if "pipelines" not in document or (isinstance(document["pipelines"], dict) and not tables):
            self._say("pipelines", "there is none; add a table [pipelines.NAME] with steps = [...]")
        pipelines = {
            name: pipeline
            for name, raw in tables.items()
            if (pipeline := self._pipeline(name, raw, defaults, declared)) is not None
        }
        direct = {model for pipeline in pipelines.values() for model in models_of(pipeline) if model not in models}
        return Config(source, defaults, {**models, **{model: (Route(model=model),) for model in direct}}, pipelines)

    def _table(self, place: str, document: dict[str, Any], *, quiet: bool = False) -> dict[str, Any]:
        value = document.get(place, {})
        if isinstance(value, dict):
            return value  # pyright: ignore[reportUnknownVariableType]
        if not quiet:
            self._say_no_table(place, value)
        return {}

    def _check_routes(self, place: str, routes: Sequence[Route]) -> None:
        for index, route in enumerate(routes):
            if not route.provider and route.api_base is None:
                remedy = "write it as provider/model, such as openai/gpt-5-nano"
                self._say(f"{place}.routes[{index}]", f"{route.model!r} names no provider; {remedy}")

    def _pipeline(self, name: str, raw: object, defaults: Defaults, declared: set[str]) -> Pipeline | None:
        place = f"pipelines.{as_key(name)}"
        before = len(self.problems)
        self._check_name(place, name)
        if not isinstance(raw, dict):
            self._say_no_table(place, raw)
            return None
        table: dict[str, Any] = dict(raw)  # pyright: ignore[reportUnknownArgumentType]
        steps = self._steps(place, table.pop("steps", None), defaults)
        given = {
            "title": name.replace("_", " ").capitalize(),
            "description": "",
            "deadline_s": defaults.deadline_s,
            "confirm_above_usd": defaults.confirm_above_usd,
            **table,
            "name": name,
            "steps": (),
        }
        if "name" in table:
            self._say(f"{place}.name", "unknown key; a pipeline's name is that of its table")
        pipeline = self._model(Pipeline, place, given)
        for step_place, step in steps:
            self._check_models(step_place, step, declared)
        if pipeline is None or len(self.problems) > before:
            return None
        self._check_flow(place, [step for _, step in steps])
        return pipeline.model_copy(update={"steps": tuple(step for _, step in steps)})

    def _check_provider(self, place: str, provider: str) -> None:
        if provider not in PROVIDERS:
            remedy = hinted(provider, PROVIDERS, "it takes a prefix of routes, such as openai")
            self._say(place, f"{provider!r} is no provider{remedy}")

    def _check_name(self, place: str, name: str) -> None:
        if not _NAME.fullmatch(name):
            rule = "small letters, digits and underscores, a letter first, 48 characters at most"
            self._say(place, f"{name!r} can't be the name of a tool: {rule}")
        elif name in OWN_TOOLS:
            self._say(place, f"{name!r} can't be the name of a pipeline: the server has a tool of that name")

    def _steps(self, place: str, raw: object, defaults: Defaults) -> list[tuple[str, Step]]:
        if not isinstance(raw, list) or not raw:
            fault = "is missing" if raw is None else "is empty" if raw == [] else f"{shown(raw)} should be a list"  # pyright: ignore[reportUnknownArgumentType]
            remedy = 'a pipeline needs steps, such as {step = "propose", agents = [...]}'
            self._say(f"{place}.steps", f"{fault}; {remedy}")
            return []
        items: list[object] = raw  # pyright: ignore[reportUnknownVariableType]
        found = ((f"{place}.steps[{index}]", item) for index, item in enumerate(items))
        return [(each, step) for each, item in found if (step := self._step(each, item, defaults)) is not None]

    def _step(self, place: str, raw: object, defaults: Defaults) -> Step | None:
        if not isinstance(raw, dict):
            self._say(place, f'{shown(raw)} should be a table, such as {{step = "propose", agents = [...]}}')
            return None
        table: dict[str, Any] = raw  # pyright: ignore[reportUnknownVariableType]
        kind = table.get("step")
        if not isinstance(kind, str) or kind not in STEP_TYPES:
            self._say_no_step(place, table)
            return None
        step = self._model(STEP_TYPES[kind], place, table)
        return None if step is None else _completed(step, defaults)

    def _say_no_step(self, place: str, table: dict[str, Any]) -> None:
        steps = f"the steps are {listed(STEP_TYPES)}"
        if "step" in table:
            kind = table["step"]
            self._say(f"{place}.step", f"{shown(kind)} is no step{hinted(kind, STEP_TYPES, steps)}")
        elif near := get_close_matches("step", table, n=1):
            self._say(f"{place}.{as_key(near[0])}", f"unknown key{hinted(near[0], ['step'], steps)}")
        else:
            self._say(f"{place}.step", f"is missing; {steps}")

    def _check_models(self, place: str, step: Step, declared: set[str]) -> None:
        for where, model in _named_models(step):
            provider, _, name = model.partition("/")
            if model not in declared and not (provider in PROVIDERS and name):
                known = [*declared, *(f"{each}/{name}" for each in PROVIDERS if name)]
                remedy = f"a model needs a table, [models.{as_key(model)}], or a name such as openai/gpt-5-nano"
                fault = f"{model!r} is no model of this file{hinted(model, known, remedy)}"
                self._say(f"{place}.{where}", fault)

    def _check_flow(self, place: str, steps: list[Step]) -> None:
        answers = 0
        for index, step in enumerate(steps):
            if step.needs_answers and answers == 0:
                remedy = "leave keep out" if isinstance(step, Propose) else "begin with propose"
                self._say(f"{place}.steps[{index}]", f"{step.step} has no answers to work on; {remedy}")
                return
            answers = step.answers_out(answers)
        if answers != 1:
            remedy = "end with aggregate or vote, or with rank or take and n = 1"
            self._say(f"{place}.steps", f"the last step hands on {answers} answers; {remedy}")

    def _model(self, kind: type[_AnyTable], place: str, raw: object) -> _AnyTable | None:
        if not isinstance(raw, dict):
            self._say_no_table(place, raw)
            return None
        try:
            return kind.model_validate(raw)
        except ValidationError as error:
            self.problems += faults.problems(kind, place, error.errors(include_url=False))
            return None

    def _say_no_table(self, place: str, value: object) -> None:
        self._say(place, f"{shown(value, place.rpartition('.')[2])} should be a table, [{place}]")

    def _say(self, place: str, message: str) -> None:
        self.problems.append(Problem(place, message))


def _completed(step: Step, defaults: Defaults) -> Step:
    """Return the step with the defaults where it says nothing."""
    if not isinstance(step, ModelStep):
        return step
    values: dict[str, object] = {
        "temperature": defaults.temperature,
        "max_tokens": defaults.max_tokens,
        "timeout_s": defaults.timeout_s,
        "hedge": defaults.hedge,
    }
    if isinstance(step, PanelStep):
        values["grace_s"] = defaults.grace_s
    if isinstance(step, Refine):
        values["quorum"] = defaults.quorum
    elif isinstance(step, PanelStep):
        values["quorum"] = min(defaults.quorum, len(step.models))
    return step.model_copy(update={key: value for key, value in values.items() if getattr(step, key) is None})


def _named_models(step: Step) -> Iterator[tuple[str, str]]:
    """Yield the models that a step names, each with the key where it stands."""
    if isinstance(step, PanelStep):
        yield from ((f"agents[{index}]", agent.model) for index, agent in enumerate(step.agents))
    elif isinstance(step, SoleStep | Vote) and step.agent is not None:
        yield "agent", step.agent
    if step.fallback is not None:
        yield "fallback_agent", step.fallback


def models_of(pipeline: Pipeline) -> tuple[str, ...]:
    """Return the model aliases that a pipeline names, each once, in order."""
    return tuple(dict.fromkeys(model for step in pipeline.steps for _, model in _named_models(step)))
