"""Words that deny, doubt or replace an answer, in the supported languages, as parts of patterns."""

from __future__ import annotations

NOT = (
    "not|n't|never|nicht|kein(?:e[ns]?)?|keinesfalls|pas|no|non|não|nao|nie|niet|geen|не|ни|inte|ikke|ei(?:vät|kä)?"
    "|ei ole|nu|nem|ne|není|nie je|nije|ni|nav|ne yra|bukan(?:lah)?|tidak|không(?: phải)?(?: là)?|δεν|όχι"
    "|[不非]|并不|並不|并非|並非|絕不|绝不|不是|不为|ではない|ไม่ใช่|ไม่|לא|אינה|אינו|איננה|איננו|ليست|ليس|لا|नहीं"
)
DENIED_COPULA = (
    r"no|non|não|nao|not|never|cannot|[a-z]{2,6}n't|не|nie|nu|nem|ne|ei|inte|ikke|niet|nicht|bukan|không phải|không"
    r"|δεν|לא|لا|hardly|anything but|no longer"
)
"""Words that deny a following "is"."""
DENIED_AFTER = (
    r"では?(?:な|あり|ござ)|では?ない|じゃ(?:な|あり)|(?:가|이"
    r"|은|는)?\s?(?:아니|아닙|아님|아닌)|değil|नहीं|ไม่ใช่|välttämättä ei"
)
"""Words that deny the value before them."""
INSTEAD_OF = (
    "rather than|instead of|in place of|anything but|everything but|all but|all except|everything except|except"
    "|other than|different from|no longer|as opposed to|not equal to|not simply|not just"
    "|statt|anstatt|anstelle von|au lieu de|plutôt que|sauf|en vez de|en lugar de|excepto|salvo|invece di|tranne"
    "|eccetto|em vez de|ao invés de|exceto|in plaats van|behalve|вместо|кроме|zamiast|oprócz|i stället för"
    "|i stedet for"
    "|místo|în loc de|而不是|除了"
)
FORMER = (
    "was|were|had been|previously|previous|formerly|former|originally|original|initially|initial|before|earlier|old"
    "|at first|first|I (?:first|initially|originally|previously) (?:said|chose|had|thought|wrote|got)"
    "|changed from|from"
    "|corrected from|revised from|updated from|up from|down from|replaces|replacing"
    "|war|vorher|zuvor|früher|ursprünglich|alt|était|avant|auparavant|anciennement|initialement|antes|era"
    "|anteriormente"
    "|prima|in precedenza|eerst|voorheen|eerder|было|был|была|раньше|ранее|прежде|było|wcześniej|poprzednio|tidigare"
    "|tidligere|dříve|înainte|korábban|önce|önceki|sebelumnya|trước đây|πριν|原来是?|原為|之前是?|先前是?|以前は|前は"
    "|元は|이전|원래|ก่อนหน้า|קודם|سابقا|पहले"
)
"""Words before a replaced answer, in brackets or after a comma."""
MAYBE = (
    "maybe|perhaps|possibly|probably|potentially|likely|less likely|more likely|alternatively|even"
    "|(?:it |this )?(?:could|might|may|can)(?: also| well| possibly| just as well| equally)? be"
    "|vielleicht|möglicherweise|eventuell|evtl\\.?|könnte(?: auch)?|peut-être|éventuellement|peut être|possiblement"
    "|(?:ce )?pourrait être|quizás?|tal vez|posiblemente|a lo mejor|podría ser|forse|magari|potrebbe essere|talvez"
    "|possivelmente|pode ser|poderia ser|misschien|mogelijk|wellicht|возможно|может быть|вероятно|наверное|можливо"
    "|może|być może|możliwe|kanske|möjligen|måske|kanskje|muligens|ehkä|možná|snad|poate|posibil|talán|esetleg"
    "|belki|mungkin|barangkali|có thể(?: là)?|có lẽ|ίσως|也许|也許|或许|或許|也?可能(?:是|为|為)?|也可以是"
    "|もしかすると|多分|おそらく"
    "|아마|어쩌면|ربما|אולי|शायद|บางที|อาจ(?:จะ)?(?:เป็น)?"
)
OR_ELSE = (
    "also|as well as|along with|together with|plus|sowie|ainsi que|así como|così come|bem como|alsmede|а также"
    "|or|and|and/or|oder|und|ou|et|o|y|e|u|of|en|или|и|або|lub|albo|czy|i|eller|och|og|tai|vai|nebo|sau|vagy|és|veya"
    "|ya da|ve|atau|dan|hoặc|hay|và|ή|και|או|أو|या|หรือ|หรือว่า|versus|vs\\.?|nor|noch|ni|né|nem|ili|arba"
    "|或者|或是|或|还是|還是|和|与|與|及|または|もしくは|あるいは|か|と|또는|혹은|와|과|이나|나"
)
CORRECTION = (
    "correction|corrected|corrected answer|update|updated|edit|revision|revised|Korrektur|Berichtigung|rectification"
    "|mise à jour|corrección|rectificación|actualización|correzione|rettifica|correção|atualização|correctie"
    "|исправление"
    "|поправка|виправлення|korekta|poprawka|rättelse|rettelse|korjaus|oprava|corecție|javítás|düzeltme|koreksi"
    "|đính chính"
    "|διόρθωση|更正|修正|订正|訂正|정정|수정|תיקון|تصحيح"
)
"""Words before a colon and the answer that replaces another."""
SECOND_THOUGHT = (
    "wait|actually|sorry|hmm|oops|scratch that|correction|rather|make that|I mean|on (?:further |closer |second )?"
    "(?:reflection|thoughts?|consideration|inspection)|after (?:all|reconsidering)|upon reflection"
    "|doch|genauer|halt|eigentlich|en fait|plutôt|mejor dicho|en realidad|anzi|in realtà|na verdade|aliás"
    "|eigenlijk|точнее|вернее|на самом деле|właściwie|egentligen|不对|其实|実は|사실"
)
SECOND_NO = "no|nein|non|нет|não|nu|nie|nej|nei|ne|ei|不|いや|아니"
"""The same, if a comma follows."""
RETRACTED = (
    r"[\s.!,;:)\u2026\u2014-]{0,6}(?:(?:no|wait|actually|hmm|sorry|oops|but)[\s,.!\u2026]{1,4}){1,3}"
    r"(?:that|this|it|I|the above|my answer)(?:'s|\sis|\swas|'m|\sam)\s(?:\w{1,10}\s)?"
    r"(?:not (?:right|correct|true)|wrong|incorrect|false|mistaken|a mistake|an error)"
    r"|[\s.!,;:)\u2026\u2014-]{0,6}(?:no[\s,]{1,2})?(?:scratch that|strike that|never ?mind that)"
)
DOUBTED = (
    r"(?:(?:don't|do not|didn't|doesn't|does not|cannot|can't|wouldn't|never)\s(?:really\s|actually\s)?"
    r"(?:think|believe|say|agree|mean|claim|suppose|see why|see how)|doubt(?:s|ed|ful)?"
    r"|(?:not|isn't|n't)\s(?:true|correct|right|the case|sure|certain|clear|convinced)"
    r"|(?:false|wrong|untrue|unlikely|impossible|incorrect)\sthat|no(?:body|\sone)\s\w+"
    r"|(?:glaube|denke|meine) nicht|bezweifle|ne (?:pense|crois) pas|doute que|no (?:creo|pienso)|dudo"
    r"|non (?:credo|penso)|dubito|não (?:acho|acredito|penso)|duvido|не (?:думаю|считаю|уверен\w*)|сомневаюсь"
    r"|denk niet|geloof niet|nie (?:sądzę|uważam|myślę)|tror inte|tror ikke|不认为|不認為|不觉得|不覺得)"
    r"(?:(?!\b(?:but|so|and|hence|thus|therefore|aber|also|mais|donc|pero|ma|mas|но|because|as|since)\b)"
    r"[^,.;:!?\n]){0,40}$"
)
"""Words before a statement that the author does not share."""
CONFIDENCE = (
    "confidence|certainty|sureness|Konfidenz|Sicherheit|Zuversicht|confiance|certitude|confianza|certeza|seguridad"
    "|confidenza|fiducia|certezza|sicurezza|confiança|zekerheid|vertrouwen|уверенность\\w*|впевненість|pewność"
    "|pewności"
    "|säkerhet|sikkerhed|sikkerhet|varmuus|jistota|încredere|magabiztosság|bizonyosság|güven|keyakinan"
    "|độ tin cậy|βεβαιότητα"
)
SURE = (
    "confident|certain|sure|positive|sicher|certaine?|sûre?|segur[oa]|sicur[oa]|zeker|уверен[а-я]{0,2}"
    "|впевнен\\w*|pewien"
    "|pewna|säker|sikker|varma|jist|sigur|biztos|emin|yakin|chắc chắn|βέβαιος"
)
CONFIDENCE_UNSPACED = "置信度|置信|信心|把握|确信|確信度?|自信度?|信頼度|확신|신뢰도|자신|ביטחון|ثقة|विश्वास|ความมั่นใจ"
