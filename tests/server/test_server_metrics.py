"""What Prometheus reads from a server while runs run: a real scrape, parsed by its own parser."""

from __future__ import annotations

import re

import anyio
import anyio.to_thread
import httpx2
import pytest
from mcp import Client
from prometheus_client.parser import text_string_to_metric_families

from moa_mcp.metrics.instruments import MOST_NAMES, OTHER, Names
from tests.support.lives import POOL, QUESTION, Machine, until
from tests.support.model_server import Held, Status
from tests.support.nursery import Nursery
from tests.support.serving import OFFLINE, ServerProcess, content

pytestmark = pytest.mark.anyio

HTTP = ("--http", "--port", "0", "--metrics", "0")
Samples = dict[str, float]
"""The values by name, with the labels as Prometheus writes them."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def address(server: ServerProcess) -> str:
    server.wait_for(lambda: "serves metrics at" in "".join(server.stderr))
    found = re.search(r"metrics at (http://\S+)", "".join(server.stderr))
    assert found is not None
    return found[1]


def scraped(server: ServerProcess) -> Samples:
    answer = httpx2.get(address(server), timeout=10)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def of(samples: Samples, start: str) -> Samples:
    return {name: value for name, value in samples.items() if name.startswith(start)}


async def test_a_scrape_counts_runs_requests_tokens_and_failures(machine: Machine) -> None:
    config = machine.folder / "pipelines.toml"
    routes = f'api_base = "{machine.models.url}", usd_per_million = {{ prompt = 1000000, completion = 2000000 }}'
    config.write_text(
        f'[models.m]\nroutes = [{{ model = "openai/m", {routes} }}]\n'
        '[models.n]\nroutes = [{ model = "openai/n", api_base = "' + machine.models.url + '" }]\n'
        '[pipelines.p]\nsteps = [{ step = "propose", agents = ["m", "n"] }, { step = "aggregate", agent = "m" }]\n',
        "utf-8",
    )
    machine.models.script("n", Status(500, "broken", retry_after="0"), Held())
    with machine.serve(*HTTP) as server:
        async with Client(server.url, mode="legacy", read_timeout_seconds=30) as client:
            run = content(await client.call_tool("p", {**QUESTION, "wait_s": 0}))["run_id"]
            await anyio.to_thread.run_sync(machine.waits, lambda seen: len(seen) == 3)
            await anyio.to_thread.run_sync(
                until, lambda: scraped(server)['moa_requests_total{model="openai/m",outcome="ok"}'] == 1
            )
            during = scraped(server)
            machine.models.release()
            assert content(await client.call_tool("moa_wait", {"run_id": run}))["status"] == "complete"
            after = scraped(server)
        until(lambda: scraped(server)["moa_sessions_open"] == 0)
    assert (during["moa_runs_active"], during["moa_sessions_open"]) == (1, 1)
    assert of(during, "moa_runs_ended_total") == {}
    assert of(during, "moa_journal_runs") == {
        'moa_journal_runs{status="queued"}': 0,
        'moa_journal_runs{status="running"}': 1,
    }
    assert (after["moa_runs_active"], after['moa_runs_started_total{pipeline="p"}']) == (0, 1)
    assert of(after, "moa_runs_ended_total") == {'moa_runs_ended_total{pipeline="p",status="complete"}': 1}
    assert of(after, "moa_requests_total") == {
        'moa_requests_total{model="openai/m",outcome="ok"}': 2,
        'moa_requests_total{model="openai/n",outcome="ServerFailed"}': 1,
        'moa_requests_total{model="openai/n",outcome="ok"}': 1,
    }
    assert of(after, "moa_provider_failures_total") == {
        'moa_provider_failures_total{provider="openai",reason="ServerFailed"}': 1
    }
    assert of(after, "moa_retries_total") == {'moa_retries_total{provider="openai"}': 1}
    assert after['moa_waits_total{reason="retry"}'] == 1
    tokens = {kind: after[f'moa_tokens_total{{kind="{kind}",model="openai/m"}}'] for kind in ("prompt", "completion")}
    assert after['moa_cost_usd_total{model="openai/m"}'] == tokens["prompt"] + 2 * tokens["completion"]
    assert after['moa_unpriced_requests_total{model="openai/n"}'] == 1
    assert after["moa_journal_write_seconds_count"] == 7
    assert after['moa_request_seconds_count{outcome="ok",provider="openai"}'] == 3
    assert after['moa_run_seconds_count{status="complete"}'] == 1
    assert (after["moa_draining"], after["moa_journal_failing_seconds"]) == (0, 0)
    assert [value for name, value in after.items() if name.startswith("moa_build_info")] == [1]
    assert run not in str(after)
    assert QUESTION["question"] not in str(after)


async def test_a_run_that_is_taken_over_is_counted_and_what_it_inherits_is_not(machine: Machine) -> None:
    machine.answers(8)
    with machine.serve(*HTTP) as server:
        async with Client(server.url, read_timeout_seconds=30) as client:
            run = content(await client.call_tool(POOL, {**QUESTION, "wait_s": 0}))["run_id"]
            await anyio.to_thread.run_sync(machine.settles, 8)
    machine.answers_all()
    with machine.serve(*HTTP) as server:
        async with Client(server.url, read_timeout_seconds=30) as client:
            assert content(await client.call_tool("moa_wait", {"run_id": run}))["status"] == "complete"
            resumed = scraped(server)
            fork = await client.call_tool("moa_fork", {"run_id": run, "step": 4})
            assert content(fork)["status"] == "complete"
            forked = scraped(server)
    pipeline = f'{{pipeline="{POOL}"}}'
    assert resumed[f"moa_runs_resumed_total{pipeline}"] == 1
    asked = [sum(of(each, "moa_requests_total").values()) for each in (resumed, forked)]
    assert asked == [11, 12]


def test_the_port_of_metrics_also_tells_of_health_and_nothing_else(nursery: Nursery) -> None:
    with ServerProcess("--metrics", "127.0.0.1:0", *OFFLINE, nursery=nursery) as server:  # over stdio
        server.initialize()
        url = httpx2.URL(address(server))
        assert httpx2.get(url.join("/ready"), timeout=10).json() == {"status": "ready"}
        assert httpx2.get(url.join("/mcp"), timeout=10).status_code == 404
        assert httpx2.post(url, timeout=10).status_code == 404
        assert "moa_build_info" in str(scraped(server))
        server.close_stdin()
        assert server.ended() == 0


@pytest.mark.parametrize(
    ("value", "said"), [("x", "'x' of --metrics is not [HOST:]PORT"), ("99999", "'99999' of --metrics is not")]
)
def test_an_address_that_is_none_is_named(machine: Machine, value: str, said: str) -> None:
    done = machine.run("serve", "--metrics", value)
    assert (done.returncode, said in done.stderr) == (2, True)


def test_a_port_that_is_taken_and_a_package_that_is_missing_are_named(machine: Machine) -> None:
    with machine.serve(*HTTP) as server:
        taken = httpx2.URL(address(server)).port
        done = machine.run("serve", "--metrics", str(taken))
    assert (done.returncode, f"port {taken}" in done.stderr) == (2, True)
    without = "import sys; sys.modules['prometheus_client'] = None"
    done = machine.run("serve", "--metrics", "0", prelude=without)
    assert done.returncode == 2
    assert "pip install 'moa-mcp[team]'" in done.stderr


def test_labels_have_a_limited_number_of_values() -> None:
    names = Names()
    assert [names.bounded(str(number)) for number in range(MOST_NAMES)] == [str(n) for n in range(MOST_NAMES)]
    assert names.bounded("one more") == OTHER
    assert names.bounded("7") == "7"
