"""The metrics of a process, in the text format of Prometheus.

Their number is bounded: no label has an ID, a question, a message or anything else that a client chooses freely. Of
models and pipelines, whose names may come from recorded runs, the first 200 have their own series.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

MOST_NAMES = 200
OTHER = "other"
_RUN_S = (0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1800)
_REQUEST_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300)
_WRITE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Names:
    """Limits the number of values of a label."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def bounded(self, name: str) -> str:
        """Return a name, or `other` if there are too many."""
        if name not in self._known:
            if len(self._known) >= MOST_NAMES:
                return OTHER
            self._known.add(name)
        return name


class OfRuns:
    """The metrics of runs."""

    def __init__(self, registry: CollectorRegistry) -> None:
        pipeline = ["pipeline"]
        self.started = Counter("moa_runs_started", "Runs started or resumed here", pipeline, registry=registry)
        self.resumed = Counter("moa_runs_resumed", "Interrupted runs taken over", pipeline, registry=registry)
        self.ended = Counter("moa_runs_ended", "Runs that ended here", ["pipeline", "status"], registry=registry)
        self.active = Gauge("moa_runs_active", "Active runs of this process", registry=registry)
        self.unended = Gauge("moa_journal_runs", "Runs in the journal, up to 1000", ["status"], registry=registry)
        self.seconds = Histogram("moa_run_seconds", "Seconds of runs", ["status"], registry=registry, buckets=_RUN_S)


class OfRequests:
    """The metrics of requests to models."""

    def __init__(self, registry: CollectorRegistry) -> None:
        model, provider = ["model"], ["provider"]
        self.ended = Counter("moa_requests", "Requests to models", ["model", "outcome"], registry=registry)
        self.seconds = Histogram(
            "moa_request_seconds", "Seconds of requests", ["provider", "outcome"], registry=registry, buckets=_REQUEST_S
        )
        self.failures = Counter("moa_provider_failures", "Failed requests", ["provider", "reason"], registry=registry)
        self.retries = Counter("moa_retries", "Requests that repeat a failed one", provider, registry=registry)
        self.waits = Counter("moa_waits", "Waits of calls before a request", ["reason"], registry=registry)
        self.tokens = Counter("moa_tokens", "Billed tokens", ["model", "kind"], registry=registry)
        self.cost = Counter("moa_cost_usd", "Cost of requests with a known price", model, registry=registry)
        self.unpriced = Counter("moa_unpriced_requests", "Answers without a known price", model, registry=registry)
        self.stored_after = Histogram(
            "moa_journal_write_seconds", "Seconds until an event is stored", registry=registry, buckets=_WRITE_S
        )


class Metrics:
    """All metrics of one process."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        self.models, self.pipelines = Names(), Names()
        self.runs, self.requests = OfRuns(registry), OfRequests(registry)
        ProcessCollector(registry=registry)
        Info("moa_build", "Version of moa-mcp and of Python", registry=registry).info(
            {"version": version, "python": platform.python_version()}
        )

    def watch(self, gauges: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        """Add gauges by name, each with its meaning and a function that returns its value."""
        for name, (meaning, value) in gauges.items():
            Gauge(name, meaning, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """Return all values as text."""
        return generate_latest(self.registry)
