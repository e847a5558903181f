"""The way of ``moa-mcp eval``: questions, contestants and scoring are checked, then asked, analysed and reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import anyio
from msgspec import Struct

from moa_mcp.cli.eval.contestants import check_baseline, check_baselines, judge_of, pipelines_of
from moa_mcp.cli.eval.judging import ScoreOptions, judgement_of
from moa_mcp.cli.eval.outputs import Outputs, check_gate
from moa_mcp.cli.eval.source import Chosen, Source, chosen_from
from moa_mcp.cli.eval.start import EvalOptions, PreparedEvaluation, prepared
from moa_mcp.cli.eval.task import check_task_options, chosen_of, task_of
from moa_mcp.cli.options import Refused, closing, opened
from moa_mcp.cli.watch import ready, runs_of
from moa_mcp.config import Config, Pipeline, routed
from moa_mcp.errors import JournalError
from moa_mcp.evaluation.contestants import Field, entrants_of, field_of
from moa_mcp.evaluation.duels.families import shared_families
from moa_mcp.evaluation.execution.assembly import Background
from moa_mcp.evaluation.execution.execution import EvalExecution, Executing
from moa_mcp.evaluation.execution.identities import RunIdentities
from moa_mcp.evaluation.execution.plan import EvalPlan, Judgement
from moa_mcp.evaluation.result import EvalSettings
from moa_mcp.planning.estimate import prices
from moa_mcp.routing.routes import Routes
from moa_mcp.runs import Runs

if TYPE_CHECKING:
    from moa_mcp.evaluation.inspecting.loading import LoadedTask

_TASK = "task"
"""How answers to a task of Inspect are scored, in the result."""


class EvalRequest(Struct, frozen=True):
    """What the options of the command say."""

    source: Source
    pipelines: str | None
    baselines: tuple[str, ...]
    judge: str | None
    scoring: ScoreOptions
    options: EvalOptions
    outputs: Outputs
    offline: bool
    journal: str | None


class _Checked(Struct, frozen=True):
    """A request whose parts are valid."""

    config: Config
    pipelines: tuple[Pipeline, ...]
    judge: Pipeline | None
    chosen: Chosen
    judgement: Judgement
    task: LoadedTask | None = None
    """Where the questions are from; None if they are from a file."""


def evaluate(config: Config, request: EvalRequest, *, estimating: bool) -> None:
    """Evaluate, or estimate what that costs. Raises `Refused`, `Interrupted`."""
    checked = _checked(config, request)
    backend, routes = ready(checked.config, offline=request.offline)
    with closing(opened(request.journal, config.journal)) as kept:
        if not kept.keeps_texts:
            raise Refused(
                'an evaluation reads its answers from the journal, and record = "hashes" does not store them',
                'Set record = "calls" in [journal], or add --journal none: the evaluation can\'t be continued then.',
            )
        runs = runs_of(checked.config, backend, kept)
        try:
            start = anyio.run(_prepared, runs, routes, checked, request)
            if estimating:
                start.estimate()
                return
            from moa_mcp.evaluation.analysis import analysed  # noqa: PLC0415  the libraries of an extra; before it costs

            evaluation = analysed(start.execute())
            unfinished = None if evaluation.complete else start.unfinished(evaluation)
        except JournalError as error:
            raise Refused(str(error), "Choose another journal with --journal.") from error
    request.outputs.write(evaluation, quiet=request.options.quiet)
    if request.outputs.view:
        from moa_mcp.cli.eval.viewing import view  # noqa: PLC0415  only here

        view(evaluation, request.journal)
    if unfinished is not None:
        raise unfinished
    check_gate(evaluation)


def _checked(config: Config, request: EvalRequest) -> _Checked:
    """Check all that can be wrong before a model is asked. Raises `Refused`."""
    pipelines = pipelines_of(config, request.pipelines)
    check_baselines(config, request.baselines)
    judge = judge_of(config, request.judge)
    request.outputs.check(request.source.path)
    named = (*request.baselines, *((request.judge,) if request.judge and request.judge not in config.pipelines else ()))
    if request.source.is_task:
        return _of_task(routed(config, named), pipelines, request)
    if request.source.arguments:
        raise Refused("-T is for tasks of Inspect", "Remove it, or name a task: FILE.py@TASK.")
    chosen = chosen_from(request.source, metadata=request.scoring.uses_function)
    judgement = judgement_of(request.scoring.scoring(judge), chosen.questions, request.source.name)
    return _Checked(routed(config, named), pipelines, judge, chosen, judgement)


def _of_task(config: Config, pipelines: tuple[Pipeline, ...], request: EvalRequest) -> _Checked:
    check_task_options(request.source, request.scoring, request.judge)
    task = task_of(request.source)
    return _Checked(config, pipelines, None, chosen_of(task, request.source), task.judgement, task)


async def _field(runs: Runs, checked: _Checked, request: EvalRequest) -> tuple[Field, Sequence[str]]:
    """Return the contestants, and what a reader must know about them."""
    config, judgement = checked.config, checked.judgement
    if checked.task is not None:
        from moa_mcp.evaluation.inspecting.evaluating import field_of_task  # noqa: PLC0415  the library of an extra

        return await field_of_task(checked.task, runs, config, checked.pipelines, request.baselines)
    entrants = await entrants_of(runs, config, checked.pipelines, request.baselines)
    return field_of(entrants, config, counts=judgement.scorer is not None and judgement.is_free), ()


async def _prepared(runs: Runs, routes: Routes | None, checked: _Checked, request: EvalRequest) -> PreparedEvaluation:
    config, judgement = checked.config, checked.judgement
    field, about_field = await _field(runs, checked, request)
    check_baseline(field)
    identities = RunIdentities(config, request.options.name, simulated=request.offline)
    digests = {each.name: identities.digest(each.pipeline) for each in field.entrants}
    judges = {} if judgement.judge is None else {"judge": identities.digest(judgement.judge)}
    plan = EvalPlan(checked.chosen.questions, field, judgement, {**digests, **judges})
    routed_to = {each.name: await _routes(runs, each.pipeline) for each in field.entrants}
    judging = () if judgement.judge is None else tuple((await _routes(runs, judgement.judge)).values())
    notes = (*checked.chosen.notes, *about_field, *_families(judging, routed_to))
    background = Background(request.source.name, _settings(request, judging), routed_to, notes)
    return await prepared(runs, routes, plan, identities, request.options, background, _executing(checked))


def _executing(checked: _Checked) -> Executing:
    if checked.task is None:
        return EvalExecution
    from moa_mcp.evaluation.inspecting.evaluating import TaskExecution  # noqa: PLC0415  the library of an extra

    return partial(TaskExecution, task=checked.task, config=checked.config)


async def _routes(runs: Runs, pipeline: Pipeline) -> Mapping[str, str]:
    """Return the models of the routes that answer now, by alias."""
    resolved = await runs.resolved(pipeline)
    priced = await prices(resolved.pipeline, runs.backend.usable(resolved.routes))
    return {alias: each.route or alias for alias, each in priced.items()}


def _families(judging: Sequence[str], routed_to: Mapping[str, Mapping[str, str]]) -> Sequence[str]:
    """Return warnings about contestants of the judge's family."""
    return shared_families(judging, {name: tuple(routes.values()) for name, routes in routed_to.items()})


def _settings(request: EvalRequest, judging: Sequence[str]) -> EvalSettings:
    return EvalSettings(
        scoring=_TASK if request.source.is_task else request.scoring.way,
        judge=request.judge if judging else None,
        judge_models=tuple(dict.fromkeys(judging)),
        rubric=request.scoring.rubric,
        sample=request.source.sample,
        seed=request.source.seed,
        budget_usd=request.options.budget_usd,
        fail_under=request.outputs.fail_under,
        simulated=request.offline,
    )
