"""A run is found by its ID, the start of one, or as the last one."""

from __future__ import annotations

import pytest

from moa_mcp.errors import RunNotFound
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.runs.lookup import find_run
from tests.support.journals import record_of

pytestmark = pytest.mark.anyio


async def test_the_last_run_is_the_newest_and_there_may_be_none() -> None:
    journal = MemoryJournal()
    with pytest.raises(RunNotFound, match="there are no runs yet"):
        await find_run(journal, "last")
    await journal.begin(record_of("0001", created_at=1.0))
    await journal.begin(record_of("0002", created_at=2.0))
    assert (await find_run(journal, "last")).run_id == "0002"
