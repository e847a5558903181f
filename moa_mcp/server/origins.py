"""Which run a call started. The page of a call knows only the call's arguments until its result arrives."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from typing import Any, NamedTuple

import anyio

from moa_mcp.runs import CallerRuns
from moa_mcp.server.waiting import Context, session_of

_MOST = 1000


class _Origin(NamedTuple):
    caller: str
    session: str | None
    tool: str
    arguments: str
    """A hash, since questions may be long."""
    run_id: str


class Origins:
    """The newest calls that started a run."""

    def __init__(self) -> None:
        self._calls: deque[_Origin] = deque(maxlen=_MOST)
        self._added = anyio.Event()

    def add(self, runs: CallerRuns, context: Context, tool: str, arguments: dict[str, Any] | None, run_id: str) -> None:
        """Remember the run that a call has started."""
        self._calls.append(_Origin(runs.caller.name, session_of(context), tool, _hash(arguments), run_id))
        self._added.set()
        self._added = anyio.Event()

    async def run_of(self, runs: CallerRuns, context: Context, tool: str | None, arguments: dict[str, Any]) -> str:
        """Return the newest active run that a call of this session with these arguments started; wait for one.

        A run that has ended belongs to an earlier call: this one has its result. Clients without sessions share one, so
        only the arguments tell their calls apart.
        """
        wanted = runs.caller.name, session_of(context), _hash(arguments)
        while True:
            for each in reversed(self._calls):
                same = (each.caller, each.session, each.arguments) == wanted and tool in {None, each.tool}
                if same and runs.find(each.run_id) is not None:
                    return each.run_id
            await self._added.wait()


def _hash(arguments: dict[str, Any] | None) -> str:
    written = json.dumps(arguments or {}, sort_keys=True)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()
