"""What the journal has of an evaluation before a start: which runs are left, and what a judge would still be asked.

Nothing is asked. The judge's questions about answers that do not exist yet are written about placeholders of the
expected length, so that they can be counted and priced.
"""

from __future__ import annotations

from msgspec import Struct, field

from moa_mcp.batch.ended import concerns
from moa_mcp.config import Pipeline
from moa_mcp.errors import JournalDamaged
from moa_mcp.evaluation.asking import EvalRun
from moa_mcp.evaluation.contestants import Entrant
from moa_mcp.evaluation.execution.asker import Asker, recorded_trace
from moa_mcp.evaluation.execution.plan import Duellist, EvalPlan
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.samples import chosen, samples_of
from moa_mcp.files.refused import FileRefused
from moa_mcp.steps.forecast import MAX_TOKENS, reply_tokens
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Question

_PLACEHOLDER = "x" * EXPECTED.characters(reply_tokens(MAX_TOKENS, "expected"))


class EvalSurvey(Struct):
    """The runs of an evaluation by what the journal has of them."""

    left: dict[str, list[int]]
    """By entrant: the positions of the questions without a result."""
    judgements: list[Question] = field(default_factory=list[Question])
    """What the judge would still be asked."""
    recorded_judgements: int = 0
    """The runs of the judge that have a result."""


class RecordedReplies:
    """Replies to a judge's questions from the journal alone. It is an `Ask`."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self.recorded: set[str] = set()
        """The IDs of the runs with a result."""
        self.left: dict[str, Question] = {}
        """By the ID of the run: what would be asked."""

    async def __call__(self, pipeline: Pipeline, question: Question, *, repetition: int = 0) -> EvalRun:
        """Return a recorded reply, or none."""
        run_id = self._asker.identities.of_question(pipeline, question, repetition).run_id
        trace = await recorded(self._asker, pipeline, run_id)
        if trace is None:
            self.left[run_id] = pipeline.asked(question)
            return EvalRun(run_id, None, "it is not asked yet")
        self.recorded.add(run_id)
        return EvalRun(run_id, trace)


async def recorded(asker: Asker, pipeline: Pipeline, run_id: str) -> Trace | None:
    """Return the recorded result of a run, and count what it spent. A damaged run has none. Raises `JournalError`."""
    try:
        trace = await recorded_trace(asker.runs, run_id, retry_failed=asker.retry_failed)
    except JournalDamaged as error:
        if not concerns(error, run_id):
            raise
        return None
    await asker.count(pipeline, run_id, trace)
    return trace


async def survey(plan: EvalPlan, asker: Asker) -> EvalSurvey:
    """Return what the journal has of an evaluation. Raises `JournalError`."""
    found = EvalSurvey({each.name: [] for each in plan.field.entrants})
    replies = RecordedReplies(asker)
    for position, question in enumerate(plan.questions):
        traces: dict[str, Trace] = {}
        for entrant in plan.field.entrants:
            run_id = asker.identities.of_item(entrant.pipeline, question.item).run_id
            trace = await recorded(asker, entrant.pipeline, run_id)
            if trace is None:
                found.left[entrant.name].append(position)
            else:
                traces[entrant.name] = trace
        if not plan.judgement.is_free:
            await _judged(plan, replies, question, traces)
    found.judgements = [*replies.left.values()]
    found.recorded_judgements = len(replies.recorded)
    return found


async def _judged(plan: EvalPlan, replies: RecordedReplies, question: EvalQuestion, traces: dict[str, Trace]) -> None:
    """Ask the recorded replies what the judge will be asked about a question."""
    answers = _answers(plan, traces)
    if plan.judgement.scorer is not None:
        scorer = plan.judgement.scorer(replies)
        for answer in answers.values():
            await scorer(question, answer)
    if plan.judgement.duel is not None:
        for contestant, against in plan.field.pairs:
            if contestant in answers and against in answers:
                sides = (Duellist(name, answers[name]) for name in (contestant, against))
                await plan.judgement.duel(replies, question, *sides)


def _answers(plan: EvalPlan, traces: dict[str, Trace]) -> dict[str, str]:
    """Return the answers that will be judged, by contestant; those that do not exist yet have placeholders."""
    answers: dict[str, str | None] = {}
    for entrant in plan.field.entrants:
        trace = traces.get(entrant.name)
        answers[entrant.name] = _placeholder(entrant.name) if trace is None else trace.answer
    for free in plan.field.free:
        trace = traces.get(free.entrant.name)
        if trace is None:
            answers[free.name] = _placeholder(free.name)
        else:
            samples = chosen(free, samples_of(free.entrant, trace, {}))
            answers[free.name] = samples[0].text if samples else None
    return {name: answer for name, answer in answers.items() if answer is not None}


def _placeholder(name: str) -> str:
    return f"{name}: {_PLACEHOLDER}"


def asked_at(plan: EvalPlan, entrant: Entrant, position: int) -> Question:
    """Return the question at a position as a contestant is asked it; without its images if they can't be read."""
    item = plan.questions[position].item
    try:
        return entrant.pipeline.asked(item.asked(None, None))
    except FileRefused:
        return entrant.pipeline.asked(Question(item.question, item.context, item.system))
