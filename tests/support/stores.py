"""The stores of runs. What is true of every journal is tested over all of them, each opened several times."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from moa_mcp.journal import Journal
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.journal.postgres import PostgresJournal
from moa_mcp.journal.sqlite import SQLiteJournal

Open: TypeAlias = Callable[..., Journal]
"""Opens the same runs once more, as another process does; in memory there is no other."""
STORES: dict[str, Callable[[Any], Open]] = {
    "memory": lambda _: partial(lambda journal, **_: journal, MemoryJournal()),
    "sqlite": lambda folder: partial(SQLiteJournal, folder / "journal.sqlite"),
    "postgresql": lambda address: partial(PostgresJournal, address),
}
"""By name: makes an empty store in a folder, or in an empty database."""
EXPIRES: tuple[str, ...] = tuple(name for name in STORES if name != "memory")
"""Those with leases, whose journals take `lease_s`."""
