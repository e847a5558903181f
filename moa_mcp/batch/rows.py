"""Reads rows from JSON Lines or CSV, a line at a time, and collects what is wrong with the file.

It knows neither what a row means nor a terminal. The formats: https://jsonlines.org, and RFC 4180 with other separators
and line ends.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal, NamedTuple, TypeAlias, TypeVar, cast

from msgspec import Struct, field

from moa_mcp.batch.items import InvalidItem, Raw, listed_names, other_name
from moa_mcp.text.visible import quoted

Value = TypeVar("Value")
Format: TypeAlias = Literal["jsonl", "csv"]
MOST_PROBLEMS = 20
"""Problems after which reading stops."""
_MOST_UNUSED = 8
_SEPARATORS = ",;\t"
_LARGEST_FIELD = 2**31 - 1
_BOM = b"\xef\xbb\xbf"
_ONE_A_LINE = "write one object on each line (jq -c '.[]')"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_SPREADSHEETS = (b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0")
"""How the files of spreadsheets begin: zip files (.xlsx, .ods), and .xls."""
_IN_TEXT = "Unterminated string"


class FileProblem(NamedTuple):
    """What is wrong with a file, and where."""

    line: int
    """From 1; 0 for the whole file."""
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


class _Row(NamedTuple):
    """What a file has at a line: an item, or what is wrong there."""

    line: int
    raw: Raw | InvalidItem


class Read(Struct):
    """What was read from a file. The values of its rows went to the function that took them."""

    items: int = 0
    problems: list[FileProblem] = field(default_factory=list[FileProblem])
    """At most `MOST_PROBLEMS`; the rest of the file was not read then."""
    unused: dict[str, None] = field(default_factory=dict[str, None])
    """The first names of fields that are not used."""


def read_rows(
    lines: Iterable[bytes],
    form: Format,
    known: Collection[str],
    parse: Callable[[Raw, int], Value],
    take: Callable[[Value], object],
) -> Read:
    """Give the value of each valid row to `take`, in order.

    `lines` are those of a binary file. `parse` returns the value of a row, given its line, or raises `InvalidItem`;
    `known` are the fields that it uses.
    """
    result = Read()
    for row in _jsonl(lines) if form == "jsonl" else _csv(lines):
        try:
            value = parse(_used(row.raw, known, result.unused), row.line)
        except InvalidItem as error:
            result.problems.append(FileProblem(row.line, str(error)))
        else:
            result.items += 1
            take(value)
        if len(result.problems) == MOST_PROBLEMS:
            return result
    if not result.items and not result.problems:
        result.problems.append(FileProblem(0, "it has no questions"))
    return result


def _used(raw: Raw | InvalidItem, known: Collection[str], unused: dict[str, None]) -> Raw:
    """Return a row, and add the names of its other fields to `unused`. Raises `InvalidItem` for an invalid row."""
    if isinstance(raw, InvalidItem):
        raise raw
    if len(unused) < _MOST_UNUSED:
        unused |= dict.fromkeys(name for name in raw if name not in known)
    return raw


def _decoded(lines: Iterable[bytes]) -> Iterator[tuple[int, str | InvalidItem]]:
    """Yield the number and the text of each line."""
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith(_UTF_16):
            yield 1, InvalidItem("it is UTF-16; save the file as UTF-8")
            return
        if number == 1 and line.startswith(_SPREADSHEETS):
            yield 1, InvalidItem("it is a spreadsheet or a zip file; save it as CSV (UTF-8)")
            return
        whole = line.removeprefix(_BOM) if number == 1 else line
        try:
            yield number, whole.decode()
        except UnicodeDecodeError as error:
            yield number, InvalidItem(f"it is not UTF-8: byte {whole[error.start]:#04x}; convert the file to UTF-8")


def _jsonl(lines: Iterable[bytes]) -> Iterator[_Row]:
    for number, line in _decoded(lines):
        if isinstance(line, InvalidItem):
            yield _Row(number, line)
        elif line.strip() in {"[", "{"}:
            yield _Row(number, InvalidItem(f"a JSON value goes over several lines; {_ONE_A_LINE}"))
            return
        elif line.strip():
            yield _Row(number, _parsed(line.rstrip()))


def _parsed(line: str) -> Raw | InvalidItem:
    try:
        value: object = json.loads(line)
    except json.JSONDecodeError as error:
        return InvalidItem(f"it is not JSON: {_where(error)}")
    except (ValueError, RecursionError):
        return InvalidItem("it is not JSON that can be read: its numbers or its nesting are too large")
    if isinstance(value, str):
        return {"question": value}
    if isinstance(value, dict):
        return cast("Raw", value)
    if isinstance(value, list):
        return InvalidItem(f"it is a list; {_ONE_A_LINE}")
    return InvalidItem('it is neither an object, {"question": "…"}, nor a text')


def _where(error: json.JSONDecodeError) -> str:
    """Return what is wrong with a line without blanks at its end, and at which column, from 1."""
    whole = len(error.doc)
    if error.msg.startswith(_IN_TEXT):
        return f"the line ends early, at column {whole + 1}: the text that begins at column {error.colno} is not closed"
    if error.pos >= whole:
        return f"the line ends early, at column {whole + 1}; if its value goes over several lines, {_ONE_A_LINE}"
    return f"{error.msg} at column {error.colno}"


def _csv(lines: Iterable[bytes]) -> Iterator[_Row]:
    csv.field_size_limit(_LARGEST_FIELD)  # a context may be longer than 128 kB
    broken: list[_Row] = []
    texts = _texts(lines, broken)
    first = next(texts, "")
    separator = _separator(first)
    rows = csv.reader(chain([first] if first else [], texts), delimiter=separator, strict=True)
    header: tuple[str, ...] = ()
    began = 1
    while True:
        row = _next(rows)
        yield from broken
        broken.clear()
        if row is None:
            return
        line, began = began, rows.line_num + 1
        if isinstance(row, InvalidItem):
            yield _Row(line, row)
        elif not any(row):
            continue
        elif header:
            yield _Row(line, _of_row(header, row, separator))
        else:
            header = tuple(name.strip().lower() for name in row)
            if problem := _problem_of(header):
                yield _Row(line, problem)
                return


def _texts(lines: Iterable[bytes], broken: list[_Row]) -> Iterator[str]:
    """Yield the lines as texts; one that is not UTF-8 is empty, and goes to `broken`."""
    for number, line in _decoded(lines):
        if isinstance(line, InvalidItem):
            broken.append(_Row(number, line))
        yield "\n" if isinstance(line, InvalidItem) else line


def _separator(header: str) -> str:
    """Return what separates the columns: spreadsheets write a semicolon where a comma is in numbers."""
    names = {separator: [each.strip(' "\r\n').lower() for each in header.split(separator)] for separator in _SEPARATORS}
    return next((separator for separator in _SEPARATORS if "question" in names[separator]), _SEPARATORS[0])


def _next(rows: Iterator[list[str]]) -> list[str] | InvalidItem | None:
    try:
        return next(rows, None)
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return InvalidItem('a quote (") that opens here is not closed')
        if "new-line character" in str(error):
            return InvalidItem("its lines end with CR alone; save the file with LF or CRLF")
        return InvalidItem(f"it is not CSV: {error}; write a quote inside quotes twice")


def _problem_of(header: Sequence[str]) -> InvalidItem | None:
    named = [name for name in header if name]
    if "question" not in named:
        shown = f"{listed_names(named)}{other_name(named)}"
        return InvalidItem(f'the first line names no column "question"; its columns: {shown}')
    if len(set(named)) != len(named):
        return InvalidItem("the first line names a column twice")
    return None


def _of_row(header: Sequence[str], row: Sequence[str], separator: str) -> Raw | InvalidItem:
    if len(row) != len(header):
        return InvalidItem(
            f"it has {len(row)} cells, and the first line {len(header)}; quote cells that contain {quoted(separator)}"
        )
    return {name: cell for name, cell in zip(header, row, strict=True) if name}
