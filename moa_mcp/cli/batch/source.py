"""The question file of a batch: opens it, reads its items, and shows what is wrong with it, all problems at once."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from moa_mcp.batch.reading import read
from moa_mcp.batch.rows import MOST_PROBLEMS, FileProblem, Format, Read
from moa_mcp.batch.spool import Spool
from moa_mcp.cli.options import Refused
from moa_mcp.cli.text import counted, say, shortened

STDIN = "-"
_OF_CSV = {".csv", ".tsv"}
_OF_SPREADSHEETS = {".xlsx", ".xlsm", ".xls", ".ods", ".numbers"}
_REMEDY = 'Each line is a text in quotes, or an object such as {"id": "q1", "question": "Why is the sky blue?"}.'
_REMEDY_OF_CSV = 'The first line names the columns; one of them is "question".'


class InvalidFile(Refused):
    """A question file has problems. It lists each with its line."""

    def __init__(self, name: str, problems: Sequence[FileProblem], remedy: str) -> None:
        self._lines = [f"  {shortened(each)}" for each in _grouped(problems)]
        if len(problems) == MOST_PROBLEMS:
            self._lines.append("  The rest of the file was not read.")
        super().__init__(f"{name} has {counted(len(problems), 'problem')}; nothing was started", remedy)

    def show(self, file: IO[Any] | None = None) -> None:
        del file
        say(f"Error: {self.message}:", *self._lines, self.remedy)


def stored(path: str, form: Format | None, into: Spool) -> None:
    """Store the items of a file. Raises `Refused` if it can't be read or has problems."""
    read_file(path, form, lambda lines, form: read(lines, form, lambda item: into.add(item.dumped())))


def read_file(path: str, form: Format | None, reading: Callable[[IO[bytes], Format], Read]) -> None:
    """Read a file of questions. Raises `Refused` if it can't be read or has problems."""
    name = "stdin" if path == STDIN else path
    if form is None and Path(path).suffix.lower() in _OF_SPREADSHEETS:
        raise Refused(f"{name} is a spreadsheet, which can't be read", "Save it as CSV (UTF-8).")
    form = form or ("csv" if Path(path).suffix.lower() in _OF_CSV else "jsonl")
    try:
        with _opened(path) as lines:
            result = reading(lines, form)
    except OSError as error:
        raise Refused(f"can't read {name}: {error.strerror}", "Pass a file with questions, or - for stdin.") from error
    if result.problems:
        raise InvalidFile(name, result.problems, _REMEDY if form == "jsonl" else _REMEDY_OF_CSV)
    if result.unused:
        say(f"Note: {name}: these fields are not used: {shortened(', '.join(result.unused))}")


def name_of(path: str) -> str:
    """Return the name of the batch of a file: without its folder and extension; "-" for stdin and other pipes.

    The shell gives a pipe, such as ``<(cat questions)``, another name each time.
    """
    file = Path(path)
    return file.stem if file.is_file() else STDIN


@contextmanager
def _opened(path: str) -> Generator[IO[bytes]]:
    if path != STDIN:
        with Path(path).open("rb") as file:
            yield file
        return
    if sys.stdin.isatty():
        raise Refused("the questions are missing", "Pipe them to stdin, or pass a file.")
    yield sys.stdin.buffer


def _grouped(problems: Sequence[FileProblem]) -> Iterator[str]:
    """Yield each problem once, with its lines, in the order of the first ones."""
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for problem in problems:
        lines[problem.message].append(problem.line)
    for message, numbers in lines.items():
        if len(numbers) == 1:
            yield str(FileProblem(numbers[0], message))
        else:
            yield f"lines {', '.join(map(str, numbers))}: {message}"
