"""The score of each contestant against its cost, as a picture. The only module that imports Matplotlib."""

from __future__ import annotations

from moa_mcp.evaluation.result import Evaluation


def picture(evaluation: Evaluation) -> bytes:
    """Return a PNG file of an analysed evaluation."""
    raise NotImplementedError(evaluation)
