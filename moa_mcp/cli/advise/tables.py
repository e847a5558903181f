"""The findings of evaluations as tables for a terminal."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from moa_mcp.cli import draw
from moa_mcp.cli.advise import words
from moa_mcp.cli.text import line
from moa_mcp.evaluation.advice.cascades import MARGIN
from moa_mcp.evaluation.advice.members import SAME_VOICE
from moa_mcp.evaluation.advice.values import (
    Aggregation,
    CascadeFinding,
    JudgeFindings,
    Measured,
    PanelFindings,
    Undecided,
)
from moa_mcp.evaluation.report import numbers
from moa_mcp.evaluation.report.numbers import counted, points, spread, whole
from moa_mcp.evaluation.report.words import called
from moa_mcp.text.visible import visible

_MOST_PAIRS = 6
_PAIRS_MEAN = "chance: both wrong if errors were independent; same: both wrong with the same value"


def undecided(rows: Iterable[Undecided]) -> Table:
    """Return what more questions would decide."""
    table = draw.table()
    table.add_column("whether to", overflow="fold")
    for title in ("so far", "interval", "n", "enough"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in rows:
        needed = f"{whole(each.needed)} {words.unit_of(each.kind)}"
        table.add_row(line(words.undecided_change(each)), *_measured(each.effect), f"{each.effect.n:,}", needed)
    return table


def panel(out: Console, found: PanelFindings) -> None:
    """Print what evaluations say about a pipeline."""
    out.print()
    scored = f"{counted(found.n, 'question')}, scored by {line(found.scoring)}"
    out.print(Text.assemble((line(found.pipeline), "bold cyan"), f"  {scored}"))
    if found.members:
        out.print(_members(found))
        out.print(Text("alone: right where all others are wrong", "dim"))
        for sentence in _beaten(found):
            out.print(Text(line(sentence)))
    if found.pairs:
        out.print()
        out.print(_pairs(found))
        out.print()
        out.print(_overlaps(found))
        out.print(Text(_PAIRS_MEAN, "dim"))
        _voices(out, found)
    if found.aggregation is not None:
        out.print()
        out.print(_aggregation(found.aggregation))
    if found.calibration:
        out.print()
        out.print(_calibration(found))
    for sentence in (*_cascade(found.cascade), *_alternatives(found), *_missing(found)):
        out.print(Text(line(sentence)))
    if found.self_toml is not None:
        toml(out, found.self_toml)


def toml(out: Console, text: str, indent: int = 0) -> None:
    """Print what to write in pipelines.toml, in lines that are not wrapped, so that they can be copied."""
    for row in visible(text).splitlines():
        out.print(Text(f"{' ' * indent}{row}", "green"), soft_wrap=True)


def _members(found: PanelFindings) -> Table:
    table = draw.table()
    table.add_column("member", overflow="ellipsis", no_wrap=True)
    for title in ("score", "interval", "n", "alone", "interval", "$/1000"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in found.members:
        alone = ("-", "") if each.unique is None else _measured(each.unique)
        usd = numbers.dollars(each.usd_per_1000)
        table.add_row(line(each.model), *_measured(each.score), f"{each.score.n:,}", *alone, usd)
    return table


def _beaten(found: PanelFindings) -> Iterator[str]:
    for each in found.members:
        if each.beaten_by:
            yield f"{each.model} is beaten by {', '.join(each.beaten_by)}: less right, and not cheaper."


def _pairs(found: PanelFindings) -> Table:
    table = draw.table()
    table.add_column("both wrong", overflow="fold")
    for title in ("share", "interval", "chance", "n"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in found.pairs[:_MOST_PAIRS]:
        both, names = each.both_wrong, f"{line(each.first)}, {line(each.second)}"
        table.add_row(names, *_measured(both), points(each.if_independent), f"{both.n:,}")
    return table


def _overlaps(found: PanelFindings) -> Table:
    table = draw.table()
    table.add_column("both wrong where one is", overflow="fold")
    for title in ("overlap", "interval", "n", "same", "n"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in found.pairs[:_MOST_PAIRS]:
        overlap = ("-", "", "") if each.overlap is None else (*_measured(each.overlap), f"{each.overlap.n:,}")
        same = each.same_answer
        values = ("-", "") if same is None else (points(same.value), f"{same.n:,}")
        table.add_row(f"{line(each.first)}, {line(each.second)}", *overlap, *values)
    return table


def _voices(out: Console, found: PanelFindings) -> None:
    for each in found.pairs:
        near = each.overlap is not None and each.overlap.interval.low > SAME_VOICE
        maker = f", both of {each.maker}," if each.maker else ""
        if near:
            out.print(Text(line(f"{each.first} and {each.second}{maker} are nearly the same voice.")))
        elif each.maker:
            out.print(Text(line(f"{each.first} and {each.second} are both of {each.maker}."), "dim"))
    left = len(found.pairs) - _MOST_PAIRS
    if left > 0:
        out.print(Text(f"{counted(left, 'other pair')} with less in common: see --json", "dim"))


def _aggregation(found: Aggregation) -> Table:
    table = draw.table()
    table.add_column("after the first step")
    for title in ("value", "interval", "n"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, each in _rows(found):
        if each is not None:
            table.add_row(name, *_measured(each), f"{each.n:,}")
    return table


def _rows(found: Aggregation) -> Iterator[tuple[str, Measured | None]]:
    yield "score of the result", found.result
    yield "score of a random answer", found.random_answer
    yield "score of the majority", found.majority
    yield "some answer right (oracle)", found.oracle
    yield "some answer right, result wrong", found.lost
    yield "no answer right, result right", found.rescued
    yield "majority right: result wrong", found.overruled
    yield "majority minus result", found.vote_gain
    yield "efficiency (random 0, oracle 100)", found.efficiency


def _calibration(found: PanelFindings) -> Table:
    table = draw.table()
    table.add_column("answers that agree", justify="right")
    for title in ("majority right", "interval", "n"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in found.calibration:
        table.add_row(f"{points(each.agreement)} %", *_measured(each.right), f"{each.right.n:,}")
    return table


def _cascade(found: CascadeFinding | None) -> Iterator[str]:
    if found is None:
        return
    if found.threshold is None or found.gain is None or found.score is None or found.stopped is None:
        yield (
            f"Cascade: on {counted(found.chosen_on, 'question')}, every threshold scores less than the whole pipeline."
        )
        return
    saved = "" if found.calls_saved is None else f" and saves {points(found.calls_saved)} % of the calls"
    yield (
        f"Cascade: with a threshold of {points(found.threshold)} %, chosen on {counted(found.chosen_on, 'question')}, "
        f"it stops early on {points(found.stopped.value)} % ({spread(found.stopped.interval)}) of the other "
        f"{counted(found.gain.n, 'question')}{saved}. It scores {points(found.score.value)} "
        f"({spread(found.score.interval)}) there, {points(found.gain.value, signed=True)} "
        f"({spread(found.gain.interval)}) against the whole pipeline; it is recommended if that is above "
        f"-{points(MARGIN)} with the interval for all checks."
    )


def _alternatives(found: PanelFindings) -> Iterator[str]:
    for each in found.selves:
        curve = ", ".join(f"{one.samples}: {points(one.score.value)}" for one in each.curve)
        yield f"Samples of {each.model} and their majority ({curve}){_against(each.gain)}."
    for other in found.alternatives:
        yield f"{called(other.contestant)}{_against(other.gain)}."


def _against(gain: Measured | None) -> str:
    if gain is None:
        return ""
    value = f"{points(gain.value, signed=True)} ({spread(gain.interval)}; {counted(gain.n, 'question')})"
    return f" against the pipeline: {value}"


def _missing(found: PanelFindings) -> Iterator[str]:
    if "samples" in found.missing:
        yield (
            "Its members can't be compared: there are no samples of them alone, because its runs failed or because "
            "its first step changes the question."
        )
    if "scores" in found.missing:
        yield "Its samples have no scores: a judge scores results only. Evaluate questions with known answers."
    if "values" in found.missing and "samples" not in found.missing:
        yield "Its answers have no values to count, so that agreement and votes can't be computed."
    if "self" in found.missing and found.members:
        best = found.members[0].model
        yield f"Whether several samples of one model, such as {best}, beat the mix is unknown. {_trial(found)}"


def _trial(found: PanelFindings) -> str:
    """Return how to find out whether several samples of one model beat the mix."""
    if found.self_toml is None:
        own = words.evaluation_command([found.pipeline, "self_moa"])
        return f"Write a pipeline like self_moa with it, and evaluate both: {own}"
    (name,) = tomllib.loads(found.self_toml)["pipelines"]
    return f"Evaluate both: {words.evaluation_command([found.pipeline, name])}, with this in pipelines.toml:"


def judges(out: Console, found: Sequence[JudgeFindings]) -> None:
    """Print what judges of evaluations do with the places of answers."""
    if not found:
        return
    out.print()
    table = draw.table()
    table.add_column("judge of pairs", overflow="fold")
    for title in ("first", "interval", "same", "interval", "n"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in found:
        names = f"{line(each.judge)}: {line(each.contestant)}, {line(each.against)}"
        bias = (points(each.position_bias.value, signed=True), spread(each.position_bias.interval))
        table.add_row(names, *bias, *_measured(each.consistency), f"{each.consistency.n:,}")
    out.print(table)
    out.print(
        Text("first: points by which the first place wins more than half; same: same verdict in both orders", "dim")
    )


def _measured(found: Measured) -> tuple[str, str]:
    return points(found.value), spread(found.interval)
