"""The models that a user chooses for one run: who proposes, and who aggregates.

They are limited to the aliases and panels of the configuration, so that a caller can't reach other models.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from moa_mcp.config import Config, Pipeline
from moa_mcp.config.problems import meant
from moa_mcp.errors import ChangeRefused
from moa_mcp.runs.overrides import answers_of
from moa_mcp.steps import Step
from moa_mcp.steps.panel import MAX_MEMBERS, TIERS, PanelMember, Tier

_PANEL = re.compile(rf"({'|'.join(TIERS)})(?::([0-9]+))?")
_SHOWN = 12


def chosen(pipeline: Pipeline, models: str, aggregator: str, config: Config) -> Pipeline:
    """Return the pipeline with other models for one run; an empty text changes nothing.

    `models` are names separated by commas. They replace the agents of every step that adds answers (propose,
    synthesize) or has these rank each other or criticise their own, with the settings of these agents. A name is an
    alias, or a panel with the number of its members, ``balanced:4``; a single panel without a number has as many
    members as the step had calls. `aggregator` is an alias or a panel. It replaces the agent of the last step that
    calls models. An alias precedes a panel of the same name.

    Raises:
        ChangeRefused: a name is not configured, or the pipeline has no such step, or there are too many models.

    """
    names = [name for each in models.split(",") if (name := each.strip())]
    aggregator = aggregator.strip()
    steps = list(pipeline.steps)
    if names:
        steps = [*_proposed(pipeline, [_named("models", name, config) for name in names])]
    if aggregator:
        index = _aggregating(pipeline)
        agent = _named("aggregator", aggregator, config)
        if agent.members not in {None, 1}:
            raise ChangeRefused(f"aggregator: {aggregator} has {agent.members} members", f"Name one: {agent.name}.")
        steps[index] = steps[index].calling(*_aliases([agent], 1))
    after = pipeline.model_copy(update={"steps": tuple(steps)})
    if names and (answers := answers_of(after)) != 1:
        raise ChangeRefused(f"models: {pipeline.name} would return {answers} answers", "Name one model.")
    return after


class _Named(NamedTuple):
    """An alias or a panel that a user named."""

    name: str
    panel: bool
    members: int | None
    """Of a panel; None if the user gave no number."""


def _named(argument: str, name: str, config: Config) -> _Named:
    if name in config.models:
        return _Named(name, panel=False, members=None)
    found = _PANEL.fullmatch(name)
    if found is None:
        raise _unknown(argument, name, config)
    members = None if found[2] is None else int(found[2])
    if members is not None and not 1 <= members <= MAX_MEMBERS:
        raise ChangeRefused(
            f"{argument}: {name} has no valid number of members", f"A panel has 1 to {MAX_MEMBERS} members."
        )
    return _Named(found[1], panel=True, members=members)


def _unknown(argument: str, name: str, config: Config) -> ChangeRefused:
    names = [*dict.fromkeys([*TIERS, *config.models])]
    more = f" and {len(names) - _SHOWN} more, which moa-mcp check lists" if len(names) > _SHOWN else ""
    return ChangeRefused(
        f"{argument}: {name!r} is not a model or panel of the configuration{meant(name, names)}",
        f"Choose from {', '.join(names[:_SHOWN])}{more}.",
    )


def _proposed(pipeline: Pipeline, names: Sequence[_Named]) -> Iterator[Step]:
    """Yield the steps of a pipeline with other models in those that call the proposers."""
    if not any(step.adds_answers for step in pipeline.steps):
        raise ChangeRefused(f"models: no step of {pipeline.name} proposes answers", "Choose another pipeline.")
    for number, step in enumerate(pipeline.steps, 1):
        if not step.calls_proposers:
            yield step
            continue
        calls = len(step.models)
        models = _aliases(names, calls if len(names) == 1 else 1)
        if len(models) > max(MAX_MEMBERS, calls):
            raise ChangeRefused(
                f"models: step {number} would make {len(models)} calls", f"Name at most {MAX_MEMBERS} models."
            )
        yield step.calling(*models)


def _aliases(names: Sequence[_Named], members: int) -> tuple[str, ...]:
    """Return one alias for each call; a panel without a number has this number of members."""
    drawn: Counter[str] = Counter()
    found: list[str] = []
    for each in names:
        for _ in range((each.members or members) if each.panel else 1):
            drawn[each.name] += 1
            found.append(PanelMember(cast("Tier", each.name), drawn[each.name]).alias if each.panel else each.name)
    return tuple(found)


def _aggregating(pipeline: Pipeline) -> int:
    """Return the index of the last step that calls models. Raises `ChangeRefused` if it has no single agent."""
    index, step = next(each for each in reversed([*enumerate(pipeline.steps)]) if each[1].models)
    if step.calls_one_agent:
        return index
    raise ChangeRefused(
        f"aggregator: no model of {pipeline.name} merges or judges the answers; the last step that calls models is "
        f"step {index + 1}, {step.step}",
        "Leave it out, or choose a pipeline whose last model merges or judges.",
    )
