"""What a caller sees, and what models see, when models fail; they are served over HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from moa_mcp.config import parse
from moa_mcp.server.app import App
from tests.support.model_server import (
    Behaviour,
    BrokenJson,
    Hang,
    HtmlPage,
    ModelServer,
    RefuseParameter,
    Reply,
    Reset,
    Status,
)
from tests.support.serving import content, text

pytestmark = pytest.mark.anyio

KEY = "sk-4f9a2c7be1d84f6a93"
PASSPHRASE = "quartz lantern meadow"
CONFIG = """
[defaults]
temperature = 0.5

[limits]
attempts = 1

[models]
a.routes = [{ model = "openai/a", api_base = "URL" }]
b.routes = [{ model = "openai/b", api_base = "URL" }]
c.routes = [{ model = "openai/c", api_base = "URL" }]
judge.routes = [{ model = "openai/judge", api_base = "URL" }]
picky.routes = [{ model = "openai/picky", api_base = "URL" }]
locked.routes = [{ model = "openai/locked", api_base = "LOCKED", api_key_env = "OFFICE_KEY" }]
loud.routes = [{ model = "openai/loud", api_base = "URL", api_key_env = "OFFICE_PHRASE" }]
absent.routes = [{ model = "openai/absent", api_base = "URL", api_key_env = "ABSENT_KEY" }]

[pipelines]
panel.steps = [{ step = "propose", agents = ["a", "b", "c"] }, { step = "aggregate", agent = "judge" }]
hurried.steps = [
    { step = "propose", agents = ["a", "b", "c"], timeout_s = 0.5 },
    { step = "aggregate", agent = "judge" },
]
brief.deadline_s = 0.8
brief.steps = [{ step = "propose", agents = ["a", "b", "c"] }, { step = "aggregate", agent = "judge" }]
counted.steps = [
    { step = "propose", agents = ["a", "b", "c"], quorum = 3 },
    { step = "vote", method = "majority", extract = "last_number" },
]
picky.steps = [{ step = "propose", agents = ["picky"] }]
keyed.steps = [{ step = "propose", agents = ["a", "locked", "loud"] }, { step = "aggregate", agent = "judge" }]
absent.steps = [{ step = "propose", agents = ["a"] }, { step = "aggregate", agent = "absent" }]
"""
QUESTION = {"question": "Is it going to rain?"}


BROKEN = f"""
from moa_mcp.config import load, shipped
from moa_mcp.providers.backend import Backend, simulated
from moa_mcp.server import app, transports

async def broken(call):
    raise RuntimeError("{KEY}")

app.simulated = lambda: Backend(broken, simulated().usable)
transports.serve_stdio(load(shipped()), offline=True)
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def models(serving: ModelServer) -> Iterator[ModelServer]:
    serving.clear()
    yield serving
    for model in ("a", "b", "c", "judge", "picky", "loud"):
        serving.script(model)


@pytest.fixture(scope="module")
async def client(serving: ModelServer) -> AsyncIterator[Client]:
    with ModelServer(api_key="another") as locked, pytest.MonkeyPatch.context() as environment:
        environment.setenv("OFFICE_KEY", KEY)
        environment.setenv("OFFICE_PHRASE", PASSPHRASE)
        config = parse(CONFIG.replace("URL", serving.url).replace("LOCKED", locked.url))
        async with Client(App(config).server, read_timeout_seconds=20) as client:
            await client.call_tool("panel", QUESTION)
            yield client


async def trace(client: Client, run_id: str) -> dict[str, Any]:
    return content(await client.call_tool("moa_trace", {"run_id": run_id}))


def prompts(models: ModelServer) -> str:
    return json.dumps([request.body["messages"] for request in models.requests])


