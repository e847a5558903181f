"""One start of an evaluation: what is left of it, what that costs, its execution with progress, and its result."""

from __future__ import annotations

import os
from collections import Counter
from decimal import Decimal

import anyio
from msgspec import Struct

from moa_mcp import telemetry
from moa_mcp.batch.progress import BatchProgress
from moa_mcp.batch.spending import BatchBudget
from moa_mcp.budget.worst_case import nanodollars
from moa_mcp.cli import draw
from moa_mcp.cli.asked import refused_for_keys
from moa_mcp.cli.batch.estimate import confirm
from moa_mcp.cli.batch.screen import BatchScreen, summary
from moa_mcp.cli.eval import estimate as estimates
from moa_mcp.cli.options import RunFailed
from moa_mcp.cli.signals import Interrupted, ended_as_by_ctrl_c
from moa_mcp.cli.text import counted, say, shortened
from moa_mcp.config import Pipeline
from moa_mcp.evaluation.execution.asker import Asker, EvalCosts
from moa_mcp.evaluation.execution.assembly import Background, assembled
from moa_mcp.evaluation.execution.estimate import EvalEstimate, estimate_of, sufficient_usd
from moa_mcp.evaluation.execution.execution import EvalExecution, EvaluationStopped, Executable, Executing
from moa_mcp.evaluation.execution.identities import RunIdentities
from moa_mcp.evaluation.execution.plan import EvalPlan
from moa_mcp.evaluation.execution.survey import EvalSurvey, asked_at, survey
from moa_mcp.evaluation.result import Evaluation
from moa_mcp.planning.forecast import assumed
from moa_mcp.routing.routes import Routes
from moa_mcp.runs import NewRun, RunRefused, Runs
from moa_mcp.runs.admission import RefusalReason
from moa_mcp.text.money import dollars
from moa_mcp.values import Question

_LONGEST_PROBLEM = 300
_NANO = Decimal(10**9)
_AGAIN = "Run the same command again to continue; what has a result is not paid again."
_OF_QUESTIONS: frozenset[RefusalReason] = frozenset({"question_too_long", "images_not_taken"})
"""Why a question may be refused though others are not."""


class EvalOptions(Struct, frozen=True):
    """How an evaluation is started."""

    name: str
    budget_usd: Decimal | None
    concurrency: int
    retry_failed: bool
    yes: bool
    quiet: bool
    recorded: bool
    """Whether the runs are stored, so that the evaluation can be continued."""


