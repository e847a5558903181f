"""A server of bytes, and a provider over each transport, once for the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from moa_mcp.model import Model
from tests.support.byte_server import ByteServer, serving_bytes
from tests.support.over import TRANSPORTS, over


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[ByteServer]:
    async with serving_bytes() as server:
        yield server


@pytest.fixture(scope="module", params=TRANSPORTS)
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Model]:
    async with over(request.param) as provider:
        yield provider
