"""What a run had done when it was left, read from its events: how far it came, and which answers are paid for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

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
    answers = finished[-1].answers if finished else ()
    return Checkpoint(len(finished), State(question, answers), degraded)


def until(events: Sequence[Event], step: int) -> tuple[Event, ...]:
    """Return what happened in the steps before one, without the beginnings and ends of the run."""
    return tuple(event for event in events if 0 < _step(event) < step)


def own(events: Sequence[Event]) -> Sequence[Event]:
    """Return what a run did itself: without the steps that it took over from another, which that one paid for."""
    inherited = next((event.steps for event in events if isinstance(event, RunForked)), 0)
    return [event for event in events if not 0 < _step(event) <= inherited] if inherited else events


def _step(event: Event) -> int:
    match event:
        case StepStarted() | StepFinished():
            return event.step
        case RunStarted() | RunEstimated() | RunResumed() | RunForked() | RunFinished():
            return 0
        case _:
            return event.place.step


def paid_calls(events: Sequence[Event]) -> PaidCalls:
    """Return the answers that are on record, by their calls' places, and how often each call was tried."""
    asked: dict[Place, CallStarted] = {}
    paid: dict[Place, Paid] = {}
    attempts: Counter[Place] = Counter()
    seconds: dict[Place, float] = {}
    for event in events:
        match event:
            case CallStarted():
                asked[event.place] = event
            case AttemptStarted():
                attempts.update(_answered(event))
            case AttemptFinished():
                for place, completion in zip(_answered(event), shares(event.completion), strict=False):
                    paid[place] = Paid(asked[place].agent, asked[place].messages, completion)
                    seconds[place] = event.seconds
            case CallFinished():  # the same answer, with what the layers had to say of it
                call = asked[event.place]
                paid[event.place] = Paid(call.agent, call.messages, event.completion)
                seconds[event.place] = event.seconds
            case _:
                pass
    return PaidCalls(paid, attempts, seconds)


def _answered(event: AttemptStarted | AttemptFinished) -> tuple[Place, ...]:
    """Return the places of the calls that one request is to answer."""
    return (event.place, *(other.place for other in event.others))
