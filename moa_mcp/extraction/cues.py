"""Patterns for `choices`: words that state a letter as the choice, retract it, or name another beside it."""

from __future__ import annotations

import re

from moa_mcp.extraction import doubts, letters, words
from moa_mcp.extraction.latex import BOXED, BOXED_END
from moa_mcp.extraction.markup import MARKS

LOOK_ALIKE = str.maketrans("АВСЕНΑΒΕΗΙ", "ABCEHABEHI")
ALONE = re.compile("(?<![^\\W_])[АВСЕНΑΒΕΗΙ](?![^\\W_])")
UNSEEN = re.compile(rf"[{''.join(set(MARKS) - {BOXED, BOXED_END})}$\"\u201c\u201d\u201e\u00ab\u00bb`*]")
DOUBLED = re.compile(r"\({2,}|\){2,}")
PLAIN = str.maketrans("|[]{}\u3010\u3011\u300c\u300d\u300e\u300f\u300a\u300b\u3014\u3015", " " + "()" * 7)
_PICTURES = "\u2190-\u21ff\u2600-\u27bf\U0001f300-\U0001faff\ufe0f"
BLANKS = re.compile(r" {2,}")

WORD = words.WORD
_SUFFIX = "[dt][ıiuü]r(?![a-z])"
"""Turkish for "is", after the letter."""
CANDIDATE = re.compile(
    rf"(?<![{WORD}0-9_])(?<![{WORD}0-9]['-])(?:[A-J](?![{WORD}0-9_+#&]|'(?!{_SUFFIX})[{WORD}]|-[{WORD}0-9])"
    rf"|[a-j](?=\)|'?\s?(?:[.,;:!?\u3002\u3001\n{BOXED}{BOXED_END}]|$)))"
)
_FILL = rf"(?:[\s,:;('\u2018-]{{0,3}}(?:{letters.FILLERS})(?![{WORD}])){{0,5}}[\s:,('\u2018-]{{0,3}}"
_NOT = rf"(?P<not>[\s,]?(?:{doubts.NOT})(?![{WORD}])[\s,]?)?"
_COPULA = words.SAYS
_NOUN = (
    rf"(?:(?<![{WORD}])(?:{words.ANSWER}|{letters.CHOICE})(?![{WORD}])"
    rf"|(?:{words.ANSWER_UNSPACED}|{letters.CHOICE_UNSPACED})"
    rf"|^\s?(?:(?:{letters.RIGHT_ONE})(?=\s?[:=]|\s(?:ist|is|es)\b)|(?:{letters.RIGHT_ONE_UNSPACED})(?=[は是])))"
)
_I = re.IGNORECASE
ANSWER = re.compile(_NOUN, _I)
CUED = re.compile(rf"{_NOUN}[^.!?;\n]{{0,50}}?{_COPULA}{_FILL}{_NOT}{_FILL}$", _I)
HEADED = re.compile(
    rf"(?:(?<![{WORD}])(?:{words.ANSWER})"
    rf"|(?:{words.ANSWER_UNSPACED}))(?![{WORD}])[\s:.()\u2013\u2014-]{{0,4}}{_FILL}$",
    _I,
)
CHOSEN = re.compile(
    rf"(?:(?<![{WORD}])(?:{letters.SUBJECT})(?![{WORD}])(?P<way>[^.!?;\n]{{0,40}}?)(?:{letters.VERB})(?![{WORD}])"
    rf"|(?:^|[,:]\s|(?<=so\s))(?P<alone>)(?:{letters.VERB_ALONE})(?![{WORD}])"
    rf"|(?:{letters.VERB_UNSPACED})|(?:^|[\s,:\uff0c\u3002])(?:选择?|選擇?)){_NOT}{_FILL}$",
    _I,
)
CONCLUDED = re.compile(
    rf"(?:(?:^|[,;:]\s|\b(?:and|but|no|wait|actually)\s)(?:{letters.THEREFORE})|(?:{letters.THEREFORE_UNSPACED})"
    rf"|(?<![{WORD}])(?:{letters.IT_IS})){_NOT}{_FILL}$",
    _I,
)
DENIES = re.compile(rf"(?<![{WORD}])(?:{doubts.NOT}|don't|wouldn't|can't|cannot)(?![{WORD},])|n't", _I)
VOIDED = re.compile(rf"(?:(?<![{WORD}])(?:{words.VOID}|{words.IF}))(?:\s[^\s,]{{1,14}}){{0,2}}\s?$", _I)
_IS = rf"\)?\s?(?:(?:{letters.IS})(?![{WORD}])|(?:{letters.IS_UNSPACED})){{1,2}}"
_END_OF_CLAUSE = rf"(?=\s?(?:[^\w\s]|$)|\n|\s(?:{letters.AFTER_POSITIVE})\b)"
RIGHT = re.compile(
    rf"{_IS}\s?(?:[A-Za-z']{{1,12}}\s){{0,2}}?(?:(?:{letters.POSITIVE}){_END_OF_CLAUSE}"
    rf"|(?:{letters.POSITIVE_UNSPACED}))"
    rf"|\)?\s?(?:{letters.POSITIVE_UNSPACED})|\)?\s(?:{letters.POSITIVE_BARE})\b",
    _I,
)
WRONG = re.compile(
    rf"(?:,?\s?(?:which|that|die|qui|que|che)\s)?{_IS}\s?(?:[a-z]{{1,12}}\s){{0,1}}?"
    rf"(?:(?:{letters.NEGATIVE})(?![{WORD}])|(?:{letters.NEGATIVE_UNSPACED}))|\)?\s(?:can't|cannot|doesn't|fails)\b",
    _I,
)
CALLED_WRONG = re.compile(
    rf"[\s:,\u2013\u2014-]*(?:{_IS}\s?)?(?:(?:{letters.NEGATIVE})(?![{WORD}])|(?:{letters.NEGATIVE_UNSPACED}))"
    rf"|\s?(?:[a-z]{{2,6}}n't|cannot)\s(?:[a-z]{{1,12}}\s){{0,2}}?"
    rf"(?:{letters.POSITIVE}|fit|work|hold|follow|apply|make sense)(?![{WORD}])",
    _I,
)
UNDER_IF = re.compile(rf"\)?,?\s(?:only\s)?(?:{words.IF}|unless)(?![{WORD}])", _I)
ENDS = re.compile(rf"\)?'?\s?(?:[.,;:!?)\u3002\u3001\n{_PICTURES}]|$|{BOXED_END}|है|हैं|です|입니다|이다|şıkkı|{_SUFFIX})")
FOLLOWED = re.compile(
    rf"\)?'?\s?(?:[.,;:!?()\u3002\u3001\n\u2013\u2014{BOXED_END}-]|$|{_SUFFIX}|şıkkı|[^\W{WORD}\d_]"
    rf"|(?:{letters.FOLLOWS})(?![{WORD}]))"
)
BEFORE_NAME = re.compile(r"\s[A-Z\u00c0-\u00de\u0410-\u042f0-9]")
_OR_ELSE = (
    rf"[\s,;.(]{{0,3}}(?:(?:{letters.BUT}|though|although|also)\s)?"
    rf"(?:(?<![{WORD}])(?:{doubts.OR_ELSE}|{doubts.MAYBE})(?![{WORD}]))[\s,]{{0,2}}"
)
OR = re.compile(
    rf"\)?(?:\s?[,;/&+\u3001]\s?(?:{_OR_ELSE})?{_FILL}|(?:{_OR_ELSE}){{1,4}}{_FILL}|[ \n]|(?<=\))(?=\())\(?", _I
)
FORMER = re.compile(rf"[(,;\u2013\u2014-]\s?(?:{doubts.FORMER})[\s:]{{0,2}}{_FILL}$", _I)
INSTEAD_OF = re.compile(rf"(?<![{WORD}])(?:{doubts.INSTEAD_OF}){_FILL}$", _I)
CORRECTED = re.compile(
    rf"(?:(?<![{WORD}])(?:{doubts.CORRECTION})\s?:|(?:^|[\s,:])(?:(?:{doubts.SECOND_THOUGHT})[\s,:]{{1,3}}"
    rf"|(?:{doubts.SECOND_NO})\s?,\s?)"
    rf"(?:no[\s,]{{1,2}})?(?:{letters.IT_IS})?){_FILL}$",
    _I,
)
DENIED_AFTER = re.compile(rf"\)?'?\s?(?:{doubts.DENIED_AFTER})", _I)
RETRACTED = re.compile(rf"[^.!?\n]{{0,80}}?{doubts.RETRACTED}", _I)
DOUBTED = re.compile(doubts.DOUBTED, _I)
BUT = re.compile(
    rf"\)?(?:\s(?:değil|नहीं)[,;]?\s?(?:{letters.BUT})?"
    rf"|[,;:.]?\s?(?:{letters.BUT}))[\s,]?(?:{letters.IT_IS})?{_FILL}\(?",
    _I,
)
FORMERLY = re.compile(
    r"\b(?:initially|originally|first|previously|before|earlier|at first|going to|would have|used to)\b", _I
)
THEN = re.compile(r"\)?[.;]\s\(?")
RATHER = re.compile("\u306a\u304f|\uc544\ub2c8|değil|नहीं")
NOT_THIS = re.compile(rf"(?<![{WORD}])(?:{doubts.NOT})(?![{WORD}])(?:\s(?:{letters.IS}))?{_FILL}$", _I)
SENTENCE = re.compile(r"[.!?\u3002]+(?:\s|(?=[^\W\d]))|[;\n]")
QUESTION = re.compile(r"[^.!?\n\u3002]{0,80}\?")
PURE = re.compile(
    rf"(?:[-\u2022\u2013{_PICTURES}]{{1,3}}\s?)?(?i:(?:{letters.CHOICE}|选项|選項)\s?)?"
    r"\(?([A-Ja-j])\)?(?:选项|選項|项|項|번)?[.!:,;]?(?:\sit\sis[.!]?|[\s,(-]{1,3}(?:\d{1,3}\s?%"
    r"|final)(?:\s\w{4,10})?\)?\.?)?"
    rf"(?:\s?[{_PICTURES}]{{1,3}})?"
)
LABELLED = re.compile(
    r"(?:[-\u2022\u2013]\s?)?(?:\(([A-Ja-j])\)|([A-J])(?:\)|[.:](?=\s)|,(?=\s)|\s[-\u2013\u2014:](?=\s))|([a-j])\)"
    r"|([B-HJ])(?=\s(?:because|since|as|weil|parce|car|porque|perché|porque|omdat|потому)\b))"
)
ANOTHER = re.compile(rf"(?:[\s,;/&(]|{_OR_ELSE}){{1,4}}\(?[A-Ja-j](?:\)|(?![{WORD}\s])|$)", _I)
REPLACES = re.compile(
    rf"\(?([A-J])\)?(?:\s?[(,\u2013\u2014-]\s?(?i:{doubts.FORMER}|{doubts.NOT}|{doubts.INSTEAD_OF})"
    rf"|\s(?i:{doubts.INSTEAD_OF}|not))"
    rf"[\s:]{{0,2}}(?i:{_FILL})\(?[A-J][).\s]{{0,3}}"
)
BOX = re.compile(
    rf"[\s{BOXED}]{{0,4}}(?:(?:{letters.FILLERS}|{words.ANSWER})\s?:?\s?){{0,3}}\(?(?P<letter>[A-Ja-j])"
    rf"\)?(?:\s?{BOXED_END}|[).:,]|\s[-\u2013\u2014:])",
    _I,
)
