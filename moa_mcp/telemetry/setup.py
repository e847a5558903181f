"""Sets the OpenTelemetry SDK up, once for the process, unless the process that embeds this package has done so."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from moa_mcp.telemetry.metrics import Instruments
from moa_mcp.telemetry.observer import Telemetry
from moa_mcp.telemetry.variables import Signal, captures_content, destinations, protocol

_log = logging.getLogger(__name__)
_NAME = "moa-mcp"
_PROTOCOLS = {"http/protobuf": "http", "grpc": "grpc"}


def set_up(environ: Mapping[str, str]) -> Telemetry | None:
    """Return the observer of runs; None, with a warning in the log, if the SDK rejects its variables."""
    try:
        _set_providers(environ)
    except Exception as error:  # noqa: BLE001  exporters raise what they like, and telemetry must not stop the server
        _log.warning("telemetry is off: %s: %s; check the OTEL_* variables", type(error).__name__, error)
        return None
    released = version(_NAME)
    tracer = trace.get_tracer(_NAME, released)
    instruments = Instruments.of(metrics.get_meter(_NAME, released))
    return Telemetry(tracer, instruments, content=captures_content(environ))


def _set_providers(environ: Mapping[str, str]) -> None:
    """Set the global providers, which the spans of the MCP SDK use too."""
    wanted, resource = destinations(environ), _resource()
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider) and wanted.traces:
        # Without its exit handler, which waits for a receiver that does not answer.
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for name in wanted.traces:
            if (spans := _span_exporter(name, environ)) is not None:
                provider.add_span_processor(BatchSpanProcessor(spans))
        trace.set_tracer_provider(provider)
    if not isinstance(metrics.get_meter_provider(), MeterProvider) and wanted.metrics:
        exporters = [_metric_exporter(name, environ) for name in wanted.metrics]
        readers = [PeriodicExportingMetricReader(each) for each in exporters if each is not None]
        metrics.set_meter_provider(MeterProvider(readers, resource=resource, shutdown_on_exit=False))


def _resource() -> Resource:
    own = {"service.name": _NAME, "service.version": version(_NAME)}
    return Resource.create({**own, **OTELResourceDetector().detect().attributes})


def _span_exporter(name: str, environ: Mapping[str, str]) -> SpanExporter | None:
    if name == "console":  # stdout carries MCP
        return ConsoleSpanExporter(out=sys.stderr)
    made = _otlp("TRACES", name, environ, "trace_exporter", "OTLPSpanExporter")
    return made() if made else None


def _metric_exporter(name: str, environ: Mapping[str, str]) -> MetricExporter | None:
    if name == "console":
        return ConsoleMetricExporter(out=sys.stderr)
    made = _otlp("METRICS", name, environ, "metric_exporter", "OTLPMetricExporter")
    return made() if made else None


def _otlp(
    signal: Signal, name: str, environ: Mapping[str, str], module: str, exporter: str
) -> Callable[[], Any] | None:
    """Return the class of an exporter; None, with a warning in the log, if it is unknown or not installed."""
    if name != "otlp":
        _log.warning("OTEL_%s_EXPORTER names %r, which is not supported; use otlp, console or none", signal, name)
        return None
    wanted = protocol(signal, environ)
    if wanted not in _PROTOCOLS:
        _log.warning("OTEL_EXPORTER_OTLP_PROTOCOL is %r; use http/protobuf or grpc", wanted)
        return None
    short = _PROTOCOLS[wanted]
    try:
        loaded = import_module(f"opentelemetry.exporter.otlp.proto.{short}.{module}")
    except ModuleNotFoundError:
        package = f"opentelemetry-exporter-otlp-proto-{short}"
        _log.warning(
            "OTLP over %s needs a package: run pip install %s, or use OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
            wanted,
            package,
        )
        return None
    made: Callable[[], Any] = getattr(loaded, exporter)
    return made
