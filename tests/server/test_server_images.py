"""Images over MCP, from the official client to model servers: who gets them, who does not, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.support.model_server import ModelServer, Reply, Status
from tests.support.nursery import Nursery
from tests.support.pictures import png, uri
from tests.support.serving import ServerProcess, content, parameters, text

pytestmark = pytest.mark.anyio

PICTURE = uri(png(64, 48))
ADDRESS = "https://example.com/chart.png?signature=abc"
NOT_SENT = "What is in it?\n\n[image 1 was not sent: this model does not take images]"
PIPELINES = """
[pipelines.panel]
description = "x"
steps = [{ step = "propose", agents = ["seer", "reader"] }, { step = "aggregate", agent = "seer" }]
[pipelines.readers]
description = "x"
steps = [{ step = "propose", agents = ["reader", "reader"] }, { step = "aggregate", agent = "seer" }]
[pipelines.unknowns]
description = "x"
steps = [{ step = "propose", agents = ["unknown", "unknown"] }, { step = "aggregate", agent = "seer" }]
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_asked(models: ModelServer) -> None:
    models.script("unknown")
    models.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "pictures").mkdir()
    (folder / "pictures" / "chart.png").write_bytes(png(64, 48))
    (folder / "private.png").write_bytes(png())
    (folder / "pictures" / "link.png").symlink_to(folder / "private.png")
    (folder / "pictures" / "inner.png").symlink_to(folder / "pictures" / "chart.png")
    os.mkfifo(folder / "pictures" / "pipe.png")
    return folder


@pytest.fixture(scope="module")
def config(models: ModelServer, folder: Path) -> Path:
    known = {"seer": "images = true", "reader": "images = false", "unknown": "n = 1"}
    routes = [
        f'[models.{name}]\nroutes = [{{ model = "openai/{name}", api_base = "{models.url}", {more} }}]'
        for name, more in known.items()
    ]
    path = folder / "pipelines.toml"
    path.write_text("\n".join([f'[limits]\nimage_folders = ["{folder}/pictures"]', *routes, PIPELINES]))
    return path


@pytest.fixture(scope="module")
def opened(config: Path) -> Path:
    path = config.with_name("opened.toml")
    path.write_text(config.read_text().replace("[limits]", "[limits]\nimage_folders_over_http = true"))
    return path


@pytest.fixture(scope="module", params=["stdio", "http"])
async def client(request: pytest.FixtureRequest, config: Path, nursery: Nursery) -> AsyncIterator[Client]:
    if request.param == "stdio":
        async with Client(
            parameters("--config", str(config), nursery=nursery), read_timeout_seconds=20, cache=None
        ) as client:
            yield client
        return
    with ServerProcess("--http", "--port", "0", "--config", str(config), nursery=nursery) as server:
        async with Client(server.url, read_timeout_seconds=20, cache=None) as client:
            yield client


@pytest.fixture(scope="module")
async def local(config: Path, nursery: Nursery) -> AsyncIterator[Client]:
    async with Client(
        parameters("--config", str(config), nursery=nursery), read_timeout_seconds=20, cache=None
    ) as client:
        yield client


def asked(*images: str) -> dict[str, Any]:
    return {"question": "What is in it?", "images": [*images]}


def image_part(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def received(models: ModelServer) -> list[tuple[str, Any]]:
    """Return what the last message to each model was, in order."""
    return [(request.model, request.body["messages"][-1]["content"]) for request in models.requests]


async def test_members_that_take_images_get_them_and_others_are_told_that_they_do_not(
    client: Client, models: ModelServer
) -> None:
    result = await client.call_tool("panel", asked(PICTURE))
    shown = [image_part(PICTURE), {"type": "text", "text": "What is in it?"}]
    assert sorted(received(models), key=str) == sorted(
        [("seer", shown), ("reader", NOT_SENT), ("seer", shown)], key=str
    )
    assert content(result)["status"] == "complete"
    assert content(result)["notes"] == ["openai/reader does not take images; image 1 was not sent"]


async def test_a_trace_shows_what_an_image_is_and_never_its_content(client: Client) -> None:
    ran = content(await client.call_tool("panel", asked(PICTURE, ADDRESS)))
    page = content(await client.call_tool("moa_trace", {"run_id": ran["run_id"]}))
    size = len(png(64, 48))
    picture, address = page["question"]["images"]
    assert picture == {"type": "image/png", "bytes": size, "width": 64, "height": 48, "sha256": picture["sha256"]}
    assert address == {"url": ADDRESS}
    assert page["calls"][0]["messages"][-1]["images"] == [picture, address]
    assert PICTURE[40:80] not in json.dumps(page)


async def test_a_question_that_follows_a_run_has_its_images_in_the_earlier_turn(
    local: Client, models: ModelServer
) -> None:
    first = content(await local.call_tool("panel", asked(PICTURE)))
    models.clear()
    then = {"question": "And now?", "continue_run": first["run_id"]}
    assert content(await local.call_tool("panel", then))["status"] == "complete"
    earlier = {request.model: request.body["messages"][-3]["content"] for request in models.requests}
    assert earlier == {"seer": [image_part(PICTURE), {"type": "text", "text": "What is in it?"}], "reader": NOT_SENT}


async def test_a_run_whose_first_members_take_no_images_is_refused_before_it_costs_anything(
    client: Client, models: ModelServer
) -> None:
    refused = await client.call_tool("readers", asked(PICTURE))
    assert refused.is_error
    assert "no model that answers first takes images (reader)" in text(refused)
    assert models.requests == ()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (400, "Failed to deserialize the JSON body: unknown variant `image_url`, expected `text`"),
        (404, "No endpoints found that support image input"),
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
        (400, "Invalid content type. image_url is only supported by certain models."),
    ],
)
async def test_a_model_that_refuses_images_is_asked_again_without_and_then_gets_none(
    models: ModelServer, config: Path, code: int, message: str, nursery: Nursery
) -> None:
    models.script("unknown", Status(code, message), Reply("Once."), Reply("Again."))
    arguments = {**asked(PICTURE), "models": "unknown"}
    async with Client(
        parameters("--config", str(config), nursery=nursery), read_timeout_seconds=20, cache=None
    ) as client:
        first = content(await client.call_tool("unknowns", arguments))
        second = content(await client.call_tool("unknowns", arguments))
    notes = ["openai/unknown does not take images; image 1 was not sent"]
    assert (first["notes"], second["notes"]) == (notes, notes)
    texts = [said for model, said in received(models) if model == "unknown"]
    assert isinstance(texts[0], list)
    assert texts[1:] == [NOT_SENT, NOT_SENT]


