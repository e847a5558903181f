"""Pagination: splits long traces into pages, and rejects cursors for listings with a single page.

Hosts truncate results after some tens of thousands of characters.
"""

from __future__ import annotations

import json
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

from moa_mcp.trace.json import full
from moa_mcp.trace.trace import Trace

PAGE_CHARACTERS = 30_000


def only_page(params: types.PaginatedRequestParams | None, what: str) -> None:
    """Refuse a cursor, since `what` is listed on one page. Raises `MCPError`."""
    if params is not None and params.cursor is not None:
        raise MCPError(types.INVALID_PARAMS, f"Invalid cursor: {what} are listed on one page; omit the cursor")


def page(trace: Trace, number: int) -> dict[str, Any] | None:
    """Return a page of a trace, counted from 1; None if there is no such page.

    The first page also describes the run. Calls are distributed over pages in order. A call is never split, so a page
    with one long call may exceed the usual length.
    """
    whole = full(trace)
    steps: Any = whole.pop("steps")
    pages = _spread([(step["step"], call) for step in steps for call in step["calls"]])
    if not 1 <= number <= len(pages):
        return None
    heads = [{key: value for key, value in step.items() if key != "calls"} for step in steps]
    head = {**whole, "steps": heads} if number == 1 else {"run_id": trace.run_id}
    calls = [{"step": step, **call} for step, call in pages[number - 1]]
    return {**head, "page": number, "pages": len(pages), "calls": calls}


def _spread(calls: list[tuple[int, Any]]) -> list[list[tuple[int, Any]]]:
    pages: list[list[tuple[int, Any]]] = [[]]
    room = PAGE_CHARACTERS
    for step, call in calls:
        size = len(json.dumps(call))
        if pages[-1] and size > room:
            pages.append([])
            room = PAGE_CHARACTERS
        pages[-1].append((step, call))
        room -= size
    return pages
