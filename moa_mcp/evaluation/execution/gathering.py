"""Runs functions at the same time and returns what they return, in their order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

Returned = TypeVar("Returned")


async def gathered(functions: Sequence[Callable[[], Awaitable[Returned]]]) -> list[Returned]:
    """Return the results of all functions."""
    results: dict[int, Returned] = {}

    async def run(position: int, function: Callable[[], Awaitable[Returned]]) -> None:
        results[position] = await function()

    async with anyio.create_task_group() as tasks:
        for position, function in enumerate(functions):
            tasks.start_soon(run, position, function)
    return [results[position] for position in range(len(functions))]
