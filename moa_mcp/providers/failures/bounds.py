"""The range of values that a provider accepts for a parameter, from its message or validation details. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from moa_mcp.errors import Bounds
from moa_mcp.providers.failures.validation import Detail

_NUM = r"[-+]?\d{1,15}(?:[,_]\d{3}){0,4}(?:\.\d{1,9})?k?(?!\w|\.\w)"
_Q = r"['\"`]?"
_S = r"\s{0,3}"
_GAP = r"""[\s:=('"`\[]{0,4}"""
_WORDS = r"[^\d\n.;]{0,60}?"
_MORE, _LESS = r"(?:more|greater|larger|higher|bigger)", r"(?:less|lower|smaller|fewer)"
_MUST = r"(?:must|should|has to|needs to|expected|value)(?: be)?(?: a value)?(?: strictly)?"
_NOT = r"(?:no|not|n't) (?:be )?"

_INTERVAL = re.compile(
    rf"([\[(]){_S}({_NUM}){_S}(?:,|;|~|-|to|\.\.){_S}({_NUM}|[+]?inf\w*|[+]?∞){_S}([\])])", re.IGNORECASE
)
_BETWEEN = re.compile(
    r"(?:between|from|range(?: is| of|:)?(?: from)?|within|interval|in|值范围|范围(?:为|是)?)[\s:'\"`]{0,3}"
    rf"({_NUM}){_Q}(?: \((in|ex)clusive\))?{_S}(?:,|and|to|\.\.\.?|-|~|到|至){_S}"
    rf"{_Q}({_NUM}){_Q}(?: \((in|ex)clusive\))?",
    re.IGNORECASE,
)
_CHAIN = re.compile(rf"({_NUM}){_S}(<=?|≤){_S}{_Q}[a-z_]{{1,40}}{_Q}{_S}(<=?|≤){_S}({_NUM})", re.IGNORECASE)
_AT_MOST = (
    *(
        "at most",
        "up to",
        f"{_NOT}{_MORE} than",
        f"{_NOT}(?:above|over)",
        "not exceed",
        "cannot exceed",
        "can't exceed",
    ),
    *("beyond", "past", "surpass(?:es|ed|ing)?", "allow(?:s|ed)?", "permit(?:s|ted)?"),
    *(f"(?:cannot|can't|can not|may not|must not|not|won't) \\w{{2,12}} {_MORE} than",),
    *("(?:capped|restricted|confined|bounded|limited|truncated) (?:at|to)", "no (?:further|longer) than"),
    *("only supports?", "不能(?:超过|大于)", "不(?:超过|大于)", "小于等于", "最大(?:值)?(?:为|是)?"),
)
_CEILING = r"(?:maximum|\bmax\b|limit(?:ed)?|upper bound|ceiling|\bcap\b|threshold|allowance|budget)"
_UPPER = (
    rf"{_LESS}(?: than)? or equal(?:s)?(?: to)?{_GAP}({_NUM})",
    rf"(?:<=|≤|=<){_GAP}({_NUM})",
    rf"(?:{'|'.join(_AT_MOST)}){_GAP}(?:a maximum of )?({_NUM})",
    rf"({_NUM}) (?:tokens )?(?:or|and) (?:{_LESS}|below|under)",
    rf"\d{_GAP}>{_GAP}({_NUM})",
    rf"{_CEILING}\b(?! length){_WORDS}{_GAP}({_NUM})",
    rf"\b(?:is|was|are) {_MORE} than{_GAP}({_NUM})",
    rf"(?:exceed(?:s|ed|ing)?|above|over|beyond|past|surpass(?:es|ed|ing)?|outside){_WORDS}{_GAP}({_NUM})",
    rf"({_NUM})(?:[ -]tokens?)?(?: is)?(?: the)?[ -](?:maximum|limit|most|cap|ceiling|budget|allowance)",
)
_LOWER = (
    rf"{_MORE}(?: than)? or equal(?: to)?{_GAP}({_NUM})",
    rf"(?:>=|≥|=>){_GAP}({_NUM})",
    rf"(?:at least|{_NOT}{_LESS} than|大于等于|不小于){_GAP}({_NUM})",
    rf"(?:minimum|\bmin\b|lower bound){_WORDS}{_GAP}({_NUM})",
    rf"({_NUM}) or (?:{_MORE}|above)",
)
_BELOW = (
    rf"{_MUST} {_LESS} than{_GAP}({_NUM})",
    rf"{_LESS} than{_GAP}({_NUM})",
    rf"(?:must|should) be (?:below|under){_GAP}({_NUM})",
    rf"(?:must be|should be|be|and|value) <(?!=){_GAP}({_NUM})",
)
_ABOVE = (
    rf"{_MUST} {_MORE} than{_GAP}({_NUM})",
    rf"(?:must|should) be above{_GAP}({_NUM})",
    rf"(?:must be|should be|be|value) >(?!=){_GAP}({_NUM})",
)
_POSITIVE = re.compile(r"strictly positive|must be (?:a )?positive", re.IGNORECASE)
_NOT_NEGATIVE = re.compile(r"non-?negative", re.IGNORECASE)


class _Side(NamedTuple):
    """A pattern for a lower or an upper bound."""

    pattern: re.Pattern[str]
    upper: bool
    excluded: bool

    def bound(self, value: float) -> Bounds:
        """Return the bound at a value."""
        return _bound(value, upper=self.upper, excluded=self.excluded)


_SIDES = tuple(
    _Side(re.compile(pattern, re.IGNORECASE), upper, excluded)
    for patterns, upper, excluded in (
        (_UPPER, True, False),
        (_LOWER, False, False),
        (_BELOW, True, True),
        (_ABOVE, False, True),
    )
    for pattern in patterns
)
_OF_VALIDATION: Mapping[str, tuple[bool, bool]] = {
    "le": (True, False),
    "lt": (True, True),
    "ge": (False, False),
    "gt": (False, True),
}


def bounds(words: str, details: Sequence[Detail]) -> Iterator[Bounds]:
    """Yield the bounds that the message or the details state, the most reliable first."""
    for each in details:
        if each.name == details[0].name:
            yield from _of_validation(each)
    for found in _INTERVAL.finditer(words):
        opening, low, high, closing = found.groups()
        yield _within(low, high, least_excluded=opening == "(", most_excluded=closing == ")")
    for found in _BETWEEN.finditer(words):
        low, low_kind, high, high_kind = found.groups()
        yield _within(low, high, least_excluded=low_kind == "ex", most_excluded=high_kind == "ex")
    for found in _CHAIN.finditer(words):
        low, left, right, high = found.groups()
        yield _within(low, high, least_excluded=left == "<", most_excluded=right == "<")
    yield from (side.bound(_number(found[1])) for side in _SIDES for found in side.pattern.finditer(words))
    if _POSITIVE.search(words) or _NOT_NEGATIVE.search(words):
        yield Bounds(0.0, None, least_excluded=_POSITIVE.search(words) is not None)


def _of_validation(detail: Detail) -> Iterator[Bounds]:
    for key, value in detail.context.items():
        kind = re.sub(r".*not_", "", detail.kind) if key == "limit_value" else key  # pydantic 1
        if kind in _OF_VALIDATION and isinstance(value, int | float):
            upper, excluded = _OF_VALIDATION[kind]
            yield _bound(float(value), upper=upper, excluded=excluded)


def _within(low: str, high: str, *, least_excluded: bool, most_excluded: bool) -> Bounds:
    most = _number(high) if re.match(r"[-+]?\d", high) else None
    return Bounds(_number(low), most, least_excluded, most_excluded)


def _bound(value: float, *, upper: bool, excluded: bool) -> Bounds:
    return Bounds(None, value, most_excluded=excluded) if upper else Bounds(value, None, least_excluded=excluded)


def _number(text: str) -> float:
    digits = text.replace(",", "").replace("_", "")
    return float(digits[:-1]) * 1000 if digits[-1:] in {"k", "K"} else float(digits)
