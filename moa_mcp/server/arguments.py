"""What the tools take: arguments as values, their JSON schemas, and what a model is told that gets them wrong."""

from __future__ import annotations

from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator


class Arguments(BaseModel):
    """What a tool takes; nothing else is allowed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Wait = Annotated[float, Field(ge=0, le=3600)]
USDollars = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def exact(usd: float | None) -> Decimal | None:
    """Return US dollars as they were written."""
    return None if usd is None else Decimal(str(usd))


class AskArguments(Arguments):
    """What a pipeline tool takes."""

    question: Annotated[str, Field(min_length=1)] = Field(
        description="The question or task, complete in itself: the models see nothing of this conversation."
    )
    context: str | None = Field(
        default=None, description="Material to answer it with: file contents, data, what was said before."
    )
    system: str | None = Field(default=None, description="Instructions for every model: role, language, format.")
    seed: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(
        default=None, description="Repeats what is left to chance: orders, dropouts, samples."
    )
    wait_s: Wait | None = Field(
        default=None, description="Seconds to wait for the answer before the run's id is returned instead."
    )
    deadline_s: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Seconds after which the run ends with the best that it has; only shortens its own."
    )
    max_cost_usd: USDollars | None = Field(
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

    run_id: Annotated[str, Field(min_length=1)] = Field(description="The id that the pipeline's tool returned.")


class WaitArguments(RunArguments):
    """What moa_wait takes."""

    wait_s: Wait | None = Field(default=None, description="Seconds to wait before status running is returned again.")


class ResumeArguments(WaitArguments):
    """What moa_resume takes."""

    max_cost_usd: USDollars | None = Field(
        default=None,
        description="What the run may cost at most, in US dollars, all that it has cost included: for one that stopped "
        "at its budget.",
    )


class ForkArguments(WaitArguments):
    """What moa_fork takes."""

    step: Annotated[int, Field(ge=1)] = Field(
        description="The first step to do anew, from 1; those before it are taken over and cost nothing."
    )
    changes: list[str] = Field(
        default=[],
        description='What to change, as KEY=VALUE for that step or N.KEY=VALUE for a later one: ["agent=gpt-5-nano", '
        '"4.temperature=0.2"].',
    )
    max_cost_usd: USDollars | None = Field(
        default=None,
        description="US dollars that the new run may cost at most, else what the other was allowed. Where a call was "
        "not started because its cost must be agreed to, this agrees.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**53)] | None = Field(
        default=None, description="Another seed for what is left to chance; else that of the run."
    )


class TraceArguments(RunArguments):
    """What moa_trace takes."""

    page: Annotated[int, Field(ge=1)] = Field(default=1, description="Which page of the trace.")


class EstimateArguments(Arguments):
    """What moa_estimate takes."""

    pipeline: Annotated[str, Field(min_length=1)] = Field(description="Which pipeline: the name of its tool.")
    question: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="The question it would be asked; one of 200 tokens is assumed."
    )
    context: str | None = Field(default=None, description="The context it would be given.")
    system: str | None = Field(default=None, description="The instructions it would be given.")


Given = TypeVar("Given", bound=Arguments)


class BadArguments(Exception):
    """A call's arguments are wrong; the text tells the model how to mend them."""


def read(kind: type[Given], arguments: dict[str, Any] | None) -> Given:
    """Return the arguments of a call. Raises `BadArguments`."""
    try:
        return kind.model_validate(arguments or {})
    except ValidationError as error:
        known = list(kind.model_fields)
        told = [_told(list(map(str, each["loc"])), each["type"], each["msg"], known) for each in error.errors()]
        raise BadArguments(f"Invalid arguments: {'; '.join(told)}") from error


def _told(where: list[str], kind: str, message: str, known: list[str]) -> str:
    name = where[0]
    if kind == "extra_forbidden":
        close = get_close_matches(name, known, n=1)
        meant = f", did you mean {close[0]}?" if close else ""
        return f"unknown argument {name!r}{meant} (known: {', '.join(known)})"
    if kind == "missing":
        return f"{name} is missing"
    if kind == "string_too_short":
        return f"{name} is empty"
    if kind == "list_type":
        return f'{name} should be a list of strings, such as ["agent=gpt-5-nano"]'
    return f"{name} {message.removeprefix('Value error, ').removeprefix('Input ')}"


def schema(kind: type[Arguments]) -> dict[str, Any]:
    """Return the JSON schema of arguments, without pydantic's titles and nullable unions: absent means absent."""
    whole = kind.model_json_schema()
    properties = {name: _plain(value) for name, value in whole["properties"].items()}
    required = {"required": whole["required"]} if "required" in whole else {}
    return {"type": "object", "properties": properties, **required, "additionalProperties": False}


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    union = value.get("anyOf", [{}])
    kept = {key: item for key, item in value.items() if key not in {"title", "anyOf"} and item is not None}
    return {**union[0], **kept}
