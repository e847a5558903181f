"""Extracts reasoning blocks between the parts of an answer, as models with interleaved thinking write them. Pure.

Some families reason before each part of an answer (MiniMax M2, GLM 4.5 and later, Kimi K2, Qwen), others after a first
sentence. Such a block starts on a new line or after the end of a sentence. A text about the tags stays unchanged: tags
in code, in the middle of a sentence, in an example that a line announces, or next to a mention of a tag don't count.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple

from moa_mcp.providers.replies.reasoning_marks import IS_SPOKEN_OF, MENTION, OPENING, closed, closings

_MARKS = ("<", "[", "◁")
_NAMES = {"think", "thinking", "thought"}
"""Tags that are never used for the parts of an answer."""
_FENCE = re.compile(r"^[ \t>]*(?:```|~~~)", re.MULTILINE)
_MOST = 2000
"""Maximum tags examined: no answer has more."""
_BEFORE = 400
"""Characters examined before a reasoning block."""
_SENTENCE_ENDS = frozenset(".!?…。\uff01\uff1f")
_ABOUT = re.compile(
    r"\b(?:tags?|tokens?|format(?:s|ted)?|templates?|syntax|examples?|e\.g|markup|markers?|delimiters?|xml|beispiel|"
    r"exemple|ejemplo|balises?|etiquetas?|wrap(?:s|ped|ping)?|enclos\w{1,4}|looks? like|as follows)\b|"
    r"示例|例如|格式|标签|标记",
    re.IGNORECASE,
)
"""Words that announce an example."""
_ITSELF = re.compile(r"\b(?:I|I'll|I'm|I'd|me|let's|we|we'll|my|our)\b", re.IGNORECASE)
"""Words of a model that announces its next action."""
_ASKS = re.compile(
    r"\W{0,4}(?:\w+ ){0,3}(?:write|type|add|put|append|insert|emit|use|close|send|enter|include|"
    r"(?:end|finish)(?: \w+){0,3} with)\b",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"\W*(?:(?:insert|write|put|your|the|its|model'?s|internal|some|step-by-step|long) )*"
    r"(?:reasoning|thoughts?|thinking|chain of thought)(?: process| steps?| trace| text| content)?"
    r"(?: (?:goes?|(?:come|stand)s?|here|inside))*\W*",
    re.IGNORECASE,
)
_TAG_OUTSIDE = re.compile(r"</?(?:\w{1,10}:)?think(?:ing)?\s*/?>|\bthink(?:ing)?[ -]tags?\b", re.IGNORECASE)
_ELEMENT = re.compile(r"<[a-z][^<>]{0,200}>\Z", re.IGNORECASE)
_GOES_ON = (*",.;:!?`\"')", "</")
"""Characters after a tag that is only mentioned."""
_BLANK_LINES = re.compile(r"\A(?:[ \t]*\r?\n)+")


class TakenOut(NamedTuple):
    """The reasoning in an answer, and the answer without it."""

    thoughts: list[str]
    text: str


class _Thought(NamedTuple):
    """A reasoning block between the parts of an answer."""

    start: int
    end: int
    text: str


def taken_out(text: str) -> TakenOut:
    """Separate the reasoning blocks from an answer; a text about the tags stays unchanged."""
    found = _thoughts(text) if any(mark in text for mark in _MARKS) else []
    at = 0
    parts: list[str] = []
    for thought in found:
        parts.append(text[at : thought.start])
        at = thought.end
    parts.append(text[at:])
    if not found or any(_TAG_OUTSIDE.search(part) for part in parts):
        return TakenOut([], text)
    return TakenOut([thought.text for thought in found], _joined(parts))


def may_begin(before: str, text: str) -> int | None:
    """Return where a reasoning block may begin in `text`, which follows `before`; None if nowhere."""
    whole = before + text
    openings = (each for each in OPENING.finditer(whole, len(before)) if _is_apart(whole, each, 0))
    return next((each.start() - len(before) for each in openings), None)


def is_asked_for(text: str, at: int) -> bool:
    """Whether the line before a closing tag asks the reader to write it, so that it does not end the reasoning."""
    line = _line_before(text, at)
    return _announces(line) and bool(_ASKS.match(line) or _ABOUT.search(line))


def _thoughts(text: str) -> list[_Thought]:
    found: list[_Thought] = []
    absent: set[str] = set()
    at, scanned, fenced = 0, 0, False
    for opening in islice(OPENING.finditer(text), _MOST):
        if opening.start() < at:
            continue
        fenced ^= len(_FENCE.findall(text, scanned, opening.start())) % 2 == 1
        scanned = opening.start()
        if fenced or not _is_apart(text, opening, at) or _is_shown(text, opening):
            continue
        thought = _thought(text, opening, absent)
        if thought is not None:
            found.append(thought)
            at = scanned = thought.end
    return found


def _is_apart(text: str, opening: re.Match[str], after: int) -> bool:
    """Whether a tag is where reasoning can begin: on a new line, after a sentence, or right after a reasoning block."""
    named = opening["xml"]
    if opening["granite"] or opening["details"] or (named and named.lower().rpartition(":")[2] not in _NAMES):
        return False
    at = opening.start()
    line = text[max(0, at - _BEFORE) : at].rpartition("\n")[2]
    if not line.strip():
        return len(line.expandtabs()) < 4 and bool(text[:at].strip()) if at <= _BEFORE else len(line) < 4  # noqa: PLR2004
    return (after == at > 0) or line.rstrip(" ")[-1] in _SENTENCE_ENDS or _is_glued(text, opening)


def _is_glued(text: str, opening: re.Match[str]) -> bool:
    """Whether a tag follows a word without a space, as it never does in a sentence about it."""
    before = text[opening.start() - 1]
    return (
        before.isascii()
        and (before.isalnum() or before in "*)")
        and text[opening.end() : opening.end() + 1] not in {"", " ", "<"}
    )


def _is_shown(text: str, opening: re.Match[str]) -> bool:
    """Whether the text around a tag makes it an example or a part of a document."""
    if IS_SPOKEN_OF.match(text, opening.end()):
        return True
    line = _line_before(text, opening.start())
    return _announces(line) or _ABOUT.search(_last_sentence(line)) is not None or _ELEMENT.search(line) is not None


def _announces(line: str) -> bool:
    """Whether a line announces an example, rather than the model's next action."""
    return line.endswith((":", "\uff1a")) and not _ITSELF.search(line)


