"""``moa-mcp eval --view``: the report in a browser, with links to the pages of its runs."""

from __future__ import annotations

from moa_mcp.evaluation.result import Evaluation


def view(evaluation: Evaluation, journal: str | None, *, port: int = 0, no_open: bool = False) -> None:
    """Serve the report of an analysed evaluation until Ctrl-C. `journal` is the value of --journal. Raises `Refused`.

    Without a journal (`none`, or no file) the report has no links.
    """
    raise NotImplementedError(evaluation, journal, port, no_open)
