"""Executes an evaluation: several questions at once, each with all contestants, scores and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Protocol, TypeAlias

import anyio
from msgspec import Struct, field

from moa_mcp.batch.progress import BatchProgress
from moa_mcp.errors import MoaError
from moa_mcp.evaluation.contestants import Entrant, FreeBaseline
from moa_mcp.evaluation.execution.asker import Asker, Failed, Replied
from moa_mcp.evaluation.execution.gathering import gathered
from moa_mcp.evaluation.execution.outcomes import outcome_of, status_of, with_score
from moa_mcp.evaluation.execution.plan import Duellist, EvalPlan
from moa_mcp.evaluation.execution.survey import survey
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.result import Outcome, Verdict
from moa_mcp.evaluation.samples import SampleCall, about_costs, chosen, derived, samples_of, scored
from moa_mcp.evaluation.scoring.score import Scorer
from moa_mcp.files.refused import FileRefused


class EvaluationActive(MoaError):
    """Another process executes the evaluation, so that a budget would not limit both."""

    def __init__(self) -> None:
        super().__init__("another process executes this evaluation, and they can't share --budget; wait for it")


class EvaluationStopped(Exception):
    """The evaluation can't go on: what is wrong concerns all of its runs. It can be continued."""

    def __init__(self, cause: Failed) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Found(Struct):
    """What an evaluation has found."""

    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict[tuple[str, str], Outcome])
    """By the ID of the question and the name of the contestant."""
    verdicts: dict[str, tuple[Verdict, ...]] = field(default_factory=dict[str, tuple[Verdict, ...]])
    """By the ID of the question."""
    notes: list[str] = field(default_factory=list[str])
    """What a reader must know, each once."""

    def note(self, text: str) -> None:
        """Add a note, unless it is empty or known."""
        if text and text not in self.notes:
            self.notes.append(text)


class Executable(Protocol):
    """One start of an evaluation."""

    @property
    def asker(self) -> Asker: ...
    @property
    def progress(self) -> BatchProgress: ...
    @property
    def concurrency(self) -> int: ...
    @property
    def found(self) -> Found: ...

    async def run(self) -> None:
        """Ask and score everything. Raises `EvaluationStopped`."""
        ...


Executing: TypeAlias = Callable[[EvalPlan, Asker, BatchProgress, int], Executable]
"""Returns the start of an evaluation, with how many questions or runs are active at the same time."""


class _Answered:
    """A question while its contestants answer it."""

    def __init__(self, question: EvalQuestion) -> None:
        self.question = question
        self.replies: dict[str, Replied] = {}
        self.samples: dict[str, list[SampleCall]] = {}
        """By entrant."""
        self.outcomes: dict[str, Outcome] = {}


