"""A run that is active in this process, or has ended here."""

from __future__ import annotations

import anyio
from msgspec import Struct, field

from moa_mcp.events import Event
from moa_mcp.trace.trace import Trace


class Run(Struct, eq=False):
    """A run that is active in this process, or has ended here."""

    run_id: str
    trace: Trace
    owner: str = ""
    """The name of the caller whose run it is; empty for the local user."""
    ended: anyio.Event = field(default_factory=anyio.Event)
    followed: bool = False
    """Whether a worker executes it, which has its lease."""
    cancel_requested: bool = False
    """Whether it was cancelled. Otherwise it stops because its process does, and can be resumed."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """Cancelling it stops the run."""
    _changed: anyio.Event | None = None
    """Set only while a task waits for a change."""

    async def changed(self) -> None:
        """Return at the next change of the trace."""
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def tell(self, event: Event) -> None:
        """Add an event to the trace, and wake the tasks that wait for a change."""
        self.trace.add(event)
        if self._changed is not None:
            self._wake()

    def waits(self, what: str) -> None:
        """Set what the run waits for before it starts; an empty text if it no longer waits."""
        self.trace.waiting = what
        self._wake()

    def end(self) -> None:
        """Mark the run as ended in this process, whether or not it has an answer."""
        self.trace.interrupted = self.trace.status == "running" and not self.followed
        self.trace.waiting = ""
        self.ended.set()
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def cancel(self) -> None:
        """Cancel the run and its model calls. No effect on a run that is already stopping."""
        self.cancel_requested |= not self.scope.cancel_called
        self.scope.cancel()
