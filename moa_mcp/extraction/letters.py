"""Words around a choice that show whether it is the answer, in the supported languages, as parts of patterns."""

from __future__ import annotations

CHOICE = (
    "choice|option|vote|letra|lettera|lettre|Buchstabe|буква|(?:correct|right|best) one|pick|selection|alternative"
    "|letter|conclusion|verdict|final|Option|Wahl|Auswahl|Variante|Möglichkeit"
    "|choix|opción|opcion|alternativa|inciso|elección|opzione|scelta|opção|opcao|escolha|optie|keuze|вариант|варіант"
    "|выбор|opcja|wybór|alternativet|alternatief|seçenek|şık|pilihan|vaihtoehto|možnost|varianta|επιλογή"
)
RIGHT_ONE = "correct|right|selected|chosen|correct one|richtig|korrekt|correcto|correcta|verdadeira|верно|правильно"
RIGHT_ONE_UNSPACED = "正しいの|正确的|正確的"
"""Words at the beginning of a sentence that a letter follows: "Correct: B"."""
CHOICE_UNSPACED = "选项|選項|選択肢|正解|正答|선택지|보기|本题|本題|विकल्प"
FILLERS = (
    "the|a|an|my|clearly|definitely|therefore|thus|then|hence|simply|just|indeed|most likely|likely|probably|in fact"
    "|actually|instead|rather|obviously|certainly|undoubtedly|only|either|both|option|options|choice|choices|letter"
    "|answer|number|statement|correct|right|best|one|final|also|still|really|always|given by"
    "|die|der|das|eindeutig|klar|also|daher|Option|Antwort|Buchstabe|Variante|Antwortmöglichkeit|la|le|el|il"
    "|lo|o|het|de"
    "|l'option|réponse|lettre|donc|respuesta|opción|opcion|letra|alternativa|inciso|opzione|lettera|risposta|resposta"
    "|opção|optie|letter|antwoord|вариант|ответ|буква|под буквой|opcja|şık|seçenek|pilihan"
    "|η|το|ο|η επιλογή|ข้อ|ตัวเลือก|вариантът|отговор|možnost|varianta|litera|a|az|betű|vaihtoehto|alternativ"
    "|huruf|nomor"
    "|odpowiedź|câu|phương án|אפשרות|الخيار|विकल्प|选项|選項|选择|選擇|选|選|项|项目|选项为|第|记号|記号|보기|번|번호"
)
POSITIVE = (
    "correct|right|best|true|accurate|the answer|answer|my answer|my choice|my final answer|richtig|korrekt"
    "|die Antwort"
    "|wahr|zutreffend|correcte|correct|juste|vraie|bonne|la réponse|correcta|correcto|la respuesta|cierta|verdadera"
    "|corretta|giusta|esatta|la risposta|correta|certa|a resposta|juist|goed|het antwoord|верен|верна|верно|верный"
    "|правильный|правильная|правильно|правильным|является верным|является правильным|poprawna|prawidłowa|rätt|riktig"
    "|doğru|benar"
)
POSITIVE_UNSPACED = "正确|正確|对的|對的|答案|正解|正しい|正答|答え|最も適切|適切|最合适|最佳|정답|맞|옳|답이|답입|सही"
NEGATIVE = (
    "not|wrong|incorrect|false|n't|never|out|impossible|ruled out|eliminated|excluded|tempting|irrelevant|unlikely"
    "|nicht|falsch|pas|fausse|faux|incorrecte|no es|falsa|falso|incorrecta|errata|sbagliata|non|errada|não|incorreta"
    "|niet|fout|onjuist|не|неверен|неверно|неправильный|ошибочный"
)
NEGATIVE_UNSPACED = "错|錯|不对|不對|不正确|不正確|誤り|間違|ではな|じゃな|でない|不是|不|틀|아니|아닙|오답"
IS = (
    "is|are|was|would be|must be|should be|seems|looks|remains|ist|sind|wäre|est|sont|es|son|è|sono|é|são|zijn"
    "|является|jest|är|er|este|je|on|είναι|е|là|adalah"
)
IS_UNSPACED = "选项|選項|项|項|が|は|가|이|은|는|번|是|为|為|最|也|都|唯一|才是|:"
THEREFORE = (
    "therefore|thus|hence|so|consequently|accordingly|finally|in conclusion|daher|deshalb|somit|folglich|also"
    "|donc|ainsi"
    "|por tanto|por lo tanto|entonces|así que|quindi|pertanto|dunque|portanto|logo|assim|dus|daarom"
    "|следовательно|поэтому"
    "|значит|итак|więc|zatem|alltså"
)
THEREFORE_UNSPACED = "所以|因此|故|综上|綜上|よって|従って|したがって|따라서|그러므로"
IT_IS = (
    "it is|it's|it must be|it has to be|it should be|that is|that's|this is|that leaves|which leaves|leaving"
    "|this gives"
    "|this leaves|es ist|c'est|ce serait|sería|es la|è la|é a|het is|это|оно"
)
SUBJECT = "I|we|I'd|I'll|I'm|I've|we'd|we'll|let's|let us|let me|you should|one should|ich|wir|je|j'|nous|я|мы|jag|ik"
VERB = (
    "choose|chose|pick|picked|select|selected|go with|going with|went with|opt for|vote for|settle on|settled on|say"
    "|vote|go for|going for|lean towards|lean toward|prefer|answer|conclude|believe|believe it's|believe it is"
    "|think|think it's"
    "|think it is|mark"
    "|wähle|wählen|nehme|tippe auf|entscheide mich für|stimme für|choisis|choisirais|opte pour|opterais pour"
    "|kies|kiezen"
    "|выбираю|выбрал|выбрала|väljer"
)
VERB_ALONE = (
    "choose|select|pick|go with|go for|going with|going for|mark|vote|vote for|wähle|choisis|kies|выбираю"
    "|elijo|escojo|elegiría|selecciono|me quedo con"
    "|scelgo|sceglierei|escolho|escolheria"
    "|выбираем"
)
VERB_UNSPACED = (
    "(?:我|应该?|應該?|故|所以|因此|本题|本題|就|正确|答案)(?:会|會|要|认为)?(?:选择?|選擇?)|私は|僕は|나는|저는"
)
BUT = (
    "but rather|but|rather|instead|ci|hanem|vaan|nýbrž|ale|već|αλλά|melainkan|mà là|utan|lecz|אלא|بل|แต่เป็น"
    "|sondern|mais|sino|bensì|ma|mas|maar|sim|а|але|men|而是|應是|应是|で(?:は)?なく|(?:가"
    "|이)?\\s?아니라|(?:가|이)?\\s?아니고"
)
FOLLOWS = (
    "because|since|as|for|which|with|but|due|given|though|although|so|and|or|in|is|are|would|where|while|after"
    "|if|when"
    "|based|by|not|rather|instead|here|then|too|from|from|unless|without|despite|over"
    "|weil|da|denn|und|oder|mit|nicht|parce|car|puisque|et|ou|avec|porque|ya|pues|y|o|con|no|perché|poiché|e"
    "|non|pois|com"
    "|omdat|want|en|of|met|niet|потому|так|поскольку|и|или|с|а|не|bo|ponieważ|eftersom"
)
POSITIVE_BARE = "верный|верная|верен|верна|верно|правильный|правильная|правильно"
"""Words used without an "is"."""
AFTER_POSITIVE = (
    "answers?|choices?|options?|one|statement|selection|letter|here|because|since|as|and|but|given|due|so|therefore"
    "|Antwort|Option|Wahl|und|weil|da|denn|réponse|choix|car|parce|et|mais|respuesta|opción|alternativa|porque"
    "|ya|pues|y"
    "|risposta|opzione|scelta|perché|e|resposta|opção|antwoord|optie|keuze|omdat|en|ответ|вариант|ответом"
    "|вариантом|потому"
)
