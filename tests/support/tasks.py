"""Tasks of Inspect in files, evaluated for pipelines as `moa-mcp eval` does, with models that a server has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import anyio

from moa_mcp.batch.progress import BatchProgress
from moa_mcp.batch.spending import BatchBudget
from moa_mcp.budget.worst_case import nanodollars
from moa_mcp.config import load as configuration
from moa_mcp.evaluation.execution.asker import Asker, EvalCosts
from moa_mcp.evaluation.execution.identities import RunIdentities
from moa_mcp.evaluation.execution.plan import EvalPlan
from moa_mcp.evaluation.inspecting.evaluating import TaskExecution, field_of_task
from moa_mcp.evaluation.inspecting.loading import load
from moa_mcp.evaluation.result import Outcome
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.providers.backend import real
from moa_mcp.runs import Runs
from tests.support.inspecting import Bench, restored

HEAD = """
from inspect_ai import Epochs, Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import Score, Target, accuracy, answer, choice, includes, match, mean, scorer
from inspect_ai.solver import chain_of_thought, generate, multiple_choice, solver, system_message
"""
SUMS = """
@task
def sums(count=2):
    samples = [Sample(id=number, input=f"What is {number} + 1?", target="4") for number in range(count)]
    return Task(dataset=samples, solver=generate(), scorer=match(numeric=True))
"""


@dataclass(frozen=True)
class Evaluated:
    """What the evaluation of a task brought."""

    outcomes: Mapping[tuple[str, str], Outcome]
    execution: TaskExecution
    note: str
    """Why its baselines have runs of their own; empty if they have none."""

    def of(self, contestant: str) -> list[Outcome]:
        return [each for (_, name), each in self.outcomes.items() if name == contestant]

    @property
    def contestants(self) -> set[str]:
        return {name for _, name in self.outcomes}


@dataclass(frozen=True)
class TaskBench:
    """A bench with the file of a task."""

    bench: Bench

    def write(self, *parts: str, name: str = "task.py") -> str:
        """Write the file and return its path."""
        path = self.bench.folder / name
        path.write_text("".join((HEAD, *parts)), "utf-8")
        return str(path)

    def evaluated(
        self,
        source: str,
        *pipelines: str,
        baselines: Sequence[str] = (),
        budget: Decimal | None = None,
        arguments: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Evaluated:
        """Evaluate a task for these pipelines of the configuration."""
        with restored():
            return anyio.run(lambda: self._evaluated(source, pipelines, baselines, budget, arguments or {}, options))

    async def _evaluated(
        self,
        source: str,
        pipelines: Sequence[str],
        baselines: Sequence[str],
        budget: Decimal | None,
        arguments: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> Evaluated:
        task = load(source, arguments, **options)
        config = configuration(self.bench.config)
        journal = SQLiteJournal(self.bench.folder / "runs.sqlite")
        runs = Runs(config, real(config.models, dict(os.environ))[0], journal)
        async with runs.open():
            chosen = [config.pipelines[name] for name in pipelines]
            field, notes = await field_of_task(task, runs, config, chosen, baselines)
            identities = RunIdentities(config, "", simulated=False)
            digests = {each.name: identities.digest(each.pipeline) for each in field.entrants}
            plan = EvalPlan(task.questions, field, task.judgement, digests)
            limit = BatchBudget(None if budget is None else nanodollars(budget))
            asker = Asker(
                runs, identities, plan.batch, limit, EvalCosts(), anyio.CapacityLimiter(16), retry_failed=False
            )
            progress = BatchProgress(len(task.questions) * len(field.entrants))
            execution = TaskExecution(plan, asker, progress, 16, task, config)
            await execution.run()
        return Evaluated(execution.found.outcomes, execution, " ".join(notes))
