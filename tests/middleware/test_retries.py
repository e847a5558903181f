"""Retries, routes, timeouts and what is told of them, through all layers and with a clock that jumps."""

from __future__ import annotations

import itertools
from typing import Any

import anyio
import pytest

from moa_mcp.errors import (
    STOPPED,
    AnswerEmpty,
    AnswerRefused,
    AuthFailed,
    CallError,
    ConnectionFailed,
    ContextTooLong,
    MissingKey,
    ModelNotFound,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    TimedOut,
)
from moa_mcp.events import AttemptFailed
from moa_mcp.middleware import Limits, Shared
from moa_mcp.testing import Scripted, ScriptedModel
from moa_mcp.values import Call, Completion, Target
from tests.support.clocks import jumping
from tests.support.layers import Layers, at, call_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


@pytest.mark.parametrize(
    "error",
    [RateLimited("429"), ServerFailed("500"), ConnectionFailed("reset"), TimedOut("slow")],
    ids=lambda error: error.kind,
)
async def test_what_may_pass_is_tried_again(error: CallError) -> None:
    layers = Layers(ScriptedModel({"a": [error, error, "there"]}))
    assert await layers.ask(call_of()) == Completion("there", "p/a")
    assert layers.attempts == [("p/a", 1, error.kind), ("p/a", 2, error.kind), ("p/a", 3, "answered")]


async def test_a_retry_says_why_and_how_long_it_waits() -> None:
    layers = Layers(ScriptedModel({"a": [RateLimited("429", retry_after_s=7.0), "there"]}))
    await layers.ask(call_of())
    assert layers.waits == [(1, "a retry after RateLimited", 7.0)]


async def test_what_does_not_pass_is_given_up_after_as_many_tries_as_allowed() -> None:
    layers = Layers(ScriptedModel({"a": ServerFailed("500")}))
    assert str(await layers.failure(call_of())) == "500"
    assert layers.attempts == [("p/a", number, "ServerFailed") for number in (1, 2, 3)]


@pytest.mark.parametrize(
    "error",
    [
        AuthFailed("401"),
        QuotaExceeded("402"),
        ModelNotFound("404"),
        RequestRefused("400"),
        ContextTooLong("400"),
        AnswerRefused("filtered"),
        AnswerEmpty("nothing", at_limit=False),
    ],
    ids=lambda error: error.kind,
)
async def test_what_would_fail_again_is_not_tried_again(error: CallError) -> None:
    layers = Layers(ScriptedModel({"a": error}))
    assert await layers.failure(call_of()) is error
    assert layers.attempts == [("p/a", 1, error.kind)]


async def test_the_wait_is_the_one_the_provider_asks_for() -> None:
    moments: list[float] = []

    def busy(_: Call) -> str | CallError:
        moments.append(anyio.current_time())
        waits = (7.0, 0.0, 60.0)
        return RateLimited("429", retry_after_s=waits[len(moments) - 1]) if len(moments) <= len(waits) else "there"

    layers = Layers(ScriptedModel({"a": busy}), shared=Shared(Limits(attempts=4)))
    await layers.ask(call_of())
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert gaps == pytest.approx([7, 0, 60], abs=0.2)


async def test_a_provider_that_asks_to_wait_longer_than_a_minute_is_given_up() -> None:
    layers = Layers(ScriptedModel({"a": ServerFailed("503", retry_after_s=61)}))
    assert str(await layers.failure(call_of())) == "503"
    assert layers.attempts == [("p/a", 1, "ServerFailed")]


async def test_without_a_word_from_the_provider_the_waits_are_short_and_bounded() -> None:
    began = anyio.current_time()
    layers = Layers(ScriptedModel({"a": RateLimited("429")}), shared=Shared(Limits(attempts=20)))
    await layers.failure(call_of())
    assert anyio.current_time() - began < 19 * 20 + 1


async def test_a_route_that_fails_is_followed_by_the_next_and_noted() -> None:
    replies: dict[str, Scripted] = {"p/a": AuthFailed("the key is refused"), "q/a": ServerFailed("500"), "r/a": "there"}
    layers = Layers(ScriptedModel(otherwise=lambda call: replies[_served(call)]), at(*replies))
    assert await layers.ask(call_of()) == Completion(
        "there",
        "r/a",
        notes=(
            "p/a failed, so the next route was used: the key is refused",
            "q/a failed, so the next route was used: 500",
        ),
    )
    assert layers.attempts == [
        ("p/a", 1, "AuthFailed"),
        ("q/a", 2, "ServerFailed"),
        ("q/a", 3, "ServerFailed"),
        ("q/a", 4, "ServerFailed"),
        ("r/a", 5, "answered"),
    ]


def _served(call: Call) -> str:
    assert call.target
    return call.target.model


async def test_an_answer_from_the_first_route_asks_no_other_and_has_no_notes() -> None:
    layers = Layers(ScriptedModel(), at("p/a", "q/a"))
    assert await layers.ask(call_of()) == Completion("a at 1.1", "p/a")
    assert layers.attempts == [("p/a", 1, "answered")]


