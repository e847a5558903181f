"""Runs a pipeline: takes the state through the steps, decides what happens when one can't do its work, tells it all.

It knows neither MCP nor money nor retries; a run is a function of its `RunSpec` and the model it is given.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce

from moa_mcp.config import Pipeline
from moa_mcp.errors import StepFailed, StepLeftOut
from moa_mcp.events import Emit, RunFinished, RunStarted, StepFinished, StepStarted
from moa_mcp.model import Model
from moa_mcp.steps import Step
from moa_mcp.turn import ModelTurn
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
    for number, step in enumerate(spec.pipeline.steps[reached.steps :], reached.steps + 1):
        state = await _step(spec, number, step, state, model, emit)
        degraded = degraded or any(note.degrades for note in state.notes)
    if len(state.answers) != 1:
        raise StepFailed(
            f"the pipeline ended with {len(state.answers)} answers and no way to choose one of them; the trace has them"
        )
    answer = state.answers[0]
    return answer, degraded or answer.cut


async def _step(spec: RunSpec, number: int, step: Step, state: State, model: Model, emit: Emit) -> State:
    began = time.monotonic()
    steps = spec.pipeline.steps
    streams = spec.stream and number == len(steps) and not step.judges
    turn = ModelTurn(model, emit, run_id=spec.run_id, seed=spec.seed, step=number, streams=streams)
    emit(StepStarted(step=number, step_kind=step.step))
    try:
        after = await step.run(state, turn)
    except StepFailed as error:
        if not isinstance(error, StepLeftOut) or not _can_be_left_out(steps[number:], len(state.answers)):
            raise StepFailed(f"step {number} ({step.step}): {error}") from error
        after = state.then(state.answers, Note(f"left out: {error}", degrades=True))
    notes = (*turn.notes, *after.notes)
    after = after.then(after.answers, *notes)
    emit(StepFinished(step=number, answers=after.answers, notes=notes, seconds=time.monotonic() - began))
    return after


def _can_be_left_out(later: Sequence[Step], answers: int) -> bool:
    """Whether the steps after one come to a single answer from those before it, with a layer among them."""
    if not answers or not any(step.models for step in later):
        return False
    return reduce(lambda count, step: step.answers_out(count), later, answers) == 1
