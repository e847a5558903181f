"""What a judge prefers, from its verdicts: each contestant against a baseline, in both orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moa_mcp.evaluation.analysis.scores import clusters, is_failed
from moa_mcp.evaluation.report.numbers import counted, points, spread
from moa_mcp.evaluation.result import Duel, Evaluation, Interval, Verdict
from moa_mcp.evaluation.statistics import Figure, LengthControl, Preference, mean_score, preference

_LEVEL = 0.95
_EVEN = 0.5
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
    judged = {question: orders for question, orders in whole.items() if any(each.run_id for each in orders.values())}
    level = 1 - (1 - _LEVEL) / number
    found = _preference(whole, evaluation, level)
    asked = _preference(judged, evaluation, level)
    notes = [
        *_on_position(asked),
        *_on_length(found),
        *_missing(len(pairs) - len(whole)),
        *_same(len(whole) - len(judged)),
        *_if_unreadable_lost(names, whole, found, evaluation, level),
        *_if_failures_lost(names, whole, evaluation, level),
    ]
    if not found.pairs:
        return _nothing(names, found.unreadable, notes)
    controlled = found.length_controlled if isinstance(found.length_controlled, LengthControl) else None
    bias, same = (asked.position_bias, asked.consistency) if asked.pairs else (None, None)
    return Duel(
        contestant=names[0],
        against=names[1],
        n=found.pairs,
        unreadable=found.unreadable,
        ties=found.tied,
        win_rate=found.win_rate.value,
        interval=_interval(found.win_rate),
        length_controlled=None if controlled is None else controlled.win_rate.value,
        length_interval=None if controlled is None else _interval(controlled.win_rate),
        position_bias=None if bias is None else bias.value,
        position_interval=None if bias is None else _interval(bias),
        consistency=None if same is None else same.value,
        consistency_interval=None if same is None else _interval(same),
        notes=tuple(notes),
    )


def _preference(pairs: Mapping[str, Orders], evaluation: Evaluation, level: float) -> Preference:
    return preference(
        [orders["contestant"].preferred for orders in pairs.values()],
        [orders["against"].preferred for orders in pairs.values()],
        [orders["contestant"].longer_by for orders in pairs.values()],
        clusters(evaluation, pairs),
        level=level,
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


def _on_position(asked: Preference) -> list[str]:
    """Return a note on a judge that prefers a place."""
    if not asked.pairs or not asked.position_bias.excludes(0.0):
        return []
    place = "first" if asked.position_bias.low > 0 else "second"
    return [f"the judge prefers the answer that it sees {place}; both orders together balance that"]


def _on_length(found: Preference) -> list[str]:
    """Return notes on a judge that prefers longer or shorter answers."""
    if not found.pairs:
        return []
    controlled = found.length_controlled
    if not isinstance(controlled, LengthControl):
        return [f"there is no length-controlled win rate: {controlled.reason}"]
    favours = _FAVOURS[controlled.favours]
    notes = [f"{favours}; the length-controlled win rate is without that"] if favours else []
    return [*notes, _EXTRAPOLATED] if controlled.extrapolated else notes


def _is_whole(orders: Orders) -> bool:
    """Whether the judge replied in both orders, with readable verdicts or not."""
    return len(orders) == _ORDERS and not any(each.problem for each in orders.values())


def _same(pairs: int) -> list[str]:
    """Return a note on pairs that no judge was asked about, which tell nothing about the judge."""
    if not pairs:
        return []
    return [
        (
            f"both answers have the same text on {counted(pairs, 'question')}: ties without a call, which tell "
            "nothing about the judge"
        )
    ]


def _if_unreadable_lost(
    names: tuple[str, str], pairs: Mapping[str, Orders], found: Preference, evaluation: Evaluation, level: float
) -> list[str]:
    """Return a note on the win rate if each unreadable verdict was for the one that is behind."""
    if not (found.pairs and found.unreadable):
        return []
    behind = 0.0 if found.win_rate.value >= _EVEN else 1.0
    rates = {question: _rate(orders, behind) for question, orders in pairs.items()}
    return [
        (
            f"{counted(found.unreadable, 'pair')} with an unreadable verdict are left out; if each of these verdicts "
            f"preferred {names[behind == 0]}, the win rate would be {_percent(rates, evaluation, level)}"
        )
    ]


def _if_failures_lost(
    names: tuple[str, str], pairs: Mapping[str, Orders], evaluation: Evaluation, level: float
) -> list[str]:
    """Return a note on the win rate if each failure was a loss."""
    one, two = (
        {each.question for each in evaluation.outcomes if each.contestant == n and is_failed(each)} for n in names
    )
    read = {question: rate for question, orders in pairs.items() if (rate := _rate(orders)) is not None}
    if not read or not one | two:
        return []
    lost = {each: _EVEN if each in one and each in two else float(each in two) for each in one | two}
    return [
        (
            f"{names[0]} failed on {counted(len(one), 'question')}, {names[1]} on {len(two)}, which are left out; "
            f"if each failure was lost, the win rate would be {_percent({**read, **lost}, evaluation, level)}"
        )
    ]


def _rate(orders: Orders, unread: float | None = None) -> float | None:
    """Return how much the contestant is preferred over both orders, with `unread` for an unreadable verdict."""
    preferred = [unread if each.preferred is None else each.preferred for each in orders.values()]
    known = [each for each in preferred if each is not None]
    return sum(known) / len(known) if len(known) == len(preferred) else None


def _percent(rates: Mapping[str, float | None], evaluation: Evaluation, level: float) -> str:
    known = {question: rate for question, rate in rates.items() if rate is not None}
    figure = mean_score([*known.values()], clusters(evaluation, known), level=level).mean
    return f"{points(figure.value)} % ({spread(_interval(figure))})"


def _missing(pairs: int) -> list[str]:
    return [f"the judge did not reply in both orders on {counted(pairs, 'question')}, left out here"] if pairs else []
