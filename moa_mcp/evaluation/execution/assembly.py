"""Puts what an execution found together as a result, before its analysis."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from msgspec import Struct

from moa_mcp.evaluation.contestants import Entrant
from moa_mcp.evaluation.execution.asker import EvalCosts
from moa_mcp.evaluation.execution.execution import Found
from moa_mcp.evaluation.execution.plan import EvalPlan
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.result import AskedQuestion, Contestant, EvalSettings, Evaluation, Outcome
from moa_mcp.evaluation.samples import missing
from moa_mcp.values import COMPLETE

_LIBRARIES = ("moa-mcp", "numpy", "scipy", "statsmodels")


class Background(Struct, frozen=True):
    """What a result tells besides its outcomes."""

    source: str
    settings: EvalSettings
    routes: Mapping[str, Mapping[str, str]]
    """By entrant, and by alias: the model of the route that answers now."""
    notes: tuple[str, ...] = ()


def assembled(plan: EvalPlan, found: Found, ledger: EvalCosts, background: Background) -> Evaluation:
    """Return the result of an evaluation without its analysis."""
    contestants = tuple(_with_routes(each, background.routes) for each in plan.field.contestants(plan.digests))
    order = [(question.id, each.name) for question in plan.questions for each in contestants]
    outcomes = tuple(found.outcomes[key] for key in order if key in found.outcomes)
    verdicts = tuple(verdict for question in plan.questions for verdict in found.verdicts.get(question.id, ()))
    scored = plan.judgement.scorer is not None
    return Evaluation(
        digest=plan.digest,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=background.source,
        versions={"python": platform.python_version(), **dict(_versions())},
        settings=background.settings,
        questions=tuple(map(_asked, plan.questions)),
        contestants=contestants,
        outcomes=outcomes,
        verdicts=verdicts,
        cost_usd=ledger.cost_usd,
        unknown_costs=ledger.unknown_costs,
        complete=len(outcomes) == len(order)
        and all(_is_complete(each, scored=scored) for each in outcomes)
        and not any(each.problem for each in verdicts),
        notes=(*background.notes, *found.notes, *_notes(plan, outcomes)),
    )


def _is_complete(outcome: Outcome, *, scored: bool) -> bool:
    answered = outcome.status in COMPLETE
    return answered and (outcome.score is not None or not scored) and not outcome.problem


def _asked(question: EvalQuestion) -> AskedQuestion:
    return AskedQuestion(
        id=question.id,
        line=question.item.line,
        question=question.text,
        answer=question.answer,
        choices=question.choices,
        cluster=question.cluster,
    )


def _with_routes(contestant: Contestant, routes: Mapping[str, Mapping[str, str]]) -> Contestant:
    known = routes[contestant.derived_from or contestant.name]
    models = tuple(dict.fromkeys(known.get(each, each) for each in contestant.models))
    return contestant.model_copy(update={"models": models})


def _versions() -> Iterator[tuple[str, str]]:
    for name in _LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:  # a source tree
            continue


def _notes(plan: EvalPlan, outcomes: tuple[Outcome, ...]) -> Iterator[str]:
    yield from _unusual(plan)
    for free in plan.field.free:
        lacking = missing(free, outcomes)
        if lacking and plan.judgement.is_free:
            which = f"{lacking} of its samples failed or came too late"
            yield f"{free.name}: {which}; its scores are those of the others."
    yield from (f"{each.name}: {note}" for each in plan.field.entrants for note in _changed(each))


def _unusual(plan: EvalPlan) -> Iterator[str]:
    """Yield which baselines are asked with other settings than a single call: those with the same ones together."""
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for free in plan.field.free:
        if free.kind == "model" and free.asking[1:] != plan.field.usual[1:]:
            groups[free.entrant.name, str(free.asking)].append(free.name)
    for (pipeline, settings), names in groups.items():
        are = f"{names[0]} is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"
        yield f"{are} asked as in {pipeline}, with {settings}; the defaults are {plan.field.usual}."


def _changed(entrant: Entrant) -> Iterator[str]:
    """Yield which models answer in place of those that a pipeline names."""
    if entrant.kind == "pipeline" and entrant.resolved != entrant.pipeline:
        named = [model for step in entrant.pipeline.steps for model in step.models]
        answering = [model for step in entrant.resolved.steps for model in step.models]
        seats = dict.fromkeys(f"{one} is {other}" for one, other in zip(named, answering, strict=True) if one != other)
        if seats:
            yield ", ".join(seats)
