"""The parameters of a chat completion: which are accepted, ignored or refused. It does not know the messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_core import ErrorDetails

from moa_mcp.parameters import Effort
from moa_mcp.schemas import checked_value
from moa_mcp.server.openai.errors import ApiError
from moa_mcp.text.redact import redact
from moa_mcp.text.suggest import closest
from moa_mcp.text.surrogates import mended
from moa_mcp.text.visible import quoted

_TOOLS = "a pipeline calls no tools; leave it out, and give what the models need in a message"
_ONE = "a run has one answer; send a request for each"
_NO_TOKENS = "the tokens of an answer are not known here, since several models work on it; leave it out"
_ONLY_TEXT = "answers are text; leave it out"
UNSUPPORTED: Mapping[str, str] = {
    **dict.fromkeys(("tools", "tool_choice", "functions", "function_call"), _TOOLS),
    **dict.fromkeys(("n", "best_of"), _ONE),
    **dict.fromkeys(("logprobs", "top_logprobs", "logit_bias"), _NO_TOKENS),
    **dict.fromkeys(("audio", "modalities"), _ONLY_TEXT),
    "prediction": "the models do not get it; leave it out",
    "verbosity": "say in a message how long the answer should be",
    "web_search_options": "a pipeline searches nothing; give what the models need in a message",
    "service_tier": "the configuration of the server decides it; leave it out",
}
"""Parameters of OpenAI that are refused, each with the reason and remedy."""
_WITHOUT_EFFECT: Mapping[str, tuple[JsonValue, ...]] = {
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "n": (1,),
    "best_of": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
}
"""Values of these parameters that ask for nothing; so do null and empty lists and objects."""
IGNORED = (
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "user",
)
"""Parameters that are accepted and change nothing: they say who asks, or what to do with tools and caches."""
RESPONSE_FORMAT = "response_format"
_ANY_OBJECT = '{"type": "object"}'


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StreamOptions(_Table):
    """How an answer is streamed."""

    include_usage: bool = False
    include_obfuscation: bool = False
    """Accepted, without effect."""


class Extension(_Table):
    """What OpenAI's API has no parameter for: the object `moa`."""

    max_cost_usd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    deadline_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    models: str | None = None
    aggregator: str | None = None


class JsonSchema(_Table):
    """The schema of an answer, and what OpenAI's API has beside it."""

    name: str | None = None
    """Without effect, as `strict`: every answer is validated."""
    description: str | None = None
    of_answer: Annotated[str, BeforeValidator(checked_value), Field(alias="schema")]
    strict: bool | None = None


class ResponseFormat(_Table):
    """Which form an answer has."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError('should have json_schema if its type is "json_schema", and only then')
        return self

    @property
    def answer_schema(self) -> str | None:
        """The JSON Schema of the answer; None for text."""
        if self.json_schema is None:
            return None if self.type == "text" else _ANY_OBJECT
        schema, about = self.json_schema.of_answer, self.json_schema.description
        return json.dumps({"description": about, **json.loads(schema)}) if about else schema


def _list(value: object) -> object:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list):
        return found
    return tuple(mended(each) if isinstance(each, str) else each for each in cast("list[object]", found))


class Parameters(_Table):
    """The parameters of a request that have an effect."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[JsonValue], Field(min_length=1)]
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    seed: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_list), Field(max_length=4)] = ()
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    reasoning_effort: Effort | None = None
    response_format: ResponseFormat = ResponseFormat(type="text")
    moa: Extension = Extension()

    @property
    def token_limit(self) -> int | None:
        """The limit of the answer; `max_tokens` is the older name."""
        return self.max_completion_tokens or self.max_tokens


def read(body: Mapping[str, JsonValue]) -> Parameters:
    """Return the parameters of a request. Raises `ApiError`, which names the parameter."""
    given = {name: value for name, value in body.items() if value is not None and name not in IGNORED}
    for name in [name for name in given if name in UNSUPPORTED]:
        value = given.pop(name)
        if value not in ([], {}, *_WITHOUT_EFFECT.get(name, ())):
            raise ApiError(400, "unsupported_parameter", f"{name} is not supported: {UNSUPPORTED[name]}", param=name)
    try:
        return Parameters.model_validate(given)
    except ValidationError as error:
        raise _refused(error.errors(include_url=False)[0]) from error


def _refused(error: ErrorDetails) -> ApiError:
    if error["type"] == "recursion_depth_exceeded":  # its place has hundreds of parts
        where = str(error["loc"][0])
        return ApiError(400, "invalid_value", f"{where} is nested too deeply", param=where)
    where = ".".join(str(each) for each in error["loc"])
    if error["type"] == "extra_forbidden":
        return _unknown(error["loc"])
    if error["type"] == "missing":
        return ApiError(400, "missing_required_parameter", f"{where} is missing", param=_param(where))
    message = error["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
    joint = " " if message.startswith(("should", "is ", "has ")) else ": "
    return ApiError(400, "invalid_value", f"{where}{joint}{message}{_shown(error['input'])}", param=_param(where))


def _param(where: str) -> str:
    """Return the parameter that an error names. Clients of OpenAI know the whole `response_format`."""
    return RESPONSE_FORMAT if where.startswith(f"{RESPONSE_FORMAT}.") else where


def _unknown(loc: tuple[int | str, ...]) -> ApiError:
    *outer, name = map(str, loc)
    tables: Mapping[str, type[_Table]] = {
        "moa": Extension,
        "stream_options": StreamOptions,
        RESPONSE_FORMAT: ResponseFormat,
        "json_schema": JsonSchema,
    }
    fields = (tables[outer[-1]] if outer else Parameters).model_fields
    known = [field.alias or name for name, field in fields.items()]
    near = closest(name, known)
    meant = f", did you mean {near}?" if near else ""
    message = f"unknown parameter {quoted(redact(name))}{meant} (available: {', '.join(known)})"
    return ApiError(400, "unknown_parameter", message, param=_param(".".join([*outer, name])))


def _shown(value: object) -> str:
    return f" (got {value})" if isinstance(value, int | float) else ""