@pytest.mark.parametrize(
    "error",
    [RequestRefused("400"), ContextTooLong("too long"), AnswerRefused("filtered"), AnswerEmpty("", at_limit=False)],
    ids=lambda error: error.kind,
)
async def test_what_no_other_route_would_do_better_is_not_sent_there(error: CallError) -> None:
    layers = Layers(ScriptedModel({"a": error}), at("p/a", "q/a"))
    assert await layers.failure(call_of()) is error
    assert layers.attempts == [("p/a", 1, error.kind)]


async def test_if_all_routes_fail_the_error_is_that_of_the_last() -> None:
    layers = Layers(ScriptedModel(otherwise=lambda call: AuthFailed(_served(call))), at("p/a", "q/a"))
    assert str(await layers.failure(call_of())) == "q/a"


async def test_a_model_without_a_route_fails_before_anything_is_sent() -> None:
    async def nowhere(alias: str) -> tuple[Target, ...]:
        raise MissingKey(f"no route for {alias}")

    layers = Layers(ScriptedModel(), nowhere)
    assert str(await layers.failure(call_of("x"))) == "no route for x"
    assert layers.attempts == []


async def _hang(_: Call) -> str:
    await anyio.sleep_forever()
    raise NotImplementedError


async def test_an_attempt_that_takes_too_long_is_ended_told_as_such_and_tried_again() -> None:
    layers = Layers(ScriptedModel({"a": [_hang, "there"]}))
    assert await layers.ask(call_of(timeout_s=30)) == Completion("there", "p/a")
    assert layers.attempts == [("p/a", 1, "TimedOut"), ("p/a", 2, "answered")]
    failed = next(event for event in layers.events if isinstance(event, AttemptFailed))
    assert (failed.failure.message, failed.failure.paid) == ("p/a did not answer within 30 s", None)


async def test_without_a_timeout_an_attempt_may_take_all_day() -> None:
    async def slow(_: Call) -> str:
        await anyio.sleep(86_400)
        return "there"

    assert await Layers(ScriptedModel({"a": slow})).ask(call_of()) == Completion("there", "p/a")


async def test_a_cancelled_attempt_is_told_as_stopped() -> None:
    layers = Layers(ScriptedModel({"a": _hang}))
    with anyio.move_on_after(1):
        await layers.ask(call_of(timeout_s=30))
    assert layers.attempts == [("p/a", 1, STOPPED.kind)]


async def test_the_wait_before_a_retry_can_be_cancelled() -> None:
    layers = Layers(ScriptedModel({"a": RateLimited("429", retry_after_s=50)}))
    with anyio.move_on_after(1) as scope:
        await layers.ask(call_of())
    assert scope.cancelled_caught
    assert layers.attempts == [("p/a", 1, "RateLimited")]


async def test_attempts_of_different_calls_are_counted_apart() -> None:
    layers = Layers(ScriptedModel({"a": [ServerFailed("500"), "there"], "b": "here"}))
    await layers.ask(call_of())
    await layers.ask(call_of("b", number=2))
    assert layers.attempts == [("p/a", 1, "ServerFailed"), ("p/a", 2, "answered"), ("p/a", 1, "answered")]


def streaming(*pauses_s: float) -> ScriptedModel:
    """Return a model that says a word after each pause."""

    async def reply(call: Call) -> Scripted:
        for pause_s in pauses_s:
            await anyio.sleep(pause_s)
            if call.on_text is not None:
                call.on_text("word ")
        return "there"

    return ScriptedModel(otherwise=reply)


def heard(text: str) -> None:
    assert text


async def test_a_text_that_is_arriving_may_take_longer_than_the_timeout() -> None:
    layers = Layers(streaming(29, 29, 29), shared=Shared(stall_s=30))
    watched = call_of(timeout_s=30)._replace(on_text=heard)
    assert (await layers.ask(watched)).text == "there"


async def test_a_text_that_stops_in_the_middle_is_given_up_after_the_stall_limit() -> None:
    layers = Layers(streaming(5, 11), shared=Shared(Limits(attempts=1), stall_s=10))
    failure = await layers.failure(call_of(timeout_s=30)._replace(on_text=heard))
    assert (failure.kind, failure.retryable, failure.paid) == ("TimedOut", True, None)
    assert str(failure) == "p/a stopped in the middle of its answer: no text for 10 s"


async def test_a_text_that_arrives_without_end_is_given_up_after_ten_times_the_timeout() -> None:
    layers = Layers(streaming(*[20] * 20), shared=Shared(Limits(attempts=1), stall_s=30))
    failure = await layers.failure(call_of(timeout_s=30)._replace(on_text=heard))
    assert (failure.kind, failure.paid) == ("TimedOut", None)
    assert str(failure) == "p/a did not finish within 300 s"


async def test_a_text_must_begin_within_the_timeout() -> None:
    layers = Layers(streaming(31), shared=Shared(Limits(attempts=1), stall_s=60))
    failure = await layers.failure(call_of(timeout_s=30)._replace(on_text=heard))
    assert str(failure) == "p/a did not answer within 30 s"


async def test_nobody_who_watches_means_the_timeout_holds_for_the_whole_answer() -> None:
    layers = Layers(streaming(20, 20), shared=Shared(Limits(attempts=1)))
    assert str(await layers.failure(call_of(timeout_s=30))) == "p/a did not answer within 30 s"
