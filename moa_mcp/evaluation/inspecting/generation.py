"""The settings of Inspect for a call (`GenerateConfig`): which a pipeline gets, and which it can't have.

Settings of sampling go to the step that writes the answer, as those of the OpenAI-compatible API do. The other steps
keep what the configuration says, which pipelines depend on: equal samples at temperature 0 would all be alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from inspect_ai.model import GenerateConfig

from moa_mcp.config import Config, Pipeline
from moa_mcp.errors import ChangeRefused
from moa_mcp.evaluation.inspecting.failures import NotSupported
from moa_mcp.runs import changed

OF_STEP: Mapping[str, str] = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "reasoning_effort": "reasoning_effort",
    "reasoning_tokens": "thinking_tokens",
}
"""Settings that a step has, with their names there."""
OF_REQUEST: Mapping[str, str] = {
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop_seqs": "stop",
}
"""Settings that are parameters of a request, with their names there."""
OF_RUN = ("seed", "response_schema")
OF_INSPECT = (
    *("max_retries", "timeout", "attempt_timeout", "max_connections", "adaptive_connections", "system_message"),
    *("cache", "fail_on_refusal", "reasoning_history", "parallel_tool_calls", "internal_tools", "max_tool_output"),
)
"""Settings that Inspect itself applies, or that are about tools."""
REFUSED: Mapping[str, str] = {
    "num_choices": "a run has one answer; use epochs for several",
    "logprobs": "the tokens of an answer are not known, since several models work on it",
    "top_logprobs": "the tokens of an answer are not known, since several models work on it",
    "prompt_logprobs": "the tokens of a prompt are not known, since several models get it",
    "modalities": "answers are text",
}
_ASKS_NOTHING: Mapping[str, tuple[object, ...]] = {
    "num_choices": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "modalities": ([],),
    "batch": (False,),
}


class Configured(NamedTuple):
    """A pipeline for a call."""

    pipeline: Pipeline
    seed: int | None
    answer_schema: str | None
    """A JSON Schema as text."""
    without_effect: tuple[str, ...]
    """The settings that change nothing, each with the reason."""


class _Writer(NamedTuple):
    """The last step that writes answers."""

    number: int
    """From 1."""
    extra: Mapping[str, Any]
    alone: bool
    """Whether one model writes the answer."""


def configured(pipeline: Pipeline, given: GenerateConfig, config: Config) -> Configured:
    """Return the pipeline with the settings of a call. Raises `NotSupported`."""
    wanted = {
        name: value
        for name in GenerateConfig.model_fields
        if (value := getattr(given, name)) is not None and value not in _ASKS_NOTHING.get(name, ())
    }
    for name, why in REFUSED.items():
        if name in wanted:
            raise NotSupported(f"the setting {name} is not supported by moa models: {why}")
    sampling = {name: wanted[name] for name in wanted if name in OF_STEP or name in OF_REQUEST}
    writer = _writer(pipeline)
    known = {*sampling, *OF_RUN, *OF_INSPECT}
    notes = [f"{name} is not passed to the models of a pipeline" for name in wanted if name not in known]
    if sampling and not writer.alone:
        where = f"step {writer.number} of {pipeline.name} writes several answers, of which it returns one"
        notes += [f"{name} changes nothing: {where}; set it in the configuration" for name in sampling]
    elif sampling:
        pipeline = _changed(pipeline, writer, sampling, config)
    return Configured(pipeline, given.seed, _schema(given), tuple(notes))


def _writer(pipeline: Pipeline) -> _Writer:
    found: list[_Writer] = []
    answers = 0
    for number, step in enumerate(pipeline.steps, 1):
        answers = step.answers_out(answers)
        if step.writes_answers:
            found.append(_Writer(number, step.model_dump(by_alias=True).get("extra") or {}, answers == 1))
    return found[-1]


def _changed(pipeline: Pipeline, writer: _Writer, values: Mapping[str, Any], config: Config) -> Pipeline:
    try:
        return changed(pipeline, writer.number, [*_settings(writer, values)], config)
    except ChangeRefused as error:
        raise NotSupported(f"{pipeline.name} can't have this setting: {error}. {error.remedy}") from error


def _settings(writer: _Writer, values: Mapping[str, Any]) -> Iterator[str]:
    for name, key in OF_STEP.items():
        if name in values:
            yield f"{key}={values[name]}"
    further = {key: values[name] for name, key in OF_REQUEST.items() if name in values}
    if further:
        yield f"extra={_inline({**writer.extra, **further})}"


def _inline(table: Mapping[str, Any]) -> str:
    """Return a table in TOML on one line. What JSON writes for texts, numbers, lists and booleans is TOML as well."""
    return f"{{{', '.join(f'{json.dumps(key)} = {_value(value)}' for key, value in table.items())}}}"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return _inline(cast("dict[str, object]", value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, cast('Sequence[object]', value)))}]"
    return json.dumps(value, ensure_ascii=False)


def _schema(given: GenerateConfig) -> str | None:
    """Return the schema of the answer as text, with its description if that is beside it."""
    if given.response_schema is None:
        return None
    schema = given.response_schema.json_schema.model_dump(exclude_none=True, mode="json", by_alias=True)
    about = given.response_schema.description
    return json.dumps({"description": about, **schema} if about else schema)
