"""The marks that enclose reasoning, and whether a text uses them or only mentions them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

FAMILIES = ("seed:", "mm:", "antml:", "longcat_")
"""Prefixes of the tag's name in some families."""
TAGS = (
    *("think", "thinking", "think_process", "thinking_process", "thought", "thoughts", "thought_process"),
    *("thoughts_process", "reasoning", "reasoning_process", "reasoning_content", "reflection", "scratchpad"),
    *("scratch_pad", "inner_monologue", "inner_thought", "inner_thoughts", "chain_of_thought", "cot"),
)
"""Names of tags that enclose reasoning."""
_NAMES = rf"(?:{'|'.join(FAMILIES)})?(?:{'|'.join(TAGS)})"
OPENING = re.compile(
    rf"<(?P<xml>{_NAMES})(?:\s[^<>]{{0,200}})?>"
    r"|\[(?P<square>(?-i:THINK(?:ING)?))\]"
    r"|◁(?P<kimi>think)▷"
    r"|<\|(?P<phrase>begin_of|start_of|start)_(?P<of>thought|thinking|think|reasoning)\|>"
    r"|<\|(?P<bar>think(?:ing)?|thought|reasoning)\|>"
    r"|(?P<inner><\|inner_prefix\|>)"
    r"|(?P<unused><unused94>(?:thought\s)?)"
    r"|(?P<channel><\|channel>\s*(?:thought|thinking|analysis)\s)"
    r"|(?P<details><details\s+type=\"reasoning\"[^<>]{0,400}>)"
    r"|(?P<granite>Here(?:'s|\u2019s|\sis)\smy\sthought\sprocess:)",
    re.IGNORECASE,
)
_ANY_XML_CLOSING = rf"</(?:{_NAMES})\s*>"
IS_SPOKEN_OF = re.compile(r" (?:is|are|and|or|tags?|marks?|was|were|means?|tells?|opens?|starts?|begins?|element)\b")
"""What follows a tag at the beginning of a sentence about it."""
MENTION = re.compile(r"\s*(?:and|or|to|und|et|y|e|,|/|&|\+|\.{2,3}|…|-+)?\s*", re.IGNORECASE)
"""What separates two tags that are only mentioned."""


def closed(text: str, begins: int, closing: re.Pattern[str]) -> re.Match[str] | None:
    """Return the closing mark of reasoning: the first that is not only mentioned, otherwise the first."""
    first = None
    for found in islice(closing.finditer(text, begins), _MOST_MENTIONS):
        first = first or found
        if not is_quoted(text, found):
            return found
    return first


_MOST_MENTIONS = 100
_LONGEST_LINE = 400
"""Characters examined before a tag."""


def closings(opening: re.Match[str]) -> Iterator[re.Pattern[str]]:
    """Yield the possible closing marks for an opening one, the likeliest first."""
    kind = opening.lastgroup
    named = opening["xml"]
    if named:
        yield re.compile(rf"</{named}\s*>", re.IGNORECASE)
        yield re.compile(_ANY_XML_CLOSING, re.IGNORECASE)
    elif kind == "square":
        yield re.compile(rf"\[/{opening['square']}\]", re.IGNORECASE)
    elif opening["of"]:
        yield re.compile(rf"<\|end(?:_of)?_{opening['of']}\|>", re.IGNORECASE)
    elif kind == "bar":
        yield re.compile(rf"<\|(?:/|end_(?:of_)?){opening['bar']}\|>|<\|end\|>", re.IGNORECASE)
    else:
        yield _OTHER_CLOSINGS[str(kind)]


_OTHER_CLOSINGS = {
    "kimi": re.compile("◁/think▷"),
    "inner": re.compile(r"<\|inner_suffix\|>"),
    "unused": re.compile("<unused95>"),
    "channel": re.compile(r"<channel\|>"),
    "details": re.compile("</details>", re.IGNORECASE),
    "granite": re.compile(r"Here(?:'s|\u2019s|\sis)\smy\sresponse:", re.IGNORECASE),
}


def is_quoted(text: str, tag: re.Match[str]) -> bool:
    """Whether a tag is in inline code on its line."""
    return text[max(0, tag.start() - 1) : tag.start()] == "`" and text[tag.end() : tag.end() + 1] == "`"


def is_mentioned(text: str, tag: re.Match[str]) -> bool:
    """Whether a tag is only mentioned: in quotes, in code, or between words of one line."""
    before, after = text[max(0, tag.start() - 1) : tag.start()], text[tag.end() : tag.end() + 2]
    if before in {"`", '"', "'", "\u201c", "\u2018", "("} or after[:1] in {"`", '"', "'", "\u201d", "\u2019", ")"}:
        return True
    line = text[max(0, tag.start() - _LONGEST_LINE) : tag.start()].rpartition("\n")[2]
    if line.count("`") % 2:
        return True
    goes_on = after[:1] == " " and after[1:2].islower()
    if not tag.start():
        return goes_on
    ends = after[:1] in {".", ",", ";", ":", "!", "?", ")"} or tag.end() == len(text)
    return before == " " and (ends or goes_on) and line.rstrip()[-1:] not in {"", ".", "!", "?"}
