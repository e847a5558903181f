"""An evaluation as one HTML file, which needs no server and loads nothing."""

from __future__ import annotations

from moa_mcp.evaluation.result import Evaluation


def report_page(evaluation: Evaluation, *, links: bool = False) -> str:
    """Return the page of an analysed evaluation. With `links`, the IDs of runs lead to /runs/ID on the same server."""
    raise NotImplementedError(evaluation, links)
