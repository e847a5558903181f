"""Composes the layers of a run, and holds what all runs of a process share."""

from __future__ import annotations

from msgspec.structs import replace

from moa_mcp.events import Emit
from moa_mcp.journal.rates import RateStore
from moa_mcp.middleware.batches import Announced, EqualCalls, Observed
from moa_mcp.middleware.batching import Sampled
from moa_mcp.middleware.budget import Budget, Budgeted
from moa_mcp.middleware.clock import Clock
from moa_mcp.middleware.fallback import Routed
from moa_mcp.middleware.hedging import HedgeAllowance, Hedged
from moa_mcp.middleware.learned import Learned
from moa_mcp.middleware.limits import Limits
from moa_mcp.middleware.parameters import Negotiated
from moa_mcp.middleware.rate_limit import Slotted
from moa_mcp.middleware.record import Recorded
from moa_mcp.middleware.replay import PaidCalls, Replayed
from moa_mcp.middleware.retry import Retried
from moa_mcp.middleware.shared_rates import SharedRates
from moa_mcp.middleware.slots import Slots
from moa_mcp.middleware.timeout import STALL_S, Timed
from moa_mcp.middleware.window_check import WindowChecked
from moa_mcp.model import Keep, Model, Usable


class Shared:
    """State shared by the runs of a process: slots for requests, rejected parameters and observed sample counts."""

    def __init__(
        self,
        limits: Limits | None = None,
        stall_s: float = STALL_S,
        *,
        cache_first: bool = False,
        rates: RateStore | None = None,
    ) -> None:
        """With `cache_first`, the first of equal calls with a long prompt fills the provider's cache.

        With `rates`, requests and tokens per minute are those of all processes with this store.
        """
        self.limits = limits or Limits()
        self.rates = None if rates is None else SharedRates(rates, self.limits)
        self.stall_s = stall_s
        self.clock = Clock()
        here = self.limits if rates is None else replace(self.limits, requests_per_minute={}, tokens_per_minute={})
        self.slots = Slots(here, self.clock)
        self.learned = Learned(self.clock.time)
        self.observed: Observed = {}
        self.cache_first = cache_first


def stack(
    provider: Model,
    usable: Usable,
    shared: Shared,
    emit: Emit,
    keep: Keep | None = None,
    paid_calls: PaidCalls | None = None,
    budget: Budget | None = None,
    allowance: HedgeAllowance | None = None,
) -> Model:
    """Compose the layers of one run, innermost first. `allowance` limits its hedged requests.

    The timeout is innermost, so that it limits one request and not the wait for a slot. Record is around it, so that
    every request has its events, including timeouts. A slot is held only during a request, not during the wait for a
    budget or a retry. A call that exceeds the budget leaves no attempt. Negotiation is outside of both, because each
    changed request may cost more. Retries stay on one route, because the number of samples depends on it. The routes
    layer continues when they are used up, and equal calls are collected again for the next route. A prompt that can't
    fit a route fails before calls are collected, so that it waits for nothing and costs nothing. A hedged request takes
    another route, so hedging is outside of routes. Replay is outermost, because recorded answers need no slot and no
    key.
    """
    paid_calls = paid_calls or PaidCalls()
    model: Model = Timed(provider, shared.clock, shared.stall_s)
    model = Recorded(model, emit, keep, paid_calls.attempts)
    model = Slotted(model, shared.slots, emit, shared.rates)
    if budget is not None:
        model = Budgeted(model, budget, emit)
    model = Negotiated(model, shared.learned)
    model = Retried(model, shared.limits.attempts, emit)
    equal_calls = EqualCalls(shared.observed)
    model = Sampled(model, equal_calls, emit, cache_first=shared.cache_first)
    model = Routed(WindowChecked(model), usable)
    model = Hedged(Announced(model, equal_calls), usable, shared.clock, paid_calls.seconds, allowance)
    return Replayed(model, paid_calls.paid) if paid_calls.paid else model
