"""The parameter that a provider rejects, the reason and the accepted range, read from its message. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from moa_mcp.errors import Bounds, ParameterRefused, Reason
from moa_mcp.providers.failures import efforts
from moa_mcp.providers.failures.bodies import Fault
from moa_mcp.providers.failures.bounds import bounds as bounds_in
from moa_mcp.providers.failures.phrases import phrases, plain
from moa_mcp.providers.failures.validation import Detail
from moa_mcp.values import TOKEN_LIMITS

_MOST = 4000
"""Maximum characters read of a message."""

_FORMATS = (
    *("response_?format", "(?:response_?)?json_?schema", "response_?schema", "response_mime_type", "output_format"),
    *("structured[ _-]outputs?", r"output_config(?!\.effort)", "guided_json", "json[ _-]mode"),
)
_NAMES: Mapping[str, str] = {
    "max_completion_tokens": r"max_?completion_?tokens",
    "max_output_tokens": r"max_?output_?tokens",
    "max_tokens": r"max_?(?:new_?|gen_?)?tokens(?:_to_sample)?|max_gen_len|n_predict|num_predict",
    "temperature": r"temperature",
    "top_p": r"top_?p",
    "stream_options": r"stream_?options|include_usage",
    "response_format": "|".join(_FORMATS),
    "reasoning_effort": efforts.NAMES,
    "thinking_tokens": efforts.NAMES_OF_TOKENS,
    "n": r"candidate_?count|num_?generations|number_?of_?completions",
}
"""By a parameter's name in OpenAI's API: its names at other providers and gateways."""
_NAME = re.compile(
    "|".join(rf"(?P<{name}>(?<![a-z])(?:{names})(?![a-z]))" for name, names in _NAMES.items()), re.IGNORECASE
)
_N = re.compile(
    r"""["'`](n)["'`]|(?:parameter|argument|property|field|body\.|#/)\W{0,3}n\b|^n\b(?=\W)|\bn\s?(?=must|should|>|<)""",
    re.IGNORECASE,
)
_LOOSE = re.compile(
    r"max(?:imum)?(?: (?:number|amount) of)?(?: new| output| completion| generated| response)? tokens|"
    r"(?:output|completion|generated|response|requested) tokens?\b|tokens (?:requested|of output|to generate)|"
    r"(?:output|completion|generation|response|answer) length|最大(?:输出|生成)?(?:长度|tokens?)",
    re.IGNORECASE,
)
"""Names of the token limit in prose: they count only together with a bound."""
_OF_TOKENS = re.compile(
    r"(?<!stop )(?<!special )\btokens\b|\d[ -]token\b|\btoken (?:limit|cap|budget|count)\b", re.IGNORECASE
)
"""Mentions of tokens without saying whether the prompt's or the answer's."""
_NUMBER = re.compile(r"(?<![\w.,/-])(\d{1,3}(?:[,_]\d{3})+|\d{2,7})(?![\w/]|[.,]\d|-(?!tokens?\b))")
_OF_OTHERS = re.compile(
    r"(?:error|code|status|http|line|column|position|index|\bid|version|port)\W{0,3}\d+", re.IGNORECASE
)
"""Numbers that are not bounds."""
_LEAST = 64
_PER_TIME = re.compile(r"per[ _-]?(?:second|min|hour|day|month)|/ ?min|\b[TR]P[MD]\b|rate.?limit", re.IGNORECASE)
_OF_USAGE = re.compile(
    r"\b(?:reached|used|usage|consumed|exhausted|remaining|left|quota|hourly|daily|weekly|monthly|total)\b",
    re.IGNORECASE,
)
_OF_LIMIT = re.compile(
    r"max_(?:completion_|output_|new_)?tokens\W{1,3}(?:must|should|is too|can|has to|value)", re.IGNORECASE
)
_OF_PROMPT = re.compile(r"context|\binputs?\b|prompt|messages", re.IGNORECASE)
_LIMITS = frozenset(TOKEN_LIMITS)

