"""Words and signs next to a number that change its meaning: bounds, ranges, functions, factorials, negations.

Such a number either has another value (`is_other_value`) or does not count (`is_set_aside`).
"""

from __future__ import annotations

import re

from moa_mcp.extraction import doubts, words
from moa_mcp.extraction.latex import BOXED, BOXED_END, SEAM
from moa_mcp.extraction.markup import BOLD_END, MARKS

LETTER = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u03bf\u03c1-\u052f\u1e00-\u1eff"
"""Letters of alphabets that separate words; CJK and others follow digits without a space."""
DASHES = "-\u2010\u2012\u2013\u2212"

_I = re.IGNORECASE
_UNSEEN = dict.fromkeys(map(ord, MARKS))
_REACH = 80
_SIGNED = rf"[\s(+$\u00b1\{DASHES}]{{0,4}}$"

_FUNCTION = (
    "ln|log|lg|lb|exp|sinh?|cosh?|tanh?|cot|csc|arc(?:sin|cos|tan)|arg|sqrt|cbrt|root|abs|floor|ceil|ceiling"
    "|gcd|lcm|det"
    "|sgn|gamma|erf|mod|modulo|choose|sen|tg|ctg|arctg|НОД|НОК|ggT|kgV"
)
_OF = (
    r"(?:roots?|squares?|cubes?|log(?:arithm)?|factorial|reciprocal|inverse|cosine|sine|tangent|exponential|power"
    r"|magnitude|absolute value|sum|product|difference|quotient|remainder|third|quarter|fifth|tenth|half"
    r"|multiples?|%)"
    r"\sof(?:\s(?:the|a))?(?:\s[^.;\n=]{1,20}\sand)?"
    r"|(?:one|two|three|an?)\s(?:in|out\sof|per)|(?<=\d\s)of\sthe|to\sthe\spower(?:\sof)?|half|twice|double"
    r"|triple|thrice|Wurzel\s(?:aus|von)|racine\s(?:\w+\s)?de|ra[ií]z\s(?:\w+\s)?de|radice\s(?:\w+\s)?di"
    r"|wortel\s(?:van|uit)|корень\sиз|Hälfte\svon|moitié\sde|mitad\sde|metà\sdi|metade\sde|половина(?:\sот)?"
)
_MORE = (
    r"(?:at\s(?:the\s)?(?:least|most)|(?:more|less|fewer|greater|larger|smaller|bigger|higher|lower|older"
    r"|younger|longer"
    r"|shorter)\sthan(?:\sor\sequal\sto)?|over|under|above|below|beyond|exceed(?:s|ing)?|up\sto|upwards\sof"
    r"|no\sless\sthan"
    r"|not\sexceeding|mindestens|höchstens|wenigstens|maximal|minimal|mehr\sals|weniger\sals|größer\sals"
    r"|kleiner\sals|über"
    r"|unter|bis\szu|au\s(?:moins|plus|maximum|minimum)|(?:plus|moins)\s(?:de|que)|supérieure?\sà"
    r"|inférieure?\sà|jusqu'à"
    r"|(?:al|por\slo|pelo|ao|no)\s(?:menos|más|mais|máximo|mínimo)|a\slo\s(?:más|sumo)|(?:más|menos"
    r"|mais)\s(?:de|do|que)(?:\sque)?"
    r"|(?:mayor|menor|superior|inferior|maior|superiore|inferiore|maggiore|minore)\s(?:que|de|do\sque|a|di)"
    r"|almeno|al\s(?:più|massimo)|(?:più|meno)\sdi"
    r"|minstens|hoogstens|(?:meer|minder|groter|kleiner)\sdan|не\s(?:менее|более|меньше|больше)|(?:более|менее"
    r"|больше|меньше|свыше)"
    r"|(?:co\s)?(?:najmniej|najwyżej)|(?:więcej|mniej)\sniż|minst|högst|(?:mer|mindre|flere|färre)\sän|mindst"
    r"|højst|vähintään"
    r"|enintään|alespoň|nejvýše|(?:více|méně)\snež|cel\spuțin|cel\smult|legalább|legfeljebb|en\saz|en\sfazla"
    r"|paling\s(?:sedikit|banyak)"
    r"|(?:lebih|kurang)\sdari|ít\snhất|nhiều\snhất|τουλάχιστον|το\sπολύ)"
)
_MORE_UNSPACED = (
    "至少|至多|最多|最少|不少于|不多于|不超过|超过|少于|多于"
    "|大于|小于|大於|小於|高于|低于|少なくとも|多くとも|最大で|最低"
    "|최소|최대|적어도|많아도|לפחות|לכל היותר|على الأقل|अधिकतम|कम से कम|อย่างน้อย|ไม่เกิน"
)
_BETWEEN = (
    "between|zwischen|entre|tra|fra|tussen|mellan|mellem|mellom|между|між|między|pomiędzy|mezi|medzi|između"
    "|între|antara"
    "|giữa|μεταξύ|בין|بين|ระหว่าง"
)
_OTHER_BEFORE = re.compile(
    rf"(?:(?<![{LETTER}])(?:{_FUNCTION})(?:[_^\u03be]\(?-?\w{{0,3}}\)?|\d{{1,3}})?(?:\s\u03be)?"
    rf"|(?<![{LETTER}])(?:{_OF}|{_MORE})"
    rf"|(?<![{LETTER}])(?:{_BETWEEN})(?:\s[^.;:\n]{{1,30}}?\s?(?:{words.AND}))?|{_MORE_UNSPACED}|根号|根號"
    rf"|ルート|平方根"
    rf"|(?<![-=])[<>\u2260-\u226f\u2a7d\u2a7e]=?|[!/]=|\u2261|[\u0393\u230a\u2308\u221a]){_SIGNED}",
    _I,
)
_OF_NAME = re.compile(rf"[{LETTER}](?<!\u03be)\([+\{DASHES}]?$")
_OF_ANSWER = re.compile(rf"(?:{words.ANSWER}|{words.ANSWER_UNSPACED})\([+\{DASHES}]?$", _I)
_PARTS = (
    "halves|halfs|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|hundredths?"
    "|thousandths?"
    "|millionths?|billionths?|per mille|Hälften|Drittel|Viertel|Fünftel|Sechstel|Achtel|Zehntel|Promille|demis?|tiers"
    "|tercios?|cuartos?|terzi|quarti|terços?|score|gross"
)
_OTHER_AFTER = re.compile(
    rf"\s?(?:{_PARTS}|pi|squared|cubed|factorial|choose|modulo|mod|Fakultät|factorielle|hoch)(?![{LETTER}])"
    rf"|\s?[\u2030\u2031\u0305]|\s(?:{words.AND})\s(?:a\s|one\s|ein\s?|une?\s|una\s|uma\s|mezz|medi|meia|mei"
    rf"|demi|half|halv)"
    r"(?:half|quarter|third|halb\w*|demie?|medi[oa]|mezz[oa]|mei[oa]|a|o)?(?!\w)"
    rf"|\s?(?:or|oder|ou|o|of|или|lub)\s(?:more|less|fewer|greater|higher|lower|above|below|over|under|mehr"
    rf"|weniger|plus"
    rf"|moins|más|menos|più|meno|mais|meer|minder|более|больше|меньше|więcej|mniej)(?![{LETTER}])"
    rf"|\s?(?:and|&)\s(?:above|below|up|over|under|more)(?![{LETTER}])|\+(?=[\s.,;)]|$)"
    r"|\s?\S{0,3}?(?:以上|以下|以内|未満|未满|及以上|이상|이하|미만|초과|の間|之间|之間|사이)"
    rf"|\s?(?:arasında|között|välillä|के बीच)|\s?[a-z]{{0,3}}\s?(?:[<>]|[\u2260-\u226f\u2a7d\u2a7e]|!=)(?![-/a-z])",
    _I,
)
_FACTORIAL = re.compile(rf"!+(?=[{SEAM}{BOXED_END}]|\s?[+*/^=\u00d7\u00f7\u00b7\u2248)\],\{DASHES}])")
_EXCLAIMED = re.compile(rf"[{BOLD_END}]?!")
_WORD_IN_LINE = re.compile(rf"[{LETTER}]{{2}}|[^\W\d_{LETTER}]")
_NO_WORD_BEFORE = re.compile(r"[=+*/^(\u00d7\u00f7\u2248]\s?$")

