"""The advice on a terminal and as JSON."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from moa_mcp.cli import draw
from moa_mcp.cli.advise import recorded, tables, words
from moa_mcp.cli.advise.sources import Material, Sources, gathered
from moa_mcp.cli.options import Refused, RunFailed
from moa_mcp.cli.text import json_text, line, say, written
from moa_mcp.evaluation.advice.snippets import Snippets
from moa_mcp.evaluation.advice.values import Advice, Recommendation
from moa_mcp.evaluation.advice.whole import advise
from moa_mcp.evaluation.report.files import write_file

_INDENT = 3
_NOTHING = "Nothing: in every check, the interval includes an effect that is none or too small to matter."


def advice(sources: Sources, seed: int) -> Advice:
    """Return the advice on what the sources have. Raises `Refused`, `RunFailed`."""
    material = gathered(sources)
    found = advise(
        material.evaluations,
        material.runs,
        pipelines=sources.pipelines,
        snippets=_snippets(material),
        simulated=material.simulated,
        seed=seed,
    )
    if not (found.panels or found.judges or found.recorded):
        raise RunFailed(
            "there is nothing to advise on: no evaluation and no recorded run" + _of(sources.pipelines),
            f"Make an evaluation with: {words.evaluation_command(sources.pipelines or material.config.pipelines)}",
        )
    return found.model_copy(update={"notes": material.notes})


def _of(pipelines: tuple[str, ...]) -> str:
    return f" of {', '.join(pipelines)}" if pipelines else ""


def _snippets(material: Material) -> Snippets:
    try:
        return Snippets(material.config, Path(material.config.source).read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return Snippets(material.config)


def write(found: Advice, path: str) -> None:
    """Write all numbers as JSON to a file, or to stdout for '-'. Raises `Refused`."""
    text = json_text(found.model_dump(mode="json"))
    if path == "-":
        problem = written(text)
    else:
        try:
            write_file(Path(path), f"{text}\n".encode(), private=False)
            problem = ""
        except OSError as error:
            problem = error.strerror or "unknown error"
    if problem:
        raise Refused(f"can't write {path}: {problem}", "Give another file with --json.")


def show(found: Advice) -> None:
    """Print the advice: what to change, what more questions would decide, and what it rests on."""
    out = draw.console()
    if found.simulated:
        out.print(draw.SIMULATED)
    out.print(Text(words.basis(found)))
    for note in found.notes:
        say(f"Note: {note}")
    _recommended(out, found)
    _undecided(out, found)
    for panel in found.panels:
        tables.panel(out, panel)
    tables.judges(out, found.judges)
    for each in found.recorded:
        recorded.pipeline(out, each)


def _recommended(out: Console, found: Advice) -> None:
    out.print()
    out.print(Text("What to change", "bold"))
    if not found.recommendations:
        out.print(Text(_NOTHING))
    for number, each in enumerate(found.recommendations, 1):
        out.print(Text.assemble((f"{number}. ", "bold"), (line(words.title(each)), "bold cyan")))
        for sentence in words.reasons(each):
            out.print(_indented(line(sentence)))
        _toml(out, each)
    for sentence in words.how_sure(found):
        out.print(Text(sentence, "dim"))


def _toml(out: Console, each: Recommendation) -> None:
    if each.toml is None:
        return
    out.print(_indented("In pipelines.toml:"))
    tables.toml(out, each.toml, _INDENT)


def _indented(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, _INDENT), expand=False)


def _undecided(out: Console, found: Advice) -> None:
    rows = [*words.shortest(found.undecided)]
    if rows:
        out.print()
        out.print(Text("Not enough data", "bold"))
        out.print(tables.undecided(rows))