_INSTEAD = phrases(r"""
    (?:use|try|using|specify|provide|replaced (?:by|with)|renamed to|moved to|in favou?r of|did you mean)
        \W{1,4}(?:the )?(?:parameter )?\W?(max_tokens|max_completion_tokens|max_output_tokens)\b
    \b(max_tokens|max_completion_tokens|max_output_tokens)\W{1,3}instead
""")
_TOGETHER = phrases(r"""
    \bboth\b|mutually exclusive|only (?:specify |set |use |provide )?one (?:of|may|can)|use only one
    at the same time|simultaneous|in combination|together with
    cannot be (?:used|set|specified|combined|provided) (?:with|when|together)
    not (?:be )?(?:compatible|combined|used together)|incompatible with|conflicts? with|不能同时
""")
_FIXED = phrases(r"""
    only (?:the )?(?:default|value)?[^.\n]{0,30}(?:is|are) (?:supported|allowed)|may only be (?:set to )?[\d.]+
    (?:must|should|can only) be (?:set to |exactly |equal to )?[\d.]+(?! or)(?=\s|\.?$|,|;)
    does not support [\d.]+ with|fixed (?:at|to)|unless it is [\d.]+
""")
_UNKNOWN = phrases(r"""
    unsupported|unknown|unrecogni[sz]ed|unexpected
    not (?:be )?(?:supported|permitted|allowed|recogni[sz]ed|available|accepted|enabled|implemented|valid)
    (?:does|do|did)(?: not|n't) (?:support|accept|allow|recogni[sz]e|have)|extra (?:inputs|fields)
    extra_forbidden|deprecated|removed|isn't (?:supported|allowed|available)|no longer|additional propert
    unavailable|invalid (?:parameter|argument|field|property|key)\b|不支持
""")
_VALUE = phrases(r"""
    \bvalue|too (?:large|big|high|small|low|many)|out of|range|maximum|minimum|at most|exceed|greater|larger
    above|below|less|between|limit|must be|should be|invalid|illegal|非法|限制|超过|大于|小于
""")


def refusal(fault: Fault, message: str) -> ParameterRefused | None:
    """Return the error for a rejected parameter; None if the message names none that we send."""
    words = plain(f"{fault.message} {fault.param} {fault.code}"[:_MOST])
    if efforts.leaves_no_room(words):
        return ParameterRefused(message, parameter="thinking_tokens", reason="room")
    named = [*_of_details(fault.details), *_names(fault.param), *_names(words)]
    about = _about_the_first(words)
    bounds = tuple(bounds_in(about, fault.details)) or tuple(bounds_in(words, fault.details))
    if not named and _is_about_the_answer(words):
        bounds = bounds or tuple(_numbers(words))
        named = ["max_tokens"] if bounds else []
    if not named:
        return None
    if not bounds and named[0] in _LIMITS and not _UNKNOWN.search(words):
        bounds = tuple(_numbers(words))
    if named[0] == "reasoning_effort":
        return efforts.refusal(words, message)
    name, reason = named[0], _reason(words, named, bounds)
    instead = _instead(words, name) if name in _LIMITS else None
    if instead:
        reason, bounds = "unknown", ()
    return ParameterRefused(message, parameter=name, instead=instead, reason=reason, bounds=bounds)


def bounds_a_limit(fault: Fault) -> bool:
    """Whether the message states a bound for the answer's length, not for the prompt's."""
    message = fault.message
    of_limit = _OF_LIMIT.search(message) is not None or bool(set(_names(fault.param)) & _LIMITS)
    named = bool(set(_names(message)) & _LIMITS) or _LOOSE.search(message) is not None
    refused = refusal(fault, "") if of_limit or (named and not _OF_PROMPT.search(message)) else None
    return refused is not None and refused.parameter in _LIMITS and bool(refused.bounds)


def names_a_limit_with_its_bound(fault: Fault) -> bool:
    """Whether the message states a bound and names the answer's limit, or a limit of tokens in general."""
    words = plain(f"{fault.message} {fault.param}"[:_MOST])
    named = set(_names(words)) & _LIMITS
    if _PER_TIME.search(words) or not (named or _is_about_the_answer(words)):
        return False
    if _OF_PROMPT.search(words) and not (named and _OF_LIMIT.search(words)):
        return False
    refused = refusal(fault, "")
    return refused is not None and refused.parameter in _LIMITS and bool(refused.bounds)


def _is_about_the_answer(words: str) -> bool:
    """Whether a message that names no parameter can only be about the answer's length."""
    if _PER_TIME.search(words):
        return False
    if _LOOSE.search(words):
        return True
    return bool(_OF_TOKENS.search(words)) and not (_OF_PROMPT.search(words) or _OF_USAGE.search(words))


def _numbers(words: str) -> Iterator[Bounds]:
    """Yield the numbers of a message that may be an upper bound, the largest first; one is the requested value."""
    if not _PER_TIME.search(words):
        found = (int(re.sub("[,_]", "", each[1])) for each in _NUMBER.finditer(_OF_OTHERS.sub("", words)))
        yield from (Bounds(None, float(each)) for each in sorted(set(found), reverse=True) if each >= _LEAST)


def _about_the_first(words: str) -> str:
    """Return the part of the message about the first parameter, up to the next one; it holds its bounds."""
    named = [(each.start(), each.lastgroup) for each in _NAME.finditer(words)]
    others = (start for start, name in named if name != named[0][1] and not {name, named[0][1]} <= _LIMITS)
    return words[: next(others, len(words))]


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
    if named[0] in _LIMITS and unsupported_value:
        return "value"
    if _FIXED.search(words) or unsupported_value or _UNKNOWN.search(words):
        return "unknown"
    return "value" if _VALUE.search(words) else "unknown"
