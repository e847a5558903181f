"""One start of a batch: what is left of it, what that costs, and its execution with progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO

import anyio
from msgspec import Struct

from moa_mcp import telemetry
from moa_mcp.batch.costs import Tariffs, estimated, tariffs
from moa_mcp.batch.execution import BatchStopped, Execution
from moa_mcp.batch.output import SUFFIX, OrderedOutput, OutputRefused, opened
from moa_mcp.batch.progress import BatchProgress
from moa_mcp.batch.questions import Questions
from moa_mcp.batch.spending import BatchBudget
from moa_mcp.batch.spool import spool
from moa_mcp.batch.survey import Survey, survey
from moa_mcp.budget.worst_case import nanodollars
from moa_mcp.cli import draw
from moa_mcp.cli.asked import refused_for_keys
from moa_mcp.cli.batch import estimate
from moa_mcp.cli.batch.screen import BatchScreen, summary
from moa_mcp.cli.options import Refused, RunFailed
from moa_mcp.cli.signals import Interrupted, ended_as_by_ctrl_c
from moa_mcp.cli.text import abandon_stdout, counted, say, shortened
from moa_mcp.files.refused import FileRefused
from moa_mcp.routing.routes import Routes
from moa_mcp.runs import NewRun, RunRefused, Runs
from moa_mcp.runs.admission import RefusalReason

_AGAIN = "Run the same command again to continue; what has a result is not paid again."

_OF_ITEMS: frozenset[RefusalReason] = frozenset({"question_too_long", "images_not_taken"})
"""Why an item may be refused though others are not."""


class StartOptions(Struct, frozen=True):
    """How a batch is started."""

    output: Path | None
    """None for stdout."""
    force: bool
    max_cost_usd: Decimal | None
    concurrency: int
    retry_failed: bool
    yes: bool
    quiet: bool
    submits: bool
    """Whether workers execute the runs."""
    recorded: bool
    """Whether the runs are stored, so that the batch can be continued."""


class PreparedBatch(Struct, frozen=True):
    """A batch that may be started."""

    runs: Runs
    routes: Routes | None
    questions: Questions
    tariffs: Tariffs
    found: Survey
    options: StartOptions

    def estimate(self) -> None:
        """Print what the runs that are left cost, without calling a model."""
        out = draw.console()
        left = len(self.found.to_run)
        out.print(f"Batch {self.questions.identity.batch}: {self._left()}")
        if left:
            with _files_read():
                estimate.show(out, estimated(self.questions.asked_at, self.found.to_run, self.tariffs))

    def execute(self) -> None:
        """Execute the batch and write its output.

        Raises:
            Interrupted: the user ended it.
            Refused: it can't be started or continued.
            RunFailed: some items have no answer.

        """
        if self.found.to_run:
            with _files_read():
                self._check()
        options = self.options
        if not options.quiet:
            say(f"Batch {self.questions.identity.batch}: {self._left()}")
        total = len(self.questions)
        progress = BatchProgress(total, total - len(self.found.to_run))
        with _output(options, self.questions.identity.batch) as file, spool() as waiting:
            output = OrderedOutput(file, waiting)
            self._run(output, progress)
        self._conclude(progress)

    def _check(self) -> None:
        """Raise `Refused` if no run of the batch could start, or if its cost is not confirmed."""
        first = self.questions[self.found.to_run[0]]
        request = NewRun(pipeline=self.questions.pipeline, question=self.questions.asked(first), consent="given")
        admitted = anyio.run(self.runs.admit, request)
        if isinstance(admitted, RunRefused) and admitted.reason not in _OF_ITEMS:
            raise refused_for_keys(self.runs, self.questions.pipeline, self.routes, admitted)
        expected = estimated(self.questions.asked_at, self.found.to_run, self.tariffs)
        if not self.options.yes:
            estimate.confirm(expected, self.questions.pipeline.confirm_above_usd, self.options.max_cost_usd)
        if expected.unknown and self.options.max_cost_usd is not None:
            say(f"Note: no price is known for {', '.join(expected.unknown)}, so --max-cost does not limit its use")

    def _run(self, output: OrderedOutput, progress: BatchProgress) -> None:
        limit = self.options.max_cost_usd
        budget = BatchBudget(None if limit is None else nanodollars(limit), self.found.spent)
        execution = Execution(
            self.runs,
            self.questions,
            self.tariffs,
            budget,
            output,
            progress,
            retry_failed=self.options.retry_failed,
            concurrency=self.options.concurrency,
        )
        screen = BatchScreen(
            draw.console(stderr=True), self.questions.pipeline.name, progress, quiet=self.options.quiet
        )
        with ended_as_by_ctrl_c() as ending, telemetry.parent_trace(os.environ):
            try:
                with screen:
                    stopped = anyio.run(_executed, execution, screen)
            except KeyboardInterrupt as interrupt:
                raise Interrupted(self._interrupted(progress, output), ending.exit_code) from interrupt
        if stopped is not None:
            raise self._stopped(stopped, progress)

    def _left(self) -> str:
        total, left = len(self.questions), len(self.found.to_run)
        recorded = f", {total - left} of them with a result" if left < total else ""
        return f"{counted(total, 'item')}{recorded}; {counted(left, 'run')} to do"

    def _interrupted(self, progress: BatchProgress, output: OrderedOutput) -> str:
        path = self.options.output
        has = f" {path}{SUFFIX} has the first {output.written}." if path and output.written else ""
        if self.options.submits:
            has += " Workers finish the runs that they have or that wait for them."
        again = _AGAIN if self.options.recorded else "No run was recorded, because of --journal none."
        return f"Interrupted: {progress.done} of {counted(progress.total, 'item')} have a result.{has} {again}"

    def _stopped(self, stopped: BatchStopped, progress: BatchProgress) -> Refused:
        cause = stopped.cause
        done = f"{progress.done} of {counted(progress.total, 'item')} have a result."
        if isinstance(cause, OSError):
            if self.options.output is None:
                abandon_stdout()
            where = self.options.output or "stdout"
            return RunFailed(f"can't write {where}: {cause.strerror}", f"{done} {_AGAIN}")
        return RunFailed(shortened(str(cause)), f"{done} {_AGAIN}")

    def _conclude(self, progress: BatchProgress) -> None:
        options = self.options
        if not options.quiet:
            where = f", in {options.output}" if options.output else ""
            say(f"Batch {self.questions.identity.batch}: {summary(progress)}{where}.")
        unanswered = progress.failures + progress.counts["not_started"]
        if unanswered:
            ways: list[str] = []
            if progress.failures:
                ways.append("Add --retry-failed to try failed runs again")
            if progress.counts["not_started"]:
                ways.append("raise --max-cost to start the others" if ways else "Raise --max-cost to start them")
            message = f"{unanswered} of {counted(progress.total, 'item')} have no answer"
            raise RunFailed(message, f"{'; '.join(ways)}. Each line has its reason.")


async def prepared(runs: Runs, routes: Routes | None, questions: Questions, options: StartOptions) -> PreparedBatch:
    """Return a batch that may be started, with what the journal has of it. Raises `JournalError`."""
    priced = await tariffs(runs, questions.pipeline)
    found = await survey(questions, runs.journal, priced.prices, retry_failed=options.retry_failed)
    return PreparedBatch(runs, routes, questions, priced, found, options)


async def _executed(execution: Execution, screen: BatchScreen) -> BatchStopped | None:
    """Execute a batch; return why it stopped before its end, because a task group would wrap an exception."""
    async with execution.runs.open(), anyio.create_task_group() as tasks:
        tasks.start_soon(screen.follow)
        try:
            await execution.run()
        except BatchStopped as stopped:
            return stopped
        finally:
            tasks.cancel_scope.cancel()
    return None


@contextmanager
def _files_read() -> Generator[None]:
    """Raise `Refused` for an image that can't be read any longer."""
    try:
        yield
    except FileRefused as error:
        raise Refused(str(error), error.remedy or "Replace it in the file of questions.") from error


@contextmanager
def _output(options: StartOptions, batch: str) -> Generator[IO[bytes]]:
    """Open the output. Raises `Refused`."""
    if options.output is None:
        yield sys.stdout.buffer
        return
    try:
        with opened(options.output, batch, force=options.force) as file:
            yield file
    except OutputRefused as error:
        raise Refused(str(error), error.remedy) from error
    except OSError as error:
        raise Refused(f"can't write {options.output}: {error.strerror}", "Choose another file with -o.") from error
