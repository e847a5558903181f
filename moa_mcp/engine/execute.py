"""Runs a pipeline: passes the state from step to step, decides what follows a failed step, and emits events.

It does not know MCP, money or retries. A run depends only on its `RunSpec` and its model.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from typing import NamedTuple

import anyio
from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.config import Pipeline
from moa_mcp.engine.deadline import Deadline, deadline
from moa_mcp.engine.in_json import JsonTurn, fault_of_result, is_json, valid_only
from moa_mcp.engine.turn import ModelTurn
from moa_mcp.errors import DeadlinePassed, StepFailed, StepLeftOut
from moa_mcp.events import Emit, RunFinished, RunStarted, StepFinished, StepStarted
from moa_mcp.model import Model
from moa_mcp.schemas import fault_of_answer_schema
from moa_mcp.steps import Step
from moa_mcp.steps.forecast import ExpectedAnswer, ExpectedAnswers
from moa_mcp.steps.results import writers
from moa_mcp.values import Answer, Note, Question, State, Status, Word


@dataclasses.dataclass(frozen=True, slots=True)
class RunSpec:
    """Everything that determines a run: pipeline, question, seed and limits."""

    run_id: str
    pipeline: Pipeline
    question: Question
    seed: int
    """Makes shuffle, dropout, sample and rank passes reproducible."""
    max_cost_usd: Decimal | None = None
    """Budget in US dollars."""
    stream: bool = False
    """Whether the text of the last answer is emitted as it arrives."""
    deadline_s: float | None = None
    """Time limit in seconds; the run then ends with the best answer so far. A resumed run has the full time again."""
    windows: Mapping[str, int] = dataclasses.field(default_factory=dict[str, int])
    """The known context windows of its models in tokens, by alias."""
    makers: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    """The known makers of its models by alias, if a step compares them."""
    notes: tuple[Word, ...] = ()
    """What a reader of the result should know about its models."""
    reasoning: tuple[str, ...] = ()
    """The aliases of models that are known to reason, which takes longer."""
    continues: Word = ""
    """The earlier run that its question follows; empty for none."""


def started(spec: RunSpec) -> RunStarted:
    """Return the first event of a run."""
    kinds = tuple(step.step for step in spec.pipeline.steps)
    return RunStarted(
        run_id=spec.run_id,
        pipeline=spec.pipeline.name,
        question=spec.question,
        seed=spec.seed,
        steps=kinds,
        notes=spec.notes,
        continues=spec.continues,
    )


class Checkpoint(Struct, frozen=True):
    """The progress of a run that is continued."""

    steps: int
    """Number of finished steps; all of them if one ended the run early."""
    state: State
    """The state after them."""
    degraded: bool = False
    """Whether one of them degraded the result."""
    recorded: bool = False
    """Whether the next step may have recorded answers, which arrive at once."""


async def execute(spec: RunSpec, model: Model, emit: Emit, checkpoint: Checkpoint | None = None) -> RunFinished:
    """Run the pipeline and return how it ended. A failed step ends the run; it raises nothing.

    With `checkpoint`, an unfinished run continues after its finished steps. When cancelled, it emits no final event:
    that is up to the caller.
    """
    began = time.monotonic()
    question = spec.pipeline.asked(spec.question)
    spec = spec if question is spec.question else dataclasses.replace(spec, question=question)
    if checkpoint is None:
        emit(started(spec))

    def finish(finished: RunFinished) -> RunFinished:
        emit(finished)
        return finished

    def seconds() -> float:
        return time.monotonic() - began

    try:
        answer, degraded = await _through(spec, model, emit, checkpoint or Checkpoint(0, State(spec.question)))
    except StepFailed as error:
        failed = RunFinished(status="failed", answer=None, error=str(error), seconds=seconds(), reason=error.reason)
        return finish(failed)
    status: Status = "degraded" if degraded else "complete"
    in_json = await is_json(spec.question.answer_schema, answer)
    return finish(RunFinished(status=status, answer=answer.text, error=None, seconds=seconds(), in_json=in_json))


async def _through(spec: RunSpec, model: Model, emit: Emit, checkpoint: Checkpoint) -> tuple[Answer, bool]:
    if fault := fault_of_answer_schema(spec.question.answer_schema):
        raise StepFailed(fault)
    state, degraded = checkpoint.state, checkpoint.degraded
    time_up = deadline(spec.pipeline.steps, spec.deadline_s, anyio.current_time())
    for number in range(checkpoint.steps + 1, len(spec.pipeline.steps) + 1):
        recorded = checkpoint.recorded and number == checkpoint.steps + 1
        after = await _step(spec, number, state, time_up, model, emit, recorded=recorded)
        state, degraded = after.state, degraded or any(note.degrades for note in after.state.notes)
        if after.over:
            break
    if len(state.answers) != 1:
        raise StepFailed(f"the pipeline ended with {len(state.answers)} answers instead of one; the trace lists them")
    answer = state.answers[0]
    return answer, degraded or answer.cut


class _After(NamedTuple):
    state: State
    over: bool = False
    """Whether the run ends here: its time is up, or the later steps are not needed."""


async def _step(
    spec: RunSpec, number: int, state: State, time_up: Deadline, model: Model, emit: Emit, *, recorded: bool
) -> _After:
    began = time.monotonic()
    steps = spec.pipeline.steps
    step = steps[number - 1]
    spare = _can_be_left_out(steps[number:], len(state.answers))
    schema = spec.question.answer_schema
    streams = spec.stream and number == len(steps) and step.writes_answers and schema is None
    cutoffs = time_up.cutoffs(number, spare=spare)
    turn = ModelTurn(
        model,
        emit,
        cutoffs,
        spec.windows,
        spec.reasoning,
        spec.makers,
        run_id=spec.run_id,
        seed=spec.seed,
        step=number,
        streams=streams,
        recorded=recorded,
    )
    in_json = schema is not None and writers(steps)[number - 1]
    asked = JsonTurn(turn, schema, step.fallback) if schema is not None and in_json else turn
    emit(StepStarted(step=number, step_kind=step.step))
    try:
        done = await step.run(state, asked)
        after = _After(done, over=done.final)
    except StepFailed as error:
        rescued = _rescued(error, state, spare=spare)
        if isinstance(asked, JsonTurn) and asked.invalid is not None:  # it is paid for
            rescued = _After(state.then((asked.invalid,), Note(str(error), degrades=True)))
        if rescued is None:
            raise StepFailed(f"step {number} ({step.step}): {error}", error.reason) from error
        after = rescued
    ended = after.state
    about_json: tuple[Note, ...] = ()
    if schema is not None:
        ended, about_json = await _by_schema(schema, ended, in_json=in_json, last=after.over or number == len(steps))
    saved = _saved(steps[number:], state.answers) if ended.final else ()
    notes = (*turn.notes, *ended.notes, *saved, *about_json)
    seconds = time.monotonic() - began
    emit(
        StepFinished(
            step=number,
            answers=ended.answers,
            notes=notes,
            seconds=seconds,
            tally=ended.tally,
            analysis=None if ended.analysis is state.analysis else ended.analysis,
            review=ended.review,
            verdict=ended.verdict,
            final=ended.final,
        )
    )
    return _After(ended.then(ended.answers, *notes), after.over)


async def _by_schema(schema: str, state: State, *, in_json: bool, last: bool) -> tuple[State, tuple[Note, ...]]:
    """Return the state after a step, if it wrote JSON without invalid answers, and notes about these or the result."""
    if last:
        return state, await fault_of_result(schema, state.answers)
    valid, notes = await valid_only(schema, state.answers) if in_json else (state.answers, ())
    return replace(state, answers=valid), notes


def _saved(later: Sequence[Step], answers: Sequence[Answer]) -> Iterator[Note]:
    """Yield a note on the expected calls of steps that are not needed, which these answers would have reached."""
    given: ExpectedAnswers = tuple(ExpectedAnswer(0, answer.agent, len(answer.comments)) for answer in answers)
    calls = 0
    for step in later:
        forecast = step.forecast(given, "expected")
        calls, given = calls + sum(call.times for call in forecast.calls), forecast.answers
    if later:
        numbers = f"step {later[0].step}" if len(later) == 1 else f"{len(later)} steps"
        made = "1 call" if calls == 1 else f"{calls} calls"
        yield Note(f"the run ended early: {numbers} not needed, {made} saved", saved=calls)


def _rescued(error: StepFailed, state: State, *, spare: bool) -> _After | None:
    """Return the state in which a run continues or ends after a failed step; None if it has no answer to use."""
    if isinstance(error, StepLeftOut) and spare:
        return _After(state.then(state.answers, Note(f"skipped: {error}", degrades=True)))
    if not isinstance(error, DeadlinePassed) or not (answers := state.answers or error.answers):
        return None
    first = answers[0]
    whose = f"this is the answer of {first.agent} alone (call {first.place})"
    text = f"{error.deadline} passed before the answers were combined; {whose}"
    return _After(state.then((first,), Note(text, degrades=True)), over=True)


def _can_be_left_out(later: Sequence[Step], answers: int) -> bool:
    """Whether the later steps call models and reduce the present answers to one."""
    if not answers or not any(step.models for step in later):
        return False
    return reduce(lambda count, step: step.answers_out(count), later, answers) == 1
