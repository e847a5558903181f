"""Which parameter a provider refuses, why, and within which bounds it would take it: read from its words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from moa_mcp.errors import Bounds, ParameterRefused, Reason
from moa_mcp.providers.error_bodies import Detail, Fault

_MOST = 4000
"""Characters of a message that are looked at."""

_NAMES: tuple[tuple[str, str], ...] = (
    ("max_completion_tokens", r"max_?completion_?tokens"),
    ("max_output_tokens", r"max_?output_?tokens"),
    ("max_tokens", r"max_?(?:new_?|gen_?)?tokens(?:_to_sample)?|max_gen_len|n_predict|num_predict"),
    ("temperature", r"temperature"),
    ("top_p", r"top_?p"),
    ("stream_options", r"stream_?options|include_usage"),
    (
        "response_format",
        r"response_?format|(?:response_?)?json_?schema|response_?schema|response_mime_type|structured[ _-]outputs?|"
        r"output_format|output_config|guided_json|json[ _-]mode",
    ),
    ("reasoning_effort", r"reasoning_?effort|reasoning\.effort|thinking_?budget|enable_thinking"),
    ("n", r"candidate_?count|num_?generations|number_?of_?completions"),
)
_NAME = re.compile("|".join(rf"(?P<{name}>(?<![a-z]){names}(?![a-z]))" for name, names in _NAMES), re.IGNORECASE)
_N = re.compile(r"""["'`](n)["'`]|(?:parameter|argument|property|field|body\.|#/)\W{0,3}n\b|^n\b(?=\W)|\bn\s?(?=must|should|>|<)""", re.I)
_LOOSE = re.compile(
    r"max(?:imum)?(?: (?:number|amount) of)?(?: new| output| completion| generated| response)? tokens|"
    r"(?:output|completion) tokens|最大(?:输出|生成)?(?:长度|tokens?)",
    re.IGNORECASE,
)
"""How the limit is named in sentences: it counts only where a bound is told too."""
_OF_LIMIT = re.compile(r"max_(?:completion_|output_|new_)?tokens\W{1,3}(?:must|should|is too|can|has to|value)", re.IGNORECASE)
_OF_PROMPT = re.compile(r"context|\binputs?\b|prompt|messages", re.IGNORECASE)
LIMITS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})

_INSTEAD = re.compile(
    r"(?:use|try|using|specify|provide|replaced (?:by|with)|renamed to|moved to|in favou?r of|did you mean)\W{1,4}(?:the )?(?:parameter )?\W?"
    r"(max_tokens|max_completion_tokens|max_output_tokens)\b|\b(max_tokens|max_completion_tokens|max_output_tokens)\W{1,3}instead",
    re.IGNORECASE,
)
_TOGETHER = re.compile(
    r"\bboth\b|mutually exclusive|only (?:specify |set |use |provide )?one (?:of|may|can)|use only one|at the same time|simultaneous|"
    r"in combination|together with|cannot be (?:used|set|specified|combined|provided) (?:with|when|together)|"
    r"not (?:be )?(?:compatible|combined|used together)|incompatible with|conflicts? with|不能同时",
    re.IGNORECASE,
)
_FIXED = re.compile(
    r"only (?:the )?(?:default|value)?[^.\n]{0,30}(?:is|are) (?:supported|allowed)|may only be (?:set to )?[\d.]+|"
    r"(?:must|should|can only) be (?:set to |exactly |equal to )?[\d.]+(?! or)(?=\s|\.?$|,|;)|does not support [\d.]+ with|"
    r"fixed (?:at|to)|unless it is [\d.]+",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"unsupported|unknown|unrecogni[sz]ed|unexpected|not (?:be )?(?:supported|permitted|allowed|recogni[sz]ed|available|accepted|enabled|implemented|valid)|"
    r"(?:does|do|did)(?: not|n['’]t) (?:support|accept|allow|recogni[sz]e|have)|extra (?:inputs|fields)|extra_forbidden|deprecated|removed|"
    r"isn['’]t (?:supported|allowed|available)|no longer|additional propert|unavailable|invalid (?:parameter|argument|field|property|key)\b|不支持",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"\bvalue|too (?:large|big|high|small|low|many)|out of|range|maximum|minimum|at most|exceed|greater|larger|above|below|less|between|"
    r"limit|must be|should be|invalid|illegal|非法|限制|超过|大于|小于",
    re.IGNORECASE,
)


