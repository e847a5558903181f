"""The tables of an evaluation as texts, for a terminal and a page alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from moa_mcp.evaluation.report.numbers import calls, dollars, p_value, points, seconds, spread
from moa_mcp.evaluation.result import Comparison, Contestant, ContestantStanding, Duel, Evaluation, Interval

FRONTIER, PARTIAL = "*", "+"
Row = TypeVar("Row")


class Column(NamedTuple):
    """A column of a table."""

    title: str
    cells: tuple[str, ...]
    about: str = ""
    """What the column has, for readers who do not know it."""
    is_text: bool = False
    """Whether it is a text; else a number."""
    wide: bool = False
    """Whether it is left out where space is short."""


class TextTable(NamedTuple):
    """A table with at least one row."""

    title: str
    columns: tuple[Column, ...]
    legend: tuple[str, ...] = ()

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The rows, each with a cell for each column."""
        return [*zip(*(each.cells for each in self.columns), strict=True)]


def tables(evaluation: Evaluation) -> Iterator[TextTable]:
    """Yield the tables that an analysed evaluation has: scores and costs, problems, gains by baseline, duels."""
    if evaluation.standings:
        yield _standings(evaluation)
    yield from _problems(evaluation)
    for baseline in dict.fromkeys(each.against for each in evaluation.comparisons):
        yield _gains(baseline, [each for each in evaluation.comparisons if each.against == baseline], evaluation)
    if evaluation.duels:
        yield from _duels(evaluation)


def _standings(evaluation: Evaluation) -> TextTable:
    """Return what each contestant scored and cost, the best score first."""
    known = {each.name: each for each in evaluation.contestants}
    rows = sorted(evaluation.standings, key=lambda each: -1.0 if each.score is None else each.score, reverse=True)
    scored = any(each.n for each in rows)

    columns = [
        Column("contestant", tuple(_named(known[each.contestant]) for each in rows), is_text=True),
        *([_column(rows, "score (95 %)", _score, "points from 0 to 100, with the interval")] if scored else []),
        *(
            [_column(rows, "n", lambda row: f"{row.n:,}", "questions with a score", wide=not _of_others(rows))]
            if scored
            else []
        ),
        _column(rows, "calls", lambda row: calls(row.calls), "calls for a question"),
        _costs(rows),
        _column(rows, "seconds", lambda row: seconds(row.seconds), "median seconds for a question"),
    ]
    return TextTable("Scores and costs", tuple(columns), tuple(_legend(evaluation)))


def _column(rows: Sequence[Row], title: str, cell: Callable[[Row], str], about: str, *, wide: bool = False) -> Column:
    return Column(title, tuple(map(cell, rows)), about, wide=wide)


def _problems(evaluation: Evaluation) -> Iterator[TextTable]:
    """Yield the table of what went wrong, except where nothing did."""
    scored = any(each.n for each in evaluation.standings)
    counts: tuple[tuple[str, str, Callable[[ContestantStanding], int]], ...] = (
        ("degraded", "questions whose run was degraded", lambda row: row.degraded),
        ("failed", "questions without an answer", lambda row: row.failed),
        ("unscored", "answers that could not be scored", lambda row: row.unscored if scored else 0),
        ("not asked", "questions not asked, or not finished", lambda row: row.not_started),
        ("unknown costs", "calls whose cost is unknown", lambda row: row.unknown_costs),
    )
    rows = [each for each in evaluation.standings if any(count(each) for _, _, count in counts)]
    if rows:
        names = Column("contestant", tuple(each.contestant for each in rows), is_text=True)
        columns = [
            Column(title, tuple(f"{count(each):,}" for each in rows), about)
            for title, about, count in counts
            if any(map(count, rows))
        ]
        yield TextTable("Problems", (names, *columns))


def _named(contestant: Contestant) -> str:
    """Return a name, with what a reader must know of the contestant."""
    free = contestant.derived_from is not None
    about = [*(["baseline"] if contestant.baseline else []), *(["free"] if free else [])]
    if contestant.kind == "best_of":
        about.append("upper bound")
    return f"{contestant.name} ({', '.join(about)})" if about else contestant.name


def _score(row: ContestantStanding) -> str:
    return _share(row.score, row.interval)


def _costs(rows: Sequence[ContestantStanding]) -> Column:
    """Return the column of costs, with marks of the same width so that the digits align."""
    partial = any(map(_is_partial, rows))
    cells = [
        dollars(each.usd_per_1000)
        + ((PARTIAL if _is_partial(each) else " ") if partial else "")
        + (f" {FRONTIER}" if each.on_frontier else "  ")
        for each in rows
    ]
    return Column("$/1000", tuple(cells), "US dollars for 1,000 questions")