_DENIED_BEFORE = re.compile(
    rf"(?:(?<![{LETTER}])(?!no\s?$)(?:{doubts.NOT})|(?<![{LETTER}])(?:{doubts.INSTEAD_OF}))"
    rf"(?:\s?(?:est|este|es|is|be|jest|je|ole|olla|είναι|é|è|är|er|the|equal to|simply|just|exactly|actually"
    rf"|really|answer))"
    rf"{{0,3}}(?:\s?[{LETTER}]\s?=)?{_SIGNED}",
    _I,
)
_RIGHT = (
    r"(?:(?:the|a|my|die|la|het|a|an)\s)?(?:right|correct|final|actual|valid|true|possible|answer|solution"
    r"|result|one\b|Antwort"
    r"|richtig|korrekt|bonne|bon|juste|réponse|respuesta|risposta|corrett|giust|resposta|corret|cert|juist"
    r"|goed|antwoord"
    r"|верн|правильн|ответ|odpowied|popraw|prawid)"
)
_DENIED_AFTER = re.compile(
    rf"['\")]?\s?(?:[a-z]{{1,10}}\s)?(?:(?:(?:is|was|are)\s(?:not|never)|(?:is|was|are)n't|can't\sbe"
    rf"|cannot\sbe|ist\snicht"
    rf"|n'est\spas|no\ses|non\sè|não\sé|is\sniet|не(?:\sявляется)?|nie\sjest)\s{_RIGHT}|(?:is|was"
    rf"|are)\s(?:wrong|incorrect"
    r"|false)|ist\sfalsch|est\s(?:faux|fausse|incorrecte?)|es\sincorrect[oa]|è\s(?:sbagliat|errat)[oa]"
    r"|está\serrad[oa]"
    rf"|is\sfout|неверн\w*)|['\")]?\s?(?:{doubts.DENIED_AFTER})",
    _I,
)
_FORMER = re.compile(rf"[(,;\u2014[]\s?(?:{doubts.FORMER})[\s:]{{0,2}}{_SIGNED}", _I)
_CONFIDENCE = rf"(?:(?<![{LETTER}])(?:{doubts.CONFIDENCE})(?![{LETTER}])|{doubts.CONFIDENCE_UNSPACED})"
_SURE = rf"(?:{_CONFIDENCE}|(?<![{LETTER}])(?:{doubts.SURE})(?![{LETTER}]))"
_SURE_BEFORE = re.compile(
    rf"{_CONFIDENCE}(?:\s(?:level|score|rating|in (?:this|my|the) answer|estimate)|\([^()\n]{{1,9}}\))?"
    r"\s?(?:is|of|at|:|=|ist|est|es|è|é|van|de|di|von|,|are)?"
    r"(?: ?(?:about|around|roughly|high|very high|medium|low)[ :=,(~\u2248]{1,3}|[\s:=,(~\u2248]{0,4})$",
    _I,
)
_SURE_AFTER = re.compile(
    rf" ?(?:%|percent|per cent|Prozent|pour cent|por ciento|per cento|/\s?\d+|out of \d+)?[ \u2014-]?"
    rf"(?:(?:of|in|my|level of|the|degree of|very|quite|de|di|von|van|with)\s){{0,2}}{_SURE}(?!\s(?:interval"
    rf"|level|band))",
    _I,
)


