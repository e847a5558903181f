"""Words that give a number or a letter next to them its meaning, in the supported languages, as parts of patterns."""

from __future__ import annotations

from moa_mcp.extraction.doubts import DENIED_COPULA

AND = "and|und|et|y|e|en|og|och|и|i|a|та|й|oraz|ja|és|și|si|ve|ile|dan|và|και|ו-?|و|และ|至|と|和|与|與|과|와"
BETWEEN_NUMBERS = (
    "to|or|till|give or take|plus or minus|\\+/-|bis|oder|à|a|ou|o|y o|of|out of|through|thru|versus|vs\\.?"
    "|against|von|sur|de|из|или|до|или же|или"
    "|от|lub|z|eller|til|av|of|tot|met|até|fino a|hasta|minus|plus|times|divided by|over|mal|fois|por|per"
    "|到|至|或|或者|または|から|か|또는|에서|~|\u301c|\uff5e"
)
MINUS = "minus|negative|moins|menos|meno|минус|负|負|零下|氷点下|マイナス|마이너스|영하"
SCALES = (
    "hundred|thousand|million(?:en|s|i|es)?|mill[oó]n(?:es)?|milhões|milhão|milione|milioni|miljoen|миллион(?:а|ов)?"
    "|billion(?:s)?|milliard(?:e|en|s)?|miliard(?:o|i)|miljard|bilhão|bilhões|миллиард(?:а|ов)?|trillions?"
    "|Mio\\.?|Mrd\\.?|Tsd\\.?|mln\\.?|mlrd\\.?|млн\\.?|млрд\\.?|тыс(?:\\.|яч[аи]?)?|bn|mn|lakhs?|crores?"
    "|Tausend|Hundert|mille|mil|mila|duizend|[百千万萬億亿만억천백]+"
)
DOZEN = (
    "dozens?|Dutzend|douzaines?|docenas?|dozzin[ae]|dúzias?|dozijn|дюжин[аы]?|tuzin(?:y|ów)?|dussin|dusin|tucat"
    "|düzine|lusin|tá|打|ダース|다스"
)
_SCALE_OF = (
    (("hundred", "hundert"), 2),
    (("thousand", "tausend", "mille", "mil", "mila", "duizend", "tsd", "тыс", "тысяч", "тысяча", "тысячи"), 3),
    (("lakh", "lakhs"), 5),
    (("mio", "mln", "mn", "млн"), 6),
    (("crore", "crores"), 7),
    (("bn", "mrd", "mlrd", "млрд"), 9),
)
_CJK_SCALE = {"百": 2, "백": 2, "千": 3, "천": 3, "万": 4, "萬": 4, "만": 4, "億": 8, "亿": 8, "억": 8}
_SCALE_STEMS = (
    (("milliard", "miliard", "miljard", "миллиард", "bilh"), 9),
    (("milli", "millon", "millón", "mili", "milh", "miljoen", "миллион"), 6),
    (("billion",), 9),
    (("trillion",), 12),
)


def scale(word: str) -> int:
    """Return the exponent of ten that a word of `SCALES` stands for."""
    word = word.casefold().rstrip(".")
    if word[0] in _CJK_SCALE:
        return sum(_CJK_SCALE[character] for character in word)
    exact = next((tens for names, tens in _SCALE_OF if word in names), None)
    return exact or next(tens for stems, tens in _SCALE_STEMS if word.startswith(stems))


MAJOR_UNITS = (
    "h|hrs?|hours?|Stunden?|Std\\.?|heures?|horas?|ore|ora|uur|час(?:а|ов)?|min|mins|minutes?|Minuten?|d|days?|Tage?"
    "|jours?|días?|giorni|weeks?|Wochen?|months?|Monate?|years?|Jahre?|ans?|años?|anni|anos"
    "|feet|foot|ft|miles?|yards?|yd|lbs?|pounds?|stone|gallons?|degrees?|Grad|dollars?|euros?|Euro|hours"
    "|小时|小時|時間|分钟|分鐘|天|시간|분|일|년"
)
UNITS = (
    "km|cm|mm|nm|m|\u03bcm|kg|mg|g|\u03bcg|t|l|L|ml|mL|dl|cl|h|min|ms|ns|Hz|kHz|MHz|GHz|W|kW|MW|GW|kWh|V|A|mA"
    "|J|kJ|N|Pa"
    "|kPa|hPa|bar|mol|ft|in|lbs?|oz|mph|km/h|kph|mi|yd|ha|dB|cal|kcal|eV|rad|deg|px|pt|rpm|bps"
    "|USD|EUR|GBP|CHF|INR|JPY|CNY|RUB|BRL|CAD|AUD|kr|Ft|TL|zł|руб|р|кг|км|см|мм|м|г|л|ч|мин"
    "|KB|kB|MB|GB|TB|KiB|MiB|GiB|C|F|Uhr|Euro|pcs"
)
LABELS = (
    "step|steps|equation|equations|eqn?s?|figure|figures|fig|table|section|sections|sec|question|part|case"
    "|option|page"
    "|pages|p|pp|note|line|lines|chapter|example|problem|exercise|method|approach|version|appendix|footnote|ref|lemma"
    "|theorem|item|point|phase|round|iteration|attempt|test|Schritt|Gleichung|Abbildung|Tabelle|Abschnitt|Frage|Seite"
    "|étape|équation|tableau|partie|paso|ecuación|figura|tabla|pregunta|passo|equazione|domanda|etapa|equação"
    "|stap|vraag|шаг|вопрос|步骤|第|步驟|公式|题|ステップ|問|단계"
)
MONTHS = (
    "January|February|March|April|May|June|July|August|September|October|November|December"
    "|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember"
    "|janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre"
    "|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre|diciembre"
    "|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre"
    "|janeiro|fevereiro|março|maio|junho|julho|setembro|outubro|novembro|dezembro"
    "|januari|februari|maart|mei|augustus|januari|oktober"
    "|января|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря"
)
SCALES_IN_DISPUTE = "Billion(?:en|e)|billones|billón|trillones|Trillion(?:en|e)|trilh[õã]\\w*|bili\\w*|k|K|M|T|兆|조"
"""Words for different powers of ten in different countries, and letters that are also units."""

