"""A journal in memory. It ends with its process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from moa_mcp.errors import LeaseLost
from moa_mcp.events import PASSING, Event
from moa_mcp.journal import CallerSpending, Committed, Follow, RunRecord
from moa_mcp.journal.ledger import Ledger
from moa_mcp.values import Status


class MemoryJournal:
    """Stores runs in memory, and the latest `keep` of the finished ones."""

    def __init__(self, keep: int = 500) -> None:
        self._keep = keep
        self._records: dict[str, RunRecord] = {}
        self._events: dict[str, list[Event]] = {}
        self._ledger = Ledger(self._is_live)

    @property
    def keeps_texts(self) -> bool:
        return True

    @property
    def unwritten_s(self) -> float:
        return 0.0

    async def begin(self, record: RunRecord) -> None:
        self._records[record.run_id] = replace(record, owned=True)
        self._events[record.run_id] = []

    async def keep(self, run_id: str, event: Event) -> None:
        if run_id not in self._records or not self._records[run_id].owned:
            raise LeaseLost(f"run {run_id} is not active")
        self._events[run_id].append(event)

    def append(self, run_id: str, event: Event) -> None:
        record = self._records.get(run_id)
        if record is not None and record.owned and not isinstance(event, PASSING):  # the call's end has the whole text
            self._events[run_id].append(event)

    async def finish(self, run_id: str, status: Status) -> None:
        record = self._records.get(run_id)
        if record is not None and record.owned:
            self._set(run_id, status=status, owned=False)
        ended = [record.run_id for record in self._records.values() if record.status != "running"]
        for each in ended[: max(0, len(ended) - self._keep)]:
            del self._records[each], self._events[each]

    async def is_free(self, run_id: str) -> bool:
        return run_id not in self._records or not self._records[run_id].owned

    async def claim(self, run_id: str) -> bool:
        record = self._records.get(run_id)
        if record is None or record.status not in {"running", "failed", "cancelled"} or record.owned:
            return False
        self._set(run_id, status="running", owned=True)
        return True

    async def renew(self, run_ids: Sequence[str]) -> frozenset[str]:
        records = (self._records.get(each) for each in run_ids)
        return frozenset(each.run_id for each in records if each and each.owned and each.status == "running")

    async def release(self, run_id: str) -> None:
        if run_id in self._records:
            self._set(run_id, owned=False)

    async def cancel(self, run_id: str) -> bool:
        record = self._records.get(run_id)
        if record is None or record.status != "running":
            return False
        self._set(run_id, status="cancelled", owned=False)
        return True

    async def record(self, run_id: str) -> RunRecord | None:
        return self._records.get(run_id)

    async def records(self, *, limit: int = 1000, changed_since: float = 0.0) -> tuple[RunRecord, ...]:
        return tuple(each for each in reversed(self._records.values()) if each.updated_at >= changed_since)[:limit]

    async def events(self, run_id: str) -> tuple[Event, ...]:
        return tuple(self._events.get(run_id, ()))

    def follow(self, run_id: str) -> Follow:
        read = 0

        async def more() -> tuple[Event, ...]:
            nonlocal read
            events = tuple(self._events.get(run_id, ())[read:])
            read += len(events)
            return events

        return more

    async def commit_spending(
        self,
        run_id: str,
        nanodollars: int,
        cap: int | None,
        held: int = 0,
        day: str | None = None,
        *,
        in_turn: bool = False,
    ) -> Committed:
        return self._ledger.commit(run_id, nanodollars, cap, held, day, in_turn=in_turn)

    async def spending(self, day: str) -> int:
        return self._ledger.total(day)

    async def spending_of(self, caller: str, day: str) -> CallerSpending:
        own = [each.run_id for each in self._records.values() if each.caller == caller]
        committed, held = self._ledger.committed(day), await self.held(day)
        total = sum(committed.get(each, 0) for each in own)
        return CallerSpending(total, {each: held[each] for each in own if each in held})

    async def held(self, day: str, *, dead: bool = False) -> Mapping[str, int]:
        running = {each.run_id for each in self._records.values() if each.status == "running"}
        held = self._ledger.held(day).items()
        return {run_id: held for run_id, held in held if run_id in running and self._is_live(run_id) != dead}

    def _is_live(self, run_id: str) -> bool:
        record = self._records.get(run_id)
        return record is not None and record.owned

    async def forget(
        self, *, older_than: float | None = None, beyond_bytes: int | None = None, dry: bool = False
    ) -> int:
        del beyond_bytes  # the number of runs is limited instead
        old = [each.run_id for each in self._records.values() if not each.owned and each.updated_at < (older_than or 0)]
        for each in () if dry else old:
            del self._records[each], self._events[each]
        if not dry:
            self._ledger.forget()
        return len(old)

    async def close(self) -> None:
        """Do nothing, because nothing is pending."""

    def _set(self, run_id: str, *, owned: bool, status: Status | None = None) -> None:
        record = self._records[run_id]
        self._records[run_id] = replace(record, status=status or record.status, owned=owned, updated_at=time.time())
