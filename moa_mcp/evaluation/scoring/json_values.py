"""Compares the JSON in an answer with the right value: deeply, by content.

The order of names does not matter, and numbers are compared as numbers (``1`` equals ``1.0``). Lists must have the same
order. With `subset`, objects of the answer may have more names than those of the right value; otherwise these are
wrong. The JSON may be in a fence or among words, as far as it can be read in one way.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

import anyio.to_thread
from msgspec import Struct

from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.scoring.comparing import digest_of, shown
from moa_mcp.evaluation.scoring.score import AnswerScore
from moa_mcp.schemas import JsonReply, NotJson, parsed, read

_Json: TypeAlias = "Mapping[str, _Json] | Sequence[_Json] | str | Decimal | bool | None"
_SHORTEST_PLACE = "the top"
_KINDS: Mapping[type, str] = {dict: "an object", list: "a list", str: "a text", Decimal: "a number", bool: "a boolean"}


class ByJson(Struct, frozen=True):
    """Scores 1 if the JSON of an answer equals the right value."""

    subset: bool = False

    @property
    def name(self) -> str:
        return "json"

    @property
    def is_free(self) -> bool:
        return True

    @property
    def digest(self) -> str:
        return digest_of(self.name, self.subset)

    def problem_of(self, question: EvalQuestion) -> str:
        if question.answer is None:
            return "answer is missing"
        try:
            parsed(question.answer)
        except NotJson as error:
            return f"answer {shown(question.answer)} is not JSON: {error}"
        return ""

    async def __call__(self, question: EvalQuestion, answer: str) -> AnswerScore:
        expected = _value(question.answer or "null")
        reply = await anyio.to_thread.run_sync(_read, expected, answer, abandon_on_cancel=True)
        if reply.text is None:
            return AnswerScore(0.0, None, f"no JSON to compare: {reply.fault}")
        found = difference(expected, _value(reply.text), subset=self.subset)
        return AnswerScore(float(not found), reply.text, found or "the JSON is right")


def is_json(text: str) -> bool:
    """Return whether a right answer is a JSON object or list."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        return isinstance(parsed(text), dict | list)
    except NotJson:
        return False


def difference(expected: _Json, found: _Json, *, subset: bool = False, place: str = "") -> str:
    """Return the first difference in words, with its place as a JSON pointer; empty if there is none."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return _of_objects(expected, found, subset=subset, place=place)
    if isinstance(expected, list) and isinstance(found, list):
        return _of_lists(expected, found, subset=subset, place=place)
    if _kind(expected) == _kind(found) and _plain(expected) == _plain(found):
        return ""
    return f"at {place or _SHORTEST_PLACE}: {_said(found)}, not {_said(expected)}"


def _of_objects(expected: Mapping[str, _Json], found: Mapping[str, _Json], *, subset: bool, place: str) -> str:
    missing = [name for name in expected if name not in found]
    extra = [] if subset else [name for name in found if name not in expected]
    if missing or extra:
        faults = [f"{shown(missing[0])} is missing"] if missing else []
        faults += [f"{shown(extra[0])} is not expected"] if extra else []
        return f"at {place or _SHORTEST_PLACE}: {'; '.join(faults)}"
    inner = (difference(expected[name], found[name], subset=subset, place=f"{place}/{name}") for name in expected)
    return next(filter(None, inner), "")


def _of_lists(expected: Sequence[_Json], found: Sequence[_Json], *, subset: bool, place: str) -> str:
    if len(expected) != len(found):
        return f"at {place or _SHORTEST_PLACE}: a list of {len(found)}, not of {len(expected)}"
    pairs = zip(expected, found, strict=True)
    inner = (difference(*pair, subset=subset, place=f"{place}/{at}") for at, pair in enumerate(pairs))
    return next(filter(None, inner), "")


def _read(expected: _Json, answer: str) -> JsonReply:
    """Return the JSON of an answer that is of the expected kind."""
    if isinstance(expected, dict):
        return read('{"type": "object"}', answer)
    return read('{"type": "array"}' if isinstance(expected, list) else "{}", answer)


def _value(text: str) -> _Json:
    value: _Json = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    return value


def _kind(value: _Json) -> str:
    return "null" if value is None else _KINDS[type(value)]


def _plain(value: _Json) -> _Json:
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def _said(value: _Json) -> str:
    """Return a value in words: objects and lists by their kind."""
    if isinstance(value, dict | list) or value is None:
        return _kind(value)
    if isinstance(value, bool):
        return str(value).lower()
    return shown(value) if isinstance(value, str) else shown(str(value)).strip('"')
