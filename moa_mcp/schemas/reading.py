"""Reads the JSON in a model's reply: alone, in a fence, or with words around it. Only what can be read in one way."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from pydantic import JsonValue

from moa_mcp.schemas.strict_json import NotJson, dumped, parsed
from moa_mcp.schemas.validation import canonical, faults

_OPENS = re.compile(r"[ \t]*(`{3,}|~{3,})[^`]*")
_CLOSES = re.compile(r"[ \t]*(`{3,}|~{3,})[`~]*[ \t\r]*")
_THOUGHTS = re.compile(r"^\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+"?)|,(?=\s*[}\]])', re.DOTALL)
"""Reads a string without an end, too: from each of its quotes, it would be read again."""
_MOST_LOOKS = 100
"""Places of a reply at which JSON may begin; more are not tried."""
_TIME_LIMIT_S = 5.0
"""For all places; those that are left are not tried."""
_MOST_CHARACTERS = 2_000_000


class JsonReply(NamedTuple):
    """A reply as JSON."""

    text: str | None
    """The JSON as the model wrote it, without what is around it; None if no JSON in the reply is valid."""
    fault: str = ""
    """Why not: the places and messages of the validator."""


@lru_cache(maxsize=16)
def read(schema: str, reply: str) -> JsonReply:
    """Return the JSON of a reply that a checked schema accepts."""
    if len(reply) > _MOST_CHARACTERS:
        return JsonReply(None, f"the reply has more than {_MOST_CHARACTERS:,} characters")
    why = ""  # that of the last form says most
    ends = time.monotonic() + _TIME_LIMIT_S
    for found in _forms(_THOUGHTS.sub("", reply.removeprefix("\ufeff"), count=1).strip()):
        outcome = _fitting(schema, found, ends)
        if outcome.text is not None or outcome.fault.startswith("several"):
            return outcome
        why = outcome.fault or why
    return JsonReply(None, why or "there is no JSON in the reply")


def _forms(reply: str) -> Iterator[Iterable[str]]:
    """Yield the texts that may be the JSON: the whole reply, or what is in fences, or what begins with a bracket."""
    yield [reply]
    yield islice(_fenced(reply), _MOST_LOOKS)
    yield _embedded(reply)


def _fenced(reply: str) -> Iterator[str]:
    """Yield what is in fences. A fence ends at one as long or longer."""
    fence, inside = "", list[str]()
    for line in reply.split("\n"):
        if fence:
            if (closes := _CLOSES.fullmatch(line)) and closes[1].startswith(fence):
                yield "\n".join(inside).strip()
                fence = ""
            inside.append(line)
        elif opens := _OPENS.fullmatch(line):
            fence, inside = opens[1], []


def _embedded(reply: str) -> Iterator[str]:
    """Yield the objects and lists in a text, without those inside of others."""
    decoder, at = json.JSONDecoder(strict=False), 0
    for _ in range(_MOST_LOOKS):
        found = re.compile(r"[{\[]").search(reply, at)
        if found is None:
            return
        try:
            _, end = decoder.raw_decode(reply, found.start())
        except (ValueError, RecursionError):
            at = found.end()
        else:
            if found[0] == "{" or _has_its_lines(reply, found.start(), end):
                yield reply[found.start() : end]
            at = end


def _has_its_lines(text: str, start: int, end: int) -> bool:
    """Whether nothing else is on the lines of a part: a list inside of a sentence may be a reference, such as [1]."""
    before, after = text[:start].rpartition("\n")[2], text[end:].partition("\n")[0]
    return not (before.strip() or after.strip())


def _fitting(schema: str, texts: Iterable[str], ends: float) -> JsonReply:
    """Return the only one of these texts that is valid; if none is, what is wrong with the longest."""
    valid: dict[str, str] = {}
    wrong: list[tuple[int, str]] = []
    for text in texts:
        if time.monotonic() > ends:
            return JsonReply(None, "to read it takes too long")
        try:
            written, value = _value(text)
        except NotJson as error:
            wrong.append((0, f"it is not JSON: {error}"))
            continue
        if found := faults(schema, value):
            wrong.append((len(text), "; ".join(map(str, found))))
        else:
            valid.setdefault(canonical(value), written)
    if len(valid) == 1:
        return JsonReply(next(iter(valid.values())))
    if valid:
        return JsonReply(None, "several JSON values in the reply are valid, and it is not clear which one counts")
    return JsonReply(None, max(wrong)[1] if wrong else "")


def _value(text: str) -> tuple[str, JsonValue]:
    """Return a JSON text and its value. Line breaks in strings and commas at an end are mended. Raises `NotJson`."""
    try:
        return text, parsed(text)
    except NotJson as error:
        mended = _COMMA.sub(lambda found: found[1] or "", text)
        try:
            value = parsed(mended, lenient=True)
        except NotJson:
            raise error from None
        return dumped(value), value