def refusal(fault: Fault, message: str) -> ParameterRefused | None:
    """Return the error for a parameter that is refused; None where none of those that are sent is named."""
    words = f"{fault.told} {fault.param} {fault.code}"[:_MOST]
    named = [*_of_details(fault.details), *_names(fault.param), *_names(words)]
    bounds = tuple(_bounds(words, fault.details))
    if not named and bounds and _LOOSE.search(words):
        named = ["max_tokens"]
    if not named:
        return None
    name, reason = named[0], _reason(words, named, bounds)
    instead = _instead(words, name) if name in LIMITS else None
    if instead:
        reason, bounds = "unknown", ()
    return ParameterRefused(message, parameter=name, instead=instead, reason=reason, bounds=bounds)


def bounds_a_limit(fault: Fault) -> bool:
    """Whether a bound for how long an answer may get is told, and not one for the prompt."""
    of_limit = _OF_LIMIT.search(fault.told) or set(_names(fault.param)) & LIMITS or not _OF_PROMPT.search(fault.told)
    refused = refusal(fault, "") if of_limit else None
    return refused is not None and refused.parameter in LIMITS and bool(refused.bounds)


def _names(text: str) -> Iterator[str]:
    found = [(each.start(), str(each.lastgroup)) for each in _NAME.finditer(text)]
    found += [(each.start(), "n") for each in _N.finditer(text)]
    yield from dict.fromkeys(name for _, name in sorted(found))


def _of_details(details: tuple[Detail, ...]) -> Iterator[str]:
    for each in details:
        yield from _names(each.name)
        if each.name == "n":
            yield "n"


def _instead(words: str, name: str) -> str | None:
    found = (each[1] or each[2] for each in _INSTEAD.finditer(words))
    return next((each.lower() for each in found if each.lower() != name), None)


def _reason(words: str, named: list[str], bounds: tuple[Bounds, ...]) -> Reason:
    if _TOGETHER.search(words) and len(set(named) - {"stream_options"}) > 1:
        return "together"
    if bounds:
        return "value"
    unsupported_value = re.search(r"unsupported.?value", words, re.IGNORECASE) is not None
    if named[0] in LIMITS and unsupported_value:
        return "value"
    if _FIXED.search(words) or unsupported_value or _UNKNOWN.search(words):
        return "unknown"
    return "value" if _VALUE.search(words) else "unknown"


