"""What Inspect calls when an evaluation ends, to close the shared runs: it never closes a provider.

It is registered on use, since Inspect shows the names of the hooks that it finds at its start.
"""

from __future__ import annotations

from functools import cache

from inspect_ai.hooks import Hooks, RunEnd, hooks

from moa_mcp.evaluation.inspecting import hub


class InspectEnds(Hooks):
    """Is called at the end of each evaluation in this process."""

    async def on_run_end(self, data: RunEnd) -> None:
        del data
        await hub.close()


@cache
def register() -> None:
    """Let Inspect call `InspectEnds`, once for this process."""
    hooks(name="moa_ends", description="closes the journal of moa models")(InspectEnds)
