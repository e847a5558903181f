"""Evaluates a task of Inspect with its own solver and scorer, and returns outcomes as the evaluation of a file does.

Inspect runs it in this process, with a model ``moa/NAME`` for each contestant. The runs are those of the evaluation, in
its journal and budget. Models of other providers that a task calls itself, such as a grader, are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from inspect_ai import eval_async  # pyright: ignore[reportUnknownVariableType]  types of a package that is optional
from inspect_ai.log import EvalLog, read_eval_log_async
from inspect_ai.model import GenerateConfig, Model, get_model
from msgspec.structs import replace

from moa_mcp.batch.progress import BatchProgress
from moa_mcp.config import Config, Pipeline, models_of
from moa_mcp.errors import MoaError
from moa_mcp.evaluation.contestants import Entrant, Field, entrants_of, field_of
from moa_mcp.evaluation.execution.asker import Asker, Failed, Replied
from moa_mcp.evaluation.execution.execution import EvaluationActive, EvaluationStopped, Found
from moa_mcp.evaluation.execution.outcomes import status_of as status_of_run
from moa_mcp.evaluation.execution.plan import EvalPlan
from moa_mcp.evaluation.inspecting import hub
from moa_mcp.evaluation.inspecting.answering import Answering
from moa_mcp.evaluation.inspecting.loading import LoadedTask
from moa_mcp.evaluation.inspecting.place import SamplePlace
from moa_mcp.evaluation.inspecting.private import show_nothing
from moa_mcp.evaluation.inspecting.reading import AskedEpoch, epoch_of, outcome_of, problem_of, status_of
from moa_mcp.evaluation.inspecting.rescoring import obstacle, rescored, tells_values
from moa_mcp.evaluation.inspecting.source import TaskRefused
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.result import OutcomeStatus
from moa_mcp.evaluation.samples import about_costs, chosen, derived, samples_of
from moa_mcp.runs import Runs

_PROVIDER = "moa"
_MOST = 10_000
"""Samples at once: what limits the runs is the evaluation."""


async def field_of_task(
    task: LoadedTask, runs: Runs, config: Config, pipelines: Sequence[Pipeline], baselines: Sequence[str]
) -> tuple[Field, Sequence[str]]:
    """Return the contestants for a task, and what a reader must know about them.

    Baselines are the samples of pipelines where the task's scorer can score these. Otherwise each has runs of its own:
    the named models, or those of the first steps. Raises `ConfigError` for an unknown model.
    """
    why = obstacle(task.task)
    if not why:
        entrants = await entrants_of(runs, config, pipelines, baselines)
        return field_of(entrants, config, counts=tells_values(task.task)), ()
    entrants = await entrants_of(runs, config, pipelines, baselines)
    if not baselines:
        first = [models_of(each.resolved.model_copy(update={"steps": each.resolved.steps[:1]})) for each in entrants]
        names = dict.fromkeys(model for models in first for model in models)
        entrants = await entrants_of(runs, config, pipelines, tuple(names))
    field = replace(field_of(entrants, config, counts=False), entrants=tuple(entrants), free=())
    return field, (f"{task.name}: {why}, so that each baseline has runs of its own.",)


@dataclass(slots=True)
class TaskExecution:
    """One start of the evaluation of a task. It is used as `EvalExecution` is."""

    plan: EvalPlan
    asker: Asker
    progress: BatchProgress
    concurrency: int
    """The samples of a contestant that are active at the same time."""
    task: LoadedTask
    config: Config
    logs: Path | None = None
    """A folder for the logs of Inspect; None keeps none."""
    found: Found = field(default_factory=Found)
    _replies: defaultdict[tuple[str, str, int], list[Replied]] = field(
        default_factory=lambda: defaultdict[tuple[str, str, int], list[Replied]](list), init=False
    )
    """By contestant, sample and epoch."""

    _counted: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]], init=False)
    """The samples in the progress, with the contestant."""

    async def run(self) -> None:
        """Ask and score everything. On cancellation, active runs stop and can be resumed.

        Raises:
            EvaluationStopped: the journal can't be read or written, or another process would spend as well.
                Or the task as a whole failed.

        """
        try:
            async with self.asker.runs.journal.alone(self.plan.batch) as alone:
                if self.asker.budget.limit is not None and not alone:
                    raise EvaluationActive
                await self._evaluate()
        except MoaError as error:
            raise EvaluationStopped(error) from error

    async def _evaluate(self) -> None:
        failures: list[Failed] = []
        logs: list[EvalLog] = []
        with anyio.CancelScope() as scope:

            def stop(error: Failed) -> None:
                failures.append(error)
                scope.cancel()

            self.asker.stop = stop
            logs = await self._logs()
        if failures:
            raise EvaluationStopped(failures[0])
        if len(logs) < len(self.plan.field.entrants) or any(each.status == "cancelled" for each in logs):
            raise anyio.get_cancelled_exc_class()  # Inspect returns what it has, instead of passing it on
        by_model = {log.eval.model: log for log in logs}
        for entrant in self.plan.field.entrants:
            await self._read(entrant, by_model[f"{_PROVIDER}/{entrant.name}"])

    async def _logs(self) -> list[EvalLog]:
        pipelines = {each.name: each.pipeline for each in self.plan.field.entrants}
        answering = Answering(self.asker, self.config, pipelines, self._tell, self._note)
        show_nothing()
        with hub.lending(answering), TemporaryDirectory(prefix="moa-mcp-inspect-") as folder:
            begun = await self._begun([_model(name) for name in pipelines], str(self.logs or folder))
            # those of an evaluation are read on use, in an event loop of their own
            return [await read_eval_log_async(each.location) for each in begun]

    async def _begun(self, models: list[Model], folder: str) -> list[EvalLog]:
        try:
            return await eval_async(
                self.task.of(self.plan.questions),
                model=models,
                log_dir=folder,
                log_level="error",
                log_realtime=False,
                log_model_api=False,
                ctl_server=False,
                fail_on_error=False,
                max_samples=self.concurrency,
                max_tasks=len(models),
            )
        except Exception as error:  # what a task needs may be missing, such as a sandbox
            raise self._refused(str(getattr(error, "message", error))) from error

    def _refused(self, why: str) -> TaskRefused:
        return TaskRefused(f"{self.task.name}: {why}", "Try it with inspect eval, which shows where it failed.")

    def _tell(self, name: str, place: SamplePlace, reply: Replied) -> None:
        contestant, sample = place.model.partition("/")[2], str(place.sample)
        self._replies[contestant, sample, place.epoch].append(reply)
        if name == contestant:
            self._count(contestant, sample, status_of_run(reply), fresh=reply.fresh)

    def _count(self, contestant: str, sample: str, status: OutcomeStatus, *, fresh: bool) -> None:
        """Count the first run of a sample in the progress."""
        if (contestant, sample) not in self._counted:
            self._counted.add((contestant, sample))
            self.progress.add(status, Decimal(0), fresh=fresh)

    def _note(self, note: str) -> None:
        self.found.note(note)

    async def _read(self, entrant: Entrant, log: EvalLog) -> None:
        """Add the outcomes of a contestant, and of the baselines that consist of its samples."""
        if not log.samples:
            raise self._refused(log.error.message if log.error else "no sample was executed")
        epochs: defaultdict[str, list[AskedEpoch]] = defaultdict(list)
        for sample in log.samples:
            replies = self._replies[entrant.name, str(sample.id), sample.epoch]
            epochs[str(sample.id)].append(epoch_of(sample, replies))
        for question in self.plan.questions:
            await self._add(question, entrant, epochs[question.id])

    async def _add(self, question: EvalQuestion, entrant: Entrant, epochs: list[AskedEpoch]) -> None:
        free = [each for each in self.plan.field.free if each.entrant == entrant]
        first = epochs[0]
        if free and first.is_single and first.answers[0].trace is not None:
            prices = (await self.asker.tariffs(entrant.pipeline)).prices
            calls = samples_of(entrant, first.answers[0].trace, prices)
            first.calls = await rescored(self.task.task, first.sample, calls)
        outcome = self.found.outcomes[question.id, entrant.name] = outcome_of(question.id, entrant.name, epochs)
        self._count(entrant.name, question.id, outcome.status, fresh=True)
        for each in free:
            own = chosen(each, first.calls)
            self.found.note(about_costs(each, own))
            self.found.outcomes[question.id, each.name] = derived(
                each, question, own, status_of(first), problem_of(first)
            )


def _model(name: str) -> Model:
    """Return the model of a contestant. None is kept by Inspect, which would give it to another evaluation."""
    return get_model(f"{_PROVIDER}/{name}", memoize=False, config=GenerateConfig(max_connections=_MOST))
