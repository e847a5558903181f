"""The data of the list of runs: what changed is read again, and what takes long does not hold up the rest."""

from __future__ import annotations

import json
import time
from typing import Any, cast

import pytest
from msgspec.structs import replace

from moa_mcp.events import RunFinished
from moa_mcp.journal import Page
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.viewing import listing
from moa_mcp.viewing.followed import FollowedRuns
from moa_mcp.viewing.listing import Filter, Listing
from tests.support.journals import record_of

pytestmark = pytest.mark.anyio
SPEC = json.dumps({"spec": {"question": {"text": "Why?"}}, "simulated": False})
LATER = time.time() + 10**6


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def runs(journal: MemoryJournal) -> Listing:
    return Listing(journal, FollowedRuns(journal))


async def rows(runs: Listing) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", (await runs.page(Filter()))["rows"])


async def begin(journal: MemoryJournal, run_id: str) -> None:
    await journal.begin(replace(record_of(run_id), spec=SPEC))


async def finish(journal: MemoryJournal, run_id: str) -> None:
    await journal.keep(run_id, RunFinished(status="complete", answer="So.", error=None, seconds=3.0))
    await journal.finish(run_id, "complete")


async def test_a_run_that_begins_ends_or_loses_its_process_is_shown_so(journal: MemoryJournal, runs: Listing) -> None:
    assert await rows(runs) == []
    await begin(journal, "a")
    await begin(journal, "b")
    assert {row["run_id"]: row["status"] for row in await rows(runs)} == {"a": "running", "b": "running"}
    await finish(journal, "a")
    await journal.release("b")
    shown = {row["run_id"]: (row["status"], row["seconds"]) for row in await rows(runs)}
    assert shown == {"a": ("complete", 3.0), "b": ("interrupted", None)}


async def test_a_run_that_was_deleted_is_gone(journal: MemoryJournal, runs: Listing) -> None:
    await begin(journal, "a")
    await journal.release("a")
    assert len(await rows(runs)) == 1
    await journal.forget(older_than=LATER)
    assert await rows(runs) == []


async def test_figures_that_take_too_long_come_with_the_next_request(
    journal: MemoryJournal, runs: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(journal, "a")
    await finish(journal, "a")
    with monkeypatch.context() as changed:
        changed.setattr(listing, "_BUDGET_S", -1.0)
        (row,) = await rows(runs)
    assert (row["waits"], "seconds" in row) == (True, False)
    (row,) = await rows(runs)
    assert ("waits" in row, row["seconds"]) == (False, 3.0)


class Counted(MemoryJournal):
    """Counts how often events are read."""

    reads = 0

    async def events(self, run_id: str, after: int = 0) -> Page:
        self.reads += 1
        return await super().events(run_id, after)


async def test_figures_of_a_run_that_ended_are_read_once_and_again_after_a_resume() -> None:
    journal = Counted()
    runs = Listing(journal, FollowedRuns(journal))
    await begin(journal, "a")
    await journal.finish("a", "failed")
    first, *_ = [await rows(runs) for _ in range(3)]
    assert first[0]["status"] == "failed"
    assert journal.reads == 1
    assert await journal.claim("a")
    await finish(journal, "a")
    (row,) = await rows(runs)
    assert (row["status"], row["seconds"], journal.reads) == ("complete", 3.0, 2)


async def test_a_page_beyond_the_last_is_the_last(journal: MemoryJournal, runs: Listing) -> None:
    for number in range(listing.PAGE + 1):
        await begin(journal, str(number))
    data = await runs.page(Filter(page=99))
    assert (data["page"], data["pages"], len(cast("list[object]", data["rows"]))) == (2, 2, 1)