def is_other_value(before: str, after: str) -> bool:
    """Whether the value is a function, a part or a multiple of a number, or only bounded by it."""
    plain = before.translate(_UNSEEN)
    if _OTHER_BEFORE.search(plain) or _OTHER_AFTER.match(after.translate(_UNSEEN)):
        return True
    if _OF_NAME.search(plain) and not _OF_ANSWER.search(plain):
        return True
    if plain[-2:] in {f"|{dash}" for dash in DASHES} and after.lstrip(MARKS)[:1] == "|":
        return True
    return _is_factorial(before, after)


def _is_factorial(before: str, after: str) -> bool:
    """Whether a ``!`` is a factorial: it is in a formula or a box, or no words precede it on its line."""
    if not _EXCLAIMED.match(after):
        return False
    if _FACTORIAL.match(after):
        return True
    line = before[before.rfind("\n") + 1 :]
    opened = line.rfind(BOXED) > line.rfind(BOXED_END)
    return opened or not _WORD_IN_LINE.search(line) or bool(_NO_WORD_BEFORE.search(line.translate(_UNSEEN)))


def is_denied(before: str, after: str) -> bool:
    """Whether a number is denied: "not 42", "42 is wrong"."""
    return bool(_DENIED_BEFORE.search(before.translate(_UNSEEN)) or _DENIED_AFTER.match(after.translate(_UNSEEN)))


def is_set_aside(before: str, after: str) -> bool:
    """Whether a number is a former answer or a confidence."""
    before, after = before.translate(_UNSEEN), after.translate(_UNSEEN)
    return bool(_FORMER.search(before) or _SURE_BEFORE.search(before) or _SURE_AFTER.match(after))
