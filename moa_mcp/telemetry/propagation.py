"""The trace context of W3C: read from the headers of a request and from the journal, written for the journal."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Link, Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_w3c = TraceContextTextMapPropagator()


@contextmanager
def inside(headers: Mapping[str, str]) -> Generator[None]:
    """Make spans children of the span that the headers name, if they name one."""
    token = context.attach(propagate.extract(headers))
    try:
        yield
    finally:
        context.detach(token)


def traceparent_of(span: Span) -> str:
    """Return the `traceparent` of a span; empty if it has no trace."""
    carrier: dict[str, str] = {}
    _w3c.inject(carrier, trace.set_span_in_context(span, context.Context()))
    return carrier.get("traceparent", "")


def traceparent_of_current() -> str:
    """Return the `traceparent` of the current span; empty if it has no trace."""
    return traceparent_of(trace.get_current_span())


def links_to(traceparents: tuple[str, ...]) -> list[Link]:
    """Return links to the spans of earlier parts of a run, without those that can't be read."""
    contexts = [
        trace.get_current_span(_w3c.extract({"traceparent": each}, context.Context())).get_span_context()
        for each in traceparents
    ]
    return [Link(each, {"moa.link": "earlier run"}) for each in contexts if each.is_valid]
