"""The layers around a provider. Each layer is a model that wraps another model; `stack` composes them."""

from __future__ import annotations

from moa_mcp.budget.caps import Amount, Cap, Others, TokenCap
from moa_mcp.middleware.budget import Budget
from moa_mcp.middleware.fallback import remembered
from moa_mcp.middleware.hedging import HedgeAllowance
from moa_mcp.middleware.limits import Limits
from moa_mcp.middleware.record import Recorded
from moa_mcp.middleware.replay import Paid, PaidCalls
from moa_mcp.middleware.stack import Shared, stack
from moa_mcp.model import Keep, Model, Usable

__all__ = [
    "Amount",
    "Budget",
    "Cap",
    "HedgeAllowance",
    "Keep",
    "Limits",
    "Model",
    "Others",
    "Paid",
    "PaidCalls",
    "Recorded",
    "Shared",
    "TokenCap",
    "Usable",
    "remembered",
    "stack",
]
