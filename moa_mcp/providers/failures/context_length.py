"""Recognises messages about prompts beyond the context length, and the tokens left for the answer. Pure."""

from __future__ import annotations

import re

from moa_mcp.providers.failures.phrases import phrases

_SAID = phrases(r"""
    exceeded (?:the )?model token limit
    context.?(?:length|window|size|limit|exceeded)|maximum context|n_ctx
    (?:prompt|input|inputs|request|messages?|conversation|text|string|query|content)(?: is| are
        | was)? too (?:long|large)
    too long\b|too many (?:input |prompt |total )?tokens
    (?:input|prompt|request)(?:ed)?[ _-](?:token[ _-]?(?:count|length)?s?|length|size)\b.{0,80}?(?:exceed
        |greater than|larger than|longer than|more than|over\b)
    (?:number of|total) (?:input |prompt )?tokens\b.{0,80}?(?:exceed|greater than|larger than|more than)
    exceed.{0,60}?(?:maximum|max|allowed|limit).{0,30}?(?:input|prompt|sequence|request|message)
    maximum (?:allowed )?(?:number of )?(?:input|prompt|sequence|model|request|message)
        (?: token)?s?[ _](?:length|size|tokens|count)
    max_(?:prompt|input|model)_(?:tokens|len)
    (?:reduce|shorten|decrease) (?:the )?(?:length|size) of (?:the |your )?(?:messages?|input|prompt)
    reduce (?:your )?(?:prompt|input|message)|tokens to keep from the initial prompt
    longer than the (?:model|maximum)
    (?:exceeds|larger than) the (?:model|available|maximum) ?.{0,20}(?:length|context|size)
    (?:maximum|max) number of tokens allowed|input length .{0,60}exceed|`?inputs`? (?:tokens )?(?:\+|must have)
    shorter (?:input|prompt)|range of (?:the )?(?:input|prompt|message)
    (?:payload|entity|body|content|request)[ _](?:entity[ _])?too[ _]large|上下文.{0,12}(?:超|过长)
    (?:输入|提示|prompt).{0,12}(?:过长|超长|超过|超出)|(?:最大|限制).{0,6}上下文
""")

_N = r"(\d{1,3}(?:[,_]\d{3})+|\d{1,9})"
_WINDOWS = (
    rf"(?:context|model)(?:'s)? (?:length|window|size|limit|context length)[^\d\n]{{0,40}}?{_N}",
    rf"must be (?:<=|less than or equal to|at most) {_N}",
    rf"maximum (?:model |sequence |total )?(?:length|tokens)[^\d\n]{{0,20}}{_N}",
    rf"{_N}[ -]tokens? (?:context|window|limit)",
)
_HAS = r"(?: (?:has|have|contains?|is|of|resulted in)|:| length)?"
_PROMPTS: tuple[str, ...] = (
    rf"{_N}(?: tokens)? (?:in|from|of|for)(?: the| your)? (?:input messages|messages|prompt|text input|input|inputs)\b",
    rf"{_N} (?:`?inputs?`?|prompt|text) tokens",
    rf"(?:prompt|input|request|messages?){_HAS}(?: at least| about)? {_N} (?:input |prompt )?tokens",
)
_SUM = re.compile(rf"{_N} \+ {_N} > {_N}")
_MINUS = re.compile(rf"> {_N} - {_N}\)")


def says(message: str) -> bool:
    """Whether a message says that the prompt is too long."""
    return _SAID.search(message) is not None


def room(message: str) -> int | None:
    """Return how many tokens the prompt leaves for the answer; None if unknown or zero."""
    if found := _SUM.search(message):
        prompt, _, window = map(_number, found.groups())
    elif found := _MINUS.search(message):
        window, prompt = map(_number, found.groups())
    else:
        window, prompt = _first(_WINDOWS, message), _first(_PROMPTS, message)
    return window - prompt if window and prompt and window > prompt else None


def _first(patterns: tuple[str, ...], message: str) -> int:
    found = (re.search(pattern, message, re.IGNORECASE) for pattern in patterns)
    return next((_number(each[1]) for each in found if each), 0)


def _number(text: str) -> int:
    return int(text.replace(",", "").replace("_", ""))
