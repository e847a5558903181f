"""Decodes the bytes of a reply into JSON objects, whatever framing the server uses.

A reply may be one JSON document, lines of JSON, a JSON text sequence (RFC 7464), or server-sent events (WHATWG HTML,
section 9.2). The framing is detected from the bytes, not from headers or the request. The content of the objects is
not interpreted here.
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
"""A `data` field with characters before or inside its name, or with a repeated name, as some servers write it."""
_GUARD = re.compile(
    r"\s*(?:\)\]\}'?,?|(?:while|for)\s*\([^)]{0,8}\)\s*;|throw\s+1\s*;\s*(?:<[^<>]{0,40}>)?|\{\}\s*&&|/\*\s*(?=[{\[]))"
)
"""Prefixes that some servers put before JSON so that a script element can't execute it."""
_BETWEEN = " \t\r\n,\ufeff\x1e"
"""Characters allowed between two documents: RFC 7464 starts each with a record separator."""
_STRINGS = 3
"""How many times a document may be encoded as a JSON string."""
_BLANK = b" \t\r\n\x0b\x0c\x1e"
DONE = "[DONE]"
"""The end of a stream in OpenAI's API."""


class Garbled(Exception):
    """The reply is not JSON."""

    words = ""
    """The received text, unless it is invalid JSON."""


class Frames:
    """Decodes the bytes of one reply as they arrive."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self._encoding = encoding
        self._rest = b""
        """The beginning of the incomplete line."""
        self._more: list[bytes] = []
        """Later pieces of the incomplete line, without a line end."""
        self._document: list[bytes] | None = None
        """The lines received of a JSON document; None if the reply is a stream of lines or events."""
        self._data: list[bytes] = []
        """The data lines of the current event."""
        self._event = b""
        self._begun = False

    @property
    def documents(self) -> bool:
        """Whether the reply consists of JSON documents, which are complete only at its end, rather than of events."""
        return self._document is not None

    def take(self, piece: bytes) -> Iterable[Any]:
        """Add the next bytes; return the complete objects, or `DONE`. Iterating may raise `Garbled`."""
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
        if held.endswith(b"\r"):  # perhaps half of "\r\n"
            self._rest = lines.pop() + b"\r" if lines else b"\r"
        for at, line in enumerate(lines):
            yield from self._line(line)
            if self._document is not None:
                self._document += [b"\n".join(lines[at + 1 :]), b"\n" if lines[at + 1 :] else b"", self._rest]
                return

    def end(self) -> Iterable[Any]:
        """End the reply; return the remaining objects. Iterating may raise `Garbled`."""
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
        """Detect the framing from the first bytes."""
        for bom in _BOMS:
            if bom.startswith(held) and held != bom:
                self._rest = held  # not enough bytes to detect the framing
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
        elif line.startswith(b"error:"):  # as llama.cpp's server reports one
            self._event = b"error"
            yield from self._datum(line[6:].strip())
        elif line.startswith(b"event:"):
            self._event = line[6:].strip()
        elif line.lstrip().startswith((b"{", b"[")) and not self._data:
            self._document = [line, b"\n"]  # comments before a document
        elif self._data and not _FIELD.match(line):
            self._data.append(line)  # JSON over several lines, only the first with a field name

    def _datum(self, data: bytes) -> Generator[Any]:
        if data == b"[DONE]":
            yield from self._dispatched()
            yield DONE
        elif data.startswith(b":"):
            pass  # a comment that a gateway inserted into an event
        elif data and not self._data:
            try:
                yield self._named(_parsed(data, self._encoding))
            except Garbled:
                self._data.append(data)
        elif data:
            self._data.append(data)

    def _dispatched(self) -> Generator[Any]:
        """Yield the object of an event of several lines, none of which is a document of its own."""
        lines, self._data = self._data, []
        if lines and self._event == b"error" and not lines[0].startswith((b"{", b"[")):
            yield {"error": _text(b"\n".join(lines), self._encoding)}
        elif lines:
            yield self._named(_parsed(b"\n".join(lines), self._encoding))
        self._event = b""

    def _named(self, parsed: Any) -> Any:  # noqa: ANN401  JSON
        """Return an object marked as an error if its event's name says so."""
        if self._event != b"error" or "error" in cast("dict[str, Any]", parsed if isinstance(parsed, dict) else {}):
            return cast("object", parsed)
        return {"error": cast("object", parsed)}


def _may_be_field(first: bytes) -> bool:
    """Whether these bytes may begin a field's name."""
    return any(name.startswith(first) for name in (b"data:", b"event:", b"error:", b"id:", b"retry:"))


def _documents(raw: bytes, encoding: str) -> Iterable[Any]:
    """Return the concatenated JSON documents in some bytes; an end of a stream may follow them."""
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
    """Check what follows the documents: the end of a stream is ignored, any other text is an error."""
    if text.strip(_BETWEEN).removeprefix("data:").strip() not in {DONE, "*/"}:
        raise Garbled


def _start(text: str, at: int) -> int | None:
    while at < len(text) and text[at] in _BETWEEN:
        at += 1
    return at if text[at : at + 1] in {"{", "["} else None


def _parsed(raw: bytes, encoding: str) -> Any:  # noqa: ANN401  JSON
    import orjson  # noqa: PLC0415  lazy, see `client`

    try:
        parsed: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        parsed = _leniently_parsed(_text(raw, encoding))
    return _unquoted(parsed) if type(parsed) is str else parsed


def _leniently_parsed(text: str) -> object:
    """Parse what orjson rejects: unpaired surrogates, NaN, a byte order mark, other encodings."""
    try:
        return cast("object", json.loads(text))
    except (ValueError, RecursionError) as error:
        raise _garbled(text) from error


def _unquoted(parsed: str) -> object:
    """Return the document that is encoded in a JSON string; any other string unchanged."""
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
    """Return the error for a text that is not JSON; it carries the text unless that is a fragment of JSON."""
    error = Garbled()
    words = text.strip()
    error.words = "" if words.startswith(("{", "[")) else words
    return error


def _text(raw: bytes, encoding: str) -> str:
    """Decode bytes; invalid ones are replaced, since the rest may be an answer that was paid for."""
    detected = json.detect_encoding(raw)
    if detected != "utf-8":
        return raw.decode(detected, "replace").removeprefix("\ufeff")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode(encoding, "replace")
