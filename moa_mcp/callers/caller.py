"""A caller: its name and its permissions."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

from msgspec import Struct, field

from moa_mcp.callers.tables import Permissions

_Number = TypeVar("_Number", int, Decimal)


class Caller(Struct, frozen=True):
    """A caller of a server."""

    name: str
    """Identifies the caller in the journal; empty for the local user."""
    permissions: Permissions = field(default_factory=Permissions)

    def may_see(self, owner: str) -> bool:
        """Whether the caller sees the runs of `owner`, the name of a caller; it is empty for runs that have none."""
        return self.permissions.operator or owner == self.name

    def may_call(self, pipeline: str) -> bool:
        """Whether the caller can see and call a pipeline."""
        return self.permissions.pipelines is None or pipeline in self.permissions.pipelines


LOCAL = Caller("", Permissions(operator=True))
"""The user of a server without callers: over stdio, or with the server's only token."""


def combined(granted: Sequence[Permissions]) -> Permissions:
    """Return the permissions of a caller with several grants: of each kind, the largest one."""
    pipelines = [each.pipelines for each in granted]
    return Permissions(
        pipelines=None if None in pipelines else tuple(name for each in pipelines for name in each or ()),
        max_cost_usd_per_day=_largest([each.max_cost_usd_per_day for each in granted]),
        max_runs=_largest([each.max_runs for each in granted]),
        requests_per_minute=_largest([each.requests_per_minute for each in granted]),
        operator=any(each.operator for each in granted),
    )


def _largest(limits: Sequence[_Number | None]) -> _Number | None:
    """Return the largest limit, where None is no limit."""
    known = [each for each in limits if each is not None]
    return max(known) if len(known) == len(limits) else None
