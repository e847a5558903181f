"""Scores by a Python function of the user: finds and checks it, calls it in a thread, and explains its errors."""

from moa_mcp.evaluation.scoring.functions.by_function import ByFunction
from moa_mcp.evaluation.scoring.functions.loading import FunctionRefused, function_at

__all__ = ["ByFunction", "FunctionRefused", "function_at"]
