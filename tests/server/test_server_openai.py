"""OpenAI's API over HTTP, as OpenAI's own client uses it."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

import httpx2
import openai
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from moa_mcp.callers import Permissions
from moa_mcp.config import load, shipped
from moa_mcp.errors import STOPPED
from moa_mcp.events import AttemptFailed, Event, RunResumed, TextReceived
from moa_mcp.runs.admission import RefusalReason
from moa_mcp.server.openai.layer import configured
from moa_mcp.server.openai.outcomes import _FAULTS
from moa_mcp.server.openai.parameters import UNSUPPORTED, Parameters
from moa_mcp.server.openai.streamed import StreamedText
from moa_mcp.values import FailureReason, Place
from tests.project.structure import ROOT
from tests.support.database import Cluster
from tests.support.model_server import Hang, Held, ModelServer, Reply, Status
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE, OFFLINE, ServerProcess
from tests.support.team import Team, send
from tests.support.worker_machine import WorkerMachine

USER = {"role": "user", "content": "Why?"}
TEXT = {"type": "text", "text": "How many?"}
CONFIG = """
limits.attempts = 2
[models]
a.routes = [{ model = "openai/a", api_base = "URL", usd_per_million = { prompt = 1, completion = 1000 } }]
b.routes = [{ model = "openai/b", api_base = "URL", usd_per_million = { prompt = 1, completion = 1000 } }]
judge.routes = [{ model = "openai/judge", api_base = "URL", usd_per_million = { prompt = 1, completion = 1000 } }]
[pipelines.two]
description = "Two propose, one aggregates."
steps = [{ step = "propose", agents = ["a", "b"] }, { step = "aggregate", agent = "judge", max_tokens = 900 }]
[pipelines.chosen]
steps = [{ step = "propose", agents = ["a", "b"] }, { step = "vote", agent = "judge" }]
[pipelines.dear]
confirm_above_usd = 0.5
steps = [{ step = "propose", agents = ["a"] }]
[pipelines.thinks]
steps = [{ step = "propose", agents = ["a"], thinking_tokens = 500 }]
[models.keyless]
routes = ["openai/keyless"]
[pipelines.unready]
steps = [{ step = "propose", agents = ["keyless"] }]
"""


IMAGE = "messages.0.content.0.image_url.url"
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
WORDS = (
    *("role", "user", "assistant", "content", "type", "text", "vote", "max_cost_usd", "include_usage", "image_url"),
    *("json_schema", "json_object", "schema"),
)


class City(pydantic.BaseModel):
    """An answer as a program reads it."""

    name: str
    people: int | None = None


def form(schema: object, **more: object) -> dict[str, Any]:
    """Return the parameter that asks for an answer by a schema."""
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, **more}}}


class Served(NamedTuple):
    """A server, its client, and the models."""

    server: ServerProcess
    client: openai.OpenAI
    models: ModelServer
    journal: Path


def api_of(server: ServerProcess) -> str:
    return server.url.removesuffix("/mcp").removesuffix("/sse") + "/v1"


def client_of(server: ServerProcess, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=api_of(server), api_key=key, max_retries=0, timeout=20)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openai") / "journal.sqlite"


@pytest.fixture(scope="module")
def house(nursery: Nursery, serving: ModelServer, journal: Path) -> Iterator[Served]:
    with started(nursery, serving, journal) as house:
        yield house


@contextmanager
def started(nursery: Nursery, models: ModelServer, journal: Path, *options: str, prelude: str = "") -> Iterator[Served]:
    path = journal.with_name("pipelines.toml")
    path.write_text(CONFIG.replace("URL", models.url), "utf-8")
    start = ("--http", "--port", "0", "--config", str(path), "--journal", str(journal), *options)
    with ServerProcess(*start, nursery=nursery, prelude=prelude) as server, client_of(server) as client:
        yield Served(server, client, models, journal)


@pytest.fixture
def served(house: Served) -> Served:
    """The same server for all tests of this module, with models that answer as usual."""
    house.models.clear()
    for name in ("a", "b", "judge"):
        house.models.script(name)
    house.models.script("judge", Reply("It is so."))
    return house


def ask(served: Served, model: str = "two", **more: Any) -> Any:
    given = {"messages": [USER], **more}
    return served.client.chat.completions.create(model=model, **given)


def sent(served: Served, model: str) -> list[dict[str, Any]]:
    """Return the requests that a model got."""
    return [each.body for each in served.models.requests if each.model == model]


def status_of(journal: Path, run_id: str) -> str:
    with closing(sqlite3.connect(journal)) as db:
        return str(db.execute("SELECT status FROM runs WHERE run_id = ?", (run_id,)).fetchone()[0])


def test_the_pipelines_are_the_models(served: Served) -> None:
    assert [each.id for each in served.client.models.list()] == ["two", "chosen", "dear", "thinks", "unready"]
    found = cast("Any", served.client.models.retrieve("moa/two"))
    assert (found.id, found.moa) == ("two", {"description": "Two propose, one aggregates.", "calls": 3})
    with pytest.raises(openai.NotFoundError, match="did you mean two"):
        served.client.models.retrieve("twoo")


def test_an_answer_has_the_usage_of_the_whole_run_its_cost_and_its_id(served: Served) -> None:
    raw = served.client.chat.completions.with_raw_response.create(model="two", messages=cast("Any", [USER]))
    answer = cast("Any", raw.parse())
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("It is so.", "stop")
    layers = answer.moa["layers"]
    assert [layer["kind"] for layer in layers] == ["propose", "aggregate"]
    assert answer.usage.prompt_tokens == sum(layer["prompt_tokens"] for layer in layers)
    assert answer.usage.completion_tokens == sum(layer["completion_tokens"] for layer in layers)
    assert answer.moa["run_id"] == raw.headers["x-moa-run-id"] == answer.id.removeprefix("chatcmpl-")
    assert answer.moa["cost_usd"] == float(raw.headers["x-moa-cost-usd"]) > 0
    assert status_of(served.journal, answer.moa["run_id"]) == "complete"


def test_the_program_of_the_documentation_prints_an_answer_its_cost_and_its_run(
    guarded: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    block = (
        (ROOT / "docs" / "openai.md")
        .read_text("utf-8")
        .partition('```python title="client.py"\n')[2]
        .partition("```")[0]
    )
    own = f'base_url="{api_of(guarded)}", api_key="{TOKEN}"'
    program = re.sub(r'base_url=.*"none"', own, block)
    names: dict[str, Any] = {}
    exec(program, names)
    names["client"].close()
    assert names["answer"].moa["run_id"] in capsys.readouterr().out


def test_system_messages_and_earlier_turns_reach_every_model(served: Served) -> None:
    parts = [{"type": "text", "text": "And"}, {"type": "text", "text": "now?"}]
    earlier = [USER, {"role": "assistant", "content": "Because."}]
    system = [{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Be kind."}]
    ask(served, messages=[*system, *earlier, {"role": "user", "content": parts}])
    for body in sent(served, "a"):
        assert body["messages"] == [
            {"role": "system", "content": "Be brief.\n\nBe kind."},
            *earlier,
            {"role": "user", "content": "And\nnow?"},
        ]
    (last,) = sent(served, "judge")
    assert last["messages"][0]["content"].startswith("Be brief.\n\nBe kind.")
    assert last["messages"][1:] == [*earlier, {"role": "user", "content": "And\nnow?"}]


def test_images_of_the_question_and_of_earlier_turns_reach_the_models(served: Served) -> None:
    def message(text: str) -> dict[str, Any]:
        image = {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}
        return {"role": "user", "content": [{"type": "text", "text": text}, image]}

    earlier = [message("What is this?"), {"role": "assistant", "content": "A dot."}]
    ask(served, messages=[*earlier, message("And this?")])
    for model in ("a", "b", "judge"):
        (body,) = sent(served, model)
        contents = [each["content"] for each in body["messages"] if each["role"] == "user"]
        assert [[part["type"] for part in content] for content in contents] == [["image_url", "text"]] * 2
        assert {content[0]["image_url"]["url"] for content in contents} == {PNG}


def test_parameters_reach_the_layer_that_writes_the_answer_and_no_other(served: Served) -> None:
    ask(served, max_tokens=50, temperature=0.3, stop="END", top_p=0.9, seed=7)
    (last,) = sent(served, "judge")
    first = [*sent(served, "a"), *sent(served, "b")]
    assert (last["temperature"], last["top_p"], last["stop"]) == (0.3, 0.9, ["END"])
    assert 50 in {last.get("max_tokens"), last.get("max_completion_tokens")}
    assert all("stop" not in each and "top_p" not in each for each in first)
    served.models.clear()
    ask(served, max_completion_tokens=5000)  # more than the configuration allows
    (last,) = sent(served, "judge")
    assert 900 in {last.get("max_tokens"), last.get("max_completion_tokens")}


def test_parameters_that_only_say_who_asks_change_nothing(served: Served) -> None:
    served.models.script("judge", Reply("1"))
    usual = {"temperature": 1, "top_p": 1, "n": 1, "tool_choice": "none", "response_format": {"type": "text"}}
    assert ask(served, "chosen", user="me", store=True, metadata={"a": "b"}, **usual).choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
def test_a_streamed_layer_is_not_hedged_since_a_second_request_would_replace_its_text(stream: bool) -> None:
    config = load(shipped())
    pipeline = config.pipelines["self_moa"]
    asked = configured(pipeline, Parameters(model="self_moa", messages=["Why?"], stream=stream), config)
    hedged = [dict(step)["hedge"] for step in pipeline.steps]
    assert hedged[-1]
    assert [dict(step)["hedge"] for step in asked.steps] == ([*hedged[:-1], False] if stream else hedged)


def test_an_answer_in_json_is_an_object_of_the_program(served: Served) -> None:
    served.models.script("judge", Reply("Bonn."), Reply('Here: {"name": "Bonn", "people": null}'))
    parse = cast("Any", served.client.chat.completions.parse)
    answer = parse(model="two", messages=[USER], response_format=City)
    assert answer.choices[0].message.parsed == City(name="Bonn")
    assert (answer.moa["status"], answer.moa["answer_json"]) == ("complete", {"name": "Bonn", "people": None})
    assert ["people" in json.dumps(each["messages"]) for each in (sent(served, "a")[0], sent(served, "judge")[0])] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("given", "reply"),
    [
        ({"response_format": {"type": "json_object"}}, '{"any": [1]}'),
        (form({"type": "array"}, strict=False, description="Numbers of boxes"), "[1, 2]"),
        (form({"type": "integer"}, strict=None, name=None), "123456789012345678901234567890"),
        (form({"$ref": "#/$defs/n", "$defs": {"n": {"enum": [None, "ü"]}}}), '"ü"'),
    ],
)
def test_each_form_of_json_is_streamed_as_a_whole_once_it_is_valid(
    served: Served, given: dict[str, Any], reply: str
) -> None:
    served.models.script("judge", Reply("No {json}."), Reply(f"```json\n{reply}\n```"))
    chunks = list(ask(served, stream=True, **given))
    assert [each.choices[0].delta.content for each in chunks] == ["", reply, None]
    assert chunks[-1].moa["answer_json"] == json.loads(reply)
    about = given["response_format"].get("json_schema", {}).get("description", "")
    assert about in sent(served, "judge")[0]["messages"][0]["content"]


def test_an_answer_in_text_has_no_schema(served: Served) -> None:
    answer = ask(served, response_format={"type": "text"})
    assert (answer.choices[0].message.content, answer.moa["answer_json"]) == ("It is so.", None)


@pytest.mark.parametrize("stream", [False, True])
def test_without_valid_json_the_last_reply_comes_as_text_and_the_run_is_degraded(served: Served, stream: bool) -> None:
    answer = ask(served, stream=stream, **form({"type": "integer"}))
    if stream:
        *_, text, last = answer
        assert text.choices[0].delta.content == "It is so."
        about = last.moa
    else:
        assert answer.choices[0].message.content == "It is so."
        about = answer.moa
    assert (about["status"], about["answer_json"]) == ("degraded", None)
    assert any("the answer is not JSON that the answer schema accepts" in note for note in about["notes"])


def test_an_answer_at_its_token_limit_says_so(served: Served) -> None:
    served.models.script("judge", Reply("It is", finish_reason="length"))
    answer = ask(served)
    assert (answer.choices[0].finish_reason, answer.moa["status"]) == ("length", "degraded")


def test_a_stream_has_the_text_as_it_arrives_then_the_run_and_the_usage(served: Served) -> None:
    served.models.script("judge", Reply("It is so.", chunk_delay_s=0.2))
    chunks: list[Any] = [*ask(served, stream=True, stream_options={"include_usage": True})]
    first, *middle, last, usage = chunks
    assert first.choices[0].delta.role == "assistant"
    pieces = [each.choices[0].delta.content for each in middle]
    assert ("".join(pieces), len(pieces) > 1) == ("It is so.", True)
    assert (last.choices[0].finish_reason, last.moa["status"]) == ("stop", "complete")
    assert (usage.choices, usage.usage.total_tokens > 0) == ([], True)
    assert {each.id for each in chunks} == {f"chatcmpl-{last.moa['run_id']}"}


def test_an_answer_that_a_judge_chooses_is_streamed_as_a_whole(served: Served) -> None:
    served.models.script("judge", Reply("1"))
    pieces = [each.choices[0].delta.content for each in ask(served, "chosen", stream=True)]
    assert len([each for each in pieces if each]) == 1


def test_progress_is_streamed_in_comments_that_clients_skip(served: Served) -> None:
    body = {"model": "two", "messages": [USER], "stream": True}
    url = f"{served.client.base_url}chat/completions"
    lines = httpx2.post(url, json=body, timeout=20).text.splitlines()
    assert ": step 1 of 2 (propose): 0 of 2 calls answered" in lines
    assert lines[-2] == "data: [DONE]"
    assert all(line.startswith((": ", "data: ")) for line in lines if line)


def test_a_stream_that_goes_on_after_a_retry_has_the_text_once(served: Served) -> None:
    served.models.script("judge", Reply("It is so.", breaks_off=True, chunk_delay_s=0.2), Reply("It is so."))
    pieces = [each.choices[0].delta.content or "" for each in ask(served, stream=True)]
    assert "".join(pieces) == "It is so."
    assert len(sent(served, "judge")) == 2


def test_a_stream_whose_text_was_replaced_ends_with_an_error_that_has_the_answer(served: Served) -> None:
    served.models.script("judge", Reply("It is so.", breaks_off=True, chunk_delay_s=0.2), Reply("Not at all."))
    pieces: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        pieces.extend(each.choices[0].delta.content or "" for each in ask(served, stream=True))
    assert caught.value.code == "answer_replaced"
    assert "Not" not in "".join(pieces)


@pytest.mark.parametrize("stream", [False, True])
def test_models_that_fail_are_an_error_with_the_run_and_without_a_retry(served: Served, stream: bool) -> None:
    served.models.script("judge", Status(400, "No."))
    with pytest.raises(openai.APIError, match=r"two failed: step 2 \(aggregate\)") as caught:
        [*ask(served, stream=stream)]
    assert caught.value.code == "models_failed"
    if isinstance(caught.value, openai.APIStatusError):  # the head of a stream was sent before
        response = caught.value.response
        assert (response.status_code, response.headers["x-should-retry"]) == (502, "false")
        assert status_of(served.journal, response.headers["x-moa-run-id"]) == "failed"


@pytest.mark.parametrize(
    ("given", "param", "part"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "tools is not supported"),
        ({"n": 2}, "n", "send a request for each"),
        ({"logprobs": True}, "logprobs", "logprobs is not supported"),
        ({"response_format": {"type": "json"}}, "response_format", "response_format.type should be 'text'"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "should have json_schema"),
        (form({"type": 3}), "response_format", "response_format.json_schema.schema is invalid at #/type: 3 is not"),
        (form({"$ref": "https://a.b/c"}), "response_format", "schema is invalid at #: $ref leads out of the schema"),
        (form("word"), "response_format", "schema is not JSON"),
        (form({}, strickt=True), "response_format", "unknown parameter 'strickt', did you mean strict?"),
        (form({}, description="x" * 20_000), "response_format", "has 20,019 characters; use at most 20,000"),
        ({"temperature": 3}, "temperature", "temperature should be less than or equal to 2"),
        ({"model": "chosen", "temperature": 0.5}, "temperature", "temperature is not supported by chosen"),
        ({"reasoning_effort": "hihg"}, "reasoning_effort", "did you mean 'high'"),
        ({"model": "thinks", "max_tokens": 400}, "max_tokens", "500 should be less than max_tokens = 400"),
        ({"stop": 7}, "stop", "stop should be a valid tuple"),
        ({"seed": -1}, "seed", "seed should be"),
        (
            {"stream_options": {"usage": True}},
            "stream_options.usage",
            "unknown parameter 'usage' (available: include_usage, ",
        ),
        ({"extra_body": {"max_token": 5}}, "max_token", "did you mean max_tokens?"),
        ({"extra_body": {"moa": {"max_cost": 1}}}, "moa.max_cost", "did you mean max_cost_usd?"),
        ({"extra_body": {"moa": {"models": "nosuch"}}}, "moa", "'nosuch' is not a model or panel"),
        ({"messages": []}, "messages", "messages: List should have at least 1 item"),
        ({"messages": ["Why?"]}, "messages.0", "a message should be an object"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages.0.content", "is blank"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content", "a text or a list of parts"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, "messages.0.content.0", "a part should be an object"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, IMAGE, "image_url should be an object"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x.png"}}]}]},
            IMAGE,
            "the image should be a data URI",
        ),
        (
            {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}, USER]},
            "messages.0.content",
            "only messages of the user can have images",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}] * 11}, USER]},
            "messages",
            "there are 11 images",
        ),
        ({"messages": [{"role": "boss", "content": "a"}]}, "messages.0.role", "(got 'boss')"),
        ({"messages": [USER, {"role": "assistant", "content": "a"}]}, "messages", "should be from the user"),
        ({"messages": [{"role": "tool", "content": "a"}, USER]}, "messages.0.role", "the role tool is not supported"),
        (
            {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, USER]},
            "messages.0.tool_calls",
            "tool_calls is not supported",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
            "messages.0.content.0.type",
            "parts of type 'input_audio' are not supported",
        ),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_what_is_not_supported_is_refused_by_name(served: Served, given: dict[str, Any], param: str, part: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(served, **given)
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")
    assert part in caught.value.message
    assert served.models.requests == ()


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, b'{"model": "two"}', b"\xff", b"{}"])
def test_a_body_that_says_nothing_is_refused(served: Served, body: bytes) -> None:
    answer = httpx2.post(f"{served.client.base_url}chat/completions", content=body, timeout=20)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800") | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(body=st.dictionaries(st.sampled_from([*Parameters.model_fields, *UNSUPPORTED, "\ud800", "x"]), JSON))
def test_no_request_is_an_internal_error(guarded: ServerProcess, body: dict[str, Any]) -> None:
    whole = {"model": "vote", "messages": [USER], **body}
    url = f"{api_of(guarded)}/chat/completions"
    answer = httpx2.post(url, content=json.dumps(whole), headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
    assert answer.status_code in {200, 400, 402, 404, 504}
    if answer.status_code != 200:
        assert answer.json()["error"].keys() == {"message", "type", "param", "code"}


def test_a_compressed_body_is_refused_with_what_to_do(served: Served) -> None:
    url = f"{served.client.base_url}chat/completions"
    answer = httpx2.post(url, content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}, timeout=20)
    assert answer.status_code == 415
    assert answer.json()["error"]["message"] == "the body has the encoding 'gzip'; send it without"


def test_a_place_of_an_error_is_short_and_no_key_is_repeated(served: Served) -> None:
    nested = json.loads("[" * 500 + "]" * 500)
    with pytest.raises(openai.BadRequestError, match="messages is nested too deeply"):
        ask(served, messages=[{"role": "user", "content": nested}])
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"
    with pytest.raises(openai.BadRequestError, match=r"at #/properties/\[key\]/type: '\[key\]' is not valid") as caught:
        ask(served, **form({"properties": {key: {"type": key}}}))
    assert key not in caught.value.message


def test_a_body_that_is_too_large_is_refused(served: Served) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(served, messages=[{"role": "user", "content": "a" * 2**22}])
    assert caught.value.status_code == 413


def test_another_path_of_the_api_is_refused_with_those_that_there_are(served: Served) -> None:
    with pytest.raises(openai.NotFoundError, match="there is no POST /v1/embeddings; this server answers"):
        served.client.embeddings.create(model="two", input="a")


def test_a_model_that_does_not_exist_is_refused_with_the_nearest(served: Served) -> None:
    with pytest.raises(openai.NotFoundError, match=r"did you mean two\?") as caught:
        ask(served, "twoo")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_run_that_needs_a_confirmation_is_refused_until_its_budget_confirms_it(served: Served) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(served, "dear", max_tokens=4000)
    assert (caught.value.status_code, caught.value.code) == (402, "confirmation_required")
    body = cast("dict[str, Any]", caught.value.body)
    least = body["message"].partition('"max_cost_usd": ')[2].partition("}")[0]
    assert served.models.requests == ()
    ask(served, "dear", max_tokens=4000, extra_body={"moa": {"max_cost_usd": float(least)}})


def test_a_budget_that_is_too_low_is_an_error_that_no_client_repeats(served: Served) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        ask(served, extra_body={"moa": {"max_cost_usd": 0.0001}})
    assert (caught.value.status_code, caught.value.code) == (402, "budget_exceeded")


def test_a_deadline_ends_a_run(served: Served) -> None:
    for name in ("a", "b"):
        served.models.script(name, Hang())
    with pytest.raises(openai.APIStatusError) as caught:
        ask(served, extra_body={"moa": {"deadline_s": 0.5}})
    assert (caught.value.status_code, caught.value.code) == (504, "deadline_exceeded")


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_cancels_its_run(served: Served, stream: bool) -> None:
    served.models.script("judge", Hang())
    body = {"model": "two", "messages": [USER], "stream": stream}
    with httpx2.Client(timeout=20) as client:
        url = f"{served.client.base_url}chat/completions"
        if stream:
            with client.stream("POST", url, json=body) as answer:
                served.models.wait_for(lambda seen: any(each.model == "judge" for each in seen))
                run_id = answer.headers["x-moa-run-id"]
        else:
            with pytest.raises(httpx2.ReadTimeout):
                client.post(url, json=body, timeout=2)
            run_id = newest(served.journal)
    served.models.wait_for(lambda seen: any(each.model == "judge" and each.disconnected for each in seen))
    Team.wait_until(lambda: status_of(served.journal, run_id) == "cancelled")


def test_a_run_that_another_client_cancels_is_an_error_that_says_so(served: Served) -> None:
    served.models.script("judge", Hang())
    chunks = ask(served, stream=True)
    run_id = next(chunks).id.removeprefix("chatcmpl-")
    send(served.server.url, {}, "tools/call", name="moa_cancel", arguments={"run_id": run_id})
    with pytest.raises(openai.APIError, match="was cancelled") as caught:
        next(chunks)
    assert caught.value.code == "cancelled"


def test_a_stream_is_kept_alive_while_the_models_say_nothing(nursery: Nursery, tmp_path: Path) -> None:
    quick = "from moa_mcp.server.openai import stream; stream.BEAT_S = 0.05"
    with (
        ModelServer() as models,
        started(nursery, models, tmp_path / "journal.sqlite", prelude=quick) as served,
        httpx2.Client(timeout=20) as client,
    ):
        models.script("judge", Held())
        body = {"model": "two", "messages": [USER], "stream": True}
        beats = 0
        with client.stream("POST", f"{api_of(served.server)}/chat/completions", json=body) as answer:
            for line in answer.iter_lines():
                beats += line == ": step 2 of 2 (aggregate): 0 of 1 calls answered"
                if beats == 3:
                    models.release()
        assert (line, beats >= 3) == ("", True)


def test_requests_count_towards_the_maximum_of_the_server(nursery: Nursery, tmp_path: Path) -> None:
    with ModelServer() as models, started(nursery, models, tmp_path / "j.sqlite", "--max-requests", "1") as served:
        models.script("judge", Held())
        first = ask(served, stream=True)
        with pytest.raises(openai.InternalServerError) as caught:
            ask(served)
        models.release()
        assert text_of(first)
        assert (caught.value.status_code, caught.value.code) == (503, "busy")
        assert "retry-after" in caught.value.response.headers


def test_a_pipeline_without_a_provider_is_an_error_that_says_what_it_needs(served: Served) -> None:
    with pytest.raises(openai.InternalServerError, match="OPENAI_API_KEY") as caught:
        ask(served, "unready")
    assert (caught.value.status_code, caught.value.code) == (503, "no_provider")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("from moa_mcp.errors import JournalError as E", 503, "journal_unavailable"),
        ("from moa_mcp.errors import RunNotFound as E", 500, "internal_error"),
        ("E = KeyError", 500, "internal_error"),
    ],
)
def test_a_fault_of_the_server_is_an_error_without_its_trace(
    nursery: Nursery, tmp_path: Path, fault: str, status: int, code: str
) -> None:
    broken = f"{fault}\nasync def fail(*_): raise E('secret')\nfrom moa_mcp.runs import Runs\nRuns.admit = fail"
    with ModelServer() as models, started(nursery, models, tmp_path / "journal.sqlite", prelude=broken) as served:
        with pytest.raises(openai.InternalServerError) as caught:
            ask(served)
        assert (caught.value.status_code, caught.value.code) == (status, code)
        if "KeyError" in fault:
            assert "secret" not in caught.value.message
            served.server.wait_for(lambda: "KeyError" in "".join(served.server.stderr))
            served.server.stderr.clear()


FAILED = AttemptFailed(place=Place(1, 1), attempt=1, failure=STOPPED, seconds=0)
CONTINUED = RunResumed(finished_steps=0)


def heard(*events: str | Event) -> StreamedText:
    """Return a stream that has sent all that it may."""
    text = StreamedText()
    for each in events:
        text.hear(TextReceived(place=Place(1, 1), text=each) if isinstance(each, str) else each)
        text.take()
    return text


@pytest.mark.parametrize(
    ("events", "answer", "rest"),
    [
        ((), "It is so.", "It is so."),
        (("It ", "is"), "It is so.", " so."),
        (("It is so.\n",), "It is so.", ""),
        (("\n",), "It is so.", "It is so."),
        (("It ", FAILED, "It ", "is"), "It is so.", " so."),
        (("It ", CONTINUED, "It ", "is"), "It is so.", " so."),
        (("It ", FAILED, "Not"), "Not at all.", None),
        (("It ", FAILED), "Not at all.", None),
    ],
)
def test_what_is_left_of_a_streamed_answer(events: tuple[str | Event, ...], answer: str, rest: str | None) -> None:
    assert heard(*events).rest(answer) == rest


def newest(journal: Path) -> str:
    with closing(sqlite3.connect(journal)) as db:
        return str(db.execute("SELECT run_id FROM runs ORDER BY created_at DESC LIMIT 1").fetchone()[0])


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_ends_lets_requests_end_and_refuses_new_ones(
    nursery: Nursery, tmp_path: Path, stream: bool
) -> None:
    with ModelServer() as models, started(nursery, models, tmp_path / "journal.sqlite", "--drain", "20") as served:
        models.script("judge", Held())
        answers: list[str] = []

        def wait() -> None:
            found = ask(served, stream=stream)
            answers.append(text_of(found) if stream else found.choices[0].message.content)

        waiting = threading.Thread(target=wait)
        waiting.start()
        models.wait_for(lambda seen: any(each.model == "judge" for each in seen))
        served.server.signal(signal.SIGTERM)
        refused = refusal(served)
        assert (refused.status_code, refused.code) == (503, "draining")
        assert "retry-after" in refused.response.headers
        models.release()
        waiting.join(20)
        assert len(answers) == 1
        assert answers[0]


def refusal(served: Served) -> openai.APIStatusError:
    """Ask until a request is refused."""
    while True:
        try:
            ask(served, "dear", max_tokens=10)
        except openai.APIStatusError as error:
            return error


def test_every_reason_of_a_refused_or_failed_run_has_a_status() -> None:
    assert {*_FAULTS} | {"draining"} == {*get_args(FailureReason), *get_args(RefusalReason)}


def said(client: openai.OpenAI, model: str) -> Any:
    return client.chat.completions.create(model=model, messages=cast("Any", [USER]))


def text_of(chunks: Iterator[ChatCompletionChunk]) -> str:
    return "".join(each.choices[0].delta.content or "" for each in chunks)


def test_a_run_that_stops_with_its_server_is_an_error_that_says_how_to_continue_it(
    nursery: Nursery, tmp_path: Path
) -> None:
    with ModelServer() as models, started(nursery, models, tmp_path / "journal.sqlite", "--drain", "0") as served:
        models.script("judge", Hang())
        errors: list[openai.APIStatusError] = []

        def wait() -> None:
            try:
                ask(served)
            except openai.APIStatusError as error:
                errors.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        models.wait_for(lambda seen: any(each.model == "judge" for each in seen))
        served.server.signal(signal.SIGTERM)
        waiting.join(20)
        (error,) = errors
        assert (error.status_code, error.code) == (503, "interrupted")
        assert status_of(served.journal, error.response.headers["x-moa-run-id"]) == "running"


TOKEN = "the team's token"


@pytest.fixture(scope="module", params=["--http", "--sse"])
def guarded(request: pytest.FixtureRequest, nursery: Nursery) -> Iterator[ServerProcess]:
    start = (request.param, "--port", "0", "--token-env", "TEAM", *OFFLINE)
    with ServerProcess(*start, nursery=nursery, prelude=AT_ONCE, TEAM=TOKEN) as server:
        yield server


def test_the_api_needs_the_token_of_the_server(guarded: ServerProcess) -> None:
    with client_of(guarded, TOKEN) as client:
        assert len(client.models.list().data) == len(load(shipped()).pipelines)
    with client_of(guarded, "another") as client, pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()
    assert (caught.value.type, caught.value.code) == ("authentication_error", "unauthorized")


@pytest.mark.parametrize(
    ("headers", "status"), [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403)]
)
def test_a_web_page_can_not_reach_the_api_of_a_server_on_this_machine(
    served: Served, headers: dict[str, str], status: int
) -> None:
    answer = httpx2.get(f"{served.client.base_url}models", headers=headers, timeout=10)
    assert answer.status_code == status
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}


def test_every_shipped_pipeline_answers_and_streams_with_parameters_for_its_answer(guarded: ServerProcess) -> None:
    with client_of(guarded, TOKEN) as client:
        for name in load(shipped()).pipelines:
            asked = {"model": name, "messages": cast("Any", [USER]), "max_tokens": 900, "stop": ["END"]}
            answer = client.chat.completions.create(**asked)
            assert answer.choices[0].message.content, name
            assert text_of(client.chat.completions.create(**asked, stream=True)), name


def test_a_server_without_the_api_does_not_answer_its_paths(nursery: Nursery) -> None:
    start = ("--http", "--port", "0", "--no-openai", *OFFLINE)
    with ServerProcess(*start, nursery=nursery) as server:
        answer = httpx2.get(server.url.replace("/mcp", "/v1/models"), timeout=10)
    assert (answer.status_code, answer.text) == (404, "Not Found")


def test_callers_have_their_own_runs_models_limits_and_audit(nursery: Nursery, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    callers = {
        "alice": Permissions(),
        "bob": Permissions(pipelines=("refine",)),
        "eve": Permissions(requests_per_minute=1),
    }
    team = Team(tmp_path, callers)
    options = ("--journal", str(tmp_path / "journal.sqlite"), "--audit", str(audit))
    with team.served(nursery, *options, prelude=AT_ONCE) as (server, url), ExitStack() as clients:
        alice, bob, eve = (clients.enter_context(client_of(server, team.tokens[name])) for name in callers)
        run_id = said(alice, "vote").moa["run_id"]
        assert [each.id for each in bob.models.list()] == ["refine"]
        with pytest.raises(openai.NotFoundError) as hidden:
            said(bob, "vote")
        with pytest.raises(openai.NotFoundError) as unknown:
            said(bob, "veto")
        assert hidden.value.message == unknown.value.message.replace("veto", "vote")
        assert team.call(url, "bob", "moa_trace", run_id=run_id)["isError"]
        assert not team.call(url, "alice", "moa_trace", run_id=run_id).get("isError")
        eve.models.list()
        with pytest.raises(openai.RateLimitError) as limited:
            eve.models.list()
        assert (limited.value.code, limited.value.response.headers["retry-after"]) == ("rate_limited", "60")
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    begun = next(line for line in lines if line.get("run_id") == run_id)
    assert (begun["audit"], begun["caller"], begun["method"], begun["tool"]) == (
        "start",
        "alice",
        "chat/completions",
        "vote",
    )


def test_a_caller_with_as_many_runs_as_it_may_have_is_refused(nursery: Nursery, tmp_path: Path) -> None:
    team = Team(tmp_path, {"alice": Permissions(max_runs=1)})
    slow = AT_ONCE.replace("0.0", "60.0")
    with team.served(nursery, "--journal", str(tmp_path / "journal.sqlite"), prelude=slow) as (server, url):
        run_id = team.call(url, "alice", "vote", question="Why?", wait_s=0)["structuredContent"]["run_id"]
        with (
            client_of(server, team.tokens["alice"]) as client,
            pytest.raises(openai.RateLimitError, match=run_id) as caught,
        ):
            said(client, "vote")
        assert caught.value.code == "too_many_runs"


def test_workers_execute_what_is_asked_through_the_api_and_a_client_that_goes_away_cancels_it_there(
    nursery: Nursery, tmp_path: Path, cluster: Cluster
) -> None:
    with ModelServer() as models:
        team = WorkerMachine(nursery, models, tmp_path, cluster.emptied())
        models.script("judge", Reply("It is so.", chunk_delay_s=0.1))
        (tmp_path / "pipelines.toml").write_text(CONFIG.replace("URL", models.url), "utf-8")
        with team.server("--http", "--port", "0") as server, team.worker(), client_of(server) as client:
            chunks: list[Any] = [
                *client.chat.completions.create(model="two", messages=cast("Any", [USER]), stream=True)
            ]
            assert text_of(iter(chunks)) == "It is so."
            assert len([each for each in chunks if each.choices[0].delta.content]) > 1
            models.script("judge", Reply("Seven."), Reply("It is 7."), Reply("7"))
            shown = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}, TEXT]}
            create = cast("Any", client.chat.completions.create)
            chunks = [*create(model="two", messages=[shown], stream=True, **form({"type": "integer"}))]
            assert (text_of(iter(chunks)), chunks[-1].moa["answer_json"]) == ("7", 7)
            assert all(PNG in json.dumps(each.body) for each in models.requests[-3:])
            models.script("judge", Hang())
            body = {"model": "two", "messages": [USER], "stream": True}
            with httpx2.stream("POST", f"{client.base_url}chat/completions", json=body, timeout=20):
                models.wait_for(lambda seen: seen[-1].model == "judge" and not seen[-1].finished, 20)
            models.wait_for(lambda seen: seen[-1].disconnected, 20)
