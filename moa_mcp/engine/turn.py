"""The calls of one step: makes them concurrently, emits their events, and checks the quorum.

It knows neither the step nor the rest of the run; `execute` creates one for each step.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import inf
from random import Random

import anyio
from pydantic import JsonValue

from moa_mcp.engine.deadline import Cutoffs
from moa_mcp.engine.fan_out import Outcome, fan_out
from moa_mcp.errors import (
    CallError,
    CallSkipped,
    ContextTooLong,
    DeadlinePassed,
    Failure,
    PromptTooLong,
    StepFailed,
    StepLeftOut,
    StragglerDropped,
    Unrecorded,
)
from moa_mcp.events import CallFailed, CallFinished, CallStarted, Emit, TextReceived
from moa_mcp.model import Model
from moa_mcp.parameters import with_settings
from moa_mcp.values import (
    NO_SETTINGS,
    Answer,
    Call,
    Completion,
    FailureReason,
    Grace,
    Note,
    Parameters,
    Place,
    Request,
    Word,
)


class ModelTurn:
    """Makes the calls of one step concurrently and waits for their answers or failures."""

    def __init__(
        self,
        model: Model,
        emit: Emit,
        cutoffs: Cutoffs,
        windows: Mapping[str, int],
        reasoning: Collection[str],
        makers: Mapping[str, str],
        *,
        run_id: str,
        seed: int,
        step: int,
        streams: bool,
        recorded: bool = False,
    ) -> None:
        """With `recorded`, answers may be recorded, so the time that they take says nothing about the others."""
        self._rng: Random | None = None
        self.notes: list[Note] = []
        """Problems with calls, for the trace."""
        self._model = model
        self._emit = emit
        self._run_id = run_id
        self._seed = seed
        self._step = step
        self._streams = streams
        self._recorded = recorded
        self._cutoffs = cutoffs
        self._windows = windows
        self._reasoning = reasoning
        self._makers = makers
        self._began = time.monotonic()
        self._asked = 0
        self._samples: dict[Request, int] = {}
        """How often each request was made."""

    @property
    def rng(self) -> Random:
        if self._rng is None:  # created on demand, since few steps use it
            self._rng = Random(f"{self._seed}/{self._step}")
        return self._rng

    async def ask(
        self,
        requests: Sequence[Request],
        *,
        quorum: int = 1,
        grace_s: Grace | None = None,
        required: bool = True,
        tells_too_long: bool = False,
    ) -> tuple[Answer | None, ...]:
        if not self._time_left(quorum):
            return (None,) * len(requests)
        self._began = time.monotonic()
        equals = Counter(requests)
        last = self._asked + len(requests)
        calls = [self._call(request, equals[request], last) for request in requests]
        if self._streams and len(calls) == 1 and is_final(requests[0]):
            calls = [call._replace(on_text=self._emitting(call.place)) for call in calls]
        for request, call in zip(requests, calls, strict=True):  # before the tasks, which may start in any order
            window = str(request.window or "")
            self._emit(CallStarted(place=call.place, agent=call.agent, messages=call.messages, window=window))
        grace_s = None if grace_s == "auto" and self._recorded else grace_s
        outcomes = await fan_out(
            calls, self._model, self._answered, self._failed, quorum=quorum, grace_s=grace_s, cutoffs=self._cutoffs
        )
        answers = tuple([outcome if isinstance(outcome, Answer) else None for outcome in outcomes])
        failed = [at for at, answer in enumerate(answers) if answer is None]
        if not failed and len(answers) >= quorum:
            return answers
        for at in failed:
            if isinstance(dropped := outcomes[at], StragglerDropped):
                self._failed(calls[at], dropped)
        too_long = {at for at in failed if tells_too_long and isinstance(outcomes[at], ContextTooLong)}
        others = [at for at in range(len(calls)) if at not in too_long]
        needed = quorum if required and not too_long else 0
        self._judge([calls[at] for at in others], [outcomes[at] for at in others], needed)
        if too_long:
            raise PromptTooLong(answers, too_long)
        return answers

    def window(self, agent: str) -> int | None:
        return self._windows.get(agent)

    def maker(self, agent: str) -> str | None:
        return self._makers.get(agent)

    def _time_left(self, quorum: int) -> bool:
        """Whether there is time for calls. Raises `StepFailed` if there is none and a quorum is required."""
        cutoffs = self._cutoffs
        ends = cutoffs.last if quorum else min(cutoffs.enough, cutoffs.last)
        if ends == inf or anyio.current_time() < ends:
            return True
        if quorum:
            raise self._out_of_time((), "no model was called")
        unmade = Note(f"further calls were skipped: {cutoffs.why}", degrades=True)
        self.notes += [unmade] if unmade not in self.notes else []
        return False

    def _out_of_time(self, answers: Sequence[Answer], what: str) -> StepFailed:
        deadline = f"the deadline of {self._cutoffs.deadline_s:g} s"
        if self._cutoffs.skips:
            return StepLeftOut(f"{deadline} leaves time for the last step only", "deadline")
        return DeadlinePassed(deadline, what, answers)

    def _judge(self, calls: Sequence[Call], outcomes: Sequence[Outcome], quorum: int) -> None:
        """Add notes about failed calls. Raises `StepFailed` if the quorum is not reached."""
        answers = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        without = [(call, error) for call, error in zip(calls, outcomes, strict=True) if isinstance(error, CallError)]
        dropped = [f"{call.agent}: {error}" for call, error in without if isinstance(error, StragglerDropped)]
        failed = [f"{call.agent}: {error}" for call, error in without if not isinstance(error, StragglerDropped)]
        if len(answers) < quorum:
            skipped = sum(isinstance(error, CallSkipped) for _, error in without)
            too_few = _too_few(len(answers), len(calls), quorum, [*failed, *dropped])
            if len(answers) + len(dropped) + skipped < quorum:
                raise StepFailed(too_few, _reason(without))
            raise self._out_of_time(answers, too_few) if dropped else StepLeftOut(too_few)
        expected = any(isinstance(error, StragglerDropped) and error.by_default for _, error in without)
        for what, reasons, degrades in (("failed", failed, True), ("dropped", dropped, not expected)):
            if reasons:
                text = f"{len(reasons)} of {len(calls)} {what} ({_listed(reasons)})"
                self.notes.append(Note(text, degrades=degrades))

    def _call(self, request: Request, equals: int, last: int) -> Call:
        self._asked += 1
        sample = self._samples[request] + 1 if request in self._samples else 1
        self._samples[request] = sample
        return Call(
            run_id=self._run_id,
            place=Place(self._step, self._asked, sample),
            agent=request.agent,
            messages=request.messages,
            parameters=_parameters(request),
            seed=self._seed,
            timeout_s=request.timeout_s,
            equals=equals,
            last=last,
            hedge=request.hedge,
            reasons=self._reasons(request),
            reply_schema=request.reply_schema,
        )

    def _reasons(self, request: Request) -> bool:
        settings = request.settings
        if settings.thinking_tokens or settings.reasoning_effort:
            return settings.reasoning_effort != "none"
        return request.agent in self._reasoning

    def _emitting(self, place: Place) -> Callable[[str], None]:
        def emit(text: str) -> None:
            if text:  # empty while the model reasons
                self._emit(TextReceived(place=place, text=text))

        return emit

    def _answered(self, call: Call, completion: Completion) -> Answer:
        self._emit(CallFinished(place=call.place, completion=completion, seconds=time.monotonic() - self._began))
        return Answer(completion.text, call.agent, call.place, completion.cut)

    def _failed(self, call: Call, error: CallError) -> None:
        seconds = time.monotonic() - self._began
        self._emit(CallFailed(place=call.place, failure=Failure.of(error), seconds=seconds))


def is_final(request: Request) -> bool:
    """Whether the reply becomes the step's answer, rather than part of a further prompt."""
    return request.window is None or request.window.final


def _parameters(request: Request) -> Parameters:
    parameters: dict[Word, JsonValue] = {}
    if request.temperature is not None:
        parameters["temperature"] = request.temperature
    if request.max_tokens is not None:
        parameters["max_tokens"] = request.max_tokens
    return parameters if request.settings == NO_SETTINGS else with_settings(parameters, request.settings)


def _reason(failed: Iterable[tuple[Call, CallError]]) -> FailureReason:
    """Return why a step has too few answers, from its failed calls."""
    return "journal" if any(isinstance(error, Unrecorded) for _, error in failed) else "step"


def _too_few(answered: int, asked: int, quorum: int, failed: Sequence[str]) -> str:
    reasons = _listed(failed)
    if answered == 0:
        return f"no answer came: {reasons}" if asked == 1 else f"none of {asked} calls was answered: {reasons}"
    return f"{answered} of {asked} calls were answered, {quorum} are needed: {reasons}"


def _listed(reasons: Sequence[str]) -> str:
    """Return all reasons. A reason that several calls share appears once, with a count."""
    return "; ".join(each if count == 1 else f"{each} ({count} times)" for each, count in Counter(reasons).items())
