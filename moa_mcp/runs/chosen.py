"""The models that a user chooses for one run: who proposes, and who aggregates.

They are limited to the aliases and panels of the configuration, so that a caller can't reach other models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from moa_mcp.config import Config, Pipeline
from moa_mcp.config.problems import meant
from moa_mcp.errors import ChangeRefused
from moa_mcp.runs.overrides import changed
from moa_mcp.steps import Step
from moa_mcp.steps.panel import MAX_MEMBERS, TIERS

_PANEL = re.compile(rf"({'|'.join(TIERS)})(?::(\d+))?")
_SHOWN = 12


def chosen(pipeline: Pipeline, models: Sequence[str], aggregator: str | None, config: Config) -> Pipeline:
    """Return the pipeline with other models for one run.

    `models` replace the agents of every step that adds answers (propose, synthesize), with all of their settings. An
    entry is an alias, or a panel with the number of its members, ``balanced:4``; a single panel without a number has as
    many members as the step had calls. `aggregator` is an alias or a panel. It replaces the agent of the last step that
    calls models.

    Raises:
        ChangeRefused: a name is not configured, or the pipeline has no such step.

    """
    settings = [*_proposers(pipeline, models, config)] if models else []
    if aggregator is not None:
        settings.append(_aggregator(pipeline, aggregator, config))
    return changed(pipeline, 1, settings, config) if settings else pipeline


def _proposers(pipeline: Pipeline, models: Sequence[str], config: Config) -> Iterator[str]:
    steps = [(number, step) for number, step in enumerate(pipeline.steps, 1) if step.adds_answers]
    if not steps:
        raise ChangeRefused(f"models: no step of {pipeline.name} proposes answers", "Choose another pipeline.")
    for number, step in steps:
        agents = [_agents(name, len(step.models) if len(models) == 1 else 1, config) for name in models]
        yield f"{number}.agents=[{', '.join(agents)}]"
        calls = sum(_members(name, len(step.models) if len(models) == 1 else 1) for name in models)
        if step.required(len(step.models)) > calls:
            yield f"{number}.quorum={calls}"


def _aggregator(pipeline: Pipeline, name: str, config: Config) -> str:
    number, step = _last(pipeline)
    if "agent" not in type(step).model_fields:
        raise ChangeRefused(f"aggregator: {pipeline.name} ends with {step.step}, which has no agent", "Leave it out.")
    panel = _panel(name)
    if panel is None:
        _check(name, config)
        return f"{number}.agent={name}"
    return f"{number}.agent={{ panel = {json.dumps(panel[0])} }}"


def _last(pipeline: Pipeline) -> tuple[int, Step]:
    """Return the last step that calls models, else the last step, with its number."""
    numbered = list(enumerate(pipeline.steps, 1))
    return next((each for each in reversed(numbered) if each[1].models), numbered[-1])


def _agents(name: str, members: int, config: Config) -> str:
    """Return the TOML of the agents that a name stands for."""
    panel = _panel(name)
    if panel is None:
        _check(name, config)
        return json.dumps(name)
    return f"{{ panel = {json.dumps(panel[0])}, members = {panel[1] or members} }}"


def _members(name: str, members: int) -> int:
    panel = _panel(name)
    return 1 if panel is None else panel[1] or members


def _panel(name: str) -> tuple[str, int] | None:
    """Return the tier of a panel and its number of members, 0 if it has none; None if the name is not a panel.

    Raises:
        ChangeRefused: the number is out of range.

    """
    found = _PANEL.fullmatch(name)
    if found is None:
        return None
    if found[2] is not None and not 1 <= int(found[2]) <= MAX_MEMBERS:
        raise ChangeRefused(f"{name} has no valid number of members", f"A panel has 1 to {MAX_MEMBERS} members.")
    return found[1], int(found[2] or 0)


def _check(name: str, config: Config) -> None:
    if name in config.models:
        return
    names = [*TIERS, *config.models]
    more = f" and {len(names) - _SHOWN} more, which moa-mcp check lists" if len(names) > _SHOWN else ""
    raise ChangeRefused(
        f"{name!r} is not a model or panel of the configuration{meant(name, names)}",
        f"Choose from {', '.join(names[:_SHOWN])}{more}.",
    )
