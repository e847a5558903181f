"""The parameters of a request that the layer gets which writes the answer. They last for one run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from moa_mcp.config import Config, Pipeline
from moa_mcp.errors import ChangeRefused
from moa_mcp.runs import changed
from moa_mcp.server import spellings
from moa_mcp.server.openai.errors import ApiError
from moa_mcp.server.openai.parameters import Parameters

_OF_ONE_MODEL = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "reasoning_effort")
"""What would make the answers of several members alike, or suits only some of them."""
_USUAL: Mapping[str, float] = {"temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0}
"""The defaults of OpenAI. They change nothing, since many clients always send them."""
_OF_STEPS = ("temperature", "reasoning_effort", "max_tokens", "hedge")
"""Keys of a step; other parameters are in its `extra`."""


class _Writer(NamedTuple):
    """The last step that writes answers."""

    number: int
    """Counted from 1."""
    keys: Mapping[str, Any]
    alone: bool
    """Whether one model writes the answer."""
    last: bool


def configured(pipeline: Pipeline, given: Parameters, config: Config) -> Pipeline:
    """Return the pipeline for a request. Raises `ApiError` if its layer can't have a parameter."""
    writer = _writer(pipeline)
    values = {**_sampling(pipeline, writer, given), **_limited(writer, given)}
    if given.stop:
        values["stop"] = list(given.stop)
    if given.stream and writer.last and writer.keys.get("hedge"):
        values["hedge"] = False  # a second request would replace text that was sent
    of_step = {name: value for name, value in values.items() if name in _OF_STEPS}
    further = {name: value for name, value in values.items() if name not in _OF_STEPS}
    if further:
        of_step["extra"] = {**(writer.keys.get("extra") or {}), **further}
    if not of_step:
        return pipeline
    try:
        return changed(pipeline, writer.number, [str(each) for each in _settings(of_step)], config)
    except ChangeRefused as error:
        raise ApiError(400, "invalid_value", f"{error}. {error.remedy}", param=_named(error, of_step)) from error


def _settings(values: Mapping[str, Any]) -> list[Any]:
    found = spellings.settings(dict(values))
    return found if isinstance(found, list) else []


def _named(error: ChangeRefused, values: Mapping[str, Any]) -> str | None:
    return next((name for name in values if name in str(error)), None)


def _writer(pipeline: Pipeline) -> _Writer:
    found: list[_Writer] = []
    answers = 0
    for number, step in enumerate(pipeline.steps, 1):
        answers = step.answers_out(answers)
        if step.writes_answers:
            found.append(_Writer(number, step.model_dump(by_alias=True), answers == 1, number == len(pipeline.steps)))
    return found[-1]


def _sampling(pipeline: Pipeline, writer: _Writer, given: Parameters) -> dict[str, Any]:
    wanted = {name: value for name in _OF_ONE_MODEL if (value := getattr(given, name)) not in {None, _USUAL.get(name)}}
    if writer.alone or not wanted:
        return wanted
    name = next(iter(wanted))
    message = (
        f"{name} is not supported by {pipeline.name}: step {writer.number} writes several answers, of which it returns "
        f"one unchanged; leave {name} out, or set it in the configuration"
    )
    raise ApiError(400, "unsupported_parameter", message, param=name)


def _limited(writer: _Writer, given: Parameters) -> dict[str, Any]:
    """Return the token limit if it is lower than that of the step, so that no client raises the costs of a server."""
    limit, own = given.token_limit, writer.keys.get("max_tokens")
    return {} if limit is None or (own is not None and limit >= own) else {"max_tokens": limit}
