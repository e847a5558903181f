"""What a model refuses is left out or renamed, and remembered; thinking that used up all room gets more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from moa_mcp.errors import AnswerEmpty, CallError, ParameterRefused
from moa_mcp.middleware import Shared, Usable
from moa_mcp.middleware.learned import FORGOTTEN_S
from moa_mcp.testing import Scripted, ScriptedModel
from moa_mcp.values import Call, Completion, Parameters, Target, token_limit
from tests.support.clocks import jumping
from tests.support.layers import Layers, at, call_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return jumping(request.param)


NO_TEMPERATURE = "p/a does not take temperature; left out"
RENAMED = "p/a does not take max_tokens; sent as max_completion_tokens"


def refusing(**instead: str | None) -> Callable[[Call], Scripted]:
    """Refuse these parameters, each with the name wanted in its place."""

    def reply(call: Call) -> Scripted:
        refused = next((name for name in instead if name in call.parameters), None)
        return ParameterRefused(f"no {refused}", parameter=refused, instead=instead[refused]) if refused else "there"

    return reply


def sent(model: ScriptedModel) -> list[Parameters]:
    return [call.parameters for call in model.calls]


async def test_a_refused_parameter_is_left_out_once_and_remembered_for_the_next_call() -> None:
    model = ScriptedModel({"a": refusing(temperature=None)})
    layers = Layers(model)
    noted = Completion("there", "p/a", notes=(NO_TEMPERATURE,))
    assert [await layers.ask(call_of(number=1)), await layers.ask(call_of(number=2))] == [noted, noted]
    assert sent(model) == [{"temperature": 0.7, "max_tokens": 100}, {"max_tokens": 100}, {"max_tokens": 100}]
    assert layers.attempts == [("p/a", 1, "ParameterRefused"), ("p/a", 2, "answered"), ("p/a", 1, "answered")]


async def test_a_parameter_that_is_wanted_under_another_name_is_sent_under_it() -> None:
    model = ScriptedModel({"a": refusing(max_tokens="max_completion_tokens")})
    layers = Layers(model)
    assert (await layers.ask(call_of())).notes == (RENAMED,)
    assert (await layers.ask(call_of(number=2))).notes == (RENAMED,)
    renamed = {"temperature": 0.7, "max_completion_tokens": 100}
    assert sent(model) == [{"temperature": 0.7, "max_tokens": 100}, renamed, renamed]


async def test_several_parameters_can_be_refused_one_after_the_other() -> None:
    model = ScriptedModel({"a": refusing(max_tokens="max_completion_tokens", temperature=None)})
    assert await Layers(model).ask(call_of()) == Completion("there", "p/a", notes=(NO_TEMPERATURE, RENAMED))
    assert sent(model)[-1] == {"max_completion_tokens": 100}


async def test_a_limit_whose_new_name_is_refused_too_is_neither_left_out_nor_exchanged_forever() -> None:
    model = ScriptedModel({"a": refusing(max_tokens="max_output_tokens", max_output_tokens="max_tokens")})
    with anyio.fail_after(5):
        error = await Layers(model).failure(call_of())
    assert isinstance(error, ParameterRefused)
    assert [set(parameters) for parameters in sent(model)] == [
        {"temperature", "max_tokens"},
        {"temperature", "max_output_tokens"},
    ]


async def test_a_parameter_that_is_wanted_under_the_name_it_has_is_left_out() -> None:
    model = ScriptedModel({"a": refusing(temperature="temperature")})
    with anyio.fail_after(5):
        assert (await Layers(model).ask(call_of())).notes == (NO_TEMPERATURE,)


async def test_a_refusal_of_something_that_was_not_sent_is_an_error() -> None:
    error = ParameterRefused("no top_k", parameter="top_k")
    layers = Layers(ScriptedModel({"a": error}))
    assert await layers.failure(call_of()) is error
    assert layers.attempts == [("p/a", 1, "ParameterRefused")]


async def test_calls_that_are_refused_at_the_same_time_learn_the_same_thing() -> None:
    model = ScriptedModel({"a": refusing(max_tokens="max_completion_tokens", temperature=None)})
    layers = Layers(model)
    answered = await anyio.amap(layers.ask, [call_of(number=number) for number in range(1, 7)])
    assert answered == [Completion("there", "p/a", notes=(NO_TEMPERATURE, RENAMED))] * 6
    assert sent(model)[-1] == {"max_completion_tokens": 100}


async def test_what_a_model_refuses_is_forgotten_after_an_hour() -> None:
    model = ScriptedModel({"a": refusing(temperature=None)})
    layers = Layers(model)
    await layers.ask(call_of(number=1))
    await anyio.sleep(FORGOTTEN_S + 1)
    await layers.ask(call_of(number=2))
    assert [parameters.get("temperature") for parameters in sent(model)] == [0.7, None, 0.7, None]


async def test_what_one_model_refuses_is_still_sent_to_another() -> None:
    shared = Shared()
    picky = Layers(ScriptedModel({"a": refusing(temperature=None)}), shared=shared)
    await picky.ask(call_of())
    model = ScriptedModel()
    await Layers(model, at("p/b"), shared).ask(call_of("b"))
    assert sent(model) == [{"temperature": 0.7, "max_tokens": 100}]


async def test_what_a_model_refuses_at_one_server_is_still_sent_to_another_server() -> None:
    def served(base: str) -> Usable:
        async def usable(_: str) -> tuple[Target, ...]:
            return (Target("openai/m", "openai", base),)

        return usable

    shared = Shared()
    picky = Layers(ScriptedModel({"a": refusing(temperature=None)}), served("http://one/v1"), shared)
    await picky.ask(call_of())
    model = ScriptedModel()
    await Layers(model, served("http://other/v1"), shared).ask(call_of())
    assert sent(model) == [{"temperature": 0.7, "max_tokens": 100}]


def needing(tokens: int, error: CallError) -> Callable[[Call], Scripted]:
    """Answer if the limit, under any name, is large enough."""

    def reply(call: Call) -> Scripted:
        return "there" if (token_limit(call.parameters) or 0) >= tokens else error

    return reply


EMPTY = AnswerEmpty("only thoughts", at_limit=True)


async def test_empty_text_at_the_limit_is_asked_for_once_more_with_four_times_the_room() -> None:
    model = ScriptedModel({"a": needing(400, EMPTY)})
    layers = Layers(model)
    noted = "no text within the token limit; retried with 400 tokens"
    assert await layers.ask(call_of()) == Completion("there", "p/a", notes=(noted,))
    assert sent(model) == [{"temperature": 0.7, "max_tokens": 100}, {"temperature": 0.7, "max_tokens": 400}]
    assert layers.attempts == [("p/a", 1, "AnswerEmpty"), ("p/a", 2, "answered")]


async def test_empty_text_with_more_room_is_an_error() -> None:
    model = ScriptedModel({"a": needing(401, EMPTY)})
    assert await Layers(model).failure(call_of()) is EMPTY
    assert [call.parameters["max_tokens"] for call in model.calls] == [100, 400]


@pytest.mark.parametrize(("limit", "larger"), [(4096, 16_384), (5000, 16_384), (16_000, 16_384)])
async def test_more_room_ends_at_sixteen_thousand_tokens(limit: int, larger: int) -> None:
    model = ScriptedModel({"a": needing(larger, EMPTY)})
    await Layers(model).ask(_limited(limit))
    assert [call.parameters["max_tokens"] for call in model.calls] == [limit, larger]


@pytest.mark.parametrize("limit", [16_384, 50_000])
async def test_a_limit_that_is_large_already_stays(limit: int) -> None:
    model = ScriptedModel({"a": EMPTY})
    assert await Layers(model).failure(_limited(limit)) is EMPTY
    assert len(model.calls) == 1


async def test_empty_text_without_any_limit_is_an_error() -> None:
    model = ScriptedModel({"a": EMPTY})
    assert await Layers(model).failure(_limited(None)) is EMPTY
    assert len(model.calls) == 1


def _limited(max_tokens: int | None) -> Call:
    call = call_of()
    parameters = {} if max_tokens is None else {"max_tokens": max_tokens}
    return Call(call.run_id, call.place, call.agent, call.messages, parameters, call.seed)


async def test_more_room_is_asked_for_under_the_name_that_the_model_takes() -> None:
    refused = refusing(max_tokens="max_completion_tokens")
    enough = needing(400, EMPTY)
    model = ScriptedModel({"a": lambda call: refused(call) if "max_tokens" in call.parameters else enough(call)})
    noted = "no text within the token limit; retried with 400 tokens"
    assert (await Layers(model).ask(call_of())).notes == (RENAMED, noted)
    assert sent(model)[-1] == {"temperature": 0.7, "max_completion_tokens": 400}
