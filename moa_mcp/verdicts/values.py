"""Reads the numbers of a value, or of a text that contains nothing else; None if they are ambiguous."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from moa_mcp.verdicts.objects import Object, Value

NUMBERED = {"answer", "number", "answernumber", "id", "answerid"}
"""Normalized names of fields that identify an answer in a list item."""

_LONGEST = 4000
"""Maximum length of a reply that consists of numbers only, in characters."""
_DEEPEST = 4
_NOUN = (
    r"(?:answers?|response|reply|option|choice|candidate|vote|verdict|number|winner|selection|pick|"
    r"答案|回答|選択肢|选项|選項|답변|정답|답|antwort|réponse|respuesta|risposta|resposta|antwoord|odpowiedź|ответ)"
)
_BEFORE = (
    r"(?:(?:i (?:choose|chose|pick|select|vote for|name)|my|the|final|best|most consistent|chosen|selected|winning|"
    r"preferred)\s+)*"
)
_DIGITS = r"[+]?(\d{1,9})(?:\.0+)?"
_LABELLED = rf"(?:{_BEFORE}(?:{_NOUN}|best)\s*)?(?:no\.?|nr\.?|number)?[\s:=#№(\[{{<]*"
_ONE = re.compile(rf"{_LABELLED}{_DIGITS}(?: of (\d{{1,9}}))?[\s)\]}}>.!。]*")
_TRUTH = re.compile(
    r"(?:(?:equivalent|verdict|answer)\s*[:=]\s*)?"
    r"(?:(?P<yes>true|yes|equivalent|they are equivalent|ja|oui|sí|si|sim|да|是|はい|네)|"
    r"false|no|not equivalent|they are not equivalent|different|nein|non|não|нет|否|いいえ|아니요)[.!。]*"
)
_HEAD = re.compile(
    rf"(?:{_BEFORE}(?:ranking|ranked|order|rank|answers)\s*(?:\([\w ,]*\))?\s*(?:is\s*)?[:=]\s*|{_BEFORE}answers? )"
)
_LABEL = re.compile(rf"(?:{_NOUN}\s*)?(?:no\.?\s*|nr\.?\s*)?(?:[#№]\s*)?(?=\d)")
_NEXT = re.compile(r"\s*(?:>+|≻|→|->|,|;|\bthen\b|\n)\s*|\s+")
_LINE = re.compile(rf"(\d{{1,9}})\s*[.):]\s*(?:{_NOUN}\s*#?|#)\s*(\d{{1,9}})\s*\.?")


def name(text: str) -> str:
    """Return the name of a field without case, spaces and punctuation."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text[:100]).casefold())


def number(value: Value, count: int, depth: int = 0) -> int | None:
    """Return the number from 1 to `count` in a value: ``2``, ``"2"``, ``2.0``, ``"Answer 2"``, ``[2]``."""
    if isinstance(value, str):
        return number_of(value, count)
    if depth > _DEEPEST:
        return None
    if isinstance(value, list) and len(value) == 1:
        return number(value[0], count, depth + 1)
    if isinstance(value, Object):
        named = [held for field, held in value.fields if name(field) in NUMBERED]
        return number(named[0], count, depth + 1) if len(named) == 1 else None
    return None


def ranking(value: Value, count: int) -> tuple[int, ...] | None:
    """Return the distinct numbers from 1 to `count` in a list or a text: ``[2, 1]``, ``"2 > 1"``."""
    if isinstance(value, str):
        return ranking_of(value, count)
    if not isinstance(value, list) or any(isinstance(item, Object) and _is_placed(item) for item in value):
        return None
    return _all(number(item, count) for item in value)


def _is_placed(item: Object) -> bool:
    """Whether an item states its own rank or score, so that its position may be meaningless."""
    return any(name(field) in _PLACED for field, _ in item.fields)


_PLACED = {"rank", "ranking", "score", "position", "place", "points", "rating", "grade", "total"}


def number_of(text: str, count: int) -> int | None:
    """Return the number from 1 to `count` that is the only content of a text."""
    found = _ONE.fullmatch(_folded(text)) if len(text) <= _LONGEST else None
    if found is None or (found[2] is not None and int(found[2]) != count):
        return None
    return int(found[1]) if 1 <= int(found[1]) <= count else None


def ranking_of(text: str, count: int) -> tuple[int, ...] | None:
    """Return the distinct numbers from 1 to `count` that are the only content of a text."""
    if len(text) > _LONGEST:
        return None
    folded = _folded(text)
    placed = [_LINE.fullmatch(line) for line in folded.split("\n")]
    if all(placed):
        lines = [line for line in placed if line is not None]
        in_order = [int(line[1]) for line in lines] == [*range(1, len(lines) + 1)]
        return _all(_within(line[2], count) for line in lines) if in_order else None
    rest = _HEAD.sub("", folded, count=1) if _HEAD.match(folded) else folded
    listed = _NEXT.split(_LABEL.sub("", rest.strip(" \n([{}]).")))
    return _all(_within(each, count) for each in listed)


def truth(value: Value) -> bool | None:
    """Return the truth in a value: ``true``, ``"yes"``, ``[false]``."""
    if isinstance(value, bool):
        return value
    if isinstance(value, list) and len(value) == 1:
        return truth(value[0]) if not isinstance(value[0], list) else None
    return truth_of(value) if isinstance(value, str) else None


def truth_of(text: str) -> bool | None:
    """Return the truth that is the only content of a text."""
    found = _TRUTH.fullmatch(_folded(text)) if len(text) <= _LONGEST else None
    return None if found is None else found["yes"] is not None


def _all(numbers: Iterable[int | None]) -> tuple[int, ...] | None:
    listed = tuple(numbers)
    places = tuple(each for each in listed if each is not None)
    return places if places and len(places) == len(listed) == len(set(places)) else None


def _within(text: str, count: int) -> int | None:
    found = re.fullmatch(_DIGITS, text)
    return int(found[1]) if found and 1 <= int(found[1]) <= count else None


def _folded(text: str) -> str:
    """Return a text without emphasis, quotes and LaTeX, in lower case, with single spaces and newlines."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = re.sub(r"\\(?:boxed|text)\b|[*_`$\"'\u2018-\u201f【】《》\u200b\ufeff]", "", plain)
    lines = [" ".join(line.split()) for line in plain.splitlines()]
    return "\n".join(line for line in lines if line)
