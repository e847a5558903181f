"""The arguments of the tools: their values, their JSON schemas and the errors for invalid ones."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator
from pydantic_core import ErrorDetails

from moa_mcp.schemas import checked_value
from moa_mcp.server import spellings
from moa_mcp.text.redact import redact
from moa_mcp.text.suggest import closest
from moa_mcp.text.visible import quoted


class Arguments(BaseModel):
    """The arguments of a tool. Unknown arguments are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


_TEXT, _WHOLE, _NUMBER = map(BeforeValidator, (spellings.text, spellings.whole, spellings.number))

Text = Annotated[str, _TEXT]
Name = Annotated[str, Field(min_length=1), _TEXT]
Seed = Annotated[int, Field(ge=0, le=2**53 - 1), _WHOLE, WithJsonSchema({"type": "integer"})]
"""The schema omits the bounds to save tokens: few callers use such seeds."""
Position = Annotated[int, Field(ge=1), _WHOLE]
"""Counted from 1."""
Wait = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False), _NUMBER, WithJsonSchema({"type": "number"})]
"""Seconds to wait before a call returns the status running. The schema omits the bounds, too."""
MoreThanZero = Annotated[float, Field(gt=0, allow_inf_nan=False), _NUMBER]


def exact(usd: float | None) -> Decimal | None:
    """Return US dollars with the digits that were written."""
    return None if usd is None else Decimal(str(usd))


Images = Annotated[list[Text], BeforeValidator(spellings.several)]
"""Data URIs, https addresses, and paths where the configuration allows them."""
Schema = Annotated[str, BeforeValidator(checked_value), WithJsonSchema({"type": "object"})]
"""A JSON Schema, also as JSON text. Its own schema has no other keyword: some providers reject `properties` that are
empty, and `additionalProperties`."""


class ChosenArguments(Arguments):
    """The arguments that choose the models of one run: names of models or panels, separated by commas."""

    models: Annotated[Text, BeforeValidator(spellings.names)] | None = None
    aggregator: Annotated[Text, BeforeValidator(spellings.names)] | None = None


class AskArguments(ChosenArguments):
    """The arguments of a pipeline tool.

    Every pipeline repeats them, so descriptions only add what a name does not say. The server's instructions
    explain all.
    """

    question: Name
    context: Text | None = None
    images: Images | None = None
    system: Text | None = None
    seed: Seed | None = None
    wait_s: Wait | None = None
    deadline_s: MoreThanZero | None = None
    max_cost_usd: MoreThanZero | None = None
    continue_run: Text | None = None
    answer_schema: Schema | None = None

    @field_validator("question")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is blank")
        return value


class RunArguments(Arguments):
    """The argument that identifies a run."""

    run_id: Name


class WaitArguments(RunArguments):
    """The arguments of moa_wait."""

    wait_s: Wait | None = Field(default=None, description="Seconds to wait.")


class ResumeArguments(WaitArguments):
    """The arguments of moa_resume."""

    max_cost_usd: MoreThanZero | None = Field(default=None, description="New budget of the run, past cost included.")


class ForkArguments(WaitArguments):
    """The arguments of moa_fork."""

    step: Position = Field(description="First step to run again.")
    changes: Annotated[list[str], BeforeValidator(spellings.settings)] = Field(
        default=[],
        description='KEY=VALUE for that step, N.KEY=VALUE for a later one: ["agent=gpt-5-nano", "4.temperature=0.2"].',
    )
    max_cost_usd: MoreThanZero | None = Field(default=None, description="Budget; also confirms the cost.")
    seed: Seed | None = Field(default=None, description="Random seed.")


class TraceArguments(RunArguments):
    """The arguments of moa_trace."""

    page: Position = 1


class ViewArguments(Arguments):
    """The arguments of moa_view: the run, or the call that started it."""

    run_id: Name | None = None
    tool: Name | None = None
    arguments: dict[str, Any] | None = None
    mark: Annotated[int, Field(ge=0)] = 0


