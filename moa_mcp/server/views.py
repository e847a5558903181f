"""Answers the page that shows a run in a chat: finds the run of its call, and returns what is new in it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import anyio
import mcp_types as types

from moa_mcp.runs import Runs
from moa_mcp.server.arguments import BadArguments, ViewArguments, read
from moa_mcp.server.origins import Origins
from moa_mcp.server.waiting import Context

if TYPE_CHECKING:
    from moa_mcp.viewing.followed import FollowedRuns

NEWS_S = 5.0
"""Seconds that a question waits for news, so that pages ask seldom and see changes at once."""
News = dict[str, Any]


class Views:
    """The runs that pages follow."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self.origins = Origins(lambda run_id: runs.find(run_id) is not None)

    @cached_property
    def _followed(self) -> FollowedRuns:
        from moa_mcp.viewing.followed import FollowedRuns  # noqa: PLC0415  most clients render no pages

        return FollowedRuns(self._runs)

    async def news(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """Return what is new in a run since a mark, with its `run_id`; that is None if the call has started no run yet.

        Raises:
            BadArguments: the arguments name neither a run nor a call.
            RunNotFound: the run is not recorded.
            JournalError: its record can't be read.

        """
        given = read(ViewArguments, params.arguments)
        run_id = given.run_id
        if run_id is None and given.arguments is None:
            raise BadArguments("run_id is missing, or arguments of the call that started the run")
        ends = anyio.current_time() + NEWS_S
        with anyio.move_on_at(ends):
            run_id = run_id or await self.origins.run_of(context, given.tool, given.arguments or {})
        if run_id is None:
            return _result({"run_id": None}, "The call has started no run yet.")
        run_id = await self._runs.identified(run_id)
        news = await self._changed(run_id, given.mark, ends)
        return _result({"run_id": run_id, **news}, f"Run {run_id}: {news['mark']} events.")

    async def _changed(self, run_id: str, mark: int, ends: float) -> News:
        """Return the news of a run when there are some or it has ended, or when the time is over."""
        async with self._runs.changes(run_id) as change:
            while True:
                news = cast("News", await self._followed.news(run_id, mark))
                ended = news["done"] and not news["run"]["interrupted"]
                if news["mark"] != mark or ended or anyio.current_time() >= ends:
                    return news
                with anyio.move_on_at(ends):
                    await change()


def _result(data: News, text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=data)