_NUM = r"[-+]?\d{1,15}(?:[,_]\d{3}){0,4}(?:\.\d{1,9})?k?(?![\w.]*\w)"
_GAP = r"""[\s:=('"`\[]{0,4}"""
_WORDS = r"[^\d\n.;]{0,60}?"
_INTERVAL = re.compile(rf"([\[(])\s{{0,3}}({_NUM})\s{{0,3}}(?:,|，|;|~|-|–|to|\.\.)\s{{0,3}}({_NUM}|[+]?inf\w*|[+]?∞)\s{{0,3}}([\])])", re.I)
_BETWEEN = re.compile(
    rf"(?:between|from|range(?: is| of|:)?(?: from)?|within|interval|in|值范围|范围(?:为|是)?)[\s:'\"`]{{0,3}}({_NUM})['\"`]?(?: \((in|ex)clusive\))?"
    rf"\s{{0,3}}(?:,|and|to|\.\.\.?|-|–|~|到|至)\s{{0,3}}['\"`]?({_NUM})['\"`]?(?: \((in|ex)clusive\))?",
    re.IGNORECASE,
)
_CHAIN = re.compile(rf"({_NUM})\s{{0,3}}(<=?|≤)\s{{0,3}}[`'\"]?[a-z_]{{1,40}}[`'\"]?\s{{0,3}}(<=?|≤)\s{{0,3}}({_NUM})", re.I)
_UPPER = (
    rf"(?:less|lower|smaller|fewer)(?: than)? or equal(?:s)?(?: to)?{_GAP}({_NUM})",
    rf"(?:<=|≤|=<){_GAP}({_NUM})",
    rf"(?:at most|up to|no (?:more|greater|larger|higher|bigger) than|(?:not|n['’]t) (?:be )?(?:more|greater|larger|higher|bigger|above|over)(?: than)?|"
    rf"not exceed|cannot exceed|can['’]t exceed|only supports?|不能(?:超过|大于)|不(?:超过|大于)|小于等于|最大(?:值)?(?:为|是)?){_GAP}(?:a maximum of )?({_NUM})",
    rf"({_NUM}) (?:tokens )?(?:or|and) (?:less|fewer|lower|below|smaller|under)",
    rf"\d{_GAP}>{_GAP}({_NUM})",
    rf"(?:maximum|\bmax\b|limit(?:ed)?|upper bound|ceiling|cap)\b(?! length){_WORDS}{_GAP}({_NUM})",
    rf"\b(?:is|was|are) (?:greater|larger|higher|bigger|more) than{_GAP}({_NUM})",
    rf"(?:exceed(?:s|ed)?|above|over){_WORDS}{_GAP}({_NUM})",
    rf"({_NUM})(?: tokens)?(?: is)?(?: the)? (?:maximum|limit)",
)
_UPPER_EXCLUSIVE = (
    rf"(?:must|should|has to|needs to|expected|value)(?: be)?(?: a value)? (?:less|lower|smaller|fewer) than{_GAP}({_NUM})",
    rf"(?:less|lower|smaller|fewer) than{_GAP}({_NUM})",
    rf"(?:must|should) be (?:below|under){_GAP}({_NUM})",
    rf"(?:must be|should be|be|and|value) <(?!=){_GAP}({_NUM})",
)
_LOWER = (
    rf"(?:greater|larger|higher|more)(?: than)? or equal(?: to)?{_GAP}({_NUM})",
    rf"(?:>=|≥|=>){_GAP}({_NUM})",
    rf"(?:at least|no (?:less|smaller|lower|fewer) than|(?:not|n['’]t) (?:be )?(?:less|lower|smaller|fewer) than|大于等于|不小于){_GAP}({_NUM})",
    rf"(?:minimum|\bmin\b|lower bound){_WORDS}{_GAP}({_NUM})",
    rf"({_NUM}) or (?:more|greater|higher|above)",
)
_LOWER_EXCLUSIVE = (
    rf"(?:must|should|has to|needs to|expected|value)(?: be)?(?: a value)?(?: strictly)? (?:greater|larger|higher|more) than{_GAP}({_NUM})",
    rf"(?:must|should) be above{_GAP}({_NUM})",
    rf"(?:must be|should be|be|value) >(?!=){_GAP}({_NUM})",
)
_SIGNS = ((re.compile(r"strictly positive|must be (?:a )?positive|be > 0", re.I), 0.0, True), (re.compile(r"non-?negative", re.I), 0.0, False))
_KINDS: tuple[tuple[tuple[str, ...], bool, bool], ...] = (
    (_UPPER, True, False),
    (_LOWER, False, False),
    (_UPPER_EXCLUSIVE, True, True),
    (_LOWER_EXCLUSIVE, False, True),
)
_PATTERNS = tuple((re.compile(p, re.IGNORECASE), upper, open_) for ps, upper, open_ in _KINDS for p in ps)
_CONTEXT: Mapping[str, tuple[bool, bool]] = {
    "le": (True, False),
    "lt": (True, True),
    "ge": (False, False),
    "gt": (False, True),
    "limit_value": (True, False),
}


def _bounds(words: str, details: tuple[Detail, ...]) -> Iterator[Bounds]:
    """Yield the bounds that are told, the surest first."""
    for each in details:
        for key, (upper, open_) in _CONTEXT.items():
            if isinstance(value := each.context.get(key), int | float):
                yield _bound(float(value), upper=upper, open_=open_)
    for found in _INTERVAL.finditer(words):
        opening, low, high, closing = found.groups()
        yield _within(low, high, low_open=opening == "(", high_open=closing == ")")
    for found in _BETWEEN.finditer(words):
        low, low_kind, high, high_kind = found.groups()
        yield _within(low, high, low_open=low_kind == "ex", high_open=high_kind == "ex")
    for found in _CHAIN.finditer(words):
        low, left, right, high = found.groups()
        yield _within(low, high, low_open=left == "<", high_open=right == "<")
    for pattern, upper, open_ in _PATTERNS:
        for found in pattern.finditer(words):
            yield _bound(_number(found[1]), upper=upper, open_=open_)
    for pattern, value, open_ in _SIGNS:
        if pattern.search(words):
            yield _bound(value, upper=False, open_=open_)


def _within(low: str, high: str, *, low_open: bool, high_open: bool) -> Bounds:
    least = _bound(_number(low), upper=False, open_=low_open)
    if not re.match(r"[-+]?\d", high):
        return least
    return Bounds(least.least, _bound(_number(high), upper=True, open_=high_open).most, low_open, high_open)


def _bound(value: float, *, upper: bool, open_: bool) -> Bounds:
    return Bounds(None, value, most_excluded=open_) if upper else Bounds(value, None, least_excluded=open_)


def _number(text: str) -> float:
    plain = text.replace(",", "").replace("_", "")
    return float(plain[:-1]) * 1024 if plain[-1:] in {"k", "K"} else float(plain)