@pytest.mark.parametrize(
    ("pipeline", "behaviour", "told"),
    [
        ("panel", Status(500, "the cluster is on fire"), "openai/b: the cluster is on fire"),
        ("panel", Status(401, "no such key"), "openai/b: no such key"),
        ("panel", Reset(), "openai/b: the connection to http://127.0.0.1:"),
        ("panel", Reply(""), "empty answer: openai/b returned no text"),
        ("panel", Reply("half a wo", refusal="Not that."), "openai/b declined: Not that."),
        ("panel", BrokenJson(), "openai/b sent a reply that is not valid JSON"),
        ("panel", HtmlPage(), "openai/b"),
        ("hurried", Hang(), "openai/b did not answer within 0.5 s"),
    ],
)
async def test_one_failed_proposer_degrades_the_result_and_is_named_but_is_in_no_prompt(
    client: Client, models: ModelServer, pipeline: str, behaviour: Behaviour, told: str
) -> None:
    models.script("b", behaviour)
    result = await client.call_tool(pipeline, QUESTION)
    data = content(result)
    assert (data["status"], data["answer"], result.is_error) == ("degraded", "answer 1 from judge", False)
    assert text(result).splitlines()[0].startswith(f"Degraded: propose: 1 of 3 failed (b: {told}")
    assert any(note.startswith("propose: 1 of 3 failed (b: ") for note in data["notes"])
    assert (data["layers"][0]["answered"], data["layers"][0]["failed"]) == (2, 1)

    failed = (await trace(client, data["run_id"]))["calls"][1]
    (asked,) = [request for request in models.requests if request.model == "judge"]
    assert "answer 2 of 2" in json.dumps(asked.body["messages"])
    assert failed["failure"]["message"] not in prompts(models)
    assert told.rpartition(": ")[2] not in prompts(models)


@pytest.mark.parametrize(("pipeline", "deadline_s"), [("panel", 0.8), ("brief", 3600)])
async def test_a_deadline_is_kept_and_a_caller_can_only_shorten_it(
    client: Client, models: ModelServer, pipeline: str, deadline_s: float
) -> None:
    models.script("judge", Hang())
    result = await client.call_tool(pipeline, {**QUESTION, "deadline_s": deadline_s})
    passed = "the deadline of 0.8 s passed before the answers were combined; this is the answer of a alone"
    assert passed in text(result).splitlines()[0]
    assert (content(result)["status"], content(result)["answer"]) == ("degraded", "answer 1 from a")


async def test_when_every_proposer_fails_the_call_is_an_error_that_holds_the_run(
    client: Client, models: ModelServer
) -> None:
    for model in ("a", "b", "c"):
        models.script(model, Status(400, "no"))
    result = await client.call_tool("panel", QUESTION)
    data = content(result)
    assert (result.is_error, data["status"], data["answer"]) == (True, "failed", None)
    assert text(result).startswith("panel failed: step 1 (propose): none of 3 calls was answered: a: openai/a: no (at ")
    assert f'moa_trace with run_id = "{data["run_id"]}"' in text(result)
    assert [request.model for request in models.requests if request.model == "judge"] == []


async def test_when_the_aggregator_fails_no_proposal_passes_for_the_answer_and_all_are_kept(
    client: Client, models: ModelServer
) -> None:
    models.script("judge", Status(400, "no"))
    result = await client.call_tool("panel", QUESTION)
    data = content(result)
    assert (result.is_error, data["status"], data["answer"]) == (True, "failed", None)
    asked = f"at {models.url}/chat/completions"
    assert data["error"] == f"step 2 (aggregate): no answer came: judge: openai/judge: no ({asked})"
    assert "answer 1 from a" not in text(result)

    calls = (await trace(client, data["run_id"]))["calls"]
    assert [call["text"] for call in calls] == ["answer 1 from a", "answer 1 from b", "answer 1 from c", None]


async def test_the_fork_that_a_failed_run_names_gives_the_answer(client: Client, models: ModelServer) -> None:
    models.script("judge", Status(400, "no"))
    failed = await client.call_tool("panel", QUESTION)
    assert 'moa_fork with step = 2 and changes = ["agent=NAME"]' in text(failed)
    fork = {"run_id": content(failed)["run_id"], "step": 2, "changes": ["agent=c"]}
    forked = content(await client.call_tool("moa_fork", fork))
    assert (forked["status"], forked["answer"]) == ("complete", "answer 2 from c")
    assert [request.model for request in models.requests] == ["a", "b", "c", "judge", "c"]


async def test_where_a_count_fails_the_fork_that_is_named_asks_the_step_before_it(
    client: Client, models: ModelServer
) -> None:
    models.script("*", Reply("It may."))
    failed = await client.call_tool("counted", QUESTION)
    assert content(failed)["error"].startswith("step 2 (vote): no answer holds what is to be counted")
    assert 'moa_fork with step = 1 and changes = ["agents=NAME,NAME,NAME"]' in text(failed)
    for name in ("a", "b", "judge"):
        models.script(name, Reply("7"))
    fork = {"run_id": content(failed)["run_id"], "step": 1, "changes": ["agents=a,b,judge"]}
    forked = content(await client.call_tool("moa_fork", fork))
    assert (forked["status"], forked["answer"]) == ("complete", "7")


