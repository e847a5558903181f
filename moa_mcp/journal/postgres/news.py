"""News between processes by NOTIFY: how they are written, and how they are sent without slowing down other commits.

PostgreSQL commits transactions with notifications one after the other. Only the end, the cancellation and the
enqueueing of a run send theirs inside a transaction; all others go out from here, a few times a second.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence

from moa_mcp.journal.news import News

CHANNEL = "moa"
_EVERY_S = 0.1
"""Seconds between two notifications of a process."""
_MOST = 7000
"""Bytes of a notification; PostgreSQL takes less than 8000."""
_TEXT = 1000
"""Characters of a text in one notification; a character takes up to 6 bytes."""
_RUNS = 64


def written(news: News) -> str:
    """Return news of a transaction as a payload, which is ASCII. All processes get them, this one too."""
    return _payload("", [[news.kind, news.run_id, news.text]])


def _payload(sender: str, news: Sequence[Sequence[str]]) -> str:
    return json.dumps([sender, news], separators=(",", ":"))


def read(payload: str, own: str) -> Iterator[News]:
    """Yield the news of a payload, unless `own` sent it. Those of another version may make no sense."""
    try:
        sender, news = json.loads(payload)
        for kind, run_id, text in news if sender != own else ():
            yield News(kind, str(run_id), str(text))
    except (ValueError, TypeError):
        yield News("missed")


def _payloads(sender: str, news: Sequence[News]) -> list[str]:
    """Return the payloads of news, in order."""
    payloads: list[list[list[str]]] = [[]]
    size = 0
    for kind, run_id, text in news:
        for piece in [text[at : at + _TEXT] for at in range(0, len(text), _TEXT)] or [""]:
            bytes_ = len(run_id) + 6 * len(piece) + 32
            if size + bytes_ > _MOST and payloads[-1]:
                payloads.append([])
                size = 0
            payloads[-1].append([kind, run_id, piece])
            size += bytes_
    return [_payload(sender, each) for each in payloads if each]


class Herald:
    """Collects news and sends them in the background. It belongs to the loop of the connections."""

    def __init__(self, sender: str, send: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        """`sender` is this process, which does not hear what it sends here."""
        self._sender = sender
        self._send = send
        self._pending: dict[tuple[str, str], News] = {}
        self._task: asyncio.Task[None] | None = None

    def tell(self, news: News) -> None:
        """Send news soon. Texts of a run are joined; equal hints are sent once."""
        key = news.kind, news.run_id
        before = self._pending.get(key)
        self._pending[key] = news._replace(text=before.text + news.text) if before else news
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._tell_all())

    async def _tell_all(self) -> None:
        while self._pending:
            news, self._pending = [*self._pending.values()], {}
            await self._send(_payloads(self._sender, news))
            await asyncio.sleep(_EVERY_S)

    async def close(self) -> None:
        """Send what is left, unless that takes long."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=2 * _EVERY_S)
            self._task.cancel()
