"""What the standard OTEL_* variables ask for: which signals go where. Pure; it imports nothing of OpenTelemetry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

Signal: TypeAlias = Literal["TRACES", "METRICS"]
_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_ON_SPANS = {"true", "span_only", "span_and_event"}


class Destinations(NamedTuple):
    """The names of exporters by signal, such as `otlp`; empty for a signal that is not exported."""

    traces: tuple[str, ...]
    metrics: tuple[str, ...]

    @property
    def any(self) -> bool:
        """Whether anything is exported."""
        return bool(self.traces or self.metrics)


def destinations(environ: Mapping[str, str]) -> Destinations:
    """Return where the signals go. Nowhere unless an exporter or an endpoint is named."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Destinations((), ())
    return Destinations(_exporters("TRACES", environ), _exporters("METRICS", environ))


def protocol(signal: Signal, environ: Mapping[str, str]) -> str:
    """Return the OTLP protocol of a signal."""
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL")
    return own or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"


def captures_content(environ: Mapping[str, str]) -> bool:
    """Whether prompts and answers are wanted on spans. Events with them are not sent."""
    return environ.get(_CONTENT, "").strip().lower() in _ON_SPANS


def _exporters(signal: Signal, environ: Mapping[str, str]) -> tuple[str, ...]:
    named = environ.get(f"OTEL_{signal}_EXPORTER")
    if not named:
        endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        return ("otlp",) if any(environ.get(name) for name in endpoints) else ()
    names = (name.strip() for name in named.split(","))
    return tuple(name for name in names if name and name != "none")
