"""What a receiver of OpenTelemetry sees of runs, over real OTLP, and what a run does not notice of the receiver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import server_attributes

from tests.cli.test_cli import POSIX, Terminal
from tests.support.model_server import Hang, ModelServer, Reply, Status
from tests.support.nursery import Nursery
from tests.support.otlp_grpc import OtlpGrpcReceiver
from tests.support.otlp_receiver import OtlpReceiver, Seen
from tests.support.serving import MEASURED, OFFLINE, ServerProcess, content

pytestmark = pytest.mark.anyio

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
STEPS = '{step="propose", agents=["first"]}', '{step="aggregate", agent="last"}'
KEY = "sk-not-for-any-trace-1234567890"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def models(tmp_path: Path) -> Iterator[ModelServer]:
    with ModelServer() as server:
        server.script("first", Reply("An idea."))
        server.script("last", Reply("The answer."))
        written = [
            f'{name}.routes = [{{ model = "openai/{name}", api_base = "{server.url}", '
            "usd_per_million = { prompt = 1, completion = 2 } }]"
            for name in ("first", "last")
        ]
        pipeline = ["[pipelines.one]", 'description = "Two calls."', f"steps = [{', '.join(STEPS)}]"]
        text = "\n".join(["limits.attempts = 1", "[models]", *written, *pipeline])
        (tmp_path / "pipelines.toml").write_text(text, "utf-8")
        yield server


def environ_of(receiver: OtlpReceiver, folder: Path, **variables: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.devnull,
        "MOA_MCP_CONFIG": str(folder / "pipelines.toml"),
        "MOA_MCP_JOURNAL": str(folder / "journal.sqlite"),
        "MOA_MCP_ENV_FILE": "none",
        "OPENAI_API_KEY": KEY,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        **variables,
    }


def named(spans: list[Seen], name: str) -> Seen:
    (found,) = [span for span in spans if span.name == name]
    return found


def above(spans: list[Seen], name: str) -> list[str]:
    """Return the names of a span and of those above it that were received."""
    by_id = {span.span_id: span for span in spans}
    span: Seen | None = named(spans, name)
    names = []
    while span is not None:
        names.append(span.name)
        span = by_id.get(span.parent_id)
    return names


def test_a_run_is_a_tree_of_spans(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    done = nursery.run("ask", "one", "Why?", "-q", environ=environ_of(receiver, tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "The answer.\n", "")
    spans = receiver.spans
    assert above(spans, "chat last") == ["chat last", "invoke_agent last", "step 2 aggregate", "invoke_workflow one"]
    assert above(spans, "chat first") == ["chat first", "invoke_agent first", "step 1 propose", "invoke_workflow one"]
    assert len({span.trace_id for span in spans}) == 1
    run, chat = named(spans, "invoke_workflow one"), named(spans, "chat last")
    assert run.attributes["moa.run.status"] == "complete"
    assert run.attributes["gen_ai.conversation.id"] == run.attributes["moa.run.id"]
    assert chat.attributes["gen_ai.provider.name"] == "openai"
    assert chat.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert chat.attributes["gen_ai.usage.input_tokens"] > 0
    assert chat.attributes["moa.cost_usd"] > 0
    assert receiver.resource["service.name"] == "moa-mcp"


def test_attributes_are_those_of_the_conventions_or_have_the_prefix_of_the_package(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    nursery.run("ask", "one", "Why?", environ=environ_of(receiver, tmp_path, **{CAPTURE: "true"}))
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    known |= {server_attributes.SERVER_ADDRESS, server_attributes.SERVER_PORT}
    used = {name for span in receiver.spans for name in span.attributes}
    assert used
    assert {name for name in used if not name.startswith("moa.")} <= known


def test_tokens_seconds_and_dollars_are_measured_by_model(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    nursery.run("ask", "one", "Why?", environ=environ_of(receiver, tmp_path))
    chats = [span for span in receiver.spans if span.name.startswith("chat ")]
    measured = {(each.name, each.attributes["gen_ai.request.model"]): each for each in receiver.points}
    for chat in chats:
        model = chat.attributes["gen_ai.request.model"]
        assert measured["moa.cost", model].total == pytest.approx(chat.attributes["moa.cost_usd"])
        assert measured["gen_ai.client.operation.duration", model].count == 1
    tokens = [each for each in receiver.points if each.name == "gen_ai.client.token.usage"]
    assert sum(each.total for each in tokens if each.attributes["gen_ai.token.type"] == "input") == sum(
        chat.attributes["gen_ai.usage.input_tokens"] for chat in chats
    )
    assert {each.attributes["gen_ai.token.type"] for each in tokens} == {"input", "output"}
    assert measured["moa.cost", "last"].unit == "{USD}"


def test_requests_have_the_address_of_their_server(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    nursery.run("ask", "one", "Why?", environ=environ_of(receiver, tmp_path))
    server = ("127.0.0.1", int(models.url.rpartition(":")[2].partition("/")[0]))
    chats = [span for span in receiver.spans if span.name.startswith("chat ")]
    seen = [*(span.attributes for span in chats), *(point.attributes for point in receiver.points)]
    assert {(each["server.address"], each["server.port"]) for each in seen} == {server}


@POSIX
def test_a_streamed_answer_has_the_time_to_its_first_chunk(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    models.script("last", Reply("The answer.", chunk_delay_s=0.1))
    environ = {**environ_of(receiver, tmp_path), "TERM": "xterm"}
    assert Terminal(environ, "ask", "one", "Why?", nursery=nursery).until_end() == 0
    first, last = (named(receiver.spans, name) for name in ("chat first", "chat last"))
    after_s = last.attributes["gen_ai.response.time_to_first_chunk"]
    assert 0 < after_s < last.seconds
    assert last.attributes["gen_ai.request.stream"] is True
    assert not {"gen_ai.response.time_to_first_chunk", "gen_ai.request.stream"} & {*first.attributes}
    (point,) = [each for each in receiver.points if each.name == "gen_ai.client.operation.time_to_first_chunk"]
    assert (point.count, point.unit, point.attributes["gen_ai.request.model"]) == (1, "s", "last")
    assert point.total == pytest.approx(after_s)


@pytest.mark.parametrize(
    "command", [("ask", "one", "Why?"), ("runs", "fork", "last", "--from", "2")], ids=["ask", "fork"]
)
def test_a_command_belongs_to_the_trace_in_its_environment(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path, command: tuple[str, ...]
) -> None:
    plain = environ_of(receiver, tmp_path)
    nursery.run("ask", "one", "Why?", environ={**plain, "OTEL_SDK_DISABLED": "true"})
    done = nursery.run(*command, environ={**plain, "TRACEPARENT": TRACEPARENT, "TRACESTATE": "vendor=1"})
    assert done.returncode == 0
    run = named(receiver.spans, "invoke_workflow one")
    assert (run.trace_id, run.parent_id, run.trace_state) == (TRACE, PARENT, "vendor=1")
    assert {span.trace_id for span in receiver.spans} == {TRACE}


def test_a_trace_in_the_environment_that_can_not_be_read_is_ignored(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    done = nursery.run("ask", "one", "Why?", "-q", environ=environ_of(receiver, tmp_path, TRACEPARENT="00-zz-1-01"))
    assert (done.returncode, done.stderr) == (0, "")
    assert named(receiver.spans, "invoke_workflow one").parent_id == ""


def test_a_run_that_a_worker_executes_belongs_to_the_request_of_the_server_that_submitted_it(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path, database: str
) -> None:
    environ = environ_of(receiver, tmp_path, MOA_MCP_JOURNAL=database)
    with ServerProcess("--submit", nursery=nursery, **environ) as server:
        server.initialize()
        with nursery.start("worker", environ=environ) as worker:
            server.ask(1, "tools/call", name="one", arguments={"question": "Why?"}, _meta={"traceparent": TRACEPARENT})
            worker.terminate()
            worker.communicate()
        server.close_stdin()
        server.ended()
    spans = receiver.spans
    assert above(spans, "chat last")[-2:] == ["invoke_workflow one", "tools/call one"]
    assert {span.trace_id for span in spans if span.name.startswith(("tools", "invoke", "step", "chat"))} == {TRACE}


def test_nothing_is_sent_if_the_sdk_is_disabled(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    environ = environ_of(receiver, tmp_path, OTEL_SDK_DISABLED="TRUE", TRACEPARENT=TRACEPARENT)
    assert nursery.run("ask", "one", "Why?", environ=environ).returncode == 0
    assert (receiver.spans, receiver.points) == ([], [])


@pytest.mark.parametrize(("capture", "sent"), [("", False), ("EVENT_ONLY", False), ("true", True), ("SPAN_ONLY", True)])
def test_prompts_and_answers_are_sent_only_when_they_are_asked_for_and_keys_never(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path, capture: str, sent: bool
) -> None:
    environ = environ_of(receiver, tmp_path, **{CAPTURE: capture})
    nursery.run("ask", "one", f"Why is {KEY} green?", environ=environ)
    received = json.dumps([span.attributes for span in receiver.spans])
    assert ("green" in received, "The answer." in received, "An idea." in received) == (sent, sent, sent)
    assert KEY not in received
    if sent:
        (answer,) = json.loads(named(receiver.spans, "chat last").attributes["gen_ai.output.messages"])
        parts = [{"type": "text", "content": "The answer."}]
        assert answer == {"role": "assistant", "parts": parts, "finish_reason": "stop"}


@pytest.mark.parametrize(("capture", "sent"), [("", False), ("true", True)])
def test_a_failed_request_fails_its_spans_and_its_message_is_content(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path, capture: str, sent: bool
) -> None:
    models.script("last", Status(400, f"the prompt with {KEY} is bad"))
    done = nursery.run("ask", "one", "Why?", environ=environ_of(receiver, tmp_path, **{CAPTURE: capture}))
    assert done.returncode == 1
    spans = receiver.spans
    chat, run = named(spans, "chat last"), named(spans, "invoke_workflow one")
    assert chat.error is not None
    assert ("is bad" in chat.error, KEY in chat.error) == (sent, False)
    assert chat.attributes["error.type"] == named(spans, "invoke_agent last").attributes["error.type"]
    assert (run.attributes["moa.run.status"], run.attributes["error.type"]) == ("failed", "step")
    failed = [each for each in receiver.points if each.attributes.get("error.type")]
    assert [each.name for each in failed] == ["gen_ai.client.operation.duration"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_run_belongs_to_the_trace_of_an_http_request(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path, mode: Literal["legacy", "auto"]
) -> None:
    with ServerProcess("--http", "--port", "0", nursery=nursery, **environ_of(receiver, tmp_path)) as server:
        http = httpx2.AsyncClient(headers={"traceparent": TRACEPARENT}, timeout=20)
        peer = streamable_http_client(server.url, http_client=http)
        async with http, Client(peer, mode=mode, read_timeout_seconds=20) as client:
            result = await client.call_tool("one", {"question": "Why?"})
        assert content(result)["status"] == "complete"
    spans = receiver.spans
    assert above(spans, "chat last")[-2:] == ["invoke_workflow one", "tools/call one"]
    call = named(spans, "tools/call one")
    assert (call.trace_id, call.parent_id) == (TRACE, PARENT)


def test_a_run_belongs_to_the_trace_of_a_request_for_a_completion(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    with ServerProcess("--http", "--port", "0", nursery=nursery, **environ_of(receiver, tmp_path)) as server:
        url = server.url.replace("/mcp", "/v1/chat/completions")
        body = {"model": "one", "messages": [{"role": "user", "content": "Why?"}]}
        assert httpx2.post(url, json=body, headers={"traceparent": TRACEPARENT}, timeout=20).status_code == 200
    run = named(receiver.spans, "invoke_workflow one")
    assert (run.trace_id, run.parent_id) == (TRACE, PARENT)


def test_a_run_belongs_to_the_trace_in_the_message_of_a_client_over_stdio(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    with ServerProcess(nursery=nursery, **environ_of(receiver, tmp_path)) as server:
        server.initialize()
        server.ask(1, "tools/call", name="one", arguments={"question": "Why?"}, _meta={"traceparent": TRACEPARENT})
        server.close_stdin()
        server.ended()
    assert named(receiver.spans, "tools/call one").parent_id == PARENT
    assert named(receiver.spans, "invoke_workflow one").trace_id == TRACE


def test_a_resumed_run_and_a_fork_are_linked_to_the_earlier_run(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    models.script("last", Hang())
    environ = environ_of(receiver, tmp_path)
    with ServerProcess(nursery=nursery, **environ) as server:
        server.initialize()
        server.send(id=1, method="tools/call", params={"name": "one", "arguments": {"question": "Why?"}})
        models.wait_for(lambda seen: any(each.model == "last" for each in seen), 15)
        server.signal(signal.SIGTERM)
        server.ended()
    first = named(receiver.spans, "invoke_workflow one")
    assert first.attributes["moa.run.status"] == "interrupted"
    assert "invoke_workflow one" in above(receiver.spans, "chat last")

    models.script("last", Reply("So."))
    assert nursery.run("runs", "resume", "last", environ=environ).returncode == 0
    assert nursery.run("runs", "fork", "last", "--from", "2", environ=environ).returncode == 0
    resumed, forked = [span for span in receiver.spans if span.name == "invoke_workflow one"][1:]
    assert resumed.attributes["gen_ai.conversation.id"] == first.attributes["gen_ai.conversation.id"]
    assert resumed.links == [first.span_id]
    assert forked.links == [first.span_id, resumed.span_id]
    assert forked.attributes["moa.run.forked_from"] == first.attributes["moa.run.id"]
    assert [span.name for span in receiver.spans].count("chat first") == 1


@pytest.mark.parametrize("answers", [True, False], ids=["gone", "silent"])
def test_a_receiver_that_does_not_answer_neither_breaks_a_run_nor_keeps_its_process(
    nursery: Nursery, models: ModelServer, tmp_path: Path, answers: bool
) -> None:
    with OtlpReceiver(answers=answers) as receiver:
        environ = environ_of(receiver, tmp_path)
        if answers:
            receiver.__exit__()
        with nursery.start("ask", "one", "Why?", "-q", environ=environ) as process:
            assert process.communicate() == ("The answer.\n", "")
            assert process.wait(10) == 0


async def test_a_server_goes_on_while_its_receiver_hangs(nursery: Nursery, models: ModelServer, tmp_path: Path) -> None:
    with OtlpReceiver(answers=False) as receiver:
        quick = {"OTEL_BSP_SCHEDULE_DELAY": "1", "OTEL_METRIC_EXPORT_INTERVAL": "1"}
        environ = environ_of(receiver, tmp_path, **quick)
        with ServerProcess(nursery=nursery, **environ) as server:
            server.initialize()
            for number in (1, 2, 3):
                result = server.ask(number, "tools/call", name="one", arguments={"question": "Why?"})
                assert result["result"]["structuredContent"]["status"] == "complete"
            server.close_stdin()
            server.ended()


def test_otlp_over_grpc_needs_a_package_that_the_warning_names(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    missing = "import sys; sys.modules['opentelemetry.exporter.otlp.proto.grpc'] = None"
    environ = environ_of(receiver, tmp_path, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    done = nursery.run("ask", "one", "Why?", "-q", environ=environ, prelude=missing)
    assert (done.returncode, done.stdout) == (0, "The answer.\n")
    assert "run pip install opentelemetry-exporter-otlp-proto-grpc" in done.stderr


@pytest.mark.parametrize("answers", [True, False], ids=["answers", "hangs"])
def test_spans_and_metrics_are_sent_over_grpc(
    nursery: Nursery, models: ModelServer, tmp_path: Path, answers: bool
) -> None:
    pytest.importorskip("grpc")
    with OtlpGrpcReceiver(answers=answers) as receiver:
        environ = environ_of(receiver.decoded, tmp_path, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
        environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with nursery.start("ask", "one", "Why?", "-q", environ=environ) as process:
            assert process.communicate() == ("The answer.\n", "")
            assert process.wait(10) == 0
        spans, points = receiver.decoded.spans, receiver.decoded.points
    if answers:
        assert named(spans, "invoke_workflow one").attributes["moa.run.status"] == "complete"
        assert {each.name for each in points} >= {"moa.cost", "gen_ai.client.operation.duration"}


@pytest.mark.parametrize(
    ("variables", "warning"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER names 'zipkin'"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/xml"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'http/xml'"),
        ({"OTEL_BSP_SCHEDULE_DELAY": "-1"}, "telemetry is off: ValueError"),
    ],
)
def test_variables_that_can_not_be_used_get_a_warning_and_the_run_continues(
    nursery: Nursery,
    receiver: OtlpReceiver,
    models: ModelServer,
    tmp_path: Path,
    variables: dict[str, str],
    warning: str,
) -> None:
    done = nursery.run("ask", "one", "Why?", "-q", environ=environ_of(receiver, tmp_path, **variables))
    assert (done.returncode, done.stdout) == (0, "The answer.\n")
    assert warning in done.stderr


@pytest.mark.parametrize("command", ["ask", "serve"])
def test_headers_with_a_key_that_the_sdk_can_not_read_are_shown_to_no_one(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path, command: str
) -> None:
    environ = environ_of(receiver, tmp_path, OTEL_EXPORTER_OTLP_HEADERS="x-api-key: abcdefgh12345678")
    arguments = ("ask", "one", "Why?") if command == "ask" else ("serve",)
    done = nursery.run(*arguments, environ=environ)
    assert done.returncode == 0
    assert "abcdefgh12345678" not in done.stdout + done.stderr
    assert ("[key]" in done.stderr) == (command == "serve")


def test_the_missing_extra_is_named_and_the_run_continues(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path
) -> None:
    missing = "import sys; sys.modules['opentelemetry.sdk'] = None"
    done = nursery.run("ask", "one", "Why?", "-q", environ=environ_of(receiver, tmp_path), prelude=missing)
    assert (done.returncode, done.stdout) == (0, "The answer.\n")
    assert "run pip install 'moa-mcp[otel]'" in done.stderr


def test_the_console_exporter_leaves_stdout_to_mcp(nursery: Nursery, models: ModelServer, tmp_path: Path) -> None:
    variables = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "console", "OTEL_SERVICE_NAME": "panel"}
    with OtlpReceiver() as receiver:
        environ = environ_of(receiver, tmp_path, **variables)
    with ServerProcess(nursery=nursery, **environ) as server:
        server.initialize()
        server.ask(1, "tools/call", name="one", arguments={"question": "Why?"})
        server.close_stdin()
        server.ended()
        assert len(server.messages) >= 2
    assert '"name": "invoke_workflow one"' in "".join(server.stderr)
    assert '"service.name": "panel"' in "".join(server.stderr)


@pytest.mark.parametrize(
    "variables", [{}, {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}]
)
def test_nothing_of_opentelemetry_is_imported_unless_it_is_asked_for(variables: dict[str, str]) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        **MEASURED,
        **variables,
    }
    ask = [sys.executable, "-X", "importtime", "-m", "moa_mcp", "ask", "vote", "What is 2 + 2?", *OFFLINE]
    done = subprocess.run(
        [*ask, "--journal", "none"], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert "moa_mcp.telemetry" in done.stderr
    assert "opentelemetry" not in done.stderr


@pytest.mark.parametrize("kind", ["TRACES", "METRICS"])
def test_of_spans_and_metrics_only_what_is_wanted_is_sent(
    nursery: Nursery, receiver: OtlpReceiver, models: ModelServer, tmp_path: Path, kind: str
) -> None:
    environ = environ_of(receiver, tmp_path, **{f"OTEL_{kind}_EXPORTER": "none"})
    assert nursery.run("ask", "one", "Why?", "-q", environ=environ).returncode == 0
    assert [bool(receiver.spans), bool(receiver.points)] == [kind != "TRACES", kind != "METRICS"]
