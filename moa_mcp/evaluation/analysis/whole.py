"""The analysis of a whole evaluation."""

from __future__ import annotations

from collections.abc import Iterator

from moa_mcp.evaluation.analysis.cautions import cautions
from moa_mcp.evaluation.analysis.comparisons import comparisons
from moa_mcp.evaluation.analysis.duels import duels
from moa_mcp.evaluation.analysis.standings import standings
from moa_mcp.evaluation.result import Evaluation

_POINT = 0.01
_EVEN = 0.5
_SLACK = 1e-9
"""What a sum of floats may miss of a round figure."""


def analysed(evaluation: Evaluation) -> Evaluation:
    """Return an evaluation with its standings, comparisons, duels, gate and notes, which follow from the rest of it.

    Earlier ones are replaced, but its notes stay and others follow. The same evaluation gives the same result.
    """
    rows = standings(evaluation)
    found = evaluation.model_copy(
        update={"standings": rows, "comparisons": comparisons(evaluation, rows), "duels": duels(evaluation)}
    )
    notes = tuple(dict.fromkeys((*evaluation.notes, *cautions(found))))
    return found.model_copy(update={"gate_passed": gate_passed(found), "notes": notes})


def gate_passed(evaluation: Evaluation) -> bool | None:
    """Whether the lower end of each gain is at least that of `fail_under`; None without a gate, or if it is not known.

    Where nothing has a score, the gain of a duel is what its win rate is above one half.
    """
    least = evaluation.settings.fail_under
    if least is None or not evaluation.complete:
        return None
    lows = [*_lows(evaluation)]
    if not lows or None in lows:
        return None
    return all(low is not None and low >= least * _POINT - _SLACK for low in lows)


def _lows(evaluation: Evaluation) -> Iterator[float | None]:
    """Yield the lower ends of the gains; None where nothing could be compared."""
    if any(each.n for each in evaluation.comparisons):
        yield from (each.interval and each.interval.low for each in evaluation.comparisons)
    else:
        yield from (each.interval and each.interval.low - _EVEN for each in evaluation.duels)
