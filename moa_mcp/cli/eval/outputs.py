"""What becomes of a result: a table, files, the store of evaluations, a page in the browser, and the exit code."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path

import click
from msgspec import Struct

from moa_mcp.cli import draw
from moa_mcp.cli.options import Refused, RunFailed
from moa_mcp.cli.text import say
from moa_mcp.evaluation.result import Comparison, Duel, Evaluation

GATE_MISSED = 4
_PERCENT = 100.0
_STDOUT = Path("-")


class GateMissed(Refused):
    """The gain of a pipeline may be below that of --fail-under."""

    exit_code = GATE_MISSED


class Outputs(Struct, frozen=True):
    """Where a result goes besides the terminal."""

    json: Path | None
    html: Path | None
    png: Path | None
    view: bool
    fail_under: float | None

    def check(self, source: str) -> None:
        """Raise `Refused` if a file could not be written or would replace the questions, before money is spent."""
        named = {"--json": self.json, "--html": self.html, "--png": self.png}
        seen: dict[Path, str] = {Path(source).absolute(): "the question file"}
        for option, path in named.items():
            if path is None or (path == _STDOUT and option == "--json"):
                continue
            if path == _STDOUT:
                raise Refused(f"{option} can't be printed", "Name a file.")
            if path.is_dir():
                raise Refused(f"{option} {path} is a folder", "Name a file in it.")
            other = seen.setdefault(path.absolute(), option)
            if other != option:
                raise Refused(f"{option} {path} is also {other}", "Choose another file.")

    def write(self, evaluation: Evaluation, *, quiet: bool) -> None:
        """Store the result, print its table, and write the files. Raises `RunFailed` if one can't be written."""
        from moa_mcp.cli.eval.table import show  # noqa: PLC0415  the libraries of an extra

        failed = self._stored(evaluation, quiet=quiet)
        if self.json == _STDOUT:
            click.echo(_json(evaluation), nl=False)
        else:
            show(draw.console(), evaluation)
        failed += self._written(evaluation)
        if failed:
            raise RunFailed(
                "; ".join(failed), "The result is above. Run the same command again: nothing is paid again."
            )

    def _stored(self, evaluation: Evaluation, *, quiet: bool) -> list[str]:
        from moa_mcp.evaluation.report.store import EvaluationStore, default_folder  # noqa: PLC0415

        try:
            path = EvaluationStore().add(evaluation)
        except OSError as error:
            return [f"can't store the result in {default_folder()}: {error.strerror}"]
        if not quiet:
            say(f"Stored in {path}")
        return []

    def _written(self, evaluation: Evaluation) -> list[str]:
        from moa_mcp.evaluation.report.files import write_file  # noqa: PLC0415

        failed: list[str] = []
        contents: tuple[tuple[Path | None, Callable[[], bytes]], ...] = (
            (self.json, lambda: _json(evaluation)),
            (self.html, lambda: _page(evaluation)),
            (self.png, lambda: _picture(evaluation)),
        )
        for path, content in contents:
            if path is None or path == _STDOUT:
                continue
            try:
                write_file(path, content())
            except OSError as error:
                failed.append(f"can't write {path}: {error.strerror}")
        return failed


def _json(evaluation: Evaluation) -> bytes:
    from moa_mcp.evaluation.report.json_file import encoded  # noqa: PLC0415  only if it is asked for

    return encoded(evaluation).encode()


def _page(evaluation: Evaluation) -> bytes:
    from moa_mcp.evaluation.report.page import report_page  # noqa: PLC0415  as above

    return report_page(evaluation).encode()


def _picture(evaluation: Evaluation) -> bytes:
    from moa_mcp.evaluation.report.picture import picture  # noqa: PLC0415  as above

    return picture(evaluation)


def points(value: str) -> float:
    """Parse a gain in points."""
    try:
        amount = float(value)
    except ValueError:
        amount = float("nan")
    if not isfinite(amount):
        raise click.BadParameter(f"{value!r} is not a number of points, such as 0 or 2.5")
    return amount


def check_gate(evaluation: Evaluation) -> None:
    """Raise `GateMissed` if a gain may be below that of --fail-under."""
    least = evaluation.settings.fail_under
    if least is None or evaluation.gate_passed:
        return
    every: list[Comparison | Duel] = [*evaluation.comparisons, *evaluation.duels]
    missed = [each for each in every if each.interval is None or _low(each) < least]
    shown = "; ".join(map(_shown, missed)) or "nothing was compared"
    raise GateMissed(
        f"the gate is missed: not every gain is at least {least:g} points for sure ({shown})",
        "The lower end of each interval counts; more questions make intervals shorter.",
    )


def _shown(each: Comparison | Duel) -> str:
    pair = f"{each.contestant} against {each.against}"
    return f"{pair}: {'no interval' if each.interval is None else f'{_low(each):+.1f} at the lower end'}"


def _low(each: Comparison | Duel) -> float:
    """Return the lower end of a gain in points; that of a duel is what its win rate is above one half."""
    if each.interval is None:
        return -_PERCENT
    return (each.interval.low - (0.5 if isinstance(each, Duel) else 0.0)) * _PERCENT
