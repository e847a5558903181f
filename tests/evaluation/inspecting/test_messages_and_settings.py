"""Which messages and settings of Inspect a pipeline gets, and which it refuses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    Content,
    ContentAudio,
    ContentImage,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    ModelOutput,
    ResponseSchema,
)
from inspect_ai.tool import ToolCall, ToolInfo
from inspect_ai.util import JSONSchema

from moa_mcp.evaluation.inspecting import generation, hub
from moa_mcp.evaluation.inspecting.failures import NotSupported
from tests.support.inspecting import Bench, restored
from tests.support.model_server import Reply
from tests.support.pictures import png, uri

PNG_URI = uri(png())
_USER = ChatMessageUser(content="Why?")


def asked(
    bench: Bench, name: str, given: str | list[ChatMessage] = "Why?", tools: Sequence[Any] = (), **settings: Any
) -> ModelOutput:
    """Return the output of a model outside of an evaluation."""

    async def ask() -> ModelOutput:
        try:
            output: ModelOutput = await bench.model(name).generate(
                given, tools=list(tools), config=GenerateConfig(**settings)
            )
            return output
        finally:
            await hub.close()

    with restored():
        return asyncio.run(ask())


def body(bench: Bench, model: str) -> dict[str, Any]:
    return next(each.body for each in bench.models.requests if each.model == model)


def test_settings_of_sampling_go_to_the_step_that_writes_the_answer(bench: Bench) -> None:
    asked(bench, "mix", temperature=0.1, max_tokens=77, top_p=0.5, stop_seqs=["END"])

    small, large = body(bench, "small"), body(bench, "large")
    assert (large["temperature"], large["top_p"], large["stop"]) == (0.1, 0.5, ["END"])
    assert 77 in {large.get("max_tokens"), large.get("max_completion_tokens")}
    assert (small["temperature"], "top_p" in small, "stop" in small) == (0.7, False, False)


def test_a_setting_without_effect_is_told_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    async def ask_twice() -> None:
        model = bench.model("pair")
        for question in ("Why?", "How?"):
            await model.generate(question, config=GenerateConfig(top_k=5, temperature=0.3, num_choices=1))
        await model.api.aclose()

    with restored():
        asyncio.run(ask_twice())

    told = [each.getMessage() for each in caplog.records if each.getMessage().startswith("moa/pair")]
    assert told == [
        "moa/pair: top_k is not passed to the models of a pipeline",
        (
            "moa/pair: temperature changes nothing: step 1 of pair writes several answers, of which it returns one; "
            "set it in the configuration"
        ),
    ]


@pytest.mark.parametrize(
    "settings", [{"num_choices": 2}, {"logprobs": True}, {"top_logprobs": 3}, {"modalities": ["image"]}]
)
def test_a_setting_that_a_run_can_t_honour_is_refused(bench: Bench, settings: dict[str, Any]) -> None:
    with pytest.raises(NotSupported, match=f"the setting {next(iter(settings))} is not supported"):
        asked(bench, "mix", **settings)
    assert not bench.models.requests


def test_an_invalid_value_is_refused_with_its_name(bench: Bench) -> None:
    with pytest.raises(NotSupported, match=r"mix can't have this setting.*temperature"):
        asked(bench, "mix", temperature=5.0)


def test_every_setting_of_inspect_is_honoured_refused_or_known_to_have_no_effect() -> None:
    without_effect = {
        *("stream_idle_timeout", "best_of", "logit_bias", "top_k", "cache_prompt", "fallback_models", "verbosity"),
        *("effort", "reasoning_mode", "reasoning_summary", "extra_headers", "extra_body", "batch"),
    }
    known = {
        *generation.OF_STEP,
        *generation.OF_REQUEST,
        *generation.OF_RUN,
        *generation.OF_INSPECT,
        *generation.REFUSED,
        *without_effect,
    }
    assert known == set(GenerateConfig.model_fields)


def test_a_response_schema_is_the_schema_of_the_answer(bench: Bench) -> None:
    bench.models.script("large", Reply('{"n": 4}'))
    schema = JSONSchema(type="object", properties={"n": JSONSchema(type="integer")}, required=["n"])
    response = ResponseSchema(name="number", json_schema=schema, description="A number.")

    output = asked(bench, "mix", response_schema=response)

    assert output.completion == '{"n": 4}'
    assert "A number." in str(body(bench, "large")["messages"])


def test_a_seed_has_runs_of_its_own(bench: Bench) -> None:
    runs = [asked(bench, "one:small", seed=seed).metadata for seed in (1, 2, 1)]

    assert len({each["run_id"] for each in runs if each}) == 2
    assert bench.asked == {"small": 2}


def test_images_are_those_of_the_question_and_of_earlier_turns(bench: Bench) -> None:
    picture: list[Content] = [ContentText(text="What is it?"), ContentImage(image=PNG_URI)]
    turns: list[ChatMessage] = [ChatMessageUser(content=picture), ChatMessageAssistant(content="A dot.")]

    asked(bench, "one:small", [*turns, ChatMessageUser(content=picture)])
    asked(bench, "one:small", [ChatMessageUser(content="What is it?"), turns[1], ChatMessageUser(content=picture)])

    first, second = (each.body["messages"] for each in bench.models.requests)
    assert [PNG_URI in str(each["content"]) for each in first] == [True, False, True]
    assert [PNG_URI in str(each["content"]) for each in second] == [False, False, True]


def test_the_reasoning_of_earlier_answers_is_left_out_and_that_is_told(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    answer = ChatMessageAssistant(content=[ContentReasoning(reasoning="hm"), ContentText(text="2")])

    asked(bench, "one:small", [ChatMessageUser(content="1 + 1?"), answer, ChatMessageUser(content="Sure?")])

    assert [each["content"] for each in body(bench, "small")["messages"]] == ["1 + 1?", "2", "Sure?"]
    assert "moa/one:small: the reasoning of earlier answers is not passed on" in caplog.text


_CALL = ChatMessageAssistant(content="", tool_calls=[ToolCall(id="1", function="f", arguments={})])
_AUDIO = ContentAudio(audio="data:audio/wav;base64,UklGRg==", format="wav")


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([_USER, ChatMessageAssistant(content="Because")], "the last message should be from the user"),
        ([ChatMessageSystem(content="Be brief.")], "the last message should be from the user"),
        ([ChatMessageUser(content=" ")], "message 1, the question, has no text"),
        ([_USER, _CALL, ChatMessageTool(content="4", tool_call_id="1"), _USER], "message 2 calls a tool"),
        ([ChatMessageUser(content=[_AUDIO, ContentText(text="Why?")])], "a part of the kind audio"),
        ([ChatMessageUser(content=[ContentImage(image="data:image/png;base64,AAAA"), ContentText(text="?")])], "image"),
        ([_USER, ChatMessageAssistant(content=[ContentImage(image=PNG_URI)]), _USER], "of the assistant, has an image"),
    ],
)
def test_messages_that_models_do_not_get_are_refused(bench: Bench, messages: list[ChatMessage], why: str) -> None:
    with pytest.raises(NotSupported) as refused:
        asked(bench, "mix", messages)
    assert why in str(refused.value)
    assert not bench.models.requests


def test_tools_are_refused_with_their_names(bench: Bench) -> None:
    tool = ToolInfo(name="search", description="x")
    with pytest.raises(NotSupported, match="moa/mix calls no tools, and the task gives it search"):
        asked(bench, "mix", tools=[tool])