class EstimateArguments(ChosenArguments):
    """The arguments of moa_estimate."""

    pipeline: Name = Field(description="Tool name of the pipeline.")
    question: Name | None = Field(default=None, description="If omitted, 200 tokens are assumed.")
    context: Text | None = Field(default=None, description="Source material: files, data, history.")
    images: Images | None = Field(default=None, description="As in the call.")
    system: Text | None = Field(default=None, description="System prompt.")
    continue_run: Text | None = None
    answer_schema: Schema | None = None


Given = TypeVar("Given", bound=Arguments)


class BadArguments(Exception):
    """A call's arguments are invalid; the text tells the model how to correct them."""


def read(kind: type[Given], arguments: dict[str, Any] | None) -> Given:
    """Return the arguments of a call. Raises `BadArguments`."""
    try:
        return kind.model_validate(_given(kind, arguments or {}))
    except ValidationError as error:
        known = list(kind.model_fields)
        problems = [_problem(each, _written(each, arguments or {}), known) for each in error.errors()]
        raise BadArguments(f"Invalid arguments: {'; '.join(problems)}") from error


def _given(kind: type[Arguments], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments without optional ones whose value means "not given"."""
    types = {name: each["type"] for name, each in schema(kind)["properties"].items() if not _required(kind, name)}
    return {
        name: value
        for name, value in arguments.items()
        if name not in types or not spellings.absent(value, types[name])
    }


def _required(kind: type[Arguments], name: str) -> bool:
    return kind.model_fields[name].is_required()


def _written(error: ErrorDetails, arguments: dict[str, Any]) -> object:
    """Return the invalid value as its caller wrote it."""
    first, *inner = error["loc"]
    return error["input"] if inner else arguments.get(str(first))


def _problem(error: ErrorDetails, value: object, known: list[str]) -> str:
    name, kind, message = str(error["loc"][0]), error["type"], error["msg"]
    if kind == "extra_forbidden":
        near = closest(name, known)
        meant = f", did you mean {near}?" if near else ""
        return f"unknown argument {_shown(name)}{meant} (available: {', '.join(known)})"
    if kind == "missing":
        return f"{name} is missing"
    if kind == "string_too_short":
        return f"{name} is empty"
    if kind == "value_error":
        return f"{name} {message.removeprefix('Value error, ')}"
    example = _EXAMPLES.get(kind, "")
    problem = f"{name} {_WORDS.get(kind, message.replace('Input should', 'must', 1))}{example}"
    return problem if kind == "list_type" and isinstance(value, dict) else f"{problem} (got {_shown(value)})"


_WORDS = {"list_type": "must be a list of strings"}
_EXAMPLES = {
    "int_type": ", such as 7",
    "float_type": ", such as 45",
    "list_type": ', such as ["agent=gpt-5-nano"]',
}
_SHOWN = 80
"""Characters of an invalid value that an error quotes."""


def _shown(value: object) -> str:
    """Return a value as its caller wrote it, shortened and without keys."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    whole = redact(value if isinstance(value, str) else json.dumps(value))
    shortened = whole if len(whole) <= _SHOWN else f"{whole[: _SHOWN - 1]}…"
    return quoted(shortened) if isinstance(value, str) else shortened


@cache
def schema(kind: type[Arguments]) -> dict[str, Any]:
    """Return a short JSON schema of arguments: without titles, defaults and nullable unions."""
    whole = kind.model_json_schema()
    properties = {name: _plain(value) for name, value in whole["properties"].items()}
    required = {"required": whole["required"]} if "required" in whole else {}
    return {"type": "object", "properties": properties, **required, "additionalProperties": False}


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    union = value.get("anyOf", [{}])
    whole = {**union[0], **value}
    return {key: item for key, item in whole.items() if key not in _OMITTED}


_OMITTED = {"title", "default", "anyOf", "minLength", "minimum", "exclusiveMinimum"}
"""Keywords that only use up a model's context, and bounds, some of which make providers reject all tools.

The server still checks the bounds."""
