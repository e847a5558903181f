"""Validates a document in one pass: returns its tables as values and collects all problems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from moa_mcp.config import problems
from moa_mcp.config.own_tools import OWN_TOOL_NAMES
from moa_mcp.config.problems import as_key, hinted, listed, shown, within
from moa_mcp.config.settings import DEFAULTS, Settings, Written, moves, written
from moa_mcp.config.tables import (
    SETTINGS,
    BudgetSettings,
    Config,
    JournalSettings,
    LimitSettings,
    ModelTable,
    PanelSettings,
    Pipeline,
    StepDefaults,
    models_of,
)
from moa_mcp.errors import Problem
from moa_mcp.routing import commands
from moa_mcp.routing.routes import PROVIDERS, Route, is_route
from moa_mcp.steps import Step
from moa_mcp.steps.panel import Tier, panel_member
from moa_mcp.text.suggest import closest

STEP_TYPES: Mapping[str, type[Step]] = {kind.model_fields["step"].default: kind for kind in get_args(Step)}

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_TABLES = (*SETTINGS, "models", "pipelines")


_AnyTable = TypeVar("_AnyTable", bound=BaseModel)


class Reader:
    """Validates one document and collects the problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def config(self, source: str, document: dict[str, Any]) -> Config:
        for name in document:
            if name not in _TABLES:
                remedy = hinted(name, _TABLES, f"the tables are {listed(_TABLES)}")
                self._say(as_key(name), f"unknown table{remedy}")
        places = written({name: self._table(name, document) for name in SETTINGS})
        settings = Settings(
            self._settings(StepDefaults, places["defaults"]),
            self._settings(LimitSettings, places["limits"]),
            self._settings(BudgetSettings, places["budget"]),
            self._settings(JournalSettings, places["journal"]),
            self._settings(PanelSettings, places["panels"]),
        )
        self._check_providers(settings.limits, places["limits"])
        tables = self._models(document)
        models = {name: table.routes for name, table in tables.items()}
        stand_ins: dict[str, Tier] = {name: table.stand_in for name, table in tables.items() if table.stand_in}
        pipelines = self._pipelines(document, settings)
        self._check_usual(settings.defaults.pipeline, self._table("pipelines", document, quiet=True))
        named = {
            model for pipeline in pipelines.values() for model in models_of(pipeline) if panel_member(model) is None
        }
        models |= {model: (Route(model=model),) for model in named - models.keys()}
        return Config(source, *settings, models, stand_ins, pipelines, moves(places.values()))

    def pipeline(self, name: str, table: dict[str, Any], config: Config) -> Pipeline | None:
        """Return a pipeline that a command builds, with the defaults and models of a configuration."""
        settings = Settings(config.defaults, config.limits, config.budget, config.journal, config.panels)
        return self._pipeline(name, table, settings, set(config.models))

    def _settings(self, kind: type[_AnyTable], written: Written) -> _AnyTable:
        """Return a table of settings, with the keys of it that stand in `[defaults]`."""
        for key in written.twice:
            self._say(f"{written.name}.{key}", f"is also in [{DEFAULTS}]; remove it there")
        read = self._model(kind, written.name, written.own) or kind()
        misplaced = self._model(kind, DEFAULTS, written.misplaced) or kind()
        return read.model_copy(update={key: getattr(misplaced, key) for key in written.misplaced})

    def _models(self, document: dict[str, Any]) -> dict[str, ModelTable]:
        models = {
            name: table
            for name, raw in self._table("models", document).items()
            if (table := self._model(ModelTable, f"models.{as_key(name)}", raw)) is not None
        }
        for name, table in models.items():
            self._check_routes(f"models.{as_key(name)}", table.routes)
        return models

    def _pipelines(self, document: dict[str, Any], settings: Settings) -> dict[str, Pipeline]:
        declared = set(self._table("models", document, quiet=True))
        tables = self._table("pipelines", document)
        if "pipelines" not in document or (isinstance(document["pipelines"], dict) and not tables):
            self._say("pipelines", "no pipeline is defined; add a table [pipelines.NAME] with steps = [...]")
        return {
            name: pipeline
            for name, raw in tables.items()
            if (pipeline := self._pipeline(name, raw, settings, declared)) is not None
        }

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
                self._say(within(place, "routes", index), f"{route.model!r} has no provider; {remedy}")

    def _pipeline(self, name: str, raw: object, settings: Settings, declared: set[str]) -> Pipeline | None:
        place = f"pipelines.{as_key(name)}"
        before = len(self.problems)
        self._check_name(place, name)
        if not isinstance(raw, dict):
            self._say_no_table(place, raw)
            return None
        table: dict[str, Any] = dict(raw)  # pyright: ignore[reportUnknownArgumentType]
        steps = self._steps(place, table.pop("steps", None), settings.defaults)
        given = {
            "title": name.replace("_", " ").capitalize(),
            "description": "",
            "deadline_s": settings.limits.deadline_s,
            "confirm_above_usd": settings.budget.confirm_above_usd,
            **table,
            "name": name,
            "steps": (),
        }
        if "name" in table:
            self._say(f"{place}.name", "unknown key; the table's name is the pipeline's name")
        pipeline = self._model(Pipeline, place, given)
        for step_place, step in steps:
            self._check_models(step_place, step, declared)
        if pipeline is None or len(self.problems) > before:
            return None
        self._check_flow(place, [step for _, step in steps])
        return pipeline.model_copy(update={"steps": tuple(step for _, step in steps)})

    def _check_usual(self, name: str | None, pipelines: Mapping[str, object]) -> None:
        if name is not None and name not in pipelines:
            remedy = hinted(name, pipelines, f"the pipelines are {listed(pipelines)}")
            self._say(f"{DEFAULTS}.pipeline", f"there is no pipeline {name!r}{remedy}")

    def _check_providers(self, limits: LimitSettings, written: Written) -> None:
        for key in ("requests_per_minute", "tokens_per_minute"):
            for provider in getattr(limits, key):
                if provider not in PROVIDERS:
                    remedy = hinted(provider, PROVIDERS, "use the prefix of a route, such as openai")
                    place = f"{written.table_of(key)}.{key}.{as_key(provider)}"
                    self._say(place, f"unknown provider {provider!r}{remedy}")

    def _check_name(self, place: str, name: str) -> None:
        if not _NAME.fullmatch(name):
            rule = "use lower-case letters, digits and underscores, start with a letter, at most 48 characters"
            self._say(place, f"{name!r} is not a valid tool name: {rule}")
        elif name in OWN_TOOL_NAMES:
            self._say(place, f"{name!r} is the name of a built-in tool; use another name")

    def _steps(self, place: str, raw: object, defaults: StepDefaults) -> list[tuple[str, Step]]:
        if not isinstance(raw, list) or not raw:
            fault = "is missing" if raw is None else "is empty" if raw == [] else f"{shown(raw)} should be a list"  # pyright: ignore[reportUnknownArgumentType]
            remedy = 'a pipeline needs steps, such as {step = "propose", agents = [...]}'
            self._say(f"{place}.steps", f"{fault}; {remedy}")
            return []
        items: list[object] = raw  # pyright: ignore[reportUnknownVariableType]
        found = ((within(place, "steps", index), item) for index, item in enumerate(items))
        return [(each, step) for each, item in found if (step := self._step(each, item, defaults)) is not None]

    def _step(self, place: str, raw: object, defaults: StepDefaults) -> Step | None:
        if not isinstance(raw, dict):
            self._say(place, f'{shown(raw)} should be a table, such as {{step = "propose", agents = [...]}}')
            return None
        table: dict[str, Any] = raw  # pyright: ignore[reportUnknownVariableType]
        kind = table.get("step")
        if not isinstance(kind, str) or kind not in STEP_TYPES:
            self._say_no_step(place, table)
            return None
        step = self._model(STEP_TYPES[kind], place, table)
        if step is None:
            return None
        step = step.completed(defaults)
        for where, fault in step.faults():
            self._say(within(place, *where), fault)
        return step

    def _say_no_step(self, place: str, table: dict[str, Any]) -> None:
        steps = f"the steps are {listed(STEP_TYPES)}"
        if "step" in table:
            kind = table["step"]
            self._say(within(place, "step"), f"unknown step {shown(kind)}{hinted(kind, STEP_TYPES, steps)}")
        elif near := closest("step", table):
            self._say(within(place, near), f"unknown key{hinted(near, ['step'], steps)}")
        else:
            self._say(within(place, "step"), f"is missing; {steps}")

    def _check_models(self, place: str, step: Step, declared: set[str]) -> None:
        for where, model in step.named_models():
            name = model.partition("/")[2]
            if panel_member(model) is None and model not in declared and not is_route(model):
                programs = (f"{commands.PROVIDER}/{each}" for each in commands.PRESETS)
                known = [*declared, *(f"{each}/{name}" for each in PROVIDERS - {commands.PROVIDER} if name), *programs]
                remedy = f"add a table [models.{as_key(model)}], or use a route such as openai/gpt-5-nano"
                fault = f"unknown model {model!r}{hinted(model, known, remedy)}"
                self._say(within(place, *where), fault)

    def _check_flow(self, place: str, steps: list[Step]) -> None:
        answers = 0
        stated = False
        for index, step in enumerate(steps):
            if step.reads_confidence and not stated:
                fault = "the answers before it state none; set confidence = true in the propose step that gives them"
                self._say(within(place, "steps", index, "confidence"), fault)
            stated = step.states_confidence(before=stated)
            if step.needs_answers and answers == 0:
                fault = f"{step.step} needs answers from a previous step; {step.first_remedy}"
                self._say(within(place, "steps", index), fault)
                return
            answers = step.answers_out(answers)
        if answers != 1:
            remedy = "end with aggregate or vote, or with rank or take and n = 1"
            self._say(f"{place}.steps", f"the last step must return 1 answer, not {answers}; {remedy}")

    def _model(self, kind: type[_AnyTable], place: str, raw: object) -> _AnyTable | None:
        if not isinstance(raw, dict):
            self._say_no_table(place, raw)
            return None
        try:
            return kind.model_validate(raw)
        except ValidationError as error:
            self.problems += problems.problems(kind, place, error.errors(include_url=False))
            return None

    def _say_no_table(self, place: str, value: object) -> None:
        self._say(place, f"{shown(value, place.rpartition('.')[2])} should be a table, [{place}]")

    def _say(self, place: str, message: str) -> None:
        self.problems.append(Problem(place, message))
