"""The layers around a provider. Each layer is a model that wraps another model; `stack` composes them."""

from __future__ import annotations

from moa_mcp.model.budgeted import Budget
from moa_mcp.model.interface import Keep, Model, Usable
from moa_mcp.model.limits import Limits
from moa_mcp.model.purses import Amount, Others, Purse, TokenPurse
from moa_mcp.model.recorded import Recorded
from moa_mcp.model.replayed import Before, Paid
from moa_mcp.model.routed import remembered
from moa_mcp.model.stack import Shared, stack

__all__ = [
    "Amount",
    "Before",
    "Budget",
    "Keep",
    "Limits",
    "Model",
    "Others",
    "Paid",
    "Purse",
    "Recorded",
    "Shared",
    "TokenPurse",
    "Usable",
    "remembered",
    "stack",
]
