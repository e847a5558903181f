"""Runs that outlive the request that asked for them."""

from __future__ import annotations

from moa_mcp.runs.change import changed, other_models
from moa_mcp.runs.driver import UNASKED, UNREACHED
from moa_mcp.runs.order import traced, was_simulated
from moa_mcp.runs.run import Run
from moa_mcp.runs.runs import Runs

__all__ = ["UNASKED", "UNREACHED", "Run", "Runs", "changed", "other_models", "traced", "was_simulated"]
