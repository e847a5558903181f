"""An evaluation as one HTML file, which needs no server and loads nothing.

The figures are in its HTML, so that they can be read without a script; the questions are drawn by its script.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import cast

from moa_mcp.evaluation.report import html
from moa_mcp.evaluation.report.content import data_of_questions
from moa_mcp.evaluation.report.numbers import counted
from moa_mcp.evaluation.report.picture import picture
from moa_mcp.evaluation.report.plotted import described
from moa_mcp.evaluation.report.tables import tables
from moa_mcp.evaluation.report.words import SIMULATED, conclusions, notes
from moa_mcp.evaluation.result import Evaluation
from moa_mcp.text import money
from moa_mcp.text.surrogates import mended
from moa_mcp.viewer.page import LOCAL_REPORT, REPORT, UNFRAMED, bundled, document

_STYLES = ("local.css", "compare.css", "report.css")
_IMAGES = "data:"
_LIST = '<div id="list"><noscript>The list of questions needs JavaScript.</noscript></div>'
_HOW_TO_READ = """\
A score is the mean over the questions, in points from 0 to 100. Of 100 such intervals, about 95 have the score that \
very many such questions would give.
A gain is the difference of two scores on the same questions. Its interval is wide enough for all comparisons \
together. If it contains zero, no difference is shown. That does not show that there is none.
Compare contestants by their gains, not by whether the intervals of their scores overlap.
"Could show" is the gain that these questions find with a probability of 80 %. A smaller one may exist.
The frontier has the contestants that no other one beats in score and cost. It follows from the scores as measured: \
contestants whose intervals overlap may change places.
Runs that failed have no score. They are left out of the comparisons and counted apart.
Dollars are what the calls of a contestant cost, without those of a judge."""


def report_page(evaluation: Evaluation) -> str:
    """Return the page of an analysed evaluation, which any encoding of Unicode can write."""
    data, bundle = data_of_questions(evaluation, links=False), bundled(REPORT, *_STYLES)
    return mended(document(data, bundle, title=_title(evaluation), content=_content(evaluation), images=_IMAGES))


def local_report(evaluation: Evaluation, key: str, *, links: bool = True) -> tuple[str, str]:
    """Return the page for `moa-mcp eval --view` and its policy.

    With `links`, the IDs of runs lead to /runs/ID on the same server. `key` is what those pages send with each
    request; empty if the browser has it already.
    """
    bundle = bundled(LOCAL_REPORT, *_STYLES)
    data, title = data_of_questions(evaluation, links=links), _title(evaluation)
    page = document(data, bundle, title=title, content=_content(evaluation), key=key)
    return mended(page), bundle.policy(f"img-src {_IMAGES}", UNFRAMED)


def _title(evaluation: Evaluation) -> str:
    return f"Evaluation of {html.line(evaluation.source)}"


def _content(evaluation: Evaluation) -> str:
    return "".join(_parts(evaluation))


def _parts(evaluation: Evaluation) -> Iterator[str]:
    yield _head(evaluation)
    concluded = [each for each in conclusions(evaluation) if each != SIMULATED]
    yield html.section("conclusions", "Conclusions", html.items(concluded, "conclusions"))
    yield from map(html.table, tables(evaluation))
    if noted := [*notes(evaluation)]:
        yield html.section("notes", "Notes", html.items(noted, "notes plainly"))
    yield _picture(evaluation)
    yield html.folded("How to read this", html.items(_HOW_TO_READ.splitlines(), "reading"))
    yield html.section("questions", "Questions", _LIST)
    yield html.folded("How it was made", html.facts("how it was made", _made(evaluation)))


def _head(evaluation: Evaluation) -> str:
    facts = (
        counted(len(evaluation.questions), "question"),
        counted(len(evaluation.contestants), "contestant"),
        f"scored by {evaluation.settings.scoring}",
        _cost(evaluation),
        evaluation.created_at,
    )
    simulated = evaluation.settings.simulated
    warning = f'<p class="error" role="note">{html.text(SIMULATED)}</p>' if simulated else ""
    shown = html.text(" · ".join(map(html.line, facts)))
    return (
        f'<header class="head"><h1>{html.text(_title(evaluation))}</h1><p class="quiet">{shown}</p>{warning}</header>'
    )


def _cost(evaluation: Evaluation) -> str:
    cost = f"cost {money.dollars(evaluation.cost_usd)}"
    if not evaluation.unknown_costs:
        return cost
    return f"{cost}, and {counted(evaluation.unknown_costs, 'call')} of unknown cost"


def _picture(evaluation: Evaluation) -> str:
    shown, words = base64.b64encode(picture(evaluation)).decode(), html.text(described(evaluation))
    image = f'<figure class="scores"><img alt="{words}" src="data:image/png;base64,{shown}"></figure>'
    return html.section("picture", "Score against cost", image)


def _made(evaluation: Evaluation) -> dict[str, str]:
    settings: dict[str, object] = evaluation.settings.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    made = {"digest": evaluation.digest, "seed": str(evaluation.settings.seed)}
    made |= {name.replace("_", " "): _written(value) for name, value in settings.items()}
    made |= {f"version of {name}": version for name, version in evaluation.versions.items()}
    made |= {f"models of {each.name}": ", ".join(each.models) for each in evaluation.contestants}
    return made | {f"digest of {each.name}": each.digest for each in evaluation.contestants if each.digest}


def _written(value: object) -> str:
    return ", ".join(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)
