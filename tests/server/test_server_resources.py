"""What a client sees of resources, prompts and completion, over every transport and in both protocol eras."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any

import mcp_types as types
import pytest
from mcp import Client
from mcp.server.subscriptions import ResourcesListChanged
from mcp.shared.exceptions import MCPError

from moa_mcp.config import load, shipped
from moa_mcp.providers.backend import Backend, simulated
from moa_mcp.server import resources
from moa_mcp.server.app import App
from moa_mcp.values import Call, Completion
from tests.support.serving import content, text

pytestmark = pytest.mark.anyio
pytest_plugins = ("tests.support.connections",)

PIPELINES = [f"moa://pipelines/{name}" for name in load(shipped()).pipelines]
VOTE = {"question": "What is 17 * 23?", "seed": 381}
NOT_FOUND = {"auto": types.INVALID_PARAMS, "legacy": -32002}
KEY = "sk-proj-4f9a2c7be1d84f6a"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def run_id(client: Client) -> str:
    result = await client.call_tool("vote", {**VOTE, "context": "x" * 20_000, "seed": 279})
    return str(content(result)["run_id"])


async def read(client: Client, uri: str) -> Any:
    (found,) = (await client.read_resource(uri)).contents
    assert isinstance(found, types.TextResourceContents)
    assert (str(found.uri), found.mime_type) == (uri, "application/json")
    return json.loads(found.text)


async def refused(request: Awaitable[object]) -> int:
    with pytest.raises(MCPError) as refusal:
        await request
    return refusal.value.code


async def test_the_pipelines_are_listed_first_then_the_runs_from_the_newest(client: Client, run_id: str) -> None:
    newer = content(await client.call_tool("vote", {**VOTE, "wait_s": 0}))["run_id"]
    listed = (await client.list_resources()).resources
    uris = [str(resource.uri) for resource in listed]
    assert uris[: len(PIPELINES) + 2] == [*PIPELINES, f"moa://runs/{newer}", f"moa://runs/{run_id}"]
    assert listed[len(PIPELINES)].title == "vote: What is 17 * 23?"


async def test_a_listing_goes_on_after_its_cursor(client: Client) -> None:
    rest = (await client.list_resources(cursor=PIPELINES[-3])).resources
    assert [str(resource.uri) for resource in rest[:2]] == PIPELINES[-2:]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_pages_of_a_listing_amount_to_the_whole(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(resources, "PAGE", 5)
    app = App(load(shipped()), offline=True)
    async with Client(app.server, mode=mode, read_timeout_seconds=10) as client:
        pages = [await client.list_resources()]
        while pages[-1].next_cursor is not None:
            pages.append(await client.list_resources(cursor=pages[-1].next_cursor))
    whole, rest = divmod(len(load(shipped()).pipelines), 5)
    assert [len(page.resources) for page in pages] == [*[5] * whole, *([rest] if rest else [])]
    assert [str(resource.uri) for page in pages for resource in page.resources] == PIPELINES


async def test_the_addresses_of_pipelines_runs_and_their_pages_are_told(client: Client) -> None:
    templates = (await client.list_resource_templates()).resource_templates
    assert [template.uri_template for template in templates] == [
        "moa://pipelines/{name}",
        "moa://runs/{run_id}",
        "moa://runs/{run_id}/{page}",
    ]


async def test_a_pipeline_tells_its_steps_its_size_and_whether_it_runs_here(client: Client) -> None:
    vote = await read(client, "moa://pipelines/vote")
    assert [step["step"] for step in vote["steps"]] == ["propose", "vote"]
    assert (vote["layers"], vote["calls"], vote["runs_here"], vote["simulated"]) == (2, 4, True, True)


async def test_a_run_is_its_trace_page_by_page(client: Client, run_id: str) -> None:
    for number, uri in enumerate((f"moa://runs/{run_id}", f"moa://runs/{run_id}/2"), 1):
        shown = await client.call_tool("moa_trace", {"run_id": run_id, "page": number})
        assert await read(client, uri) == content(shown)


@pytest.mark.parametrize(
    "uri",
    [
        "moa://runs/none",
        "moa://pipelines/none",
        "https://example.com/",
        "moa://runs/{run_id}/9",
        "moa://runs/{run_id}/x",
    ],
)
async def test_a_resource_that_is_not_there_is_refused_as_its_era_wants_it(
    client: Client, run_id: str, uri: str
) -> None:
    assert await refused(client.read_resource(uri.replace("{run_id}", run_id))) == NOT_FOUND[client.mode]


async def test_cursors_that_nobody_gave_out_are_refused(client: Client) -> None:
    codes = [
        await refused(client.list_tools(cursor="x")),
        await refused(client.list_resources(cursor="x")),
        await refused(client.list_resource_templates(cursor="x")),
        await refused(client.list_prompts(cursor="x")),
    ]
    assert codes == [types.INVALID_PARAMS] * 4


async def test_names_and_run_ids_are_completed(client: Client, run_id: str) -> None:
    pipeline = types.ResourceTemplateReference(type="ref/resource", uri="moa://pipelines/{name}")
    run = types.ResourceTemplateReference(type="ref/resource", uri="moa://runs/{run_id}")
    prompt = types.PromptReference(type="ref/prompt", name="ask_panel")
    completed = [
        (await client.complete(pipeline, {"name": "name", "value": "self_moa_seq"})).completion.values,
        (await client.complete(run, {"name": "run_id", "value": run_id[:12]})).completion.values,
        (await client.complete(prompt, {"name": "pipeline", "value": "ra"})).completion.values,
        (await client.complete(prompt, {"name": "question", "value": "w"})).completion.values,
    ]
    assert completed == [["self_moa_seq", "self_moa_seq_paper"], [run_id], ["rank_aggregate"], []]


async def test_the_prompts_are_described_with_what_they_take(client: Client) -> None:
    prompts = (await client.list_prompts()).prompts
    taken = {prompt.name: [(each.name, each.required) for each in prompt.arguments or ()] for prompt in prompts}
    assert taken == {"choose_pipeline": [("task", True)], "ask_panel": [("question", True), ("pipeline", None)]}
    assert all(prompt.description for prompt in prompts)


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("choose_pipeline", {"task": "Proofread {this}"}, ["- vote: Three models", "My task:\nProofread {this}"]),
        ("ask_panel", {"question": "Why?", "pipeline": "vote"}, ["Use the tool vote to answer", "\n\nWhy?"]),
        (
            "ask_panel",
            {"question": "Why?"},
            ["Choose the best of these tools for the question:", "- refine: ", "\n\nWhy?"],
        ),
    ],
)
async def test_a_prompt_holds_what_was_given(
    client: Client, name: str, arguments: dict[str, str], says: list[str]
) -> None:
    (message,) = (await client.get_prompt(name, arguments)).messages
    assert isinstance(message.content, types.TextContent)
    assert [part for part in says if part not in message.content.text] == []


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("none", {}),
        ("ask_panel", {}),
        ("ask_panel", {"question": " "}),
        ("ask_panel", {"question": "x", "pipeline": "y"}),
    ],
)
async def test_a_prompt_that_can_not_be_filled_in_is_refused(
    client: Client, name: str, arguments: dict[str, str]
) -> None:
    assert await refused(client.get_prompt(name, arguments)) == types.INVALID_PARAMS


async def test_a_client_that_listens_is_told_of_a_new_run(client: Client) -> None:
    if client.mode == "legacy":
        assert client.server_capabilities.resources is not None
        assert not client.server_capabilities.resources.list_changed
        return
    async with client.listen(resources_list_changed=True) as changes:
        await client.call_tool("vote", {**VOTE, "wait_s": 0})
        async for change in changes:
            assert change == ResourcesListChanged()
            break


async def _broken(call: Call) -> Completion:
    raise RuntimeError(KEY)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_unexpected_fault_ends_its_run_and_keeps_its_text_to_itself(mode: str) -> None:
    app = App(load(shipped()), backend=Backend(_broken, simulated().usable))
    async with Client(app.server, mode=mode, read_timeout_seconds=10) as client:
        result = await client.call_tool("vote", VOTE)
        trace = await client.call_tool("moa_trace", {"run_id": content(result)["run_id"]})
    assert (result.is_error, content(result)["status"]) == (True, "failed")
    assert "an unexpected error in moa-mcp stopped the run" in text(result)
    assert KEY not in f"{result} {trace}"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_unexpected_fault_in_a_request_keeps_its_text_to_itself(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    def broken(run_id: str) -> None:
        raise RuntimeError(KEY)

    app = App(load(shipped()), offline=True)
    monkeypatch.setattr(app.runs, "identified", broken)
    async with Client(app.server, mode=mode, read_timeout_seconds=10) as client:
        with pytest.raises(MCPError) as fault:
            await client.call_tool("moa_trace", {"run_id": "x"})
    assert fault.value.code == types.INTERNAL_ERROR
    assert KEY not in fault.value.message
