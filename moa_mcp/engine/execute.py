"""Runs a pipeline: takes the state through the steps, decides what happens when one can't do its work, tells it all.

It knows neither MCP nor money nor retries; a run is a function of its `RunSpec` and the model it is given.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce
from typing import NamedTuple

import anyio

from moa_mcp.config import Pipeline
from moa_mcp.engine.deadline import Deadline, deadline
from moa_mcp.engine.turn import ModelTurn
from moa_mcp.errors import DeadlinePassed, StepFailed, StepLeftOut
from moa_mcp.events import Emit, RunFinished, RunStarted, StepFinished, StepStarted
from moa_mcp.model import Model
from moa_mcp.steps import Step
from moa_mcp.values import Answer, Note, Question, State, Status


@dataclass(frozen=True, slots=True)
class RunSpec:
    """All that decides a run: what to do, on what, and with which chance."""

    run_id: str
    pipeline: Pipeline
    question: Question
    seed: int
    """Makes shuffle, dropout, sample and rank passes repeat exactly."""
    max_cost_usd: Decimal | None = None
    """What it may cost, in US dollars."""
    stream: bool = False
    """Whether the last answer's text is told as it arrives."""
    deadline_s: float | None = None
    """Seconds after which it ends with what it has; a resumed run has all of them again."""
    windows: Mapping[str, int] = field(default_factory=dict[str, int])
    """The context windows of its models, by alias, in tokens, where they are known."""


def started(spec: RunSpec) -> RunStarted:
    """Return the event that opens a run."""
    kinds = tuple(step.step for step in spec.pipeline.steps)
    return RunStarted(
        run_id=spec.run_id, pipeline=spec.pipeline.name, question=spec.question, seed=spec.seed, steps=kinds
    )


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a run had come when it was left."""

    steps: int
    """How many steps are finished."""
    state: State
    """The state after them."""
    degraded: bool = False
    """Whether what they did makes the result worse than the pipeline promises."""


async def execute(spec: RunSpec, model: Model, emit: Emit, reached: Reached | None = None) -> RunFinished:
    """Run the pipeline to its end and return how it ended; failures of steps are ends, not exceptions.

    With `reached`, a run that was left unfinished goes on from there. A cancelled run has no end here: whoever
    cancelled it says what that means.
    """
    began = time.monotonic()
    if reached is None:
        emit(started(spec))

    def finish(finished: RunFinished) -> RunFinished:
        emit(finished)
        return finished

    def seconds() -> float:
        return time.monotonic() - began

    try:
        answer, degraded = await _through(spec, model, emit, reached or Reached(0, State(spec.question)))
    except StepFailed as error:
        return finish(RunFinished(status="failed", answer=None, error=str(error), seconds=seconds()))
    status: Status = "degraded" if degraded else "complete"
    return finish(RunFinished(status=status, answer=answer.text, error=None, seconds=seconds()))


async def _through(spec: RunSpec, model: Model, emit: Emit, reached: Reached) -> tuple[Answer, bool]:
    state, degraded = reached.state, reached.degraded
    time_up = deadline(spec.pipeline.steps, spec.deadline_s, anyio.current_time())
    for number in range(reached.steps + 1, len(spec.pipeline.steps) + 1):
        after = await _step(spec, number, state, time_up, model, emit)
        state, degraded = after.state, degraded or any(note.degrades for note in after.state.notes)
        if after.over:
            break
    if len(state.answers) != 1:
        raise StepFailed(
            f"the pipeline ended with {len(state.answers)} answers and no way to choose one of them; the trace has them"
        )
    answer = state.answers[0]
    return answer, degraded or answer.cut


class _After(NamedTuple):
    state: State
    over: bool = False
    """Whether the run ends with it, since its time is up."""


async def _step(spec: RunSpec, number: int, state: State, time_up: Deadline, model: Model, emit: Emit) -> _After:
    began = time.monotonic()
    steps = spec.pipeline.steps
    step = steps[number - 1]
    spare = _can_be_left_out(steps[number:], len(state.answers))
    streams = spec.stream and number == len(steps) and step.writes_answers
    cutoffs = time_up.cutoffs(number, spare=spare)
    turn = ModelTurn(
        model, emit, cutoffs, spec.windows, run_id=spec.run_id, seed=spec.seed, step=number, streams=streams
    )
    emit(StepStarted(step=number, step_kind=step.step))
    try:
        after = _After(await step.run(state, turn))
    except StepFailed as error:
        rescued = _rescued(error, state, spare=spare)
        if rescued is None:
            raise StepFailed(f"step {number} ({step.step}): {error}") from error
        after = rescued
    notes = (*turn.notes, *after.state.notes)
    answers = after.state.answers
    seconds = time.monotonic() - began
    emit(StepFinished(step=number, answers=answers, notes=notes, seconds=seconds, tally=after.state.tally))
    return _After(after.state.then(answers, *notes), after.over)


def _rescued(error: StepFailed, state: State, *, spare: bool) -> _After | None:
    """Return what a run goes on, or ends, with when a step can't do its work; None if it has nothing."""
    if isinstance(error, StepLeftOut) and spare:
        return _After(state.then(state.answers, Note(f"left out: {error}", degrades=True)))
    if not isinstance(error, DeadlinePassed) or not (answers := state.answers or error.answers):
        return None
    first = answers[0]
    whose = f"this is the answer of {first.agent} alone (call {first.place})"
    text = f"{error.deadline} passed before the answers were put together; {whose}"
    return _After(state.then((first,), Note(text, degrades=True)), over=True)


def _can_be_left_out(later: Sequence[Step], answers: int) -> bool:
    """Whether the steps after one come to a single answer from those before it, with a layer among them."""
    if not answers or not any(step.models for step in later):
        return False
    return reduce(lambda count, step: step.answers_out(count), later, answers) == 1
