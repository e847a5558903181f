"""pipelines.toml as values. Every problem found is told at once, with its file, table, key, value and remedy."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args

from platformdirs import user_config_path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from moa_mcp.errors import ConfigError, Problem
from moa_mcp.routes import PROVIDERS, Route, RouteEntry
from moa_mcp.steps import ModelStep, PanelStep, Refine, SoleStep, Step, Vote

FILE_NAME = "pipelines.toml"
ENVIRONMENT_VARIABLE = "MOA_MCP_CONFIG"
STEP_TYPES: Mapping[str, type[Step]] = {kind.model_fields["step"].default: kind for kind in get_args(Step)}

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
OWN_TOOLS = frozenset({"moa_wait", "moa_cancel", "moa_trace", "moa_resume", "moa_estimate"})
"""The server's own tools, those to come included: no pipeline can have their names."""
_TABLES = ("defaults", "models", "pipelines")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class Defaults(_Table):
    """What holds where a step or a call says nothing."""

    temperature: Annotated[float, Field(ge=0, le=2, alias="temp")] = 0.7
    max_tokens: Annotated[int, Field(ge=1)] = 2048
    timeout_s: Annotated[float, Field(gt=0)] = 180.0
    """Seconds for one attempt of one call."""
    quorum: Annotated[int, Field(ge=1)] = 1
    """How many calls of a step must be answered, at most all of them."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    """How often a call is tried on one route."""
    wait_s: Annotated[float, Field(ge=0, le=3600)] = 45.0
    """Seconds that an MCP call waits before it returns the run's id instead of its answer."""
    concurrency: Annotated[int, Field(ge=1)] = 256
    """Requests under way at once, over all runs."""
    provider_concurrency: Annotated[int, Field(ge=1)] = 64
    """Requests under way at once at one provider."""
    requests_per_minute: dict[str, Annotated[int, Field(ge=1)]] = {}
    """By provider, as its prefix in routes."""


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
        raise ConfigError(source, [Problem("", f"not valid TOML: {error}")]) from error
    reader = _Reader()
    config = reader.config(source, document)
    if reader.problems:
        raise ConfigError(source, reader.problems)
    return config


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
        for key in document.keys() - set(_TABLES):
            self._say(key, f"unknown table{_nearest(key, _TABLES)}; the tables are {_listed(_TABLES)}")
        defaults = self._model(Defaults, "defaults", self._table("defaults", document)) or Defaults()
        models = {
            name: table.routes
            for name, raw in self._table("models", document).items()
            if (table := self._model(ModelTable, f"models.{_key(name)}", raw)) is not None
        }
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
            self._say(place, f"{value!r} should be a table, [{place}]")
        return {}

    def _pipeline(self, name: str, raw: object, defaults: Defaults, declared: set[str]) -> Pipeline | None:
        place = f"pipelines.{_key(name)}"
        before = len(self.problems)
        self._check_name(place, name)
        if not isinstance(raw, dict):
            self._say(place, f"{raw!r} should be a table, [{place}]")
            return None
        table: dict[str, Any] = dict(raw)  # pyright: ignore[reportUnknownArgumentType]
        steps = self._steps(place, table.pop("steps", None), defaults)
        given = {
            "title": name.replace("_", " ").capitalize(),
            "description": "",
            **table,
            "name": name,
            "steps": (),
        }
        if "name" in table:
            self._say(f"{place}.name", "unknown key; a pipeline's name is that of its table")
        pipeline: Pipeline | None = self._model(Pipeline, place, given)
        for step_place, step in steps:
            self._check_models(step_place, step, declared)
        if pipeline is None or len(self.problems) > before:
            return None
        self._check_flow(place, [step for _, step in steps])
        return pipeline.model_copy(update={"steps": tuple(step for _, step in steps)})

    def _check_name(self, place: str, name: str) -> None:
        if not _NAME.fullmatch(name):
            rule = "small letters, digits and underscores, a letter first, 48 characters at most"
            self._say(place, f"{name!r} can't be the name of a tool: {rule}")
        elif name in OWN_TOOLS:
            self._say(place, f"{name!r} can't be the name of a pipeline: the server has a tool of that name")

    def _steps(self, place: str, raw: object, defaults: Defaults) -> list[tuple[str, Step]]:
        if not isinstance(raw, list) or not raw:
            fault = "is missing" if raw is None else "is empty" if raw == [] else f"{raw!r} should be a list"
            self._say(
                f"{place}.steps",
                f'{fault}; a pipeline needs steps, such as {{step = "propose", agents = [...]}}',
            )
            return []
        items: list[object] = raw  # pyright: ignore[reportUnknownVariableType]
        found = ((f"{place}.steps[{index}]", item) for index, item in enumerate(items))
        return [(each, step) for each, item in found if (step := self._step(each, item, defaults)) is not None]

    def _step(self, place: str, raw: object, defaults: Defaults) -> Step | None:
        if not isinstance(raw, dict):
            self._say(place, f'{raw!r} should be a table, such as {{step = "propose", agents = [...]}}')
            return None
        table: dict[str, Any] = raw  # pyright: ignore[reportUnknownVariableType]
        kind = table.get("step")
        if not isinstance(kind, str) or kind not in STEP_TYPES:
            fault = "is missing" if "step" not in table else f"{kind!r} is no step{_nearest(kind, STEP_TYPES)}"
            self._say(f"{place}.step", f"{fault}; the steps are {_listed(STEP_TYPES)}")
            return None
        step = self._model(STEP_TYPES[kind], place, table)
        return None if step is None else _completed(step, defaults)

    def _check_models(self, place: str, step: Step, declared: set[str]) -> None:
        for key, model in _named_models(step):
            provider = model.partition("/")[0]
            if model not in declared and not ("/" in model and provider in PROVIDERS):
                self._say(
                    f"{place}.{key}",
                    f"{model!r} is no model of this file{_nearest(model, declared)}; "
                    f'add [models.{_key(model)}] with routes = ["provider/model"], or name one as provider/model',
                )

    def _check_flow(self, place: str, steps: list[Step]) -> None:
        answers = 0
        for index, step in enumerate(steps):
            if step.needs_answers and answers == 0:
                self._say(f"{place}.steps[{index}]", f"{step.step} has no answers to work on; begin with propose")
                return
            answers = step.answers_out(answers)
        if answers != 1:
            remedy = "end with aggregate or vote, or with rank or take and n = 1"
            self._say(f"{place}.steps", f"the last step hands on {answers} answers; {remedy}")

    def _model(self, kind: type[Any], place: str, raw: object) -> Any:  # noqa: ANN401
        if not isinstance(raw, dict):
            self._say(place, f"{raw!r} should be a table, [{place}]")
            return None
        try:
            return kind.model_validate(raw)
        except ValidationError as error:
            for problem in _problems(kind, place, error.errors(include_url=False)):
                self.problems.append(problem)
            return None

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
    }
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


