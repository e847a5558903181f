"""A run under way or ended, as the process that drives it knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from moa_mcp.events import Event
from moa_mcp.trace.trace import Trace


@dataclass(slots=True, eq=False)
class Run:
    """A run under way or ended, as this process drives it."""

    run_id: str
    trace: Trace
    ended: anyio.Event = field(default_factory=anyio.Event)
    on_record: bool = False
    """Whether the journal knows it, so that its lease is there to be renewed."""
    asked_to_end: bool = False
    """Whether somebody wanted it cancelled; otherwise it stops because its process does, and can go on elsewhere."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """Bounds its work."""
    _changed: anyio.Event | None = None
    """There while somebody waits."""

    async def changed(self) -> None:
        """Return when something has happened since the call."""
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def tell(self, event: Event) -> None:
        """Take in what happened and wake those who wait for it."""
        self.trace.add(event)
        self._wake()

    def waits(self, what: str) -> None:
        """Take in for what it waits before it can begin; nothing for an empty text."""
        self.trace.waiting = what
        self._wake()

    def end(self) -> None:
        """Say that this process does no more for it, whether or not it has its answer."""
        self.trace.interrupted = self.trace.status == "running"
        self.trace.waiting = ""
        self.ended.set()
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def cancel(self) -> None:
        """End the run because somebody wants it; its model calls stop at once. One that stops already only stops."""
        self.asked_to_end |= not self.scope.cancel_called
        self.scope.cancel()
