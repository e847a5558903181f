"""The replies of the corpus, changed at random: no answer is made up, and none is lost that is there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from importlib import import_module
from itertools import pairwise
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from moa_mcp.errors import CallError
from moa_mcp.providers.transports import Real
from tests.support import mutations
from tests.support.byte_server import Bytes, ByteServer, Framing, serving_bytes
from tests.support.mutations import Body, body_of, is_silent
from tests.support.shapes import Case, Outcome, cases, outcome

OVER_OPENAI = [case for case in cases() if case.over == "openai" and not case.shape.layers]
OVER_LITELLM = [case for case in cases() if case.over == "litellm" and case.asked == "stream" and not case.shape.layers]
IN_JSON = [(case, body) for case in OVER_OPENAI if (body := body_of(case.shape))]
IN_EVENTS = [(case, body) for case, body in IN_JSON if any(map(is_silent, body.documents))]
SAYS_ITS_END_AT_ONCE = {"gateways/finish-reason-repeated"}
"""Nobody can know that more was to come."""
OTHERS: list[Any] = [None, 0, 7, -1, 1.5, True, 10**30, "x", "", [], {}, ["x"], {"x": 1}, [None], {"text": 7}]
FRAMINGS: list[Framing] = ["length", "chunked", "close"]


def examples(number: int) -> settings:
    """Bound a test; the first examples load and connect, and many changes do not apply to every reply."""
    return settings(max_examples=number, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


class Asked:
    """Asks for replies that are changed, and remembers what comes of those that are not.

    It runs its own event loop: what hypothesis raises to end an example does not go through one.
    """

    def __init__(self, run: Callable[[Coroutine[Any, Any, Outcome]], Outcome], real: Real, server: ByteServer) -> None:
        self._run = run
        self._real = real
        self._server = server
        self._unchanged: dict[str, Outcome] = {}

    def for_bytes(self, case: Case, reply: Bytes) -> Outcome:
        """Return what comes of a reply."""
        came = self._run(self._outcome(case, reply))
        assert not (isinstance(came.came, CallError) and came.came.kind == "UnexpectedFault")
        return came

    def for_text(self, case: Case, text: str) -> Outcome:
        """Return what comes of a reply with another body."""
        return self.for_bytes(case, case.shape.bytes(text.encode()))

    def unchanged(self, case: Case) -> Outcome:
        """Return what comes of the reply as the file has it."""
        if case.key not in self._unchanged:
            self._unchanged[case.key] = self.for_bytes(case, case.shape.bytes())
        return self._unchanged[case.key]

    async def _outcome(self, case: Case, reply: Bytes) -> Outcome:
        heard: list[str] = []
        call = case.call(self._server.script(case.key, reply), heard)
        with anyio.fail_after(10):
            return await outcome(self._real, call, heard)


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    with asyncio.Runner() as runner:
        real, serving = Real(), serving_bytes()
        runner.run(real.ready({"openai", "litellm"}))
        yield Asked(runner.run, real, runner.run(serving.__aenter__()))
        runner.run(serving.__aexit__(None, None, None))
        runner.run(real.close())
        runner.run(import_module("litellm").close_litellm_async_clients())


def seen(came: Outcome) -> object:
    """Return all that a caller sees of an outcome."""
    found = came.came
    if isinstance(found, CallError):
        return found.kind, str(found).partition(" http://")[0], found.paid, found.usage, "".join(came.heard)
    return found, "".join(came.heard)


def is_whole(came: Outcome, before: Outcome) -> bool:
    """Whether an outcome is an error, or the answer that is there, with nothing made up beside it.

    Blanks do not count: before an answer they are cut off only if there was a thought.
    """
    if isinstance(came.came, CallError):
        return True
    if isinstance(before.came, CallError):
        return False
    others = {other.text for other in before.came.others}
    return came.came.text.strip() == before.came.text.strip() and others.issuperset(
        other.text for other in came.came.others
    )


@examples(200)
@given(st.sampled_from(OVER_OPENAI), st.sampled_from(FRAMINGS), st.lists(st.integers(0, 4000), max_size=12))
def test_in_which_pieces_a_reply_comes_changes_nothing(
    asked: Asked, case: Case, framing: Framing, cuts: list[int]
) -> None:
    assume(case.shape.framing != "short")
    raw = case.shape.raw
    ends = [0, *sorted({cut for cut in cuts if cut < len(raw)}), len(raw)]
    pieces = [raw[a:b] for a, b in pairwise(ends) if a < b]
    sent = case.shape.bytes()
    came = asked.for_bytes(case, Bytes(pieces, sent.status, sent.headers, framing))
    assert seen(came) == seen(asked.unchanged(case))


@examples(200)
@given(st.sampled_from(OVER_OPENAI), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 60))
def test_how_lines_end_changes_nothing(asked: Asked, case: Case, line_end: str, size: int) -> None:
    assume(case.shape.encoding == "utf-8" and case.shape.framing != "short")
    raw = case.shape.raw.decode().replace("\r\n", "\n").replace("\r", "\n").replace("\n", line_end).encode()
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    came = asked.for_bytes(case, case.shape.bytes(raw, pieces))
    assert seen(came) == seen(asked.unchanged(case))


@examples(200)
@given(st.sampled_from(IN_JSON), st.randoms(use_true_random=False), st.data())
def test_the_order_of_fields_and_those_that_stand_twice_change_nothing(
    asked: Asked,
    chosen: tuple[Case, Body],
    random: Random,
    data: st.DataObject,
) -> None:
    case, body = chosen
    at = data.draw(st.integers(0, len(body.documents) - 1))

    def shuffled(keys: list[str]) -> list[str]:
        return random.sample(keys, len(keys))

    mixed = Body(tuple(d._replace(value=mutations.reordered(d.value, shuffled)) for d in body.documents), body.after)
    document = mixed.documents[at].value
    twice = data.draw(st.sampled_from(mutations.paths(document) or [()]))
    came = asked.for_text(case, mixed.text(at, lambda value: mutations.doubled(value, twice)))
    assert seen(came) == seen(asked.unchanged(case))


@examples(200)
@given(st.sampled_from(IN_EVENTS), st.data())
def test_an_event_without_a_text_that_comes_twice_changes_nothing(
    asked: Asked, chosen: tuple[Case, Body], data: st.DataObject
) -> None:
    case, body = chosen
    at = data.draw(st.sampled_from([n for n, each in enumerate(body.documents) if is_silent(each)]))
    came = asked.for_text(case, body.with_twice(at).text())
    assert seen(came) == seen(asked.unchanged(case))


@examples(500)
@given(st.sampled_from(OVER_OPENAI), st.floats(0, 1), st.sampled_from([*FRAMINGS, "short"]))
def test_a_reply_that_breaks_off_is_an_error_or_the_whole_answer(
    asked: Asked, case: Case, share: float, framing: Framing
) -> None:
    assume(case.shape.name not in SAYS_ITS_END_AT_ONCE)
    raw = case.shape.raw
    raw = raw[: int(share * len(raw))]
    sent = case.shape.bytes()
    came = asked.for_bytes(case, Bytes([raw], sent.status, sent.headers, framing))
    assert is_whole(came, asked.unchanged(case))


@examples(80)
@given(st.sampled_from(OVER_LITELLM), st.floats(0, 1), st.sampled_from(FRAMINGS))
def test_a_reply_that_breaks_off_on_its_way_through_litellm_is_an_error_or_the_whole_answer(
    asked: Asked, case: Case, share: float, framing: Framing
) -> None:
    raw = case.shape.raw
    raw = raw[: int(share * len(raw))]
    sent = case.shape.bytes()
    came = asked.for_bytes(case, Bytes([raw], sent.status, sent.headers, framing))
    assert is_whole(came, asked.unchanged(case))


@examples(700)
@given(st.sampled_from(IN_JSON), st.sampled_from(["missing", *range(len(OTHERS))]), st.data())
def test_a_field_that_is_missing_or_of_another_type_loses_no_answer_and_makes_none_up(
    asked: Asked, chosen: tuple[Case, Body], other: int | str, data: st.DataObject
) -> None:
    case, body = chosen
    at = data.draw(st.integers(0, len(body.documents) - 1))
    document = body.documents[at].value
    path = data.draw(st.sampled_from(mutations.paths(document) or [()]))
    assume(path)
    changed = mutations.without(document, path) if isinstance(other, str) else None
    if isinstance(other, int):
        changed = mutations.replaced(document, path, OTHERS[other])
    before = asked.unchanged(case)
    came = asked.for_text(case, body.text(at, lambda _: json.dumps(changed)))
    if isinstance(came.came, CallError):
        lost = not (isinstance(before.came, CallError) or mutations.says(document, path) or mutations.ends(path))
        assert not lost
        return
    assert came.came.cost_usd is None or came.came.cost_usd > 0 or before.came.cost_usd == 0
    assert case.shape.status == 200
    assert body.holds("Rome") or "Rome" not in came.came.text
    if not (mutations.says(document, path) or (isinstance(before.came, CallError) and mutations.ends(path))):
        assert is_whole(came, before)


@examples(150)
@given(st.sampled_from(IN_JSON), st.sampled_from(["missing", *range(len(OTHERS))]), st.data())
def test_a_changed_reply_is_read_alike_in_one_piece_and_in_two(
    asked: Asked, chosen: tuple[Case, Body], other: int | str, data: st.DataObject
) -> None:
    case, body = chosen
    assume(case.asked == "whole" and case.shape.framing != "short")
    path = data.draw(st.sampled_from(mutations.paths(body.documents[0].value) or [()]))
    assume(path)
    document = body.documents[0].value
    changed = mutations.without(document, path) if isinstance(other, str) else None
    if isinstance(other, int):
        changed = mutations.replaced(document, path, OTHERS[other])
    raw = body.text(0, lambda _: json.dumps(changed)).encode()
    sent = case.shape.bytes(raw)
    in_two = Bytes([raw[:1], raw[1:]], sent.status, sent.headers, "length")
    assert seen(asked.for_bytes(case, in_two)) == seen(asked.for_bytes(case, sent))
