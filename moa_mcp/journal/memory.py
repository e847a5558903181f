"""A journal in memory. It ends with its process."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import islice

from msgspec.structs import replace

from moa_mcp.errors import LeaseLost, RunNotFound
from moa_mcp.events import PASSING, Event
from moa_mcp.journal import Claim, Page, RunRecord
from moa_mcp.journal.ledger import Ledger
from moa_mcp.journal.news import Listeners, News, NewsKind
from moa_mcp.journal.room import require_room
from moa_mcp.journal.spending import Commitment, Committed
from moa_mcp.values import ACTIVE, COMPLETE, Status


class MemoryJournal:
    """Stores runs in memory, and the latest `keep` of the finished ones."""

    def __init__(self, keep: int = 500) -> None:
        self._keep = keep
        self._records: dict[str, RunRecord] = {}
        self._events: dict[str, list[Event]] = {}
        self._ledger = Ledger(self._is_live)
        self._listeners = Listeners()

    @property
    def keeps_texts(self) -> bool:
        return True

    @property
    def unwritten_s(self) -> float:
        return 0.0

    async def open(self) -> None:
        """Do nothing: there is nothing to open."""

    async def begin(self, record: RunRecord, *, queued: bool = False, max_runs: int | None = None) -> bool:
        if record.run_id in self._records:
            return False
        self._require_room(record, max_runs)
        record = replace(record, status="queued") if queued else replace(record, owned=True)
        self._records[record.run_id] = record
        self._events[record.run_id] = []
        self.tell(News("queued" if queued else "changed", record.run_id))
        return True

    def _require_room(self, run: RunRecord, max_runs: int | None) -> None:
        if run.caller and max_runs is not None:
            require_room(run.run_id, [each for each in self._records.values() if each.caller == run.caller], max_runs)

    async def keep(self, run_id: str, event: Event) -> None:
        if run_id not in self._records or not self._records[run_id].owned:
            raise LeaseLost(f"run {run_id} is not active")
        self._add(run_id, event)

    def append(self, run_id: str, event: Event) -> None:
        record = self._records.get(run_id)
        if record is not None and record.owned and not isinstance(event, PASSING):  # the call's end has the whole text
            self._add(run_id, event)

    def _add(self, run_id: str, event: Event) -> None:
        self._events[run_id].append(event)
        self.tell(News("changed", run_id))

    async def finish(self, run_id: str, status: Status) -> None:
        record = self._records.get(run_id)
        if record is not None and record.owned:
            self._set(run_id, status=status, owned=False)
            self.tell(News("ended", run_id))
        ended = [record.run_id for record in self._records.values() if record.status not in ACTIVE]
        for each in ended[: max(0, len(ended) - self._keep)]:
            del self._records[each], self._events[each]

    async def claim(self, run_id: str, *, max_runs: int | None = None) -> Claim | None:
        record = self._records.get(run_id)
        if record is None or record.status in COMPLETE or record.owned:
            return None
        self._require_room(record, max_runs)
        self._set(run_id, status="running", owned=True)
        self.tell(News("changed", run_id))
        began = record.status != "queued" or bool(self._events[run_id])
        return Claim(self._records[run_id], began, record.status)

    async def renew(self, run_ids: Sequence[str]) -> frozenset[str]:
        return frozenset(each for each in run_ids if each in self._records and self._records[each].owned)

    async def release(self, run_id: str, *, requeue: bool = False) -> None:
        record = self._records.get(run_id)
        if record is not None and record.owned:
            self._records[run_id] = replace(record, status="queued" if requeue else record.status, owned=False)
            self.tell(News("queued" if requeue else "ended", run_id))

    async def redefine(self, run_id: str, spec: str) -> None:
        record = self._records.get(run_id)
        if record is not None and record.owned:
            self._records[run_id] = replace(record, spec=spec)

    async def free_dead(self) -> frozenset[str]:
        return frozenset()  # the owner of every run is this process

    async def cancel(self, run_id: str) -> bool:
        record = self._records.get(run_id)
        if record is None or record.status not in ACTIVE:
            return False
        self._set(run_id, status="cancelled", owned=False)
        self.tell(News("cancelled", run_id))
        return True

    async def record(self, run_id: str) -> RunRecord | None:
        return self._records.get(run_id)

    async def records(
        self,
        *,
        statuses: Collection[Status] | None = None,
        caller: str | None = None,
        batch: str | None = None,
        before: str | None = None,
        changed_since: float = 0.0,
        limit: int = 1000,
    ) -> tuple[RunRecord, ...]:
        newest_first = reversed(self._records.values())
        if before is not None:
            if before not in self._records:
                raise RunNotFound(before)
            while next(newest_first).run_id != before:
                pass
        found = (
            each
            for each in newest_first
            if (statuses is None or each.status in statuses)
            and caller in {None, each.caller}
            and batch in {None, each.batch}
            and each.updated_at >= changed_since
        )
        return tuple(islice(found, limit))

    async def events(self, run_id: str, after: int = 0) -> Page:
        record = self._records.get(run_id)
        if record is None:
            raise RunNotFound(run_id)
        events = self._events[run_id]
        return Page(tuple(events[after:]), len(events), record)

    def news(self, *kinds: NewsKind, run_id: str = "") -> AbstractAsyncContextManager[AsyncIterator[News]]:
        return self._listeners.listening(kinds, run_id)

    def tell(self, news: News) -> None:
        self._listeners.tell(news)

    async def commit_spending(self, wanted: Commitment) -> Committed:
        record = self._records.get(wanted.run_id)
        committed = self._ledger.commit(wanted, record.caller if record else "")
        if committed.accepted:
            self.tell(News("spending", wanted.run_id))
        return committed

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncGenerator[bool]:
        del name
        yield True  # no other process has this journal

    async def spending(self, day: str, caller: str | None = None) -> int:
        return self._ledger.total(day, caller)

    async def held(self, day: str, *, caller: str | None = None, dead: bool = False) -> Mapping[str, int]:
        known = {each.run_id: each for each in self._records.values() if each.status != "queued"}
        live = {run_id for run_id, each in known.items() if each.status == "running" and each.owned}
        held = self._ledger.held(day, caller).items()
        return {run_id: amount for run_id, amount in held if run_id in known and (run_id in live) != dead}

    def _is_live(self, run_id: str) -> bool:
        record = self._records.get(run_id)
        return record is not None and record.owned

    async def forget(
        self, *, older_than: float | None = None, beyond_bytes: int | None = None, dry: bool = False
    ) -> int:
        del beyond_bytes  # the number of runs is limited instead
        old = [
            each.run_id
            for each in self._records.values()
            if not each.owned and each.status != "queued" and each.updated_at < (older_than or 0)
        ]
        for each in () if dry else old:
            del self._records[each], self._events[each]
        if not dry:
            self._ledger.forget()
        return len(old)

    async def close(self) -> None:
        """Do nothing, because nothing is pending."""

    def _set(self, run_id: str, *, owned: bool, status: Status) -> None:
        record = self._records[run_id]
        self._records[run_id] = replace(record, status=status, owned=owned, updated_at=time.time())