ANSWER = (
    "answers?|ans\\.?|result|solution|Antwort|Ergebnis|Lösung|réponse|résultat|respuesta|resultado|solución"
    "|risposta|risultato"
    "|soluzione|resposta|solução|antwoord|resultaat|oplossing|ответ|результат|решение|відповідь|odpowiedź"
    "|wynik|svaret"
    "|svar|resultatet|vastaus|odpověď|odpoveď|výsledek|răspuns(?:ul)?|rezultatul|válasz|cevap|yanıt|sonuç"
    "|jawaban(?:nya)?"
    "|đáp án|απάντηση|αποτέλεσμα|odgovor|отговорът|отговор|одговор|atsakymas|atbilde|vastus|trả lời|sagot|jibu"
)
ANSWER_UNSPACED = (
    "答案|答え|解答|答复|回答|正解|结果|結果|答"
    "|정답|답변|답안|답|결과|उत्तर|जवाब|الجواب|الإجابة"
    "|الاجابة|الإجابه|جواب|پاسخ|\u0e04\u0e4d\u0e32\u0e15\u0e2d\u0e1a|\u0e15\u0e2d\u0e1a|ה?תשובה|উত্তর|பதில்"
)
COPULA = (
    "is|are|was|equals|be|becomes|seems to be|appears to be|comes to|comes out as|=|:|->|=>|→|⇒|⟹|≈|ist|sind"
    "|lautet|beträgt|wäre"
    "|est|sont|vaut|serait|es|son|sería|sea|è|sono|sarebbe|é|são|seria|is|bedraagt|это|является|равен|равна"
    "|равно|равняется"
    "|составляет|jest|to|är|er|on|este|je|ole|είναι|είναι η|е|là|adalah|ialah|yra|ir|—|–"
)
COPULA_UNSPACED = (
    "应该是|應該是|应当是|应为|應為|应是|就是|即为|是|为|為|等于|等於|は|が"
    "|은|는|이|가|है|هو|هي|คือ|היא|הוא|হল|হলো|است|:|="
)
WORD = "A-Za-z\u00c0-\u024f\u0400-\u04ff"
"""Letters of scripts that separate words, for character classes."""
VOID = (
    "wrong|incorrect|false|common|tempting|popular|initial|first|previous|prior|earlier|intermediate|partial|naive"
    "|another|other|student'?s?|falsche[nrs]?|erste[nrs]?|mauvaise|fausse|première|incorrecta?|errata"
    "|sbagliata|primera"
    "|errada|verkeerde|eerste|неправильный|неверный|первый|错误|錯誤|错的|間違い|틀린|not the|not a|isn't the"
)
IF = (
    "if|whether|unless|suppose|supposing|assume|assuming|wenn|falls|ob|angenommen|si|se|als|indien|если"
    "|предположим|如果|若"
    "|假设|もし|만약"
)
SAYS = (
    rf"(?P<denied>(?:\b(?:{DENIED_COPULA})\s|[不非]|\bn')?)"
    rf"(?:(?<![{WORD}])(?:{COPULA})(?![{WORD}])|(?<![{WORD}])is(?=n't)|(?:{COPULA_UNSPACED})|'s(?=\s))"
)
"""The "is" of "the answer is", and what denies it."""
IS_THE = (
    rf"\s?(?:[^\s.;:!?]{{1,20}}\s){{0,2}}(?:is|are|was|ist|est|es|è|é|это|является)\s(?:[{WORD}']{{1,9}}\s){{0,3}}"
    r"|\s?[が는은이가是为就]{1,2}\s?(?:正确|正しい|最终|最終)?"
)
"""The text between a value and "answer" if the value is stated as the answer."""
