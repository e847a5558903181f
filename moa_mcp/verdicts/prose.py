"""Finds statements of a verdict in a reply without JSON: in double brackets, after a label, or in a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from moa_mcp.verdicts.replies import bare

_ENCLOSED = re.compile(
    r"\[\[\s*([^\[\]\n]{1,40}?)\s*\]\]|\\boxed\{(?:\\text\{)?\s*([^{}\n]{1,40}?)\s*\}\}?"
    r"|<(?P<tag>verdict|final_verdict|answer|grade|score|rating|judge?ment|preference|winner|better)>"
    r"\s*([^<\n]{1,40}?)\s*</(?P=tag)>",
    re.IGNORECASE,
)
_DRESS = r"[\s*_`#>\"'-]{0,12}"
_STRONG = (
    r"(?:verdict|grade|score|rating|judge?ment|decision|winner|preference|preferred(?:\s(?:answer|response))?"
    r"|better(?:\s(?:answer|response))?)"
)
_WEAK = r"(?:conclusion|answer|result|assessment|evaluation|choice)"
_LABELS = [
    re.compile(
        rf"^{_DRESS}(?:(?:my|the|so|therefore|thus|overall|in conclusion|hence)\b[\s,:]{{1,3}}){{0,3}}"
        rf"(?:final\s|overall\s|total\s)?{label}(?:\s(?:is|would be))?{_DRESS}"
        rf"(?:[:=\uff1a]|(?<=\bis\s)|(?<=\bbe\s)){_DRESS}(?P<held>[^\n]{{1,60}}?)[\s*_`.\"']{{0,12}}$",
        re.IGNORECASE | re.MULTILINE,
    )
    for label in (_STRONG, _WEAK)
]
_CONCLUDES = re.compile(
    r"[\s*_#>-]*(?:overall|in (?:conclusion|summary|sum|total|the end)|to (?:conclude|sum up)|on balance|ultimately"
    r"|all in all|therefore|thus|hence|so|finally|final (?:verdict|decision|judge?ment|answer)|my (?:verdict|decision)"
    r"|verdict|conclusion|summary)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n\u3002]+[.!?\u3002]*")
_LONGEST = 20_000
"""Characters at the end of a reply that are read."""


class Sentence(NamedTuple):
    """A sentence of a reply."""

    text: str
    concludes: bool
    """Whether it draws the conclusion of the reply."""


class Prose:
    """A reply in words, and the prompt that it may quote."""

    def __init__(self, text: str, shown: str) -> None:
        self._text = text[-_LONGEST:]
        self._shown = shown

    def marked(self) -> Sequence[str]:
        """Return what is in double brackets, boxes or tags of verdicts; else what follows labels at the line start.

        What the prompt has in the same words may be a quote and is left out, unless it is the whole reply.
        """
        for pattern in (_ENCLOSED, *_LABELS):
            if held := [_last_group(each) for each in pattern.finditer(self._text) if self.is_own(each[0])]:
                return held
        return ()

    def sentences(self) -> Iterator[Sentence]:
        """Yield the sentences."""
        for found in _SENTENCE.finditer(self._text):
            if sentence := found[0].strip():
                yield Sentence(sentence, _CONCLUDES.match(sentence) is not None)

    def is_own(self, part: str) -> bool:
        """Return whether a part is the judge's own: the prompt does not have it, or it is the whole reply."""
        plain = bare(part)
        return plain not in self._bare_shown or plain == bare(self._text)

    @cached_property
    def _bare_shown(self) -> str:
        return bare(self._shown)


def _last_group(found: re.Match[str]) -> str:
    return next(group for group in reversed(found.groups()) if group is not None)
