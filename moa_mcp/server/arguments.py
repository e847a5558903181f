"""What the tools take: arguments as values, their JSON schemas, and what a model is told that gets them wrong."""

from __future__ import annotations

import json
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from moa_mcp.redact import redact
from moa_mcp.server import spellings


class Arguments(BaseModel):
    """What a tool takes; nothing else is allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


_TEXT, _WHOLE, _NUMBER = map(BeforeValidator, (spellings.text, spellings.whole, spellings.number))

Text = Annotated[str, _TEXT]
Name = Annotated[str, Field(min_length=1), _TEXT]
Seed = Annotated[int, Field(ge=0, le=2**53 - 1), _WHOLE]
Position = Annotated[int, Field(ge=1), _WHOLE]
"""Counted from 1."""
Wait = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False), _NUMBER]
MoreThanZero = Annotated[float, Field(gt=0, allow_inf_nan=False), _NUMBER]


def exact(usd: float | None) -> Decimal | None:
    """Return US dollars as they were written."""
    return None if usd is None else Decimal(str(usd))


class AskArguments(Arguments):
    """What a pipeline tool takes."""

    question: Name = Field(
        description="The question or task, complete in itself: the models see nothing of this conversation."
    )
    context: Text | None = Field(
        default=None, description="Material to answer it with: file contents, data, what was said before."
    )
    system: Text | None = Field(default=None, description="Instructions for every model: role, language, format.")
    seed: Seed | None = Field(default=None, description="Repeats what is left to chance: orders, dropouts, samples.")
    wait_s: Wait | None = Field(
        default=None, description="Seconds to wait for the answer before the run's id is returned instead."
    )
    deadline_s: MoreThanZero | None = Field(
        default=None, description="Seconds after which the run ends with the best that it has; only shortens its own."
    )
    max_cost_usd: MoreThanZero | None = Field(
        default=None,
        description="US dollars that the run may cost at most; only lowers what is configured. Where a call was not "
        "started because its cost must be agreed to, this agrees.",
    )

    @field_validator("question")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is blank")
        return value


class RunArguments(Arguments):
    """What names a run."""

    run_id: Name = Field(description="The id that the pipeline's tool returned.")


class WaitArguments(RunArguments):
    """What moa_wait takes."""

    wait_s: Wait | None = Field(default=None, description="Seconds to wait before status running is returned again.")


class ResumeArguments(WaitArguments):
    """What moa_resume takes."""

    max_cost_usd: MoreThanZero | None = Field(
        default=None,
        description="What the run may cost at most, in US dollars, all that it has cost included: for one that stopped "
        "at its budget.",
    )


class ForkArguments(WaitArguments):
    """What moa_fork takes."""

    step: Position = Field(
        description="The first step to do anew, from 1; those before it are taken over and cost nothing."
    )
    changes: Annotated[list[str], BeforeValidator(spellings.settings)] = Field(
        default=[],
        description='What to change, as KEY=VALUE for that step or N.KEY=VALUE for a later one: ["agent=gpt-5-nano", '
        '"4.temperature=0.2"].',
    )
    max_cost_usd: MoreThanZero | None = Field(
        default=None,
        description="US dollars that the new run may cost at most, else what the other was allowed. Where a call was "
        "not started because its cost must be agreed to, this agrees.",
    )
    seed: Seed | None = Field(
        default=None, description="Another seed for what is left to chance; else that of the run."
    )


class TraceArguments(RunArguments):
    """What moa_trace takes."""

    page: Position = Field(default=1, description="Which page of the trace.")


class EstimateArguments(Arguments):
    """What moa_estimate takes."""

    pipeline: Name = Field(description="Which pipeline: the name of its tool.")
    question: Name | None = Field(
        default=None, description="The question it would be asked; one of 200 tokens is assumed."
    )
    context: Text | None = Field(default=None, description="The context it would be given.")
    system: Text | None = Field(default=None, description="The instructions it would be given.")


Given = TypeVar("Given", bound=Arguments)


class BadArguments(Exception):
    """A call's arguments are wrong; the text tells the model how to mend them."""


def read(kind: type[Given], arguments: dict[str, Any] | None) -> Given:
    """Return the arguments of a call. Raises `BadArguments`."""
    try:
        return kind.model_validate(_given(kind, arguments or {}))
    except ValidationError as error:
        known = list(kind.model_fields)
        told = [_told(each, _written(each, arguments or {}), known) for each in error.errors()]
        raise BadArguments(f"Invalid arguments: {'; '.join(told)}") from error


def _given(kind: type[Arguments], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments without those that say of themselves that they are not given."""
    types = {name: each["type"] for name, each in schema(kind)["properties"].items() if not _required(kind, name)}
    return {
        name: value
        for name, value in arguments.items()
        if name not in types or not spellings.absent(value, types[name])
    }


def _required(kind: type[Arguments], name: str) -> bool:
    return kind.model_fields[name].is_required()


def _written(error: ErrorDetails, arguments: dict[str, Any]) -> object:
    """Return the value at fault as its caller wrote it."""
    first, *inner = error["loc"]
    return error["input"] if inner else arguments.get(str(first))


def _told(error: ErrorDetails, value: object, known: list[str]) -> str:
    name, kind, message = str(error["loc"][0]), error["type"], error["msg"]
    if kind == "extra_forbidden":
        close = get_close_matches(name, known, n=1)
        meant = f", did you mean {close[0]}?" if close else ""
        return f"unknown argument {_shown(name)}{meant} (known: {', '.join(known)})"
    if kind == "missing":
        return f"{name} is missing"
    if kind == "string_too_short":
        return f"{name} is empty"
    if kind == "value_error":
        return f"{name} {message.removeprefix('Value error, ')}"
    example = _EXAMPLES.get(kind, "")
    told = f"{name} {_WORDS.get(kind, message.removeprefix('Input '))}{example}"
    return told if kind == "list_type" and isinstance(value, dict) else f"{told} (it is {_shown(value)})"


_WORDS = {"list_type": "should be a list of strings"}
_EXAMPLES = {
    "int_type": ", such as 7",
    "float_type": ", such as 45",
    "list_type": ', such as ["agent=gpt-5-nano"]',
}
_SHOWN = 80
"""Characters of a wrong value that are told."""


def _shown(value: object) -> str:
    """Return a value as its caller wrote it, if it is short enough to be found by that."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    whole = redact(value if isinstance(value, str) else json.dumps(value))
    shortened = whole if len(whole) <= _SHOWN else f"{whole[: _SHOWN - 1]}…"
    return repr(shortened) if isinstance(value, str) else shortened


@cache
def schema(kind: type[Arguments]) -> dict[str, Any]:
    """Return the JSON schema of arguments, as plain as it can be: without titles, nullable unions and open bounds."""
    whole = kind.model_json_schema()
    properties = {name: _plain(value) for name, value in whole["properties"].items()}
    required = {"required": whole["required"]} if "required" in whole else {}
    return {"type": "object", "properties": properties, **required, "additionalProperties": False}


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    union = value.get("anyOf", [{}])
    kept = {key: item for key, item in value.items() if key not in {"title", "anyOf"} and item is not None}
    return _bounded({**union[0], **kept})


def _bounded(value: dict[str, Any]) -> dict[str, Any]:
    """Return a number's schema with plain bounds; that the bound itself is too little is said when it is given.

    Hosts hand schemas to models whose providers refuse all tools for a keyword that they do not know.
    """
    return {_PLAIN_BOUNDS.get(key, key): item for key, item in value.items()}


_PLAIN_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}
