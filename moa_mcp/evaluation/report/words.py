"""The conclusions of an evaluation in plain sentences. Nothing is called better whose interval contains zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from moa_mcp.evaluation.report.numbers import counted, dollars, points, points_up, spread, whole
from moa_mcp.evaluation.result import Comparison, Duel, Evaluation, Interval

_EVEN = 0.5
_SIGNIFICANT = 0.05
SIMULATED = "The models were simulated: these figures mean nothing for real models."


def conclusions(evaluation: Evaluation) -> Iterator[str]:
    """Yield the sentences: what is better, what the judge prefers, the frontier, and the gate."""
    if evaluation.settings.simulated:
        yield SIMULATED
    if not evaluation.complete:
        yield (
            "The evaluation is incomplete: its figures are those of the questions with a score so far. Complete it "
            "whatever they show: who stops when a gain appears often finds one that does not exist."
        )
    if not evaluation.comparisons and not any(each.n for each in evaluation.duels):
        yield _nothing(evaluation)
    yield from _comparisons(evaluation.comparisons)
    if any(each.n for each in evaluation.duels):
        yield from map(judged, evaluation.duels)
    yield from _frontier(evaluation)
    yield from _gate(evaluation)


def notes(evaluation: Evaluation) -> Iterator[str]:
    """Yield what a reader must know, about the evaluation and about its judge."""
    yield from evaluation.notes
    for each in evaluation.duels:
        yield from (f"{each.contestant} against {each.against}: {note}." for note in each.notes)


def called(name: str) -> str:
    """Return a contestant as a sentence names it."""
    kind, _, rest = name.partition(":")
    if kind == "one" and rest:
        return f"one call of {rest}"
    pipeline, _, number = rest.rpartition(":")
    if kind == "majority" and pipeline:
        return f"the majority of {number} samples of {pipeline}"
    if kind == "best_of" and pipeline:
        return f"the best of {number} samples of {pipeline}"
    return name


def _comparisons(every: Sequence[Comparison]) -> Iterator[str]:
    """Yield a sentence for each comparison, but one for all of a pipeline whose intervals contain zero."""
    alike: dict[str, list[Comparison]] = {}
    for each in every:
        if (
            each.conclusion == "undecided"
            and each.interval is not None
            and each.interval.low <= 0 <= each.interval.high
        ):
            alike.setdefault(each.contestant, []).append(each)
    together = {name: group for name, group in alike.items() if len(group) > 1}
    for each in every:
        group = together.get(each.contestant, [])
        if each not in group:
            yield compared(each)
        elif each is group[0]:
            yield _alike(group)


def _alike(group: Sequence[Comparison]) -> str:
    """Return that a pipeline has no difference from several baselines, and what the weakest comparison could show."""
    shown = [
        f"{called(each.against)} ({points(each.gain or 0.0, signed=True)}: {spread(each.interval or Interval(-1, 1))})"
        for each in group
    ]
    weakest = max(group, key=lambda each: 1.0 if each.detectable is None else each.detectable)
    return (
        f"No difference shown between {called(group[0].contestant)} and any of {_listed(shown)}: the interval of each "
        f"gain, in points, contains zero.{_power(weakest)}"
    )


def compared(comparison: Comparison) -> str:
    """Return what a comparison shows."""
    one, two = called(comparison.contestant), called(comparison.against)
    if comparison.gain is None or comparison.interval is None:
        return f"{one} and {two} can't be compared: no question has a score of both."
    if comparison.conclusion == "undecided":
        return f"No difference shown between {one} and {two}: {_undecided(comparison)}"
    better = comparison.conclusion == "better"
    gain = comparison.gain if better else -comparison.gain
    interval = comparison.interval if better else _turned(comparison.interval)
    return (
        f"{one} is {comparison.conclusion} than {two} by {points(gain)} points ({spread(interval)})"
        f"{_counts(comparison)}.{_price(comparison)}"
    )


def _counts(comparison: Comparison) -> str:
    """Return on how many questions it won; only those, if it may have won some by a part of a score."""
    questions = counted(comparison.n, "question")
    if comparison.has_parts:
        return f" on {questions}"
    return f": of {questions} it won {comparison.won:,}, lost {comparison.lost:,} and tied {comparison.tied:,}"


def judged(duel: Duel) -> str:
    """Return what a judge prefers."""
    one, two = called(duel.contestant), called(duel.against)
    if duel.win_rate is None or duel.interval is None:
        return f"The judge has no readable verdict in both orders on {one} against {two}."
    rate = f"{points(duel.win_rate)} % ({spread(duel.interval)})"
    about = f"over {counted(duel.n, 'question')}, ties as half"
    if duel.interval.low > _EVEN:
        return f"The judge prefers {one} to {two}: win rate {rate} {about}.{_same_length(duel)}"
    if duel.interval.high < _EVEN:
        return f"The judge prefers {two} to {one}: {one} has a win rate of {rate} {about}.{_same_length(duel)}"
    return (
        f"No preference shown between {one} and {two}: the interval of the win rate, {rate} {about}, contains one half."
        f"{_same_length(duel)}"
    )


def _undecided(comparison: Comparison) -> str:
    gain, interval = comparison.gain or 0.0, comparison.interval or Interval(-1, 1)
    shown = f"the gain is {points(gain, signed=True)} points, and its interval ({spread(interval)}) "
    if interval.low <= 0 <= interval.high:
        return f"{shown}contains zero.{_power(comparison)}"
    if comparison.p_adjusted is not None and comparison.p_adjusted <= _SIGNIFICANT:
        return f"{shown}excludes zero, but not if each failure counts as wrong: see the notes."
    return f"{shown}excludes zero, but the p value after Holm's correction is above 0.05.{_power(comparison)}"


def _power(comparison: Comparison) -> str:
    questions = counted(comparison.n, "question")
    if comparison.detectable is None:
        return f" {questions} could not have shown any difference: ask more."
    could = f" {questions} could have shown a gain of {points_up(comparison.detectable)}"
    if comparison.needed is None or comparison.sought is None or comparison.needed <= comparison.n:
        return f"{could}."
    return f"{could}; about {whole(comparison.needed)} would show {points_up(comparison.sought)}."


def _price(comparison: Comparison) -> str:
    price, interval = comparison.usd_per_point, comparison.interval
    if price is None or comparison.gain is None or interval is None:
        return ""
    if price <= 0:
        return " It does not cost more."
    more = price * 100 * comparison.gain
    least, most = (dollars(more / (100 * end)) for end in (interval.high, interval.low))
    return (
        f" It costs {dollars(more)} more for 1,000 questions: {dollars(price)} for each point "
        f"({least} to {most} for the ends of the interval)."
    )


def _same_length(duel: Duel) -> str:
    if duel.length_controlled is None or duel.length_interval is None:
        return ""
    rate = f"{points(duel.length_controlled)} % ({spread(duel.length_interval)})"
    even = duel.length_interval.low <= _EVEN <= duel.length_interval.high
    return f" For answers of the same length it is {rate}{', which shows no preference' if even else ''}."


def _turned(interval: Interval) -> Interval:
    return Interval(-interval.high, -interval.low)


def _nothing(evaluation: Evaluation) -> str:
    failed = sum(each.failed for each in evaluation.standings)
    if failed:
        return f"Nothing was compared: {counted(failed, 'run')} failed."
    if evaluation.duels:
        return "Nothing was compared: the judge has no readable verdict in both orders on any question."
    if any(each.baseline for each in evaluation.contestants):
        return "Nothing was compared: no question has a score of a contestant and of a baseline."
    return "Nothing was compared: there is no baseline."


def _frontier(evaluation: Evaluation) -> Iterator[str]:
    best = [called(each.contestant) for each in evaluation.standings if each.on_frontier]
    if len(evaluation.standings) > 1 and best:
        yield f"Frontier, which no other contestant beats in score and cost as measured: {_listed(best)}."


def _gate(evaluation: Evaluation) -> Iterator[str]:
    least = evaluation.settings.fail_under
    if least is None:
        return
    if evaluation.gate_passed is None:
        yield f"Gate of {least:g} points: not decided, because the evaluation is incomplete or nothing was compared."
    elif evaluation.gate_passed:
        yield f"Gate passed: the lower end of each interval is at least {least:g} points."
    else:
        yield f"Gate missed: not each interval has its lower end at {least:g} points or above."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
