"""News of runs: hints that something changed, so that those who wait look at the journal at once instead of polling.

News may be lost or late; the journal is the truth. Within a process, `Listeners` delivers them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from typing import Literal, NamedTuple, TypeAlias

import anyio

NewsKind: TypeAlias = Literal["queued", "changed", "cancelled", "ended", "text", "spending", "missed"]
"""`queued`: a run waits for a process to execute it. `changed`: a run began, was claimed, or has new events. `ended`: a
run has ended, or its process has released it. `spending`: what runs have committed of the day's budget may have
changed. `missed`: other news may have been lost."""
_MOST = 1000
"""News that wait for a listener. If there are more, it gets `missed` instead of them."""


class News(NamedTuple):
    """A hint that something changed. It may be lost or late."""

    kind: NewsKind
    run_id: str = ""
    text: str = ""
    """With `text`: a piece of the last answer, as it arrives."""


class Listeners:
    """Those who wait for news in this process. All of them use one event loop at a time."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}
        """By run; those of all runs under an empty ID."""
        self.await_changes = 0
        """How many wait for changes of a run, or of all. With none, the five events of a call need not be reported."""

    def __bool__(self) -> bool:
        return bool(self._listeners)

    @asynccontextmanager
    async def listening(self, kinds: tuple[NewsKind, ...], run_id: str) -> AsyncGenerator[Listener]:
        """Yield the news from now on: those of the kinds and of the run, or of all; and always `missed`."""
        listener = Listener(kinds)
        awaits_changes = not kinds or "changed" in kinds
        self.await_changes += awaits_changes
        self._listeners.setdefault(run_id, []).append(listener)
        try:
            yield listener
        finally:
            self.await_changes -= awaits_changes
            of_run = self._listeners[run_id]
            of_run.remove(listener)
            if not of_run:
                del self._listeners[run_id]

    def changed(self, run_id: str) -> None:
        """Report that a run has a new event."""
        if run_id in self._listeners or "" in self._listeners:
            self.tell(News("changed", run_id))

    def tell(self, news: News) -> None:
        """Pass news to those who wait for them, without blocking."""
        if not self._listeners:
            return
        keys = tuple(self._listeners) if news.kind == "missed" else {"", news.run_id}
        for key in keys:
            for listener in self._listeners.get(key, ()):
                listener.put(news)


class Listener:
    """The news that one waits for. Equal hints come once; pieces of text each."""

    def __init__(self, kinds: tuple[NewsKind, ...] = ()) -> None:
        self._kinds = frozenset(kinds)
        self._pending: dict[object, News] = {}
        self._numbers = count()
        self._wake: anyio.Event | None = None

    def put(self, news: News) -> None:
        """Add news, unless they are of a kind that it does not wait for."""
        if self._kinds and news.kind not in self._kinds and news.kind != "missed":
            return
        if len(self._pending) >= _MOST:
            self._pending.clear()
            news = News("missed")
        self._pending[next(self._numbers) if news.kind == "text" else news] = news
        if self._wake is not None:
            self._wake.set()

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> News:
        while not self._pending:
            self._wake = anyio.Event()
            await self._wake.wait()
            self._wake = None
        return self._pending.pop(next(iter(self._pending)))
