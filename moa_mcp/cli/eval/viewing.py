"""``moa-mcp eval --view``: the report in a browser, with links to the pages of its runs."""

from __future__ import annotations

from functools import cache, partial

from moa_mcp.cli.options import closing, journal_name
from moa_mcp.cli.view import read_alone, served
from moa_mcp.evaluation.report.page import local_report
from moa_mcp.evaluation.result import Evaluation
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.viewing import Viewing


def view(evaluation: Evaluation, journal: str | None, *, opens: bool = True) -> None:
    """Serve the report of an analysed evaluation at a free port until Ctrl-C, and open it in a browser.

    `journal` is the value of --journal, which has the runs that the report leads to; without a journal it leads to
    none. Raises `Refused`.
    """
    links = journal != "none"
    report = cache(partial(local_report, evaluation, links=links))
    with read_alone(journal) if links else closing(MemoryJournal()) as kept:
        served(Viewing(kept, journal_name(journal), report=report), opens=opens)