def _line_before(text: str, at: int) -> str:
    return text[max(0, at - _BEFORE) : at].rstrip().rpartition("\n")[2].strip()


def _last_sentence(line: str) -> str:
    return re.split(r"(?<=[.!?。\uff01\uff1f])\s+", line)[-1]


def _thought(text: str, opening: re.Match[str], absent: set[str]) -> _Thought | None:
    """Return the reasoning block that a tag opens; None if it opens none."""
    for closing in closings(opening):
        if closing.pattern in absent:
            continue
        end = closed(text, opening.end(), closing)
        if end is None:
            absent.add(closing.pattern)
            continue
        body = text[opening.end() : end.start()]
        goes_on = text.startswith(_GOES_ON, end.end())
        if goes_on or (MENTION.fullmatch(body) and body.strip()) or _PLACEHOLDER.fullmatch(body):
            return None
        if _is_in_a_sentence(text, opening, end):
            return None
        return _Thought(opening.start(), end.end(), body)
    return _unfinished(text, opening)


def _is_in_a_sentence(text: str, opening: re.Match[str], end: re.Match[str]) -> bool:
    """Whether a sentence begins with a tag and continues after it."""
    before, after = text[opening.start() - 1 : opening.start()], text[end.end() : end.end() + 2]
    return before == " " and after[:1] == " " and after[1:].islower()


def _unfinished(text: str, opening: re.Match[str]) -> _Thought | None:
    """Return a reasoning block without an end: on its own line, or right after a sentence."""
    before, after = text[opening.start() - 1 : opening.start()], text[opening.end() : opening.end() + 1]
    apart = after in {"\n", "\r"} if before in {"\n", " "} else before in _SENTENCE_ENDS
    return _Thought(opening.start(), len(text), text[opening.end() :]) if apart else None


def _joined(parts: list[str]) -> str:
    """Join the parts of an answer, keeping the white space between them."""
    joined = [parts[0]]
    for part in parts[1:]:
        if not part.strip():
            continue
        before = joined[-1]
        if before.endswith("\n"):
            part = _BLANK_LINES.sub("", part)  # noqa: PLW2901
        elif before[-1:].isspace():
            part = part.lstrip(" \t")  # noqa: PLW2901
        elif before[-1:].isascii() and before and not part[0].isspace():
            joined.append(" ")
        joined.append(part)
    text = "".join(joined)
    return text if parts[-1].strip() else text.rstrip()
