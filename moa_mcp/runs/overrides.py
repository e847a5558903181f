"""Overrides for the steps of a pipeline, as a user writes them: ``agent=NAME``, ``4.temperature=0.2``."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from moa_mcp.config import STEP_TYPES, Config, Pipeline, models_of, problems
from moa_mcp.errors import ChangeRefused
from moa_mcp.routing.routes import is_route
from moa_mcp.steps import Step
from moa_mcp.steps.panel import panel_member
from moa_mcp.trace.trace import StepTrace, Trace

_SETTING = re.compile(r"(?:(?P<step>\d+)\.)?(?P<key>[A-Za-z_]+)=(?P<value>.*)", re.DOTALL)
_EXAMPLES = "Write it as agent=NAME, or 4.temperature=0.2 for a later step."


def changed(pipeline: Pipeline, first: int, settings: Sequence[str], config: Config) -> Pipeline:
    """Return the pipeline with overrides applied to the steps from `first` (counted from 1) to the last.

    Raises:
        ChangeRefused: an override is invalid. The message starts with it, unless a set of overrides is invalid.

    """
    steps = list(pipeline.steps)
    for number, values in _by_step(settings, first, len(steps)).items():
        steps[number - 1] = _set(number, steps[number - 1], values)
    after = pipeline.model_copy(update={"steps": tuple(steps)})
    _check_models(after, {*config.models, *models_of(pipeline)})
    _check_end(after, settings)
    return after


def answers_of(pipeline: Pipeline) -> int:
    """Return the number of answers after the last step, if no call fails."""
    answers = 0
    for step in pipeline.steps:
        answers = step.answers_out(answers)
    return answers


def other_models(trace: Trace) -> tuple[int, str] | None:
    """Return the last step of a run that called models, and the override that replaces those models.

    None if no step did: a step that only counts or selects answers has no agent.
    """
    for step in reversed(trace.steps):
        if step.calls:
            return step.step, _other_agents(step)
    return None


def _other_agents(step: StepTrace) -> str:
    """Return the override with one name per call of the step, because its quorum may need all of them."""
    return STEP_TYPES[step.kind].other_models(len(step.calls))


def _by_step(settings: Sequence[str], first: int, last: int) -> Mapping[int, dict[str, str]]:
    found: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for setting in settings:
        match = _SETTING.fullmatch(setting)
        if match is None:
            raise ChangeRefused(f"{setting} is not KEY=VALUE", _EXAMPLES)
        number = int(match["step"] or first)
        if not first <= number <= last:
            earlier = 0 < number < first
            problem = f"step {number} is before the fork" if earlier else f"there is no step {number}"
            remedy = f"Fork from step {number} to change it." if earlier else f"The last step is {last}."
            raise ChangeRefused(f"{setting}: {problem}", remedy)
        found[number]["temperature" if match["key"] == "temp" else match["key"]] = match["value"]
    return found


def _set(number: int, step: Step, values: Mapping[str, str]) -> Step:
    """Return the step with these values. A table, and a value that is not valid as text, is parsed as TOML."""
    before = step.model_dump(by_alias=True)
    given = {key: _meant(key, value) if value.startswith("{") else value for key, value in values.items()}
    wrong = _errors(step, {**before, **given})
    for key in {str(error["loc"][0]) for error in wrong} & values.keys():
        given[key] = _meant(key, values[key])
    if found := _errors(step, {**before, **given}):
        found = wrong if "" in values.values() else found  # report the value as written, not as parsed
        problem = next(problems.problems(type(step), f"{number}", found))
        takes = ", ".join(sorted(type(step).model_fields.keys() - {"step", "name"}))
        raise ChangeRefused(str(problem), f"Step {number} is {step.step}; its settings are {takes}.")
    after = type(step).model_validate({**before, **given})
    for where, fault in after.faults():
        raise ChangeRefused(problems.within(str(number), *where) + f": {fault}", "Override max_tokens as well.")
    return after


def _errors(step: Step, table: Mapping[str, object]) -> list[ErrorDetails]:
    try:
        type(step).model_validate(table)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _meant(key: str, text: str) -> object:
    """Return a value parsed as TOML, or for agents as a comma-separated list; None for an empty value."""
    if not text:
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return [each.strip() for each in text.split(",")] if key == "agents" else text


def _check_models(pipeline: Pipeline, known: set[str]) -> None:
    for model in models_of(pipeline):
        if model not in known and not is_route(model) and panel_member(model) is None:
            raise ChangeRefused(
                f"{model!r} is not a model in the configuration{problems.meant(model, known)}",
                "Run moa-mcp check to list the models. Names such as openai/gpt-5-nano need no configuration.",
            )


def _check_end(pipeline: Pipeline, settings: Sequence[str]) -> None:
    answers = answers_of(pipeline)
    if answers != 1:
        raise ChangeRefused(
            f"{'; '.join(settings)}: the last step would return {answers} answers",
            "A run must end with one answer: set n=1, or name one agent.",
        )
