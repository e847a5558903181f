"""The conformance suite of journals: a test that asks for `journal` runs over every store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from moa_mcp.journal import Journal
from tests.support.stores import STORES, Open


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest) -> Open:
    """Return what opens the store, as a new process does each time."""
    return STORES[request.param](request.getfixturevalue("database" if request.param == "postgresql" else "tmp_path"))


@pytest.fixture
async def journal(opened: Open) -> AsyncIterator[Journal]:
    journal = opened()
    yield journal
    await journal.close()


@pytest.fixture
async def rival(opened: Open, journal: Journal) -> AsyncIterator[Journal]:
    """Another process with the same store."""
    rival = opened()
    yield rival
    await rival.close()