async def test_a_provider_that_asks_to_wait_is_asked_again_no_sooner(models: ModelServer) -> None:
    models.script("a", Status(429, "slow down", retry_after="0.2"), Reply("fine"))
    patient = App(parse(CONFIG.replace("URL", models.url).replace("LOCKED", models.url).replace("attempts = 1", "")))
    async with Client(patient.server, read_timeout_seconds=20) as client:
        result = await client.call_tool("panel", QUESTION)
    first, second = [request for request in models.requests if request.model == "a"]
    assert content(result)["status"] == "complete"
    assert second.arrived - first.arrived >= 0.2


async def test_a_parameter_that_a_model_refuses_is_left_out_from_then_on_and_noted(
    client: Client, models: ModelServer
) -> None:
    models.script("picky", RefuseParameter("temperature"))
    results = [await client.call_tool("picky", QUESTION), await client.call_tool("picky", QUESTION)]
    assert [request.body.get("temperature") for request in models.requests] == [0.5, None, None]
    assert [content(result)["status"] for result in results] == ["complete", "complete"]
    for result in results:
        assert content(result)["notes"] == ["openai/picky does not take temperature; left out"]


async def test_a_pipeline_that_lacks_a_key_asks_nobody_and_names_the_variable(
    client: Client, models: ModelServer
) -> None:
    result = await client.call_tool("absent", QUESTION)
    assert (result.is_error, models.requests) == (True, ())
    assert "ABSENT_KEY" in text(result)
    assert "nothing was spent" in text(result)
    assert "Completed calls are recorded" not in text(result)


async def test_a_pipeline_tells_which_routes_it_has_here_and_what_it_lacks(client: Client, models: ModelServer) -> None:
    (found,) = (await client.read_resource("moa://pipelines/absent")).contents
    assert isinstance(found, types.TextResourceContents)
    absent = json.loads(found.text)
    route = f"openai/absent at {models.url}"
    assert absent["models"]["absent"] == [{"route": route, "usable": False, "missing": "ABSENT_KEY"}]
    assert absent["models"]["a"][0]["usable"]
    assert (absent["runs_here"], absent["simulated"], list(absent["missing"])) == (False, False, ["absent"])


async def test_a_key_that_a_provider_repeats_is_nowhere_to_be_seen(
    client: Client, models: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[object] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    models.script("loud", Status(500, f"{PASSPHRASE} is not welcome"))
    result = await client.call_tool("keyed", QUESTION, progress_callback=note)
    shown = await client.call_tool("moa_trace", {"run_id": content(result)["run_id"]})
    resource = await client.read_resource(f"moa://runs/{content(result)['run_id']}")
    keys = {request.headers.get("authorization") for request in models.requests if request.model == "loud"}

    assert keys == {f"Bearer {PASSPHRASE}"}
    assert text(result).startswith(
        "Degraded: propose: 2 of 3 failed (locked: openai/locked: Incorrect API key provided"
    )
    everything = f"{result} {shown} {resource} {told} {caplog.text}"
    assert KEY[:8] not in everything
    assert PASSPHRASE[:8] not in everything


async def test_a_key_in_the_text_of_a_fault_does_not_reach_the_log(tmp_path: Path) -> None:
    broken = StdioServerParameters(command=sys.executable, args=["-c", BROKEN])
    with (tmp_path / "stderr").open("w") as errors:
        async with Client(stdio_client(broken, errlog=errors), read_timeout_seconds=20) as client:
            await client.call_tool("vote", QUESTION)
    log = (tmp_path / "stderr").read_text()
    assert "RuntimeError: [key]" in log
    assert KEY not in log


async def test_the_text_of_a_fault_neither_hides_in_the_log_nor_forges_a_line_of_it(tmp_path: Path) -> None:
    hostile = r"a\u202eb\u200bc\x1b[2J\rd\nmoa-mcp: ERROR: forged"
    broken = StdioServerParameters(command=sys.executable, args=["-c", BROKEN.replace(KEY, hostile)])
    with (tmp_path / "stderr").open("w") as errors:
        async with Client(stdio_client(broken, errlog=errors), read_timeout_seconds=20) as client:
            await client.call_tool("vote", QUESTION)
    log = (tmp_path / "stderr").read_bytes().decode()
    assert "RuntimeError: a⟨U+202E⟩bc[2J\n" in log
    assert all(line.startswith(("moa-mcp: ERROR: run ", "  ")) for line in log.splitlines())
