"""The observer of runs: counts events. Each request is counted once, whichever calls share it."""

from __future__ import annotations

import time
from typing import NamedTuple

from moa_mcp.errors import Failure
from moa_mcp.events import (
    AttemptFailed,
    AttemptFinished,
    AttemptStarted,
    CallWaits,
    Event,
    RunFinished,
    RunForked,
    RunResumed,
)
from moa_mcp.metrics.instruments import Metrics
from moa_mcp.values import Completion, Place

_INTERRUPTED = "interrupted"
_WAITS = {"a retry": "retry", "the first of equal": "cache", "max_": "budget"}
"""Words in the text of a wait, and the value of its label; other waits are for limits of requests."""


class RunMetrics:
    """Metrics the runs of a process."""

    def __init__(self, counts: Metrics) -> None:
        self._counts = counts

    def begin(self, run_id: str, pipeline: str, earlier: tuple[str, ...]) -> CountedRun:
        """Count a run that begins or goes on here."""
        del run_id, earlier
        return CountedRun(self._counts, self._counts.pipelines.bounded(pipeline))

    async def flush(self) -> None:
        """Do nothing: a scrape reads the current values."""


class _Request(NamedTuple):
    model: str
    provider: str


class CountedRun:
    """Metrics one run."""

    traceparent = ""

    def __init__(self, counts: Metrics, pipeline: str) -> None:
        self._to = counts
        self._pipeline = pipeline
        self._began = time.monotonic()
        self._status = _INTERRUPTED
        self._inherited = 0
        self._requests: dict[tuple[Place, int], _Request] = {}
        self._to.runs.started.labels(pipeline).inc()
        self._to.runs.active.inc()

    def emit(self, event: Event) -> None:
        """Count an event; those of inherited steps belong to another run."""
        match event:
            case RunResumed():
                self._to.runs.resumed.labels(self._pipeline).inc()
            case RunForked():
                self._inherited = event.steps
            case RunFinished():
                self._status = event.status
            case CallWaits():
                self._to.requests.waits.labels(_wait(event.reason)).inc()
            case AttemptStarted():
                self._start(event)
            case AttemptFinished() | AttemptFailed():
                if (request := self._requests.pop((event.place, event.attempt), None)) is not None:
                    self._end(request, event)
            case _:
                pass

    def end(self) -> None:
        """Count the end of the run in this process."""
        self._to.runs.active.dec()
        self._to.runs.ended.labels(self._pipeline, self._status).inc()
        self._to.runs.seconds.labels(self._status).observe(time.monotonic() - self._began)

    def _start(self, event: AttemptStarted) -> None:
        if event.place.step <= self._inherited:
            return
        provider, slash, _ = event.model.partition("/")
        provider = self._to.models.bounded(provider) if slash else "none"
        self._requests[event.place, event.attempt] = _Request(self._to.models.bounded(event.model), provider)
        self._to.requests.stored_after.observe(max(0.0, time.time() - event.at))
        if event.attempt > 1:
            self._to.requests.retries.labels(provider).inc()

    def _end(self, request: _Request, event: AttemptFinished | AttemptFailed) -> None:
        if isinstance(event, AttemptFinished):
            outcome = "ok"
            self._to.requests.stored_after.observe(max(0.0, time.time() - event.at))
        else:
            outcome = event.failure.kind
            self._to.requests.failures.labels(request.provider, outcome).inc()
        self._to.requests.ended.labels(request.model, outcome).inc()
        self._to.requests.seconds.labels(request.provider, outcome).observe(event.seconds)
        self._bill(request.model, event.completion if isinstance(event, AttemptFinished) else event.failure)

    def _bill(self, model: str, billed: Completion | Failure) -> None:
        """Count tokens and cost; a failed request may have been billed, too."""
        if (usage := billed.usage) is not None:
            kinds = {
                "prompt": usage.prompt_tokens - usage.cached_tokens,
                "cached": usage.cached_tokens,
                "completion": usage.completion_tokens - usage.reasoning_tokens,
                "reasoning": usage.reasoning_tokens,
            }
            for kind, tokens in kinds.items():
                self._to.requests.tokens.labels(model, kind).inc(max(0, tokens))
        if billed.cost_usd is not None:
            self._to.requests.cost.labels(model).inc(float(billed.cost_usd))
        elif isinstance(billed, Completion):
            self._to.requests.unpriced.labels(model).inc()


def _wait(reason: str) -> str:
    return next((value for words, value in _WAITS.items() if words in reason), "limit")