class PreparedEvaluation(Struct, frozen=True):
    """An evaluation that may be started."""

    runs: Runs
    routes: Routes | None
    plan: EvalPlan
    asker: Asker
    found: EvalSurvey
    expected: EvalEstimate
    options: EvalOptions
    source: str
    """The name of the file with the questions."""
    background: Background
    executing: Executing

    def estimate(self) -> None:
        """Print what the runs that are left cost, without calling a model."""
        out = draw.console()
        out.print(f"Evaluation {self.plan.batch}: {self._left()}")
        estimates.show(out, self.expected, self.plan.field)

    def execute(self) -> Evaluation:
        """Execute the evaluation and return its result, without an analysis.

        Raises:
            Interrupted: the user ended it.
            Refused: it can't be started or continued.

        """
        self._check()
        if not self.options.quiet:
            say(f"Evaluation {self.plan.batch}: {self._left()}")
        if self.background.settings.simulated:
            say("Note: all models are simulated: their scores mean nothing.")
        execution = self._execution()
        self._run(execution)
        if not self.options.quiet:
            say(f"Evaluation {self.plan.batch}: {summary(execution.progress, 'run')}.")
        return assembled(self.plan, execution.found, self.asker.ledger, self.background)

    def unfinished(self, evaluation: Evaluation) -> RunFailed:
        """Return the error for an evaluation that lacks answers, scores or verdicts, with what would complete it."""
        ledger = self.asker.ledger
        if not ledger.not_started:
            return RunFailed(f"the evaluation is not complete: {_most_common_problem(evaluation)}", _remedy(evaluation))
        runs = sum(map(len, ledger.not_started.values()))
        enough = anyio.run(sufficient_usd, self.asker, self.expected)
        message = f"the evaluation is not complete: its budget did not allow {counted(runs, 'run')}"
        spent = self.asker.budget.spent / _NANO
        counted_in = f": it counts the {dollars(spent)} that are spent" if spent else ""
        return RunFailed(message, f"Start it again with --budget {enough}, which is expected to be enough{counted_in}.")

    def _check(self) -> None:
        """Raise `Refused` if a contestant or the judge can't run at all, or if the cost is not confirmed."""
        for entrant in self.plan.field.entrants:
            if positions := self.found.left[entrant.name]:
                self._admit(entrant.pipeline, asked_at(self.plan, entrant, positions[0]))
        judge = self.plan.judgement.judge
        if judge is not None and self.found.judgements:
            self._admit(judge, assumed())
        expected, budget = self.expected, self.options.budget_usd
        pipelines = [each.pipeline for each in self.plan.field.entrants]
        limits = [each.confirm_above_usd for each in pipelines if each.confirm_above_usd is not None]
        if not self.options.yes and expected.left:
            confirm(expected, min(limits, default=None), budget, what="evaluation", option="--budget")
        if expected.unknown and budget is not None:
            say(f"Note: no price is known for {', '.join(expected.unknown)}, so --budget does not limit its use")

    def _admit(self, pipeline: Pipeline, question: Question) -> None:
        admitted = anyio.run(self.runs.admit, NewRun(pipeline=pipeline, question=question, consent="given"))
        if isinstance(admitted, RunRefused) and admitted.reason not in _OF_QUESTIONS:
            raise refused_for_keys(self.runs, pipeline, self.routes, admitted)

    def _execution(self) -> Executable:
        left = sum(map(len, self.found.left.values()))
        total = len(self.plan.questions) * len(self.plan.field.entrants)
        progress, ledger = BatchProgress(total, total - left), self.asker.ledger

        def changed() -> None:
            progress.cost_usd, progress.unpriced = ledger.cost_usd, ledger.unknown_costs > 0

        self.asker.changed = changed
        return self.executing(self.plan, self.asker, progress, self.options.concurrency)

    def _run(self, execution: Executable) -> None:
        progress = execution.progress
        screen = BatchScreen(draw.console(stderr=True), self.source, progress, quiet=self.options.quiet)
        with ended_as_by_ctrl_c() as ending, telemetry.parent_trace(os.environ):
            try:
                with screen:
                    stopped = anyio.run(_executed, execution, screen)
            except KeyboardInterrupt as interrupt:
                raise Interrupted(f"Interrupted: {self._done(progress)} {self._again}", ending.exit_code) from interrupt
        if stopped is not None:
            raise RunFailed(shortened(str(stopped.cause)), f"{self._done(progress)} {self._again}")

    @property
    def _again(self) -> str:
        return _AGAIN if self.options.recorded else "No run was recorded, because of --journal none."

    def _done(self, progress: BatchProgress) -> str:
        return f"{progress.done} of {counted(progress.total, 'run')} have a result."

    def _left(self) -> str:
        left = sum(map(len, self.found.left.values()))
        recorded = len(self.plan.questions) * len(self.plan.field.entrants) - left
        has = f" ({recorded} recorded)" if recorded else ""
        judged = f", {counted(len(self.found.judgements), 'run')} of the judge" if self.found.judgements else ""
        return f"{counted(len(self.plan.questions), 'question')}; {counted(left, 'run')} to do{has}{judged}"


async def prepared(
    runs: Runs,
    routes: Routes | None,
    plan: EvalPlan,
    identities: RunIdentities,
    options: EvalOptions,
    background: Background,
    executing: Executing = EvalExecution,
) -> PreparedEvaluation:
    """Return an evaluation that may be started, with what the journal has of it. Raises `JournalError`."""
    limit = None if options.budget_usd is None else nanodollars(options.budget_usd)
    asker = Asker(
        runs,
        identities,
        plan.batch,
        BatchBudget(limit),
        EvalCosts(),
        anyio.CapacityLimiter(options.concurrency),
        retry_failed=options.retry_failed,
    )
    found = await survey(plan, asker)
    expected = await estimate_of(plan, asker, found)
    return PreparedEvaluation(
        runs, routes, plan, asker, found, expected, options, background.source, background, executing
    )


def _most_common_problem(evaluation: Evaluation) -> str:
    """Return why most of what is missing is missing."""
    of_answers = (each.problem for each in evaluation.outcomes)
    problems = Counter(filter(None, (*of_answers, *(each.problem for each in evaluation.verdicts))))
    if not problems:
        return "some runs failed, or could not be scored"
    ((problem, count),) = problems.most_common(1)
    return f"{count} of {counted(problems.total(), 'problem')}: {shortened(problem, _LONGEST_PROBLEM)}"


def _remedy(evaluation: Evaluation) -> str:
    """Return what completes an evaluation: trying failed runs again does not help where all runs have an answer."""
    failed = any(each.status in {"failed", "cancelled"} for each in evaluation.outcomes)
    if not failed and evaluation.settings.judge is None:
        return "Correct what scores the answers, and start again: they are not paid again. The report has each reason."
    return "Add --retry-failed to try failed runs again; the report has the reason of each."


async def _executed(execution: Executable, screen: BatchScreen) -> EvaluationStopped | None:
    """Execute an evaluation; return why it stopped before its end, because a task group would wrap an exception."""
    execution.asker.limiter = anyio.CapacityLimiter(execution.concurrency)  # of this event loop
    async with execution.asker.runs.open(), anyio.create_task_group() as tasks:
        tasks.start_soon(screen.follow)
        try:
            await execution.run()
        except EvaluationStopped as stopped:
            return stopped
        finally:
            tasks.cancel_scope.cancel()
    return None
