"""Events as text: what is written is what is read, whichever class or version wrote it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from moa_mcp.events import AttemptFinished, AttemptStarted, Event, RunFinished, RunStarted, StepFinished
from moa_mcp.journal.codec import Packer, unpacked
from moa_mcp.values import Answer, Completion, Note, Place, Question, Usage


class Text(str):
    __slots__ = ()


class Count(int):
    pass


class Seconds(float):
    pass


PLACE = Place(1, 1)
OF_SUBCLASSES: tuple[Event, ...] = (
    RunStarted(
        run_id=Text("r"), pipeline="p", question=Question(Text("Why?")), seed=Count(7), steps=(Text("propose"),)
    ),
    AttemptStarted(
        place=PLACE, attempt=Count(1), model=Text("m"), parameters={Text("stop"): Text("\n"), "n": Count(2)}
    ),
    AttemptFinished(
        place=PLACE,
        attempt=1,
        completion=Completion(Text("Because."), Text("m"), usage=Usage(Count(5), 4), cost_usd=Decimal("0.1")),
        seconds=Seconds(1.5),
    ),
    StepFinished(
        step=Count(1),
        answers=(Answer(Text("So."), "a", PLACE, confidence=Seconds(70.5)),),
        notes=(Note(Text("fine"), saved=Count(3)),),
        seconds=2.0,
    ),
    RunFinished(status="complete", answer=Text("So."), error=None, seconds=Seconds(2.5)),
)


@pytest.mark.parametrize("event", OF_SUBCLASSES, ids=lambda event: event.kind)
def test_values_of_subclasses_as_numpy_has_them_are_recorded_as_what_they_are(event: Event) -> None:
    body, texts = Packer().pack(event)
    (read,) = unpacked([body.decode()], texts)
    assert read == event


def test_a_value_that_json_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="complex can't be recorded"):
        Packer().pack(AttemptStarted(place=PLACE, attempt=1, model="m", parameters={"n": 1j}))  # type: ignore[dict-item]


def test_whole_numbers_that_were_recorded_with_a_decimal_point_are_read() -> None:
    event = AttemptFinished(place=PLACE, attempt=1, completion=Completion("So.", "m", usage=Usage(10, 5)), seconds=1.0)
    body, texts = Packer().pack(event)
    dumped = json.loads(body)
    dumped["completion"]["usage"]["prompt_tokens"] = 10.0
    assert list(unpacked([json.dumps(dumped)], texts)) == [event]
