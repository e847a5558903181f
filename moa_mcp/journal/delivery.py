"""A queue of run IDs between processes: who executes a run. It knows no events and no answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import anyio


class Delivery(Protocol):
    """Delivers the IDs of queued runs to workers, at least once."""

    async def put(self, run_ids: Sequence[str], connection: Any) -> None:  # noqa: ANN401  the store's own
        """Add runs to the queue, in the transaction of a connection of the store."""
        ...

    async def work(self, drive: Callable[[str], Awaitable[None]], *, at_once: int, stop: anyio.Event) -> None:
        """Execute runs of the queue, `at_once` at the same time, until `stop` is set and they have ended."""
        ...

    async def revive(self) -> int:
        """Put runs of dead workers back into the queue; return their number."""
        ...
