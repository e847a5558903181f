"""The observer of runs: gives each run its spans, and keeps errors and slow receivers away from it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

import anyio
from opentelemetry import metrics, trace
from opentelemetry.trace import Tracer

from moa_mcp.events import Event
from moa_mcp.telemetry.metrics import Instruments
from moa_mcp.telemetry.spans import RunSpans

_log = logging.getLogger(__name__)
_FLUSH_S = 2.0
_FLUSH_MS = int(_FLUSH_S * 1000)


class Telemetry:
    """Sends the runs of a process to OpenTelemetry. Other threads export; a queue that is full drops spans."""

    def __init__(self, tracer: Tracer, instruments: Instruments, *, content: bool) -> None:
        """With `content`, spans have prompts and answers."""
        self._tracer = tracer
        self._instruments = instruments
        self._content = content

    def begin(self, run_id: str, pipeline: str, earlier: tuple[str, ...]) -> ObservedRun:
        """Observe a run whose `earlier` parts, or whose parent, have these values of `traceparent`."""
        spans = RunSpans(self._tracer, self._instruments, run_id, pipeline, content=self._content)
        return ObservedRun(spans, earlier)

    async def flush(self) -> None:
        """Export what is left. Gives up after two seconds, even if the receiver does not answer."""
        done, token = anyio.Event(), anyio.lowlevel.current_token()

        def work() -> None:
            _flush()
            with suppress(RuntimeError):  # the loop has ended meanwhile
                anyio.from_thread.run_sync(done.set, token=token)

        with anyio.move_on_after(_FLUSH_S, shield=True):
            threading.Thread(target=work, name="moa-telemetry-flush", daemon=True).start()
            await done.wait()


class ObservedRun:
    """A run that OpenTelemetry observes. An error ends its observation, never the run."""

    def __init__(self, spans: RunSpans, earlier: tuple[str, ...]) -> None:
        self._spans = spans
        self._failed = False
        self._guarded(lambda: spans.start(earlier))

    @property
    def traceparent(self) -> str:
        """The trace context of the run's span; empty if it is not exported."""
        return self._spans.traceparent

    def emit(self, event: Event) -> None:
        """Add an event."""
        self._guarded(lambda: self._spans.add(event))

    def end(self) -> None:
        """End all spans: the run has stopped in this process."""
        self._guarded(self._spans.end)

    def _guarded(self, work: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            work()
        except Exception as error:  # noqa: BLE001  span processors raise what they like, and the run must continue
            self._failed = True
            _log.warning("telemetry of a run stopped: %s: %s", type(error).__name__, error)


def _flush() -> None:
    """Export the spans and metrics that the SDK holds. Other providers of a host process may not be able to."""
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        if (flush := getattr(provider, "force_flush", None)) is not None:
            flush(_FLUSH_MS)
