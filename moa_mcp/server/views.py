"""Answers the page that shows a run in a chat: finds the run of its call, and returns what is new in it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

import anyio
import mcp_types as types

from moa_mcp.callers import Caller
from moa_mcp.runs import CallerRuns
from moa_mcp.server.arguments import BadArguments, ViewArguments, read
from moa_mcp.server.doors import Doors
from moa_mcp.server.origins import Origins
from moa_mcp.server.waiting import Context

if TYPE_CHECKING:
    from moa_mcp.viewing.followed import FollowedRuns

NEWS_S = 5.0
"""Seconds that a question waits for news, so that pages ask seldom and see changes at once."""
_MOST = 256
"""Callers whose followed runs are kept in memory."""
News = dict[str, Any]


class Views:
    """The runs that pages follow."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self.origins = Origins()
        self._followed: OrderedDict[Caller, FollowedRuns] = OrderedDict()

    def _followed_by(self, runs: CallerRuns) -> FollowedRuns:
        """Return the runs that the pages of a caller follow."""
        from moa_mcp.viewing.followed import FollowedRuns  # noqa: PLC0415  most clients render no pages

        found = self._followed.setdefault(runs.caller, FollowedRuns(runs.quiet()))
        self._followed.move_to_end(runs.caller)
        while len(self._followed) > _MOST:
            self._followed.popitem(last=False)
        return found

    async def news(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """Return what is new in a run since a mark, with its `run_id`; that is None if the call has started no run yet.

        Raises:
            BadArguments: the arguments name neither a run nor a call.
            RunNotFound: the run is not recorded.
            JournalError: its record can't be read.

        """
        runs = self._doors.of(context)
        given = read(ViewArguments, params.arguments)
        run_id = given.run_id
        if run_id is None and given.arguments is None:
            raise BadArguments("run_id is missing, or arguments of the call that started the run")
        ends = anyio.current_time() + NEWS_S
        with anyio.move_on_at(ends):
            run_id = run_id or await self.origins.run_of(runs, context, given.tool, given.arguments or {})
        if run_id is None:
            return _result({"run_id": None}, "The call has started no run yet.")
        run_id = await runs.identified(run_id)
        news = await self._changed(runs, run_id, given.mark, ends)
        return _result({"run_id": run_id, **news}, f"Run {run_id}: {news['mark']} events.")

    async def _changed(self, runs: CallerRuns, run_id: str, mark: int, ends: float) -> News:
        """Return the news of a run when there are some or it has ended, or when the time is over."""
        followed = self._followed_by(runs)
        async with runs.changes(run_id) as change:
            while True:
                news = cast("News", await followed.news(run_id, mark))
                ended = news["done"] and not news["run"]["interrupted"]
                if news["mark"] != mark or ended or anyio.current_time() >= ends:
                    return news
                with anyio.move_on_at(ends):
                    await change()


def _result(data: News, text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=data)
