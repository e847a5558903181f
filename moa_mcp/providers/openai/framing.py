"""From the bytes of a reply to the JSON objects in it, however the server frames them.

A reply may be one JSON document, lines of JSON, a JSON text sequence (RFC 7464), or server-sent events (WHATWG HTML,
section 9.2), and what its headers or the request say of that is not relied on: the bytes tell. It knows nothing of what
the objects mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable
from typing import Any, cast

_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_FIELD = re.compile(rb"(data|event|id|retry|error)[ \t]*(?::|\Z)|:")
_ODDLY_MARKED = re.compile(rb"(?!data: ?[^d\s])(?:\xef\xbb\xbf|[ \t])*(?:data[ \t]*:[ \t]*)+", re.IGNORECASE)
"""A field of data with what some servers put before or into its name, or with its name twice."""
_GUARD = re.compile(
    r"\s*(?:\)\]\}'?,?|(?:while|for)\s*\([^)]{0,8}\)\s*;|throw\s+1\s*;\s*(?:<[^<>]{0,40}>)?|\{\}\s*&&|/\*\s*(?=[{\[]))"
)
"""What some servers put before JSON so that a script element can't run it."""
_BETWEEN = " \t\r\n,\ufeff\x1e"
"""What may stand between two documents: RFC 7464 begins each with a record separator."""
_STRINGS = 3
"""How many times a document may be written as a JSON string."""
_BLANK = b" \t\r\n\x0b\x0c\x1e"
DONE = "[DONE]"
"""What ends a stream of OpenAI's wire."""


class Garbled(Exception):
    """What came is no JSON."""

    words = ""
    """The text that came, if it is no broken JSON."""


class Frames:
    """Takes the bytes of one reply as they arrive, and yields the objects that are complete."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self._encoding = encoding
        self._rest = b""
        """What has come of the line that is not complete."""
        self._more: list[bytes] = []
        """What has come of it since, without the end of a line."""
        self._document: list[bytes] | None = None
        """The lines of a JSON document, if that is what comes."""
        self._data: list[bytes] = []
        """The lines of the event that is arriving."""
        self._event = b""
        self._begun = False

    @property
    def documents(self) -> bool:
        """Whether the reply is no stream of events, so that it is complete only at its end."""
        return self._document is not None

    def take(self, piece: bytes) -> Iterable[Any]:
        """Take the next bytes; return the objects that are complete, or `DONE`. Raises `Garbled`, as they are read."""
        if self._document is not None:
            self._document.append(piece)
            return ()
        if not self._begun and not self._rest and piece.startswith(b"{"):
            self._begun, self._document = True, [piece]
            return ()
        return self._lines_of(piece)

    def _lines_of(self, piece: bytes) -> Generator[Any]:
        if self._begun and b"\n" not in piece and b"\r" not in piece and not self._rest.endswith(b"\r"):
            self._more.append(piece)
            return
        held = self._line_so_far() + piece
        if not self._begun:
            held = self._opened(held)
            if self._document is not None or not self._begun:
                return
        *lines, self._rest = _LINE_END.split(held) if b"\r" in held else held.split(b"\n")
        if held.endswith(b"\r"):  # the half of a line end, perhaps
            self._rest = lines.pop() + b"\r" if lines else b"\r"
        for at, line in enumerate(lines):
            yield from self._line(line)
            if self._document is not None:
                self._document += [b"\n".join(lines[at + 1 :]), b"\n" if lines[at + 1 :] else b"", self._rest]
                return

    def end(self) -> Iterable[Any]:
        """Return what is complete now that nothing more comes. Raises `Garbled`, as it is read."""
        if not self._begun and self._rest:
            self._document = [self._rest]
        return self._last_lines() if self._document is None else self._last_document()

    def _last_document(self) -> Iterable[Any]:
        return _documents(b"".join(self._document or ()), self._encoding)

    def _last_lines(self) -> Generator[Any]:
        for line in _LINE_END.split(self._line_so_far()):
            yield from self._line(line)
            if self._document is not None:
                yield from self._last_document()
                return
        yield from self._dispatched()

    def _line_so_far(self) -> bytes:
        if self._more:
            self._rest, self._more = b"".join((self._rest, *self._more)), []
        return self._rest

    def _opened(self, held: bytes) -> bytes:
        """Look at the first bytes, which tell what comes."""
        for bom in _BOMS:
            if bom.startswith(held) and held != bom:
                self._rest = held  # more has to come before anybody can know
                return held
        first = held.removeprefix(_BOMS[0]).lstrip(_BLANK)
        if not first:
            self._rest = held
            return held
        self._begun = True
        if held.startswith(_BOMS[1:]) or b"\0" in first[:4] or not (_FIELD.match(first) or _may_be_field(first)):
            self._document = [held]
        return first

    def _line(self, line: bytes) -> Generator[Any]:
        if marked := _ODDLY_MARKED.match(line):
            line = b"data:" + line[marked.end() :]
        if not line.strip():
            yield from self._dispatched()
        elif line.startswith(b"data:"):
            yield from self._datum(line[5:].strip())
        elif line.startswith(b"error:"):  # as llama.cpp's server tells one
            self._event = b"error"
            yield from self._datum(line[6:].strip())
        elif line.startswith(b"event:"):
            self._event = line[6:].strip()
        elif line.lstrip().startswith((b"{", b"[")) and not self._data:
            self._document = [line, b"\n"]  # comments before a document
        elif self._data and not _FIELD.match(line):
            self._data.append(line)  # JSON over several lines of which only the first is marked

    def _datum(self, data: bytes) -> Generator[Any]:
        if data == b"[DONE]":
            yield from self._dispatched()
            yield DONE
        elif data.startswith(b":"):
            pass  # a comment that a gateway has put into an event
        elif data and not self._data:
            try:
                yield self._named(_parsed(data, self._encoding))
            except Garbled:
                self._data.append(data)
        elif data:
            self._data.append(data)

    def _dispatched(self) -> Generator[Any]:
        """Yield the objects of an event that came in several lines: one document, or one in each line."""
        lines, self._data = self._data, []
        if lines and self._event == b"error" and not lines[0].startswith((b"{", b"[")):
            yield {"error": _text(b"\n".join(lines), self._encoding)}
        elif lines:
            yield from (self._named(each) for each in _of_lines(lines, self._encoding))
        self._event = b""

    def _named(self, parsed: Any) -> Any:  # noqa: ANN401  JSON
        """Return an object with what the name of its event says: that it is an error."""
        if self._event != b"error" or "error" in cast("dict[str, Any]", parsed if isinstance(parsed, dict) else {}):
            return cast("object", parsed)
        return {"error": cast("object", parsed)}


def _may_be_field(first: bytes) -> bool:
    """Whether these bytes are the beginning of a field's name."""
    return any(name.startswith(first) for name in (b"data:", b"event:", b"error:", b"id:", b"retry:"))


