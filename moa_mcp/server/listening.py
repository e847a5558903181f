"""Notifications of changes (`subscriptions/listen`): each caller learns of its own runs, an operator of all."""

from __future__ import annotations

from collections import Counter

import mcp_types as types
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourcesListChanged, ServerEvent

from moa_mcp.runs import CallerRuns
from moa_mcp.server.doors import Doors
from moa_mcp.server.waiting import Context

_OPERATORS = None
"""The key of the operators, who share one bus. It can't be the name of a caller."""


class Listening:
    """The open subscriptions, by caller."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._open: Counter[str | None] = Counter()
        self._handlers: dict[str | None, tuple[InMemorySubscriptionBus, ListenHandler]] = {}
        """Only those of callers with an open subscription."""

    async def __call__(
        self, context: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve a subscription until the client or `close` ends it."""
        caller = self._doors.of(context).caller
        key = _OPERATORS if caller.permissions.operator else caller.name
        if key not in self._handlers:
            bus = InMemorySubscriptionBus()
            self._handlers[key] = bus, ListenHandler(bus)
        self._open[key] += 1
        try:
            return await self._handlers[key][1](context, params)
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._handlers[key], self._open[key]

    async def publish(self, event: ServerEvent) -> None:
        """Notify all callers of a change that concerns them all."""
        for bus, _ in list(self._handlers.values()):
            await bus.publish(event)

    async def runs_changed(self, runs: CallerRuns) -> None:
        """Notify a caller and the operators that the list of the caller's runs has changed."""
        keys = {_OPERATORS, None if runs.caller.permissions.operator else runs.caller.name}
        for bus, _ in [self._handlers[each] for each in keys if each in self._handlers]:
            await bus.publish(ResourcesListChanged())

    def close(self) -> None:
        """End all subscriptions, and tell the clients so."""
        for _, handler in self._handlers.values():
            handler.close()
