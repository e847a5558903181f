"""Sets and removes a value in TOML; all other characters are kept, by tomlkit or because tables are whole lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import tomlkit
from tomlkit.container import OutOfOrderTableProxy
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, InlineTable

from moa_mcp.clients.documents import Keys, NotEditable, found


def read(text: str) -> dict[str, Any]:
    """Return the value of a text."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).rpartition(" (at ")
        at_end = f"line {text.count(chr(10)) + 1}, at the end"
        raise NotEditable(f"{at_end if 'end of' in place else place.rstrip(')')}: {message}") from error


def put(text: str, keys: Keys, value: object) -> str:
    """Set a value, and the tables that lead to it. A new table comes last, after an empty line."""
    fields = _fields(value)
    if fields is not None and found(read(text), keys) is None:
        with suppress(NotEditable):  # the parent is an inline table, or has dotted keys
            appended = _appended(text, keys, fields)
            read(appended)
            return appended
    document = _parsed(text)
    table: Any = document
    for key in keys[:-1]:
        if key not in table:
            table[key] = tomlkit.table(is_super_table=True)
        table = table[key]
        if not isinstance(table, AbstractTable | OutOfOrderTableProxy):
            raise NotEditable(f"{key} is not a table")
    inline = isinstance(table, InlineTable)
    table[keys[-1]] = _item(value, inline=inline)
    return _dumped(document, text)


def drop(text: str, keys: Keys) -> str:
    """Remove a value with its key. A table is removed with its lines."""
    lines = text.splitlines(keepends=True)
    headers = [number for number, line in enumerate(lines) if _is_header(line, keys)]
    if headers:
        return _without_lines(lines, headers[0], keys)
    document = _parsed(text)
    table: Any = document
    for key in keys[:-1]:
        table = table[key]
    del table[keys[-1]]
    return _dumped(document, text)


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise NotEditable(str(error)) from error


def _item(value: object, *, inline: bool) -> Any:  # noqa: ANN401  tomlkit has no type for all items
    fields = _fields(value)
    if fields is None:
        return tomlkit.item(value)
    table = tomlkit.inline_table() if inline else tomlkit.table()
    for key, each in fields.items():
        table[key] = _item(each, inline=True)
    return table


def _fields(value: object) -> Mapping[str, object] | None:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else None


def _dumped(document: tomlkit.TOMLDocument, before: str) -> str:
    text = tomlkit.dumps(document)
    return text.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in before else text


def _appended(text: str, keys: Keys, value: Mapping[str, object]) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = [f"[{'.'.join(keys)}]", *tomlkit.dumps(_item(value, inline=False)).splitlines()]
    end = "" if not text or text.endswith("\n") else newline
    return text + end + (newline if text.strip() else "") + "".join(f"{line}{newline}" for line in lines)


def _is_header(line: str, keys: Keys) -> bool:
    names = r"\s*\.\s*".join(rf"[\"']?{re.escape(key)}[\"']?" for key in keys)
    return re.match(rf"\s*\[\s*{names}\s*[\].]", line) is not None


def _without_lines(lines: list[str], start: int, keys: Keys) -> str:
    """Remove a table and the tables in it, with the empty line before them."""
    last = start
    for number, line in enumerate(lines[start + 1 :], start + 1):
        if line.lstrip().startswith("[") and not _is_header(line, keys):
            break
        if line.strip() and not line.lstrip().startswith("#"):
            last = number
    after = lines[last + 1 :]
    if start and not lines[start - 1].strip() and not (after and after[0].strip()):
        start -= 1
    return "".join([*lines[:start], *after])
