"""What the event loop reports of a server's connections: once a minute, and not for clients that went away."""

from __future__ import annotations

import asyncio
import logging

import pytest

from moa_mcp.server.connections import Faults

SCARCE = {"message": "socket.accept() out of system resource", "exception": OSError(24, "Too many open files")}
GONE = {"message": "read failed", "exception": ConnectionResetError(104, "Connection reset by peer")}
BROKEN = {"message": "a task failed", "exception": ValueError("unexpected")}


async def test_a_lack_of_file_descriptors_is_logged_once_a_minute_and_a_lost_client_never(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(Faults())
    with caplog.at_level(logging.WARNING):
        for context in (SCARCE, SCARCE, GONE):
            loop.call_exception_handler(context)
    assert [record.getMessage() for record in caplog.records] == [
        "socket.accept() out of system resource: Too many open files"
    ]


async def test_any_other_fault_is_reported_as_asyncio_does(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(Faults())
    loop.call_exception_handler(BROKEN)
    assert [record.name for record in caplog.records] == ["asyncio"]


pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