def _of_others(rows: Sequence[ContestantStanding]) -> bool:
    """Whether scores are of different questions, as far as their numbers tell."""
    return len({each.n for each in rows if each.n}) > 1


def _is_partial(row: ContestantStanding) -> bool:
    return row.usd_per_1000 is not None and row.unknown_costs > 0


def _legend(evaluation: Evaluation) -> Iterator[str]:
    rows = evaluation.standings
    if any(each.on_frontier for each in rows):
        yield f"{FRONTIER} no other contestant scores as much for less"
    if _of_others(rows):
        yield "n: scores are not all of the same questions, so that they can't be compared; the gains can"
    if any(map(_is_partial, rows)):
        yield f"{PARTIAL} at least: the costs of some calls are unknown"
    if any(each.derived_from for each in evaluation.contestants):
        yield "free: from samples that a pipeline asks anyway; $/1000 is the cost of these alone"
    if any(each.kind == "best_of" for each in evaluation.contestants):
        yield "upper bound: any of the samples is right; only who knows the answers can choose it"


def _gains(baseline: str, rows: Sequence[Comparison], evaluation: Evaluation) -> TextTable:
    columns = (
        Column("contestant", tuple(each.contestant for each in rows), is_text=True),
        _column(rows, "gain (95 %)", _gain, "points, with the interval for all comparisons together"),
        _column(rows, "won / lost", lambda row: f"{row.won:,} / {row.lost:,}", "questions with a higher / lower score"),
        _column(rows, "tied", lambda row: f"{row.tied:,}", "questions with the same score", wide=True),
        _column(
            rows, "p", lambda row: p_value(row.p_adjusted), "p value, corrected by Holm for all comparisons", wide=True
        ),
        _column(rows, "could show", _could, "least gain that the questions find with 80 % probability", wide=True),
        _column(rows, "$/point", _per_point, "additional dollars for 1,000 questions, for a point"),
        Column("result", tuple(each.conclusion for each in rows), is_text=True),
    )
    number = len(evaluation.comparisons)
    together = f"intervals and p values hold for all {number} comparisons together" if number > 1 else ""
    parts = "won / lost: also by a part of a score; more wins than losses do not show a gain"
    legend = (*((together,) if together else ()), *((parts,) if any(each.has_parts for each in rows) else ()))
    return TextTable(f"Gain over {baseline}, in points", columns, legend)


def _gain(row: Comparison) -> str:
    return _share(row.gain, row.interval, signed=True)


def _could(row: Comparison) -> str:
    return "-" if row.detectable is None else points(row.detectable)


def _per_point(row: Comparison) -> str:
    return "-" if row.usd_per_point is None else dollars(row.usd_per_point)


def _duels(evaluation: Evaluation) -> Iterator[TextTable]:
    """Yield what a judge prefers, and how it judges."""
    rows = evaluation.duels
    pair = (
        Column("contestant", tuple(each.contestant for each in rows), is_text=True),
        Column("against", tuple(each.against for each in rows), is_text=True),
    )
    preferred = (
        _column(rows, "win rate (95 %)", _win_rate, "percent of questions; ties count as half"),
        _column(rows, "at same length", _same_length, "win rate if both answers had the same length"),
        _column(rows, "n", lambda row: f"{row.n:,}", "questions with a readable verdict in both orders", wide=True),
    )
    judging = (
        _column(rows, "position bias", _bias, "points by which the first place wins more often than half"),
        _column(rows, "same", _consistent, "percent of questions with the same verdict in both orders"),
        _column(rows, "ties", lambda row: f"{row.ties:,}", "questions on which neither is preferred", wide=True),
        _column(rows, "unreadable", lambda row: f"{row.unreadable:,}", "questions with an unreadable verdict"),
    )
    together = (f"intervals hold for all {len(rows)} pairs together",) if len(rows) > 1 else ()
    yield TextTable("What the judge prefers", (*pair, *preferred), together)
    legend = "position bias: points by which the first place wins more often than half"
    same = "same: percent of questions with the same verdict in both orders"
    yield TextTable("How the judge decides", (*pair, *judging), (legend, same))


def _win_rate(row: Duel) -> str:
    return _share(row.win_rate, row.interval)


def _same_length(row: Duel) -> str:
    return _share(row.length_controlled, row.length_interval)


def _bias(row: Duel) -> str:
    return _share(row.position_bias, row.position_interval, signed=True)


def _consistent(row: Duel) -> str:
    return "-" if row.consistency is None else f"{points(row.consistency)} %"


def _share(value: float | None, interval: Interval | None, *, signed: bool = False) -> str:
    return "-" if value is None or interval is None else f"{points(value, signed=signed)} ({spread(interval)})"
