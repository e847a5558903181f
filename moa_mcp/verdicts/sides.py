"""How judges name one of two answers, and say that it is better, as patterns for texts in lower case."""

from __future__ import annotations

import re
from typing import Literal

_NOUN = r"(?:answer|response|assistant|reply|option|candidate|model|output|text|solution|version|submission)"
_ITS = r"(?:'s\s(?:answer|response|reply))?"


def _side(mark: str, ordinal: str, word: str) -> str:
    """Return a pattern for ``answer 1``, ``the first answer``, ``1``."""
    return (
        rf"(?:(?:the\s)?{_NOUN}\s?(?:no\.?\s?|number\s?)?[(\[]?(?:{mark}|{word}|{ordinal})[)\]]?{_ITS}(?!\w)"
        rf"|(?:the\s)?{ordinal}(?:\s(?:{_NOUN}|one))?(?!\w)|[(\[]?{mark}[)\]]?{_ITS}(?!\w))"
    )


_ONE = _side("[1a]", "(?:first|1st|former)", "one")
_OTHER = _side("[2b]", "(?:second|2nd|latter)", "two")

_EQUALLY = r"equally\s(?:good|bad|well|strong|weak|correct|valid|helpful)"
_TIE = (
    r"(?:it(?:'s|\sis)\s|this\sis\s|call(?:\sit)?\s|declare\s)?(?:an?\s)?(?:tie|draw|tied|toss-?up)"
    rf"|equal|{_EQUALLY}|equivalent|both|neither|(?:the\s)?same|even|both(?:\sare)?\s(?:equal|{_EQUALLY})"
    r"|neither\sis\sbetter|no\spreference|none"
)
_DEGREE = r"(?:slightly|much|clearly|significantly|far|a\slittle|somewhat)"
_WINS = rf"(?:\s(?:is\s)?(?:{_DEGREE}\s)?(?:better|best|wins?|preferred))?"
_MORE, _LESS, _LIKE = r"\s?(?:>+|\u226b)\s?", r"\s?(?:<+|\u226a)\s?", r"\s?[=~\u2248]+\s?"

VALUES: tuple[tuple[Literal[0, 1, 2], re.Pattern[str]], ...] = (
    (1, re.compile(rf"{_ONE}{_WINS}|{_ONE}{_MORE}{_OTHER}|{_OTHER}{_LESS}{_ONE}")),
    (2, re.compile(rf"{_OTHER}{_WINS}|{_OTHER}{_MORE}{_ONE}|{_ONE}{_LESS}{_OTHER}")),
    (0, re.compile(rf"0|{_TIE}|{_ONE}{_LIKE}{_OTHER}|{_OTHER}{_LIKE}{_ONE}")),
)
"""Texts that are a preference and nothing else, by the number of the better answer; 0 for a tie."""

_ADVERBS = (
    r"(?:(?:overall|slightly|somewhat|clearly|much|far|significantly|marginally|definitely|arguably|generally|simply|a"
    r"|little|bit|lot|also|still|ultimately|therefore|thus|probably|likely|by|noticeably|considerably|the|just|more"
    r"|obviously|certainly|indeed|substantially|strictly|vastly)\s){0,3}"
)
_BE = r"(?:is|was|seems|appears|looks|remains|comes\sout(?:\sas)?|would\sbe|to\sbe|as)"
_END = r"\s?(?:$|[.!,;:)\u2014-])"
_BETTER = (
    rf"(?:better|best|stronger|superior|preferable|preferred|winner|favou?red)(?={_END}|\s(?:overall|than|because|since"
    rf"|as|due|for|given|by|of\sthe\stwo|here|{_NOUN}|one|choice|and|but|though|although|so|while)\b)"
    r"|(?:superior|preferable|preferred)\s(?:to|over)\b"
)
_PREFERS = (
    r"\b(?:i|we)(?:'d|\swould|\swill|'ll|\shave\sto|\smust|\sam\sgoing\sto)?\s"
    r"(?:(?:slightly|clearly|strongly|therefore|thus|still|definitely|would|finally)\s){0,2}"
    r"(?:prefer|choose|chose|pick|select|favou?r|vote\sfor|go\swith|opt\sfor|side\swith)\s"
)
_BETTER_IS = (
    rf"\b(?:better|best|stronger|superior|preferred|preferable|winning)(?:\s(?:{_NOUN}|one|choice))?"
    r"(?:\s(?:overall|here|of\sthe\stwo))?(?:\sis|\swould\sbe|\s?[:=])\s"
    r"|\b(?:winner|verdict)(?:\s(?:overall|here))?(?:\sis|\sgoes\sto|\s?[:=])\s"
)
_OVER = rf"(?={_END}|\s(?:because|as|since|over|due|for|here|overall|and|but|is|was)\b)"
_TIED = (
    r"\b(?:it(?:'s|\sis)|this\sis|call(?:\sit)?|declare|verdict\sis|result\sis)\s(?:an?\s)?(?:tie|draw|toss-?up)\b"
    rf"|(?:\bboth|\bthe(?:\stwo)?|{_ONE}\sand\s{_OTHER})\s?(?:{_NOUN}s?\s)?(?<=\s)are\s(?:(?:of|essentially|roughly|about"
    r"|both|basically|more\sor\sless|effectively|practically)\s){0,2}"
    rf"(?:{_EQUALLY}|equal(?:\squality)?|equivalent|the\ssame(?:\squality)?|tied)"
    rf"(?={_END}|\s(?:overall|and|so|in\squality)\b)"
    r"|\bneither\s(?:of\sthem\s|answer\s|one\s|response\s)?is\sbetter\b"
)


def _preferred(side: str) -> re.Pattern[str]:
    """Return what finds that a side is said to be better."""
    return re.compile(
        rf"(?<![\w>'])(?:{side}\s{_BE}\s{_ADVERBS}(?:{_BETTER})"
        rf"|{side}\s(?:(?:clearly|narrowly|slightly|easily)\s)?wins\b)"
        rf"|(?:{_PREFERS}|{_BETTER_IS}){side}{_OVER}(?!\s(?:is|was)\snot\b)"
    )


STATEMENTS: tuple[tuple[Literal[0, 1, 2], re.Pattern[str]], ...] = (
    (1, _preferred(_ONE)),
    (2, _preferred(_OTHER)),
    (0, re.compile(_TIED)),
)
"""Parts of sentences that state a preference, by the number of the better answer; 0 for a tie."""

VOID = re.compile(
    r"\b(?:if|whether|unless|not|never|hardly|cannot|nor|instead\sof|rather\sthan|claims?|says?|states?|asserts?|insists?"
    r"|suggests?|argues?)\b|n't\b"
)
"""Words before a statement that deny it, set it under a condition, or ascribe it to an answer."""