def _of_lines(lines: list[bytes], encoding: str) -> Generator[Any]:
    try:
        yield _parsed(b"\n".join(lines), encoding)
    except Garbled:
        if len(lines) == 1:
            raise
        for line in lines:
            yield _parsed(line, encoding)


def _documents(raw: bytes, encoding: str) -> Iterable[Any]:
    """Return the JSON documents that follow each other in some bytes; what ends a stream may stand after them."""
    try:
        return (_parsed(raw, encoding),)
    except Garbled:
        return _several(_text(raw, encoding))


def _several(text: str) -> Generator[Any]:
    decoder = json.JSONDecoder()
    guard = _GUARD.match(text)
    at, found = guard.end() if guard else 0, False
    while (start := _start(text, at)) is not None:
        try:
            document, at = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            raise Garbled from error
        yield document
        found = True
    if not found:
        raise _garbled(text)
    if text[at:].strip(_BETWEEN + "\0"):
        _trailing(text[at:])


def _trailing(text: str) -> None:
    """Take what follows the documents: the end of a stream, which says nothing, or what nobody can read."""
    if text.strip(_BETWEEN).removeprefix("data:").strip() not in {DONE, "*/"}:
        raise Garbled


def _start(text: str, at: int) -> int | None:
    while at < len(text) and text[at] in _BETWEEN:
        at += 1
    return at if text[at : at + 1] in {"{", "["} else None


def _parsed(raw: bytes, encoding: str) -> Any:  # noqa: ANN401  JSON
    import orjson  # noqa: PLC0415  late, as the transport says

    try:
        parsed: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        parsed = _leniently_parsed(_text(raw, encoding))
    return _unquoted(parsed) if type(parsed) is str else parsed


def _leniently_parsed(text: str) -> object:
    """Parse what orjson does not take: halves of surrogate pairs, NaN, a byte order mark, other encodings."""
    try:
        return cast("object", json.loads(text))
    except (ValueError, RecursionError) as error:
        raise _garbled(text) from error


def _unquoted(parsed: str) -> object:
    """Return the document that a JSON string holds; any other string as it is."""
    inner: object = parsed
    for _ in range(_STRINGS):
        if not isinstance(inner, str):
            return inner
        if not inner.lstrip().startswith(("{", "[", '"')) or inner.strip() == DONE:
            return inner
        try:
            inner = _leniently_parsed(inner)
        except Garbled:
            return parsed
    return inner


def _garbled(text: str) -> Garbled:
    """Return the error for a text that is no JSON, with its words unless it is a piece of JSON."""
    error = Garbled()
    words = text.strip()
    error.words = "" if words.startswith(("{", "[")) else words
    return error


def _text(raw: bytes, encoding: str) -> str:
    """Return bytes as text; what is no character is replaced, since a paid answer stands around it."""
    detected = json.detect_encoding(raw)
    if detected != "utf-8":
        return raw.decode(detected, "replace").removeprefix("\ufeff")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace")
