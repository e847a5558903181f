"""One step's turn: asks its requests all at once, tells what came of them, and judges whether that is enough.

It knows neither the steps nor the run's course; `engine` makes one for every step.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import anyio

from moa_mcp.errors import CallError, Failure, LeftOut, StepFailed, StepLeftOut
from moa_mcp.events import CallFailed, CallFinished, CallStarted, Emit, TextReceived
from moa_mcp.model import Model
from moa_mcp.values import Answer, Call, Note, Parameters, Place, Request


class ModelTurn:
    """One step's turn: asks its requests all at once and waits for every answer or failure."""

    def __init__(self, model: Model, emit: Emit, *, run_id: str, seed: int, step: int, streams: bool) -> None:
        self.rng = Random(f"{seed}/{step}")
        self.notes: list[Note] = []
        """What went wrong with calls, for the trace."""
        self._model = model
        self._emit = emit
        self._run_id = run_id
        self._seed = seed
        self._step = step
        self._streams = streams
        self._asked = 0
        self._equals: Counter[Request] = Counter()

    async def ask(self, requests: Sequence[Request], *, quorum: int = 1) -> tuple[Answer | None, ...]:
        calls = [self._call(request) for request in requests]
        if self._streams and len(calls) == 1:
            calls = [replace(call, on_text=self._telling(call.place)) for call in calls]
        for call in calls:  # here, since tasks may start in any order
            self._emit(CallStarted(place=call.place, agent=call.agent, messages=call.messages))
        outcomes = await anyio.amap(self._outcome, calls)
        errors = [
            (call, outcome) for call, outcome in zip(calls, outcomes, strict=True) if isinstance(outcome, CallError)
        ]
        failed = [f"{call.agent}: {error}" for call, error in errors]
        answered = len(calls) - len(failed)
        if answered < quorum:
            left_out = sum(isinstance(error, LeftOut) for _, error in errors)
            kind = StepLeftOut if answered + left_out >= quorum else StepFailed
            raise kind(_too_few(answered, len(calls), quorum, failed))
        if failed:
            self.notes.append(Note(f"{len(failed)} of {len(calls)} failed ({'; '.join(failed)})", degrades=True))
        return tuple(outcome if isinstance(outcome, Answer) else None for outcome in outcomes)

    def _call(self, request: Request) -> Call:
        self._asked += 1
        self._equals[request] += 1
        return Call(
            run_id=self._run_id,
            place=Place(self._step, self._asked, self._equals[request]),
            agent=request.agent,
            messages=request.messages,
            parameters=_parameters(request),
            seed=self._seed,
            timeout_s=request.timeout_s,
        )

    def _telling(self, place: Place) -> Callable[[str], None]:
        return lambda text: self._emit(TextReceived(place=place, text=text))

    async def _outcome(self, call: Call) -> Answer | CallError:
        began = time.monotonic()
        try:
            completion = await self._model(call)
        except CallError as error:
            self._emit(CallFailed(place=call.place, failure=Failure.of(error), seconds=time.monotonic() - began))
            return error
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
