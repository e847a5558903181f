"""Lists of models over real HTTP that no provider sends."""

from __future__ import annotations

import gc

import pytest

from moa_mcp.routing import listings
from moa_mcp.routing.listings import ListAddress, ListFailed
from tests.support.list_server import ListServer, openai

pytestmark = pytest.mark.anyio


async def test_a_list_that_is_too_large_is_not_read_to_its_end_and_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listings, "_MOST_BYTES", 1000)
    with ListServer(large=openai(*map(str, range(100_000)))) as server:
        address = ListAddress("openai", server.url("large") + "/models")
        found = (await listings.listings([address]))[address]
    gc.collect()  # it warns of what is open
    assert isinstance(found, ListFailed)
    assert "something else than a list of models" in found.message
