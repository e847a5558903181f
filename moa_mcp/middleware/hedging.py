"""Hedging: sends a second request for a call that takes much longer than the others of its step.

Dean and Barroso, The Tail at Scale, CACM 2013. `lateness` decides when a call is late.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import partial

import anyio

from moa_mcp.errors import CallError
from moa_mcp.middleware.clock import Clock
from moa_mcp.middleware.lateness import Durations, Pending, SecondRequest, Siblings
from moa_mcp.model import Model, Usable
from moa_mcp.routing.local import is_local
from moa_mcp.values import Call, Completion, Place, Spawn, Target

SHARE = 0.2
"""Maximum share of the second requests in the expected cost of a run, apart from those that are always allowed."""


class HedgeAllowance:
    """How many second requests a run may send by default.

    One is always allowed, and one in the last layer, whose call can't be dropped.
    """

    def __init__(self, shares: Mapping[tuple[int, str], float]) -> None:
        """`shares` has the share of one call in the expected cost of the run, by step and agent."""
        self._shares = shares
        self._dearest = max(shares.values(), default=0.0)
        self._last = max(shares, default=(0, ""))[0]
        self._sent = 0.0
        self._counts: Counter[int] = Counter()
        """Second requests by step."""

    def take(self, call: Call) -> bool:
        """Return whether a second request for a call may be sent, and count it."""
        sent = self._sent + self._shares.get((call.place.step, call.agent), self._dearest)
        step = call.place.step
        free = not self._counts or (step == self._last and not self._counts[step])
        if sent > SHARE and not free:
            return False
        self._sent = sent
        self._counts[step] += 1
        return True


class Hedged:
    """Sends a second request for a late call, on the next route if there is one; the first answer wins."""

    def __init__(
        self,
        inner: Model,
        usable: Usable,
        clock: Clock,
        recorded: Mapping[Place, float],
        allowance: HedgeAllowance | None = None,
    ) -> None:
        """Wrap a model; `recorded` has the durations of calls that were answered before a resume."""
        self._inner = inner
        self._usable = usable
        self._clock = clock
        self._recorded = recorded
        self._allowance = allowance or HedgeAllowance({})
        self._steps: dict[int, Siblings] = {}

    async def __call__(self, call: Call) -> Completion:
        siblings = self._steps.get(call.place.step) or self._begin(call.place.step)
        all_started = siblings.asks(call)
        began = self._clock.time()
        if not call.hedge or call.spawn is None:
            completion = await self._inner(call)
            siblings.answered(call, self._clock.time() - began)
            return completion
        pending = siblings.pending[call.place.number] = Pending(call, began, self._clock.scope())
        first: Completion | None = None
        try:
            if all_started:
                self._watch(siblings, call.spawn)
            with pending.first:
                try:
                    first = await self._inner(call)
                except CallError:
                    if not await pending.second_answers():
                        raise
        finally:
            siblings.ends(call.place.number)
        completion, began = (first, began) if first is not None else pending.second_answer[0]
        if first is not None and pending.second is not None:
            pending.second.scope.cancel()
            completion = first.noted(_note(pending.second, "first"))
        siblings.answered(call, self._clock.time() - began)
        if siblings.pending:
            self._watch(siblings, call.spawn)
        return completion

    def _begin(self, step: int) -> Siblings:
        """Return the siblings of a step that starts or resumes."""
        recorded = {place.number: seconds for place, seconds in self._recorded.items() if place.step == step}
        earlier: defaultdict[bool | None, Durations] = defaultdict(Durations)
        for number, siblings in self._steps.items():
            for reasons, durations in siblings.groups.items() if number < step else ():
                earlier[reasons].add(durations)
        for place, seconds in self._recorded.items():
            if place.step < step and place.step not in self._steps:
                earlier[None].take(seconds)
        siblings = self._steps[step] = Siblings(earlier, recorded)
        return siblings

    def _watch(self, siblings: Siblings, spawn: Spawn) -> None:
        """Start to watch for late calls, or look again, if one becomes late earlier than known."""
        late = siblings.next_late()
        if late is None or late[0] >= siblings.watched_until:
            return
        siblings.watched_until = late[0]
        if siblings.woken is None:
            siblings.woken = anyio.Event()
            spawn(partial(self._send_when_late, siblings, spawn))
        else:
            siblings.woken.set()

    async def _send_when_late(self, siblings: Siblings, spawn: Spawn) -> None:
        try:
            while (late := siblings.next_late()) is not None:
                late_at, pending = late
                if self._clock.time() >= late_at:
                    await self._send_second(siblings, pending, spawn)
                    continue
                if siblings.woken is None or siblings.woken.is_set():
                    siblings.woken = anyio.Event()
                siblings.watched_until = late_at
                with self._clock.scope(deadline=late_at):
                    await siblings.woken.wait()
        finally:
            siblings.unwatch()

    async def _send_second(self, siblings: Siblings, pending: Pending, spawn: Spawn) -> None:
        pending.judged = True
        call = pending.call
        helps = call.hedge != "auto" or _helps(await self._usable(call.agent))
        in_progress = siblings.pending.get(call.place.number) is pending
        if helps and in_progress and (call.hedge != "auto" or self._allowance.take(call)):
            second = pending.second = SecondRequest(self._clock.time() - pending.began)
            spawn(partial(self._second, pending, second))

    async def _second(self, pending: Pending, second: SecondRequest) -> None:
        began = self._clock.time()
        try:
            with second.scope:
                # Two streams would be mixed into one text.
                completion = await self._inner(pending.call._replace(spare=1, on_text=None))
                pending.second_answer = [(completion.noted(_note(second, "second")), began)]
                pending.first.cancel()
        except CallError:
            pass  # the first request may still be answered
        finally:
            second.ended.set()


def _helps(targets: tuple[Target, ...]) -> bool:
    """Return whether a second request is likely to be answered sooner, rather than to slow down the first one."""
    first, *others = targets
    second = others[0] if others else first
    return second.provider != "simulated" and not (is_local(second) and second.api_base == first.api_base)


def _note(second: SecondRequest, which: str) -> str:
    return f"sent a second request after {second.late_s:.1f} s; the {which} one answered first"
