"""A pipeline with some of its steps set otherwise, as a person writes it: ``agent=NAME``, ``4.temperature=0.2``."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from moa_mcp.config import STEP_TYPES, Config, Pipeline, models_of, problems
from moa_mcp.errors import ChangeRefused
from moa_mcp.routing.routes import PROVIDERS
from moa_mcp.steps import Step
from moa_mcp.trace.trace import StepTrace, Trace

_SETTING = re.compile(r"(?:(?P<step>\d+)\.)?(?P<key>[A-Za-z_]+)=(?P<value>.*)", re.DOTALL)
_EXAMPLES = "Write it as agent=NAME, or 4.temperature=0.2 for a later step."


def changed(pipeline: Pipeline, first: int, settings: Sequence[str], config: Config) -> Pipeline:
    """Return the pipeline with its steps from `first` on, counted from 1, set so.

    Raises:
        ChangeRefused: they can't be; begins with the setting at fault, if it is one.

    """
    steps = list(pipeline.steps)
    for number, values in _by_step(settings, first, len(steps)).items():
        steps[number - 1] = _set(number, steps[number - 1], values)
    after = pipeline.model_copy(update={"steps": tuple(steps)})
    _check_models(after, {*config.models, *models_of(pipeline)})
    _check_end(after, settings)
    return after


def other_models(trace: Trace) -> tuple[int, str] | None:
    """Return the last step of a run that asked models, and how a person writes that it is to ask others.

    None if no step did: a step that only counts or selects answers takes no agent.
    """
    for step in reversed(trace.steps):
        if step.calls:
            return step.step, _other_agents(step)
    return None


def _other_agents(step: StepTrace) -> str:
    """Return the setting, with as many names as the step has calls: its quorum may need them all."""
    return STEP_TYPES[step.kind].other_models(len(step.calls))


def _by_step(settings: Sequence[str], first: int, last: int) -> Mapping[int, dict[str, str]]:
    found: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for setting in settings:
        match = _SETTING.fullmatch(setting)
        if match is None:
            raise ChangeRefused(f"{setting} is no KEY=VALUE", _EXAMPLES)
        number = int(match["step"] or first)
        if not first <= number <= last:
            stays = number < first
            fault = f"step {number} stays as it was" if stays else f"there is no step {number}"
            remedy = f"Fork from step {number} to change it." if stays and number else f"The last step is {last}."
            raise ChangeRefused(f"{setting}: {fault}", remedy)
        found[number]["temperature" if match["key"] == "temp" else match["key"]] = match["value"]
    return found


def _set(number: int, step: Step, values: Mapping[str, str]) -> Step:
    """Return the step with these values. They are text first, and what they may mean besides where no text is taken."""
    before = step.model_dump(by_alias=True)
    given: dict[str, object] = dict(values)
    wrong = _errors(step, {**before, **given})
    for key in {str(error["loc"][0]) for error in wrong} & values.keys():
        given[key] = _meant(key, values[key])
    if found := _errors(step, {**before, **given}):
        found = wrong if "" in values.values() else found  # the words of what was written, not of what it may mean
        problem = next(problems.problems(type(step), f"{number}", found))
        takes = ", ".join(sorted(type(step).model_fields.keys() - {"step", "name"}))
        raise ChangeRefused(str(problem), f"Step {number} is {step.step}; it takes {takes}.")
    return type(step).model_validate({**before, **given})


def _errors(step: Step, table: Mapping[str, object]) -> list[ErrorDetails]:
    try:
        type(step).model_validate(table)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _meant(key: str, text: str) -> object:
    """Return a value that is no text: as TOML writes it, a list of agents with commas, nothing for nothing."""
    if not text:
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return [each.strip() for each in text.split(",")] if key == "agents" else text


def _check_models(pipeline: Pipeline, known: set[str]) -> None:
    for model in models_of(pipeline):
        provider, _, name = model.partition("/")
        if model not in known and not (provider in PROVIDERS and name):
            raise ChangeRefused(
                f"{model!r} is no model of the configuration{problems.meant(model, known)}",
                "moa-mcp check shows the models; a name such as openai/gpt-5-nano needs no table.",
            )


def _check_end(pipeline: Pipeline, settings: Sequence[str]) -> None:
    answers = 0
    for step in pipeline.steps:
        answers = step.answers_out(answers)
    if answers != 1:
        raise ChangeRefused(
            f"{'; '.join(settings)}: the last step would hand on {answers} answers",
            "A run ends with one: set n=1, or name one agent.",
        )
