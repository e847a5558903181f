"""Finds objects in a model's text: JSON, and JSON with wrong quotes or commas, bare words or comments.

One pass in linear time. A brace that does not begin an object is skipped; objects inside it are still found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct, field

MOST_TOKENS = 20_000
"""A text with more tokens inside braces is not read."""

Value: TypeAlias = "str | bool | Object | list[Value] | None"
"""Numbers are stored as text, so that their length does not matter."""

_AS_ASCII = {0xFEE0 + ord(mark): mark for mark in ":,{}[]\"'"}  # full width
_TOKEN = re.compile(
    r"""[\s\ufeff]+
    | (?P<comment>//[^\n]*)
    | (?P<mark>[{}\[\],:])
    | (?P<quote>["'\u2018-\u201f])
    | (?P<word>[^\s{}\[\],:"]+)""",
    re.VERBOSE,
)
_SINGLE, _DOUBLE = "\u2018\u2019\u201a\u201b", "\u201c\u201d\u201e\u201f"
_ENDS = {'"': '"', "'": "'", **dict.fromkeys(_SINGLE, _SINGLE), **dict.fromkeys(_DOUBLE, _DOUBLE)}
"""By opening quote: the characters that close it."""
_QUOTED = {
    (ends, lines): re.compile(rf"[^{ends}\\{no_end}]*(?:\\.[^{ends}\\{no_end}]*)*", re.DOTALL if lines else 0)
    for ends in _ENDS.values()
    for lines, no_end in ((True, ""), (False, r"\n"))
}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "none": None}


class Object(Struct, frozen=True):
    """An object with its fields in order. Names may repeat."""

    fields: tuple[tuple[str, Value], ...]
    start: int
    end: int
    """Position in the text."""


def objects(text: str) -> tuple[Object, ...] | None:
    """Return the outermost objects of a text; None if it has too many tokens inside braces.

    An object that is cut off at the end of the text has its complete fields.
    """
    return _Scan(text.translate(_AS_ASCII)).run()


def value(text: str) -> Value:
    """Return the value if the text is exactly one; else None."""
    held = whole(f'{{"":{text}}}')
    return held.fields[0][1] if held is not None and len(held.fields) == 1 else None


def pairs(text: str) -> Object | None:
    """Return the object whose fields are the lines of a text; None if they are not fields."""
    return whole("{" + ",".join(text.splitlines()) + "}")


def whole(text: str) -> Object | None:
    """Return the object if the text contains nothing else."""
    return alone(text, objects(text))


def alone(text: str, found: tuple[Object, ...] | None) -> Object | None:
    """Return the only object that was found in a text, if it spans all of it."""
    return found[0] if found and len(found) == 1 and (found[0].start, found[0].end) == (0, len(text)) else None


class _Frame(Struct):
    """An open brace or bracket."""

    opener: str
    start: int
    first: int
    """Number of objects found before it."""
    items: list[Value] = field(default_factory=list["Value"])
    fields: list[tuple[str, Value]] = field(default_factory=list["tuple[str, Value]"])
    name: list[Value] | None = None
    parts: list[Value] = field(default_factory=list["Value"])
    broken: bool = False

    def colon(self) -> None:
        if self.opener == "[" or self.name is not None:
            self.broken = True
        self.name, self.parts = self.parts, []

    def comma(self) -> None:
        """Finish a field or an item. An empty one, as after a trailing comma, is ignored."""
        name, parts = self.name, self.parts
        self.name, self.parts = None, []
        if not parts and name is None:
            return
        held = _joined(parts)
        named = None if name is None else _joined(name)
        if self.opener == "[" and held:
            self.items.append(held[0])
        elif held and named and isinstance(named[0], str):
            self.fields.append((named[0], held[0]))
        else:
            self.broken = True


def _joined(parts: Sequence[Value]) -> tuple[Value] | None:
    """Return the value of these parts, with words joined; None if there is none."""
    if len(parts) == 1:
        return (parts[0],)
    words = [part for part in parts if isinstance(part, str)]
    return (" ".join(words),) if words and len(words) == len(parts) else None


class _Scan:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._stack: list[_Frame] = []
        self._open = {"{": 0, "[": 0}
        self._found: list[Object] = []
        self._never_ends: set[str] = set()
        """Quotes that are not closed in the rest of the text."""

    def run(self) -> tuple[Object, ...] | None:
        text, at, tokens = self._text, 0, 0
        while True:
            if not self._stack:
                at = text.find("{", at)
                if at < 0:
                    break
            token = _TOKEN.match(text, at)
            if token is None:
                break
            tokens += 1
            if tokens > MOST_TOKENS:
                return None
            at = token.end()
            match token.lastgroup:
                case "mark":
                    self._mark(token[0], token.start())
                case "quote":
                    at = self._quoted(token[0], at)
                case "word":
                    self._stack[-1].parts.append(_CONSTANTS.get(token[0].casefold(), token[0]))
                case _:
                    pass
        self._cut_off()
        return tuple(self._found)

    def _mark(self, mark: str, at: int) -> None:
        match mark:
            case "{" | "[":
                self._stack.append(_Frame(mark, at, len(self._found)))
                self._open[mark] += 1
            case "}" | "]":
                self._close("{" if mark == "}" else "[", at + 1)
            case ":":
                self._stack[-1].colon()
            case _:
                self._stack[-1].comma()

    def _close(self, opener: str, end: int) -> None:
        if not self._open[opener]:
            self._stack[-1].broken = True
            return
        while True:
            frame = self._stack.pop()
            self._open[frame.opener] -= 1
            if frame.opener == opener:
                break
        frame.comma()
        held: Value = frame.items
        if frame.broken:
            held = ""
        elif opener == "{":
            held = Object(tuple(frame.fields), frame.start, end)
            del self._found[frame.first :]
            self._found.append(held)
        if self._stack:
            self._stack[-1].parts.append(held)

    def _quoted(self, quote: str, at: int) -> int:
        """Read a quoted text, which may span lines if it is a value. Return where it ends."""
        frame, ends = self._stack[-1], _ENDS[quote]
        lines = frame.name is not None and not frame.parts and ends not in self._never_ends
        end = self._end(ends, at, lines=lines)
        if lines and end == len(self._text):
            self._never_ends.add(ends)
            end = self._end(ends, at, lines=False)
        frame.parts.append(self._text[at:end])
        if end == len(self._text):
            return end
        ends_well = self._text[end] in ends
        frame.broken = frame.broken or not ends_well
        return end + ends_well

    def _end(self, ends: str, at: int, *, lines: bool) -> int:
        found = _QUOTED[ends, lines].match(self._text, at)
        return at if found is None else found.end()

    def _cut_off(self) -> None:
        """Add the object that is cut off at the end of the text."""
        root = self._stack[0] if self._stack else None
        if root is not None and root.fields and not root.broken:
            self._found.append(Object(tuple(root.fields), root.start, len(self._text)))