async def test_an_image_that_a_model_can_not_use_is_left_out_once_and_sent_to_it_again_later(
    local: Client, models: ModelServer
) -> None:
    models.script("unknown", Status(400, "Failed to download image from the address"), Reply("Once."), Reply("Again."))
    arguments = {**asked(ADDRESS), "models": "unknown"}
    first = content(await local.call_tool("unknowns", arguments))
    second = content(await local.call_tool("unknowns", arguments))
    assert "asked again, image 1 was not sent" in first["notes"][0]
    assert second["notes"] == []
    texts = [said for model, said in received(models) if model == "unknown"]
    assert [isinstance(said, list) for said in texts] == [True, False, True]


async def test_a_client_on_stdio_may_name_files_in_the_configured_folders(
    local: Client, models: ModelServer, folder: Path
) -> None:
    named = [f"{folder}/pictures/chart.png", f"file://{folder}/pictures/inner.png"]
    assert content(await local.call_tool("panel", asked(*named)))["status"] == "complete"
    seen = next(said for model, said in received(models) if model == "seer")
    assert seen[:2] == [image_part(PICTURE)] * 2


@pytest.mark.parametrize(
    "escape",
    ["pictures/link.png", "pictures/../private.png", "private.png", "pictures/../../../../etc/passwd", "pictures2.png"],
)
async def test_no_path_leads_out_of_the_configured_folders(
    local: Client, models: ModelServer, folder: Path, escape: str
) -> None:
    for path in (f"{folder}/{escape}", f"file://{folder}/{escape}"):
        refused = await local.call_tool("panel", asked(path))
        assert refused.is_error
        assert "is not in a folder from which this server takes images" in text(refused)
    assert models.requests == ()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pictures/pipe.png", "is not a file"),
        ("pictures", "is a folder"),
        ("pictures/missing.png", "No such file"),
        ("pictures/chart.png\0", "is not a valid path"),
    ],
)
async def test_what_is_no_image_file_is_refused_without_waiting_for_it(
    local: Client, folder: Path, name: str, why: str
) -> None:
    refused = await local.call_tool("panel", asked(f"{folder}/{name}"))
    assert refused.is_error
    assert why in text(refused)


async def test_clients_over_http_name_no_files_unless_that_is_configured(
    config: Path, opened: Path, folder: Path, models: ModelServer, nursery: Nursery
) -> None:
    path = f"{folder}/pictures/chart.png"
    for file, refused in ((config, True), (opened, False)):
        with ServerProcess("--http", "--port", "0", "--config", str(file), nursery=nursery) as server:
            async with Client(server.url, read_timeout_seconds=20, cache=None) as client:
                result = await client.call_tool("panel", asked(path))
        assert result.is_error == refused, text(result)
        assert not refused or "is neither a data URI nor an https address" in text(result)
    assert len(models.requests) == 3


async def test_images_count_in_estimates(local: Client) -> None:
    plain = content(await local.call_tool("moa_estimate", {"pipeline": "panel", "question": "What is in it?"}))
    seen = content(await local.call_tool("moa_estimate", {"pipeline": "panel", **asked(uri(png(2000, 1000)))}))
    more = {
        model["model"]: model["prompt_tokens"]["expected"] - before["prompt_tokens"]["expected"]
        for model, before in zip(seen["steps"][0]["models"], plain["steps"][0]["models"], strict=True)
    }
    assert more == {"seer": 72 * 36, "reader": 0}
