"""The result of an evaluation at a terminal: tables, then conclusions in words, then notes."""

from __future__ import annotations

from rich.console import Console

from moa_mcp.evaluation.result import Evaluation


def show(out: Console, evaluation: Evaluation) -> None:
    """Print an analysed evaluation."""
    raise NotImplementedError(out, evaluation)
