"""What observers of runs are, such as telemetry: each gets the events of every run of a process."""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from moa_mcp.events import Event, RunResumed, RunStarted


class Observation(Protocol):
    """Gets the events of one run. It returns at once and never raises."""

    @property
    def traceparent(self) -> str:
        """Trace context to record, so that a later part of the run can be linked to this one; empty for none."""
        ...

    def emit(self, event: Event) -> None:
        """Handle an event."""
        ...

    def end(self) -> None:
        """Handle the end of the run in this process. The run may be unfinished."""
        ...


class Observer(Protocol):
    """Gets the events of every run of a process."""

    def begin(self, run_id: str, pipeline: str, earlier: tuple[str, ...]) -> Observation:
        """Begin to observe a run; `earlier` has the trace contexts of its earlier parts, or of the run it forks."""
        ...

    async def flush(self) -> None:
        """Send what is left before the process ends. It returns in seconds."""
        ...


def marked(event: Event, traceparent: str) -> Event:
    """Return the event that starts or resumes a run, with its trace context; other events are unchanged."""
    if traceparent and isinstance(event, RunStarted | RunResumed):
        return replace(event, traceparent=traceparent)
    return event
