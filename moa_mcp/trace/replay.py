"""The state of a recorded run, read from its events: the last finished step, and the calls that are paid for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from moa_mcp.engine.execute import Checkpoint
from moa_mcp.events import (
    AttemptFinished,
    AttemptStarted,
    CallFinished,
    CallStarted,
    Event,
    RunEstimated,
    RunFinished,
    RunForked,
    RunResumed,
    RunStarted,
    StepFinished,
    StepStarted,
)
from moa_mcp.middleware import Paid, PaidCalls
from moa_mcp.middleware.shares import shares
from moa_mcp.values import Place, Question, State


def checkpoint(question: Question, events: Sequence[Event]) -> Checkpoint:
    """Return the state after the last finished step."""
    finished = [event for event in events if isinstance(event, StepFinished)]
    degraded = any(note.degrades for event in finished for note in event.notes)
    state = State(question)
    for event in finished:
        state = state.then(event.answers, analysis=event.analysis)
    steps = len(finished)
    if finished and finished[-1].final:
        steps = next((len(event.steps) for event in events if isinstance(event, RunStarted)), steps)
    return Checkpoint(steps, state, degraded, recorded=True)


def until(events: Sequence[Event], step: int) -> tuple[Event, ...]:
    """Return the events of the steps before `step`, without the events of the run as a whole.

    A run that forks after a step that ended the other run goes on.
    """
    return tuple(_going_on(event) for event in events if 0 < _step(event) < step)


def _going_on(event: Event) -> Event:
    """Return the event of a step that does not end the run."""
    if not isinstance(event, StepFinished) or not event.final:
        return event
    return replace(event, notes=tuple(note for note in event.notes if not note.saved), final=False)


def own(events: Sequence[Event]) -> Sequence[Event]:
    """Return a run's events without those of inherited steps, which another run paid for."""
    inherited = next((event.steps for event in events if isinstance(event, RunForked)), 0)
    return [event for event in events if not 0 < _step(event) <= inherited] if inherited else events


def traceparents(events: Sequence[Event]) -> tuple[str, ...]:
    """Return the trace contexts of a run's start and of its resumptions, oldest first."""
    parts = (event.traceparent for event in events if isinstance(event, RunStarted | RunResumed))
    return tuple(part for part in parts if part)


def _step(event: Event) -> int:
    match event:
        case StepStarted() | StepFinished():
            return event.step
        case RunStarted() | RunEstimated() | RunResumed() | RunForked() | RunFinished():
            return 0
        case _:
            return event.place.step


def paid_calls(events: Sequence[Event]) -> PaidCalls:
    """Return the recorded answers and the number of attempts, by the places of their calls."""
    started: dict[Place, CallStarted] = {}
    paid: dict[Place, Paid] = {}
    attempts: Counter[Place] = Counter()
    seconds: dict[Place, float] = {}
    for event in events:
        match event:
            case CallStarted():
                started[event.place] = event
            case AttemptStarted():
                attempts.update(_answered(event))
            case AttemptFinished():
                for place, completion in zip(_answered(event), shares(event.completion), strict=False):
                    paid[place] = Paid(started[place].agent, started[place].messages, completion)
                    seconds[place] = event.seconds
            case CallFinished():  # the same answer, with the notes of middleware
                call = started[event.place]
                paid[event.place] = Paid(call.agent, call.messages, event.completion)
                seconds[event.place] = event.seconds
            case _:
                pass
    return PaidCalls(paid, attempts, seconds)


def _answered(event: AttemptStarted | AttemptFinished) -> tuple[Place, ...]:
    """Return the places of the calls that share a request."""
    return (event.place, *(other.place for other in event.others))
