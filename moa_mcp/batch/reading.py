"""Reads the items of a batch from a file. It knows no runs and no terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import sha256

from msgspec import Struct, field
from msgspec.structs import replace

from moa_mcp.batch.items import FIELDS, InvalidItem, Item, Raw, item
from moa_mcp.batch.rows import MOST_PROBLEMS, FileProblem, Format, Read, read_rows
from moa_mcp.text.visible import quoted

__all__ = ["MOST_PROBLEMS", "FileProblem", "Format", "read"]


def read(lines: Iterable[bytes], form: Format, take: Callable[[Item], object]) -> Read:
    """Give each valid item to `take`, in order. `lines` are those of a binary file."""
    return read_rows(lines, form, FIELDS, _Numbered().item, take)


class _Numbered(Struct):
    """The items so far, to number those that ask the same."""

    lines: dict[str, int] = field(default_factory=dict[str, int])
    """By ID."""
    copies: dict[bytes, int] = field(default_factory=dict[bytes, int])
    """By content."""

    def item(self, raw: Raw, line: int) -> Item:
        """Return the item of a row with the number of its earlier copies.

        Raises `InvalidItem` also if an earlier item has its ID.
        """
        each = item(raw, line)
        if each.id is not None:
            first = self.lines.setdefault(str(each.id), line)
            if first != line:
                raise InvalidItem(f"its id {quoted(str(each.id))} is that of line {first}; ids must differ")
            return each
        content = json.dumps([each.question, each.context, each.system, each.seed, *each.image_hashes])
        key = sha256(content.encode()).digest()[:16]
        self.copies[key] = self.copies.get(key, -1) + 1
        return replace(each, copy=self.copies[key])
