"""A queue of run IDs between processes. It decides who is offered a run; who executes it is decided by its lease."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias

import anyio

Take: TypeAlias = Callable[[str], Awaitable[anyio.Event | None]]
"""Claims and starts a run, and returns what is set when it has ended here; None if there is nothing to do. Raises
`JournalError` if the journal can't be used now: the run is offered again."""


class Delivery(Protocol):
    """Offers queued runs to workers, each at least once."""

    async def migrate(self, connection: Any) -> None:  # noqa: ANN401  the store's own
        """Create or upgrade the tables, in the transaction of a connection of the store that no other process has."""
        ...

    async def put(self, run_ids: Sequence[str], connection: Any) -> None:  # noqa: ANN401  the store's own
        """Add runs to the queue, in the transaction of a connection of the store."""
        ...

    async def work(self, take: Take, *, at_once: int, stop: anyio.Event) -> None:
        """Take runs from the queue, `at_once` at most, until `stop` is set; return when those have ended."""
        ...

    async def revive(self) -> int:
        """Put messages back into the queue that dead workers have taken, and return their number."""
        ...
