"""What a judge prefers, from its verdicts: each contestant against a baseline, in both orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moa_mcp.evaluation.analysis.scores import clusters
from moa_mcp.evaluation.report.numbers import counted
from moa_mcp.evaluation.result import Duel, Evaluation, Interval, Verdict
from moa_mcp.evaluation.statistics import Figure, LengthControl, Preference, preference

_LEVEL = 0.95
_ORDERS = 2
_EXTRAPOLATED = "the answers of one side are always longer, so that the length-controlled rate is extrapolated"
_FAVOURS = {
    "longer": "the judge prefers longer answers",
    "shorter": "the judge prefers shorter answers",
    "neither": "",
}

Orders = dict[str, Verdict]
"""The verdicts on a pair of answers, by whose answer was first."""


def duels(evaluation: Evaluation) -> tuple[Duel, ...]:
    """Return the duels that the verdicts are about, in the order of the verdicts."""
    found: dict[tuple[str, str], dict[str, Orders]] = {}
    for each in evaluation.verdicts:
        pairs = found.setdefault((each.contestant, each.against), {})
        pairs.setdefault(each.question, {})[each.first] = each
    return tuple(_duel(names, pairs, evaluation, len(found)) for names, pairs in found.items())


def _duel(names: tuple[str, str], pairs: Mapping[str, Orders], evaluation: Evaluation, number: int) -> Duel:
    whole = {question: orders for question, orders in pairs.items() if _is_whole(orders)}
    said = preference(
        [orders["contestant"].preferred for orders in whole.values()],
        [orders["against"].preferred for orders in whole.values()],
        [orders["contestant"].longer_by for orders in whole.values()],
        clusters(evaluation, whole),
        level=1 - (1 - _LEVEL) / number,
    )
    notes = [*_notes(said), *_missing(len(pairs) - len(whole))]
    if not said.pairs:
        return _nothing(names, said.unreadable, notes)
    controlled = said.length_controlled if isinstance(said.length_controlled, LengthControl) else None
    return Duel(
        contestant=names[0],
        against=names[1],
        n=said.pairs,
        unreadable=said.unreadable,
        ties=said.tied,
        win_rate=said.win_rate.value,
        interval=_interval(said.win_rate),
        length_controlled=None if controlled is None else controlled.win_rate.value,
        length_interval=None if controlled is None else _interval(controlled.win_rate),
        position_bias=said.position_bias.value,
        position_interval=_interval(said.position_bias),
        consistency=said.consistency.value,
        consistency_interval=_interval(said.consistency),
        notes=tuple(notes),
    )


def _nothing(names: tuple[str, str], unreadable: int, notes: Sequence[str]) -> Duel:
    return Duel(
        contestant=names[0],
        against=names[1],
        n=0,
        unreadable=unreadable,
        ties=0,
        win_rate=None,
        interval=None,
        length_controlled=None,
        length_interval=None,
        position_bias=None,
        position_interval=None,
        consistency=None,
        consistency_interval=None,
        notes=tuple(notes),
    )


def _interval(figure: Figure) -> Interval:
    return Interval(figure.low, figure.high)


def _notes(said: Preference) -> list[str]:
    """Return what a reader must know of a judge's verdicts, in words."""
    if not said.pairs:
        return []
    notes: list[str] = []
    if said.position_bias.excludes(0.0):
        place = "first" if said.position_bias.low > 0 else "second"
        notes.append(f"the judge prefers the answer that it sees {place}; both orders together balance that")
    if not isinstance(said.length_controlled, LengthControl):
        return [*notes, f"there is no length-controlled win rate: {said.length_controlled.reason}"]
    if favours := _FAVOURS[said.length_controlled.favours]:
        notes.append(f"{favours}; the length-controlled win rate is without that")
    return [*notes, _EXTRAPOLATED] if said.length_controlled.extrapolated else notes


def _is_whole(orders: Orders) -> bool:
    """Whether the judge replied in both orders, with readable verdicts or not."""
    return len(orders) == _ORDERS and not any(each.problem for each in orders.values())


def _missing(pairs: int) -> list[str]:
    return [f"the judge did not reply in both orders on {counted(pairs, 'question')}, left out here"] if pairs else []
