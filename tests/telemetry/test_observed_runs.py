"""Runs of this process under observation, by the SDK of OpenTelemetry with what it exports in memory."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from decimal import Decimal

import pytest
from msgspec.structs import replace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from moa_mcp.config import Config
from moa_mcp.events import AttemptStarted, Event, RunEstimated
from moa_mcp.middleware import Usable
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import Runs
from moa_mcp.telemetry import attributes
from moa_mcp.telemetry.metrics import Instruments
from moa_mcp.telemetry.observer import Telemetry
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Place, Question, Target, Tokens
from tests.support.journals import PANEL, config_of
from tests.support.layers import at
from tests.support.starting import start_run
from tests.support.tables import AGGREGATE

pytestmark = pytest.mark.anyio

ONE_ANSWER = at("p/m")


class Broken(SpanProcessor):
    """Fails at the end of every span."""

    def on_end(self, span: ReadableSpan) -> None:
        raise OSError(f"no room for {span.name}")


@dataclass
class Watched:
    telemetry: Telemetry
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def runs(self, config: Config = PANEL, usable: Usable = ONE_ANSWER) -> Runs:
        return Runs(config, Backend(ScriptedModel(), lambda _: usable), None, [self.telemetry])

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.exporter.get_finished_spans()]

    def span(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.exporter.get_finished_spans() if span.name == name]
        return found

    @property
    def metrics(self) -> set[str]:
        data = self.reader.get_metrics_data()
        assert data is not None
        scopes = [scope for each in data.resource_metrics for scope in each.scope_metrics]
        return {metric.name for scope in scopes for metric in scope.metrics}


def watched(*processors: SpanProcessor) -> Watched:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in (*processors, SimpleSpanProcessor(exporter)):
        provider.add_span_processor(processor)
    meters = MeterProvider([reader], shutdown_on_exit=False)
    instruments = Instruments.of(meters.get_meter("tests"))
    return Watched(Telemetry(provider.get_tracer("tests"), instruments, content=True), exporter, reader)


@pytest.fixture
def seen() -> Watched:
    return watched()


async def run_one(runs: Runs) -> str | None:
    async with runs.open():
        run = await start_run(runs, runs.config.pipelines["p"], Question("Why?"), watch=lambda _: None)
        await run.ended.wait()
    return run.trace.answer


async def test_the_wait_for_the_first_text_of_a_streamed_answer_is_measured(seen: Watched) -> None:
    await run_one(seen.runs())
    streamed = [
        span.name
        for span in seen.exporter.get_finished_spans()
        if "gen_ai.response.time_to_first_chunk" in (span.attributes or {})
    ]
    assert streamed == ["chat m"]
    assert "gen_ai.client.operation.time_to_first_chunk" in seen.metrics


async def test_a_request_for_several_answers_is_one_span_with_links_to_the_other_calls(seen: Watched) -> None:
    config = config_of('{ step = "propose", agents = ["x", "x", "x"] }', AGGREGATE)

    async def usable(_: str) -> tuple[Target, ...]:
        return (Target("p/m", "p", samples=8),)

    await run_one(seen.runs(config, usable))
    chats = [span for span in seen.exporter.get_finished_spans() if span.name == "chat m"]
    answers = [(span.attributes or {}).get("gen_ai.request.choice.count", 1) for span in chats]
    assert sum(int(str(each)) for each in answers) == 4
    assert len(chats) == 2
    assert [len(span.links) for span in chats] == [int(str(each)) - 1 for each in answers]


async def test_an_error_in_a_span_processor_ends_the_observation_and_not_the_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = watched(Broken())
    with caplog.at_level(logging.WARNING, "moa_mcp"):
        assert await run_one(seen.runs()) is not None
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["telemetry of a run stopped: OSError: no room for chat m"]


async def test_late_and_repeated_events_change_nothing(seen: Watched, caplog: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []
    runs = Runs(PANEL, Backend(ScriptedModel(), lambda _: at("p/m")))
    async with runs.open():
        run = await start_run(runs, PANEL.pipelines["p"], Question("Why?"), watch=events.append)
        await run.ended.wait()
    observed = seen.telemetry.begin("r", "p", ("not a traceparent",))
    for event in events:
        observed.emit(event)
    once = sorted(seen.names)
    ends = [event for event in events if event.kind.endswith(("finished", "failed", "received"))]
    for event in ends:
        observed.emit(event)
    observed.end()
    assert sorted(seen.names) == once
    assert seen.span("invoke_workflow p").links == ()
    assert caplog.records == []


async def test_what_is_open_ends_with_a_run_that_is_interrupted(seen: Watched) -> None:
    events: list[Event] = []
    runs = Runs(PANEL, Backend(ScriptedModel(), lambda _: at("p/m")))
    async with runs.open():
        run = await start_run(runs, PANEL.pipelines["p"], Question("Why?"), watch=events.append)
        await run.ended.wait()
    observed = seen.telemetry.begin("r", "p", ())
    for event in events[: [event.kind for event in events].index("attempt_finished")]:
        observed.emit(event)
    assert seen.names == []
    observed.end()
    assert (seen.span("invoke_workflow p").attributes or {})["moa.run.status"] == "interrupted"
    assert {"chat m", "step 1 propose"} <= {*seen.names}


async def test_telemetry_without_providers_of_the_sdk_has_nothing_to_flush(seen: Watched) -> None:
    await seen.telemetry.flush()
    assert seen.names == []


def test_what_is_not_limited_has_no_attribute_and_what_is_has_one() -> None:
    tokens = Tokens(1, 2, 3)
    free = RunEstimated(calls=1, tokens=tokens, cost_usd=None, unpriced=("a",), max_cost_usd=None)
    capped = replace(free, max_cost_usd=Decimal("0.5"))
    assert attributes.of_estimate(free) == {"moa.estimate.calls": 1, "moa.estimate.tokens": 2}
    assert attributes.of_estimate(capped) == attributes.of_estimate(free) | {"moa.run.max_cost_usd": 0.5}
    asked = AttemptStarted(place=Place(1, 1), attempt=1, model="openai/m", parameters={})
    assert attributes.of_request(asked) == {"moa.attempt.number": 1}
