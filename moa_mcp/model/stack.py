"""The layers of a run put together, and what all runs of a process share of them."""

from __future__ import annotations

from moa_mcp.events import Emit
from moa_mcp.model.budgeted import Budget, Budgeted
from moa_mcp.model.clock import Clock
from moa_mcp.model.gathered import Announced, Gathering, Observed
from moa_mcp.model.hedged import Hedged
from moa_mcp.model.interface import Keep, Model, Usable
from moa_mcp.model.learned import Learned
from moa_mcp.model.limits import Limits
from moa_mcp.model.negotiated import Negotiated
from moa_mcp.model.recorded import Recorded
from moa_mcp.model.replayed import Before, Replayed
from moa_mcp.model.retried import Retried
from moa_mcp.model.routed import Routed
from moa_mcp.model.sampled import Sampled
from moa_mcp.model.slots import Slots
from moa_mcp.model.slotted import Slotted
from moa_mcp.model.timed import STALL_S, Timed


class Shared:
    """What the runs of a process share: slots for requests, and what models were found to refuse or leave out."""

    def __init__(self, limits: Limits | None = None, stall_s: float = STALL_S, *, cache_first: bool = False) -> None:
        """With `cache_first`, equal calls with a long prompt let the first of them fill the provider's cache."""
        self.limits = limits or Limits()
        self.stall_s = stall_s
        self.now = Clock()
        self.slots = Slots(self.limits, self.now)
        self.learned = Learned(self.now)
        self.observed: Observed = {}
        self.cache_first = cache_first


def stack(
    provider: Model,
    usable: Usable,
    shared: Shared,
    emit: Emit,
    keep: Keep | None = None,
    before: Before | None = None,
    budget: Budget | None = None,
) -> Model:
    """Compose the layers of one run, outermost last.

    The timeout is innermost, so that it bounds one request and not the waiting for a slot. Record is around it, so
    that every single request has its events and one that took too long is told as such. A slot is held while a
    request is under way, not while it waits for its budget or for a retry. What does not fit the budget leaves no
    trace of an attempt. Negotiation is outside of both: what it sends again is a request of its own, which may cost
    more. Retries stay on one route, as what one request can bring is the route's; the routes layer moves on when they
    are used up, and equal calls wait for each other again on the next. A spare call takes a route of its own, so
    hedging is outside of that. What is paid needs none of this, neither a slot nor a key, so replay is outermost.
    """
    before = before or Before()
    model: Model = Timed(provider, shared.now, shared.stall_s)
    model = Recorded(model, emit, keep, before.attempts)
    model = Slotted(model, shared.slots)
    if budget is not None:
        model = Budgeted(model, budget)
    model = Negotiated(model, shared.learned)
    model = Retried(model, shared.limits.attempts)
    gathering = Gathering(shared.observed)
    model = Sampled(model, gathering, cache_first=shared.cache_first)
    model = Routed(model, usable)
    model = Hedged(Announced(model, gathering), shared.now, before.seconds)
    return Replayed(model, before.paid) if before.paid else model