class EvalExecution(Struct):
    """One start of an evaluation."""

    plan: EvalPlan
    asker: Asker
    progress: BatchProgress
    concurrency: int
    found: Found = field(default_factory=Found)

    async def run(self) -> None:
        """Ask and score everything. On cancellation, active runs stop and can be resumed.

        Raises:
            EvaluationStopped: the journal can't be read or written, or another process would spend as well.

        """
        failures: list[Failed] = []
        try:
            async with self.asker.runs.journal.alone(self.plan.batch) as alone:
                if self.asker.budget.limit is not None:
                    await self._recount(alone=alone)
                await self._work(failures)
        except MoaError as error:
            raise EvaluationStopped(error) from error
        if failures:
            raise EvaluationStopped(failures[0])

    async def _recount(self, *, alone: bool) -> None:
        """Count what other processes have spent until now. Raises `EvaluationActive` if one is still at it."""
        if not alone:
            raise EvaluationActive
        self.asker.forget()
        await survey(self.plan, self.asker)
        self.asker.ledger.before = self.asker.budget.spent

    async def _work(self, failures: list[Failed]) -> None:
        questions = iter(self.plan.questions)
        async with anyio.create_task_group() as tasks:

            def stop(error: Failed) -> None:
                failures.append(error)
                tasks.cancel_scope.cancel()

            self.asker.stop = stop
            scorer = None if self.plan.judgement.scorer is None else self.plan.judgement.scorer(self.asker)
            for _ in range(min(self.concurrency, len(self.plan.questions))):
                tasks.start_soon(self._all, questions, scorer)

    async def _all(self, questions: Iterator[EvalQuestion], scorer: Scorer | None) -> None:
        for question in questions:
            await self._one(_Answered(question), scorer)

    async def _one(self, answered: _Answered, scorer: Scorer | None) -> None:
        """Ask and score one question."""
        entrants = self.plan.field.entrants
        await gathered([partial(self._own, answered, each, scorer) for each in entrants])
        await gathered([partial(self._free, answered, each, scorer) for each in self.plan.field.free])
        question = answered.question.id
        self.found.verdicts[question] = await self._duels(answered)
        for name, outcome in answered.outcomes.items():
            self.found.outcomes[question, name] = outcome
        for each in entrants:
            status = answered.outcomes[each.name].status
            self.progress.add(status, Decimal(0), fresh=answered.replies[each.name].fresh)

    async def _own(self, answered: _Answered, entrant: Entrant, scorer: Scorer | None) -> None:
        """Add the outcome of a contestant with a run of its own."""
        question = answered.question
        reply = answered.replies[entrant.name] = await self._reply(question, entrant)
        prices = (await self.asker.tariffs(entrant.pipeline)).prices
        samples = [] if reply.trace is None else samples_of(entrant, reply.trace, prices)
        if scorer is not None and scorer.is_free:
            samples = await scored(samples, question, scorer)
        answered.samples[entrant.name] = samples
        answer = reply.answer
        score = None if scorer is None or answer is None else await scorer(question, answer)
        answered.outcomes[entrant.name] = outcome_of(question, entrant.name, reply, score, samples)

    async def _reply(self, question: EvalQuestion, entrant: Entrant) -> Replied:
        identity = self.asker.identities.of_item(entrant.pipeline, question.item)
        try:
            asked = question.item.asked(None, None)
        except FileRefused as error:
            return Replied(identity.run_id, None, str(error))
        return await self.asker.reply(entrant.pipeline, asked, identity)

    async def _free(self, answered: _Answered, free: FreeBaseline, scorer: Scorer | None) -> None:
        """Add the outcome of a baseline from samples: of all of them if they are scored for free, else of the first."""
        reply = answered.replies[free.entrant.name]
        samples = chosen(free, answered.samples[free.entrant.name])
        if scorer is None or not scorer.is_free:
            samples = samples[:1]
        self.found.note(about_costs(free, samples))
        outcome = derived(free, answered.question, samples, status_of(reply), reply.problem)
        if scorer is not None and not scorer.is_free and samples:
            outcome = with_score(outcome, await scorer(answered.question, samples[0].text))
        answered.outcomes[free.name] = outcome

    async def _duels(self, answered: _Answered) -> tuple[Verdict, ...]:
        """Return the verdicts about all pairs of answers."""
        pairs = self.plan.field.pairs if self.plan.judgement.duel is not None else ()
        each = await gathered([partial(self._duel, answered, *pair) for pair in pairs])
        return tuple(verdict for verdicts in each for verdict in verdicts)

    async def _duel(self, answered: _Answered, contestant: str, against: str) -> tuple[Verdict, ...]:
        duel = self.plan.judgement.duel
        sides = [duellist(answered.outcomes, name) for name in (contestant, against)]
        first, second = sides
        if duel is None or first is None or second is None:
            return ()
        return await duel(self.asker, answered.question, first, second)


def duellist(outcomes: Mapping[str, Outcome], name: str) -> Duellist | None:
    """Return the answer of a contestant to a question; None if it has none."""
    outcome = outcomes.get(name)
    return None if outcome is None or outcome.answer is None else Duellist(name, outcome.answer)
