"""Until when the rate of each account is booked, in one row each, by the clock of the database."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from moa_mcp.errors import JournalError
from moa_mcp.journal.postgres.connections import Connection, Database
from moa_mcp.journal.rates import Share

_BOOK: Final = "SELECT account, requests_s, tokens_s FROM moa.book(%s, %s, %s)"
_ROUNDING_S = 0.001
"""Times are rounded: a minute's requests fit a minute."""


async def book(connection: Connection, shares: Mapping[str, Share]) -> dict[str, Share]:
    """Book shares by account; return for how many seconds from now each was booked before."""
    accounts = sorted(shares)  # those who book several at once lock them in the same order
    asked = [[shares[each].requests_s for each in accounts], [shares[each].tokens_s for each in accounts]]
    rows = await (await connection.execute(_BOOK, (accounts, *asked))).fetchall()
    return {account: Share(requests_s, tokens_s) for account, requests_s, tokens_s in rows}


async def take(connection: Connection, account: str, cost_s: float, most_s: float) -> float:
    """Book requests, like `RateStore.take`."""
    row = await (
        await connection.execute("SELECT moa.take(%s, %s, %s)", (account, cost_s, most_s + _ROUNDING_S))
    ).fetchone()
    booked_s = row[0] if row else 0.0
    return max(0.0, booked_s + cost_s - most_s - _ROUNDING_S)


class Corrections:
    """Corrections of what is booked, written soon, those of a moment together. It belongs to the database's loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shares: dict[str, Share] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, account: str, share: Share) -> None:
        """Add a correction."""
        self._shares[account] = self._shares.get(account, Share()).plus(share)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while self._shares:
            shares, self._shares = self._shares, {}
            with suppress(JournalError):  # without them, calls wait longer than necessary
                await self._database.do(partial(book, shares=shares))

    async def close(self) -> None:
        """Write those that are left."""
        if self._task is not None:
            await self._task