def models_of(pipeline: Pipeline) -> tuple[str, ...]:
    """Return the model aliases that a pipeline names, each once, in order."""
    return tuple(dict.fromkeys(model for step in pipeline.steps for _, model in _named_models(step)))


def _problems(kind: type[BaseModel], place: str, errors: Iterable[ErrorDetails]) -> Iterator[Problem]:
    told: set[str] = set()
    for error in errors:
        where, message = _explained(kind, error)
        whole = _joined(place, where)
        if whole not in told:
            told.add(whole)
            yield Problem(whole, message)


_EXTRACT = 'should be "text", "last_number", "choice", { json = "field" } or { regex = "pattern" }'


def _explained(kind: type[BaseModel], error: ErrorDetails) -> tuple[tuple[str | int, ...], str]:
    """Return where in its table an error stands, and what it says."""
    where = error["loc"]
    if where[:1] == ("extract",) and error["type"] != "value_error":
        return where[:1], f"{error['input']!r} {_EXTRACT}"
    match error["type"]:
        case "extra_forbidden":
            return where, _unknown_key(kind, where)
        case "missing":
            return where, "is missing"
        case "value_error":
            return where, error["msg"].removeprefix("Value error, ")
        case "too_short":
            return where, "is empty; name at least one"
        case _:
            return where, f"{error['input']!r} {error['msg'].removeprefix('Input ')}"


def _unknown_key(kind: type[BaseModel], where: tuple[str | int, ...]) -> str:
    key = str(where[-1])
    if key in {"api_key", "key", "token"}:
        return "keys don't belong in this file; name the variable that holds it: api_key_env"
    owner: Any = Route if "routes" in where else kind
    if "agents" in where:
        return f"unknown key{_nearest(key, ('model', 'samples'))}; an agent has model, samples"
    known = sorted(owner.model_fields.keys() - {"name"})
    return f"unknown key{_nearest(key, [*known, 'temp'])}; known here: {_listed(known)}"


def _joined(place: str, where: tuple[str | int, ...]) -> str:
    return place + "".join(f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in where)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def _nearest(word: object, known: Iterable[str]) -> str:
    close = get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f", did you mean {close[0]!r}?" if close else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
