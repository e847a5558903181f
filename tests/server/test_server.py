"""What a client sees of the tools, over every transport and in both protocol eras; the models are simulated."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from moa_mcp.config import load, shipped
from moa_mcp.server import output_schemas
from tests.support.serving import content, text

pytestmark = pytest.mark.anyio
pytest_plugins = ("tests.support.connections",)

QUESTION = {"question": "What is 17 * 23?"}
"""Asked with seeds for which the simulated models happen to be quick."""
PIPELINES = [each.name for each in load(shipped()).pipelines.values() if each.listed]
UNLISTED = [each.name for each in load(shipped()).pipelines.values() if not each.listed]
OWN = ["moa_wait", "moa_resume", "moa_fork", "moa_cancel", "moa_trace", "moa_estimate"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def test_both_eras_are_spoken_by_one_server(client: Client) -> None:
    assert client.protocol_version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[client.mode]
    assert client.server_info is not None
    assert client.server_info.name == "moa-mcp"
    assert "call moa_wait with its run_id" in (client.instructions or "")


async def test_the_tools_are_the_pipelines_in_their_order_and_the_servers_own(client: Client) -> None:
    tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == [*PIPELINES, *OWN]


async def test_a_pipeline_that_is_not_listed_can_be_called(client: Client) -> None:
    assert {"moa_lite", "moa_lite_paper"} < set(UNLISTED)
    answered = await client.call_tool("moa_lite", {"question": "What is 17 * 23?"})
    assert content(answered)["status"] == "complete"


async def test_every_pipeline_takes_a_question_and_what_belongs_to_it(client: Client) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    schema = {
        "type": "object",
        "properties": {
            "question": {"type": "string"},
            "context": {"type": "string"},
            "system": {"type": "string"},
            "seed": {"type": "integer"},
            "models": {"type": "string"},
            "aggregator": {"type": "string"},
            "wait_s": {"type": "number"},
            "deadline_s": {"type": "number"},
            "max_cost_usd": {"type": "number"},
            "continue_run": {"type": "string"},
            "images": {"type": "array", "items": {"type": "string"}},
            "answer_schema": {"type": "object"},
        },
        "required": ["question"],
        "additionalProperties": False,
    }
    assert [tools[name].input_schema for name in PIPELINES] == [schema] * len(PIPELINES)


async def test_the_tools_that_look_after_runs_take_a_run_id(client: Client) -> None:
    tools = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
    run_id = {"type": "string"}
    wait_s = {"type": "number", "description": "Seconds to wait."}
    page = {"type": "integer"}
    closed = {"type": "object", "required": ["run_id"], "additionalProperties": False}
    assert tools["moa_wait"] == {**closed, "properties": {"run_id": run_id, "wait_s": wait_s}}
    assert tools["moa_cancel"] == {**closed, "properties": {"run_id": run_id}}
    assert tools["moa_trace"] == {**closed, "properties": {"run_id": run_id, "page": page}}


async def test_all_tools_that_return_a_run_have_its_schema(client: Client) -> None:
    tools = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
    returning_runs = [*PIPELINES, "moa_wait", "moa_cancel"]
    assert [tools[name] for name in returning_runs] == [output_schemas.RUN] * len(returning_runs)


async def test_a_host_is_told_which_tools_cost_which_stop_and_which_only_look(client: Client) -> None:
    hints = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
    asks = types.ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=True)
    looks = types.ToolAnnotations(
        read_only_hint=True,
        destructive_hint=False,
        idempotent_hint=True,
        open_world_hint=False,
    )
    stops = types.ToolAnnotations(
        read_only_hint=False,
        destructive_hint=True,
        idempotent_hint=True,
        open_world_hint=False,
    )
    assert (hints["vote"], hints["moa_trace"], hints["moa_cancel"]) == (asks, looks, stops)
    only_look = [name for name, each in hints.items() if each is not None and each.read_only_hint]
    assert only_look == ["moa_trace", "moa_estimate"]


def keywords(schema: Any) -> set[str]:
    """Return every keyword of a JSON schema, and whatever else it uses as a name."""
    if isinstance(schema, dict):
        return set(schema).union(*map(keywords, schema.values()))
    return set[str]().union(*map(keywords, schema)) if isinstance(schema, list) else set()


REFUSED_BY_SOME_PROVIDER = {
    *(
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "$ref",
        "$defs",
        "$schema",
    ),
    *("const", "pattern", "patternProperties", "propertyNames", "format", "uniqueItems", "if", "title"),
}


async def test_every_host_can_hand_the_schemas_to_its_model(client: Client) -> None:
    for tool in (await client.list_tools()).tools:
        assert not keywords(tool.input_schema) & REFUSED_BY_SOME_PROVIDER
        assert not keywords(tool.output_schema) & {"exclusiveMinimum", "exclusiveMaximum", "$ref", "$defs"}
        assert {type(each["type"]) for each in tool.input_schema["properties"].values()} == {str}


async def test_clients_are_told_which_lists_may_change(client: Client, request: pytest.FixtureRequest) -> None:
    has_files = request.node.callspec.params["peer"] != "memory"
    capabilities = client.server_capabilities
    assert capabilities is not None
    assert capabilities.tools == types.ToolsCapability(list_changed=has_files)
    assert capabilities.prompts == types.PromptsCapability(list_changed=False)
    assert capabilities.resources is not None
    assert capabilities.resources.list_changed is (client.mode == "auto")


async def test_a_listing_that_is_asked_for_again_is_the_same(client: Client) -> None:
    first, again = await client.list_tools(), await client.list_tools()
    assert again.tools == first.tools
    assert (await client.list_prompts()).prompts == (await client.list_prompts()).prompts


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("vote", {}, "question is missing"),
        ("vote", {"question": " \n"}, "question is blank"),
        ("vote", {"question": 17}, "question must be a valid string"),
        ("vote", {**QUESTION, "contxt": "x"}, "unknown argument 'contxt', did you mean context?"),
        ("vote", {**QUESTION, "wait_s": -1}, "wait_s must be greater than or equal to 0"),
        ("vote", {**QUESTION, "wait_s": True}, "wait_s must be a valid number, such as 45 (got true)"),
        ("vote", {**QUESTION, "wait_s": "soon"}, "wait_s must be a valid number, such as 45 (got 'soon')"),
        ("vote", {**QUESTION, "wait_s": "45 s"}, "wait_s must be a valid number, such as 45 (got '45 s')"),
        ("vote", {**QUESTION, "wait_s": "0,5"}, "wait_s must be a valid number, such as 45 (got '0,5')"),
        ("vote", {**QUESTION, "wait_s": "nan"}, "wait_s must be a valid number"),
        ("vote", {**QUESTION, "wait_s": "1e999"}, "wait_s must be a valid number, such as 45 (got '1e999')"),
        ("vote", {**QUESTION, "seed": "seven"}, "seed must be a valid integer, such as 7 (got 'seven')"),
        ("vote", {**QUESTION, "seed": False}, "seed must be a valid integer, such as 7 (got false)"),
        ("vote", {**QUESTION, "seed": 7.5}, "seed must be a valid integer, such as 7 (got 7.5)"),
        ("vote", {**QUESTION, "seed": "7" * 5000}, "seed must be a valid integer, such as 7 (got '77777"),
        ("vote", {**QUESTION, "seed": [7]}, "seed must be a valid integer, such as 7 (got a list)"),
        ("vote", {**QUESTION, "seed": 2**53}, "seed must be less than or equal to 9007199254740991"),
        ("vote", {**QUESTION, "max_cost_usd": 0}, "max_cost_usd must be greater than 0 (got 0)"),
        ("vote", {**QUESTION, "max_cost_usd": "0.0"}, "max_cost_usd must be greater than 0 (got '0.0')"),
        ("vote", {**QUESTION, "deadline_s": 0}, "deadline_s must be greater than 0 (got 0)"),
        ("vote", {"question": None}, "question must be a valid string (got null)"),
        ("vote", {"question": {"text": "?"}}, "question must be a valid string (got an object)"),
        ("vote", {**QUESTION, "contxt": None}, "unknown argument 'contxt', did you mean context?"),
        ("moa_fork", {"run_id": "x", "step": 1, "changes": 5}, "changes must be a list of strings, such as ["),
        ("moa_fork", {"run_id": "x", "step": "last"}, "step must be a valid integer, such as 7 (got 'last')"),
        ("moa_wait", {"runid": "x"}, "run_id is missing; unknown argument 'runid', did you mean run_id?"),
        ("moa_trace", {"run_id": "x", "page": 0}, "page must be greater than or equal to 1"),
        ("moa_wait", {"run_id": "x"}, "there is no run 'x'"),
        ("moa_cancel", {"run_id": "x"}, "there is no run 'x'"),
        ("moa_trace", {"run_id": "x"}, "there is no run 'x'"),
    ],
)
async def test_wrong_arguments_are_named_in_a_result_that_a_model_can_act_on(
    client: Client, tool: str, arguments: dict[str, Any], told: str
) -> None:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert told in text(result)


async def test_an_unknown_tool_and_an_unknown_page_of_tools_are_protocol_errors(client: Client) -> None:
    with pytest.raises(MCPError) as unknown_tool:
        await client.call_tool("votes", QUESTION)
    with pytest.raises(MCPError) as unknown_page:
        await client.list_tools(cursor="2")
    assert (unknown_tool.value.code, unknown_page.value.code) == (types.INVALID_PARAMS, types.INVALID_PARAMS)


AS_TEXT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"seed": "279"}, {"seed": 279}),
    ({"seed": 279.0, "wait_s": "45"}, {"seed": 279}),
    ({"seed": " 279.0 ", "deadline_s": "9e2"}, {"seed": 279}),
    ({"seed": "+279", "max_cost_usd": "0.05"}, {"seed": 279}),
    ({"seed": 279, "wait_s": "", "max_cost_usd": "null", "deadline_s": None, "context": None}, {"seed": 279}),
    ({"seed": 279, "context": "", "system": None, "deadline_s": "None"}, {"seed": 279}),
    ({"seed": 279, "context": "null"}, {"seed": 279, "context": "null"}),
]
"""Arguments as some clients write them, and what they say."""


async def test_arguments_that_are_written_as_text_are_taken_for_what_they_say(client: Client) -> None:
    async def check(given: dict[str, Any], same: dict[str, Any]) -> None:
        asked = content(await client.call_tool("vote", {**QUESTION, **given}))
        trace = content(await client.call_tool("moa_trace", {"run_id": asked["run_id"], "page": "1"}))
        assert asked["status"] == "complete", given
        assert (trace["seed"], trace["question"]["context"]) == (same["seed"], same.get("context")), given

    async with anyio.create_task_group() as calls:
        for given, same in AS_TEXT:
            calls.start_soon(check, given, same)


class Asked(NamedTuple):
    """A question that was answered, and the progress that was told meanwhile."""

    result: types.CallToolResult
    progress: list[tuple[float, float | None, str | None]]


@pytest.fixture(scope="module")
async def asked(client: Client) -> Asked:
    told: list[tuple[float, float | None, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    long = {**QUESTION, "context": "x" * 20_000, "seed": 279}
    return Asked(await client.call_tool("vote", long, progress_callback=note), told)


async def test_a_host_that_shows_only_text_or_only_data_shows_the_answer(asked: Asked) -> None:
    result, data = asked.result, content(asked.result)
    assert not result.is_error
    assert data["answer"].startswith("[simulated ")
    assert text(result).startswith(f"{data['answer']}\n\n[vote, run {data['run_id']}, complete: 4 calls in 2 layers, ")
    assert "simulated: no model was called" in data["notes"]
    assert "simulated: no model was called" in text(result)


async def test_progress_grows_up_to_the_number_of_calls_and_names_the_run(asked: Asked) -> None:
    reached = [reached for reached, _, _ in asked.progress]
    assert reached == sorted(set(reached))
    assert asked.progress[-1][:2] == (4, 4)
    assert all(f"(run {content(asked.result)['run_id']})" in (message or "") for _, _, message in asked.progress)


async def test_a_long_trace_comes_in_pages_that_hold_every_call_once(client: Client, asked: Asked) -> None:
    run_id = content(asked.result)["run_id"]
    pages = [await client.call_tool("moa_trace", {"run_id": run_id, "page": number}) for number in range(1, 5)]
    places = [call["place"] for page in pages for call in content(page)["calls"]]
    assert [(place["step"], place["number"]) for place in places] == [(1, 1), (1, 2), (1, 3), (2, 1)]
    assert {content(page)["pages"] for page in pages} == {4}
    assert content(pages[0])["answer"] == content(asked.result)["answer"]
    assert [json.loads(text(page)) for page in pages] == [content(page) for page in pages]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["agent=nobody"], "'nobody' is not a model in the configuration"),
        ("agent=nobody", "'nobody' is not a model in the configuration"),
        ('["agent=nobody"]', "'nobody' is not a model in the configuration"),
        (' [{"agent": "nobody"}] ', "'nobody' is not a model in the configuration"),
        ({"agent": "nobody"}, "'nobody' is not a model in the configuration"),
        ({"2.agent": "nobody"}, "'nobody' is not a model in the configuration"),
        ('{"agent": "nobody", "temperature": 0.5}', "'nobody' is not a model in the configuration"),
        ([{"temperature": 0.5}, '{"agent": "nobody"}'], "'nobody' is not a model in the configuration"),
        ({"agent": 5}, "'5' is not a model in the configuration"),
        ({"agent": ["nobody", "x"]}, """'["nobody", "x"]' is not a model in the configuration"""),
        ({"agent": {"model": "nobody"}}, "'nobody' is not a model in the configuration"),
        ({"agent": None}, "2.agent: is empty"),
        ({"temperature": "warm"}, "temperature"),
        ("['agent=nobody']", "['agent=nobody'] is not KEY=VALUE"),
        ("nobody", "nobody is not KEY=VALUE"),
    ],
)
async def test_changes_are_read_in_every_form_that_clients_give_them(
    client: Client, asked: Asked, changes: Any, told: str
) -> None:
    fork = {"run_id": content(asked.result)["run_id"], "step": "2", "changes": changes}
    result = await client.call_tool("moa_fork", fork)
    assert (result.is_error, told in text(result)) == (True, True), text(result)


CHANGES: list[tuple[Any, float]] = [
    ({"temperature": 0.5}, 0.5),
    ('{"temperature": 0.5}', 0.5),
    ("temperature=0.5", 0.5),
    ("", 0.7),
    ("[]", 0.7),
    (None, 0.7),
]
"""Changes as some clients write them, and the temperature that they set."""


async def test_a_fork_is_changed_as_it_is_asked_to_in_any_form(client: Client, asked: Asked) -> None:
    async def check(changes: Any, temperature: float) -> None:
        fork = {"run_id": content(asked.result)["run_id"], "step": 2.0, "changes": changes, "seed": "279"}
        forked = content(await client.call_tool("moa_fork", fork))
        judged = content(await client.call_tool("moa_trace", {"run_id": forked["run_id"], "page": "4"}))["calls"][-1]
        found = judged["attempts"][0]["parameters"]["temperature"]
        assert (forked["status"], found) == ("complete", temperature), changes

    async with anyio.create_task_group() as calls:
        for changes, temperature in CHANGES:
            calls.start_soon(check, changes, temperature)


async def test_the_text_of_a_fork_counts_its_own_calls_and_names_those_that_it_took_over(
    client: Client, asked: Asked
) -> None:
    run_id = content(asked.result)["run_id"]
    last = await client.call_tool("moa_fork", {"run_id": run_id, "step": 2})
    anew = await client.call_tool("moa_fork", {"run_id": run_id, "step": 1})
    assert f"complete: 1 call in 1 layer (3 calls in 1 layer inherited from run {run_id}), " in text(last)
    assert "complete: 4 calls in 2 layers, " in text(anew)


async def test_a_page_beyond_the_last_is_refused_with_what_to_do(client: Client, asked: Asked) -> None:
    run_id = content(asked.result)["run_id"]
    beyond = await client.call_tool("moa_trace", {"run_id": run_id, "page": 5})
    assert (beyond.is_error, text(beyond)) == (
        True,
        f"page 5 does not exist: run {run_id} has fewer pages; start with page 1",
    )


async def test_a_call_that_may_not_wait_returns_a_run_to_wait_for(client: Client) -> None:
    started = await client.call_tool("vote", {**QUESTION, "wait_s": 0, "seed": 381})
    run_id = content(started)["run_id"]
    assert (content(started)["status"], content(started)["answer"]) == ("running", None)
    assert not started.is_error
    assert f'Call moa_wait with run_id = "{run_id}"' in text(started)

    ended = await client.call_tool("moa_wait", {"run_id": run_id})
    again = await client.call_tool("moa_wait", {"run_id": run_id})
    assert (content(ended)["status"], content(ended)["run_id"]) == ("complete", run_id)
    assert content(again) == content(ended)


async def test_a_cancelled_run_has_no_answer_and_keeps_its_trace(client: Client) -> None:
    started = await client.call_tool("together_moa", {**QUESTION, "wait_s": 0})
    run = {"run_id": content(started)["run_id"]}
    cancelled = await client.call_tool("moa_cancel", run)
    awaited = await client.call_tool("moa_wait", run)
    trace = await client.call_tool("moa_trace", run)
    assert (content(cancelled)["status"], cancelled.is_error) == ("cancelled", False)
    assert (content(awaited)["status"], content(awaited)["answer"], awaited.is_error) == ("cancelled", None, True)
    assert content(trace)["question"]["text"] == QUESTION["question"]


async def test_a_seed_repeats_what_was_left_to_chance(client: Client) -> None:
    async def prompts(seed: int) -> list[Any]:
        asked = await client.call_tool("robust_moa", {**QUESTION, "seed": seed})
        trace = await client.call_tool("moa_trace", {"run_id": content(asked)["run_id"]})
        return [call["messages"] for call in content(trace)["calls"]]

    first, again, other = await anyio.amap(prompts, (94, 94, 67))
    assert first == again
    assert first != other
