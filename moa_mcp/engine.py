"""Runs a pipeline: takes the state through the steps, fans their requests out to the model, tells what happens.

It knows neither MCP nor money nor retries; a run is a function of its `RunSpec` and the model it is given.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

import anyio

from moa_mcp.config import Pipeline
from moa_mcp.errors import CallError, Failure, StepFailed
from moa_mcp.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Emit,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TextReceived,
)
from moa_mcp.model import Model
from moa_mcp.steps import Step
from moa_mcp.values import Answer, Call, Note, Parameters, Place, Question, Request, State, Status


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
    turn = ModelTurn(spec, number, model, emit)
    emit(StepStarted(step=number, step_kind=step.step))
    try:
        after = await step.run(state, turn)
    except StepFailed as error:
        raise StepFailed(f"step {number} ({step.step}): {error}") from error
    notes = (*turn.notes, *after.notes)
    after = after.then(after.answers, *notes)
    emit(StepFinished(step=number, answers=after.answers, notes=notes, seconds=time.monotonic() - began))
    return after


class ModelTurn:
    """One step's turn: asks its requests all at once and waits for every answer or failure."""

    def __init__(self, spec: RunSpec, step: int, model: Model, emit: Emit) -> None:
        self.rng = Random(f"{spec.seed}/{step}")
        self.notes: list[Note] = []
        """What went wrong with calls, for the trace."""
        self._spec = spec
        self._step = step
        self._model = model
        self._emit = emit
        steps = spec.pipeline.steps
        self._streams = spec.stream and step == len(steps) and not steps[-1].judges
        self._asked = 0
        self._equals: Counter[Request] = Counter()

    async def ask(self, requests: Sequence[Request], *, quorum: int = 1) -> tuple[Answer | None, ...]:
        calls = [self._call(request) for request in requests]
        if self._streams and len(calls) == 1:
            calls = [replace(call, on_text=self._telling(call.place)) for call in calls]
        for call in calls:  # here, since tasks may start in any order
            self._emit(CallStarted(place=call.place, agent=call.agent, messages=call.messages))
        outcomes = await anyio.amap(self._outcome, calls)
        failed = [
            f"{call.agent}: {outcome.message}"
            for call, outcome in zip(calls, outcomes, strict=True)
            if isinstance(outcome, Failure)
        ]
        answered = len(calls) - len(failed)
        if answered < quorum:
            raise StepFailed(_too_few(answered, len(calls), quorum, failed))
        if failed:
            self.notes.append(Note(f"{len(failed)} of {len(calls)} failed ({'; '.join(failed)})", degrades=True))
        return tuple(outcome if isinstance(outcome, Answer) else None for outcome in outcomes)

    def _call(self, request: Request) -> Call:
        self._asked += 1
        self._equals[request] += 1
        return Call(
            run_id=self._spec.run_id,
            place=Place(self._step, self._asked, self._equals[request]),
            agent=request.agent,
            messages=request.messages,
            parameters=_parameters(request),
            seed=self._spec.seed,
            timeout_s=request.timeout_s,
        )

    def _telling(self, place: Place) -> Callable[[str], None]:
        return lambda text: self._emit(TextReceived(place=place, text=text))

    async def _outcome(self, call: Call) -> Answer | Failure:
        began = time.monotonic()
        try:
            completion = await self._model(call)
        except CallError as error:
            failure = Failure.of(error)
            self._emit(CallFailed(place=call.place, failure=failure, seconds=time.monotonic() - began))
            return failure
        self._emit(CallFinished(place=call.place, completion=completion, seconds=time.monotonic() - began))
        return Answer(completion.text, call.agent, call.place, completion.cut)


def _parameters(request: Request) -> Parameters:
    parameters = {"temperature": request.temperature, "max_tokens": request.max_tokens}
    return {key: value for key, value in parameters.items() if value is not None}


def _too_few(answered: int, asked: int, quorum: int, failed: Sequence[str]) -> str:
    reasons = "; ".join(failed)
    if answered == 0:
        return f"no answer came: {reasons}" if asked == 1 else f"none of {asked} calls was answered: {reasons}"
    return f"{answered} of {asked} calls were answered, {quorum} are needed: {reasons}"
