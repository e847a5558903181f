"""Takes thoughts out that stand between the parts of an answer, as models write that think more than once. Pure.

Some families think before each part of an answer (MiniMax M2, GLM 4.5 and later, Kimi K2, Qwen), and others begin with
a sentence. Such a thought stands on lines of its own, or where a sentence has ended. A text that speaks of the tags
stays whole: in code, in the middle of a sentence, as an example that a line announces, or beside a mention of a tag.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple

from moa_mcp.providers.replies.reasoning_marks import IS_SPOKEN_OF, MENTION, OPENING, closed, closings

_MARKS = ("<", "[", "◁")
_NAMES = {"think", "thinking", "thought"}
"""Tags that nobody uses for the parts of an answer."""
_FENCE = re.compile(r"^[ \t>]*(?:```|~~~)", re.MULTILINE)
_MOST = 2000
"""Tags that are looked at: more are in no answer."""
_BEFORE = 400
"""Characters before a thought that are looked at."""
_SENTENCE_ENDS = frozenset(".!?…。\uff01\uff1f")
_ABOUT = re.compile(
    r"\b(?:tags?|tokens?|format(?:s|ted)?|templates?|syntax|examples?|e\.g|markup|markers?|delimiters?|xml|beispiel|"
    r"exemple|ejemplo|balises?|etiquetas?|wrap(?:s|ped|ping)?|enclos\w{1,4}|looks? like|as follows)\b|"
    r"示例|例如|格式|标签|标记",
    re.IGNORECASE,
)
"""What says that the text which follows is shown, not meant."""
_ITSELF = re.compile(r"\b(?:I|I'll|I'm|I'd|me|let's|we|we'll|my|our)\b", re.IGNORECASE)
"""A model that speaks of what it is about to do."""
_ASKS = re.compile(
    r"\W{0,4}(?:\w+ ){0,3}(?:write|type|add|put|append|insert|emit|use|close|send|enter|include|"
    r"(?:end|finish)(?: \w+){0,3} with)\b",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"\W*(?:(?:insert|write|put|your|the|its|model'?s|internal|some|step-by-step|long) )*"
    r"(?:reasoning|thoughts?|thinking|chain of thought)(?: process| steps?| trace| text| content)?"
    r"(?: (?:goes?|comes?|stands?|here|inside))*\W*",
    re.IGNORECASE,
)
_TAG_OUTSIDE = re.compile(r"</?(?:\w{1,10}:)?think(?:ing)?\s*/?>|\bthink(?:ing)?[ -]tags?\b", re.IGNORECASE)
_ELEMENT = re.compile(r"<[a-z][^<>]{0,200}>\Z", re.IGNORECASE)
_GOES_ON = (*",.;:!?`\"')", "</")
"""What follows a tag that a sentence or a document speaks of."""
_BLANK_LINES = re.compile(r"\A(?:[ \t]*\r?\n)+")


class TakenOut(NamedTuple):
    """The thoughts that stood in an answer, and the answer without them."""

    thoughts: list[str]
    text: str


class _Thought(NamedTuple):
    """A thought between the parts of an answer."""

    start: int
    end: int
    text: str


def taken_out(text: str) -> TakenOut:
    """Return the thoughts between the parts of an answer apart from it; a text that speaks of them stays whole."""
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
    """Return where a thought may begin in a text that follows another one; None where none does."""
    whole = before + text
    openings = (each for each in OPENING.finditer(whole, len(before)) if _is_apart(whole, each, 0))
    return next((each.start() - len(before) for each in openings), None)


def is_asked_for(text: str, at: int) -> bool:
    """Whether the line before a closing tag tells the reader to write it, so that it ends no thought."""
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
    """Whether a tag stands where a thought can begin: on a new line, after a sentence, or right after a thought."""
    named = opening["xml"]
    if opening["granite"] or opening["details"] or (named and named.lower().rpartition(":")[2] not in _NAMES):
        return False
    at = opening.start()
    line = text[max(0, at - _BEFORE) : at].rpartition("\n")[2]
    if not line.strip():
        return len(line.expandtabs()) < 4 and bool(text[:at].strip()) if at <= _BEFORE else len(line) < 4  # noqa: PLR2004
    return (after == at > 0) or line.rstrip(" ")[-1] in _SENTENCE_ENDS or _is_glued(text, opening)


def _is_glued(text: str, opening: re.Match[str]) -> bool:
    """Whether a tag follows a word without a blank, as no sentence about it has it."""
    before = text[opening.start() - 1]
    return (
        before.isascii()
        and (before.isalnum() or before in "*)")
        and text[opening.end() : opening.end() + 1] not in {"", " ", "<"}
    )


def _is_shown(text: str, opening: re.Match[str]) -> bool:
    """Whether the words around a tag say that it is an example, or a part of a document."""
    if IS_SPOKEN_OF.match(text, opening.end()):
        return True
    line = _line_before(text, opening.start())
    return _announces(line) or _ABOUT.search(_last_sentence(line)) is not None or _ELEMENT.search(line) is not None


def _announces(line: str) -> bool:
    """Whether a line says that something is shown below it, and does not say what its writer is about to do."""
    return line.endswith((":", "\uff1a")) and not _ITSELF.search(line)


def _line_before(text: str, at: int) -> str:
    return text[max(0, at - _BEFORE) : at].rstrip().rpartition("\n")[2].strip()


def _last_sentence(line: str) -> str:
    return re.split(r"(?<=[.!?。\uff01\uff1f])\s+", line)[-1]


def _thought(text: str, opening: re.Match[str], absent: set[str]) -> _Thought | None:
    """Return the thought that a tag opens; None if what it opens is none."""
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
    """Whether a sentence that begins with a tag goes on after it."""
    before, after = text[opening.start() - 1 : opening.start()], text[end.end() : end.end() + 2]
    return before == " " and after[:1] == " " and after[1:].islower()


def _unfinished(text: str, opening: re.Match[str]) -> _Thought | None:
    """Return a thought that broke off: on its own line, or right after a sentence."""
    before, after = text[opening.start() - 1 : opening.start()], text[opening.end() : opening.end() + 1]
    apart = after in {"\n", "\r"} if before in {"\n", " "} else before in _SENTENCE_ENDS
    return _Thought(opening.start(), len(text), text[opening.end() :]) if apart else None


def _joined(parts: list[str]) -> str:
    """Return the parts of an answer as one, with the blanks between them that were there."""
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
