"""A receiver of OTLP over HTTP in its own process: it decodes what it gets, and tells it to the tests as JSON.

It knows nothing of the package under test.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.request import urlopen

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True, slots=True)
class Seen:
    """A span that was received."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    trace_state: str
    kind: int
    attributes: dict[str, Any]
    links: list[str]
    """The ids of the spans that it is linked to."""
    error: str | None
    """The description of its status; None if it did not fail."""
    events: list[str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Point:
    """The sum of a metric over what was recorded with these attributes."""

    name: str
    unit: str
    attributes: dict[str, Any]
    count: int
    total: float


class Listener:
    """A process that prints its address, inside a `with` block."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


class OtlpReceiver(Listener):
    """A receiver inside a `with` block."""

    def __init__(self, *, answers: bool = True) -> None:
        super().__init__(__file__, *([] if answers else ["--silent"]))

    @property
    def spans(self) -> list[Seen]:
        """The spans so far, in the order of their ends."""
        return [Seen(**each) for each in self._received()["spans"]]

    @property
    def points(self) -> list[Point]:
        """The metrics of the last export."""
        return [Point(**each) for each in self._received()["points"]]

    @property
    def resource(self) -> dict[str, Any]:
        """The attributes of the process that sent the last spans."""
        found: dict[str, Any] = self._received()["resource"]
        return found

    def _received(self) -> dict[str, Any]:
        with urlopen(f"{self.url}/received", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


def _attributes(pairs: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in pairs}


def _span(span: Span) -> dict[str, Any]:
    return {
        "name": span.name,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex(),
        "trace_state": span.trace_state,
        "kind": span.kind,
        "attributes": _attributes(span.attributes),
        "links": [link.span_id.hex() for link in span.links],
        "error": span.status.message if span.status.code == 2 else None,
        "events": [event.name for event in span.events],
        "seconds": (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    }


def _points(metric: Metric) -> list[dict[str, Any]]:
    if metric.WhichOneof("data") == "histogram":
        sums = [(each.attributes, each.count, each.sum) for each in metric.histogram.data_points]
    else:
        sums = [(each.attributes, 1, each.as_double or each.as_int) for each in metric.sum.data_points]
    return [
        {"name": metric.name, "unit": metric.unit, "attributes": _attributes(about), "count": count, "total": total}
        for about, count, total in sums
    ]


class _Handler(BaseHTTPRequestHandler):
    received: dict[str, Any] = {"spans": [], "points": [], "resource": {}}  # noqa: RUF012  one for the process
    silent = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.silent:
            threading.Event().wait()
        self._answer(self._traces(body) if self.path == "/v1/traces" else self._metrics(body), "application/x-protobuf")

    def do_GET(self) -> None:
        self._answer(json.dumps(self.received).encode(), "application/json")

    def _traces(self, body: bytes) -> bytes:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.received["resource"] = _attributes(resource.resource.attributes)
            spans = [_span(span) for scope in resource.scope_spans for span in scope.spans]
            self.received["spans"].extend(spans)
        answer: bytes = ExportTraceServiceResponse().SerializeToString()
        return answer

    def _metrics(self, body: bytes) -> bytes:
        scopes = [
            scope
            for each in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in each.scope_metrics
        ]
        self.received["points"] = [point for scope in scopes for metric in scope.metrics for point in _points(metric)]
        answer: bytes = ExportMetricsServiceResponse().SerializeToString()
        return answer

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def _serve() -> None:
    _Handler.silent = "--silent" in sys.argv
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    _serve()
