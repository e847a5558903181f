"""What kind of failure a refusal is, by its status, its codes and its words. Pure: a table of what providers say.

Codes say more than words, and words more than the status, which many servers choose badly.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from moa_mcp.providers import too_long
from moa_mcp.providers.error_bodies import Fault

Kind: TypeAlias = Literal["key", "quota", "rate", "server", "timeout", "path", "model", "filter", "long", "system", "request"]

_KEY = {
    *("invalid_api_key", "incorrect_api_key", "wrong_api_key", "authentication_error", "permission_error", "permission_denied"),
    *("unauthenticated", "unauthorized", "invalid_authentication_error", "api_key_invalid", "api_key_expired", "invalid_token"),
    *("token_not_found_in_db", "token_invalid", "token_expired", "expired_token", "expired_key", "auth_error", "forbidden"),
    *("accessdeniedexception", "unrecognizedclientexception", "invalidapikey", "accessdenied", "missing_api_key", "no_auth"),
    *("invalidsignatureexception", "expiredtokenexception", "unsupported_country_region_territory", "auth_unavailable"),
    *("authenticationerror", "permissiondeniederror", "invalid_user", "service_disabled", "consumer_invalid"),
    *("minimax:1004", "minimax:2049", "1000", "1001", "1002", "1003", "1004", "1110", "1111", "1112", "1120", "1220", "10000"),
}
_QUOTA = {
    *("insufficient_quota", "insufficient_balance", "insufficient_user_quota", "exceeded_current_quota_error", "arrearage"),
    *("billing_not_active", "billing_hard_limit_reached", "budget_exceeded", "payment_required", "insufficient_funds"),
    *("account_suspended", "account_deactivated", "credits_exhausted", "insufficient_credits", "pre_consume_token_quota_failed"),
    *("billing_error", "quota_is_zero", "out_of_credits", "quota_exhausted", "balance_not_enough", "allocationquota", "freetieronly"),
    *("minimax:1008", "minimax:2056", "1113", "1304", "1308", "1309", "1310", "usage_limit_reached", "spend_limit_reached"),
}
_RATE = {
    *("rate_limit_exceeded", "rate_limit_error", "rate_limit_reached", "rate_limit_reached_error", "rate_limited", "ratelimit"),
    *("too_many_requests", "too_many_requests_error", "toomanyrequests", "throttling", "throttled", "throttlingexception"),
    *("limit_requests", "limit_burst_rate", "limit_tokens", "resource_exhausted", "queue_exceeded", "ratelimiterror"),
    *("ratelimitreached", "ratelimitexceeded", "requests_limit_exceeded", "concurrency_limit_exceeded", "1302", "1303", "1305"),
    *("minimax:1002", "minimax:1039", "minimax:1041", "minimax:2045", "1231", "rate-limited", "too many requests"),
}
_SERVER = {
    *("overloaded_error", "overloaded", "server_error", "internal_error", "internal_server_error", "internal", "unavailable"),
    *("service_unavailable", "unavailable_error", "capacity_exceeded", "engine_overloaded_error", "engine_overloaded"),
    *("serviceunavailableexception", "internalserverexception", "modelnotreadyexception", "modelerrorexception", "aborted"),
    *("deadline_exceeded", "model_loading", "modeltimeoutexception", "serviceunavailable", "server_overloaded", "slow_down"),
    *("minimax:1000", "minimax:1001", "minimax:1013", "minimax:1024", "minimax:1033", "1230", "1234", "1312", "500", "502", "503", "504", "529"),
    *("api_error", "upstream_error", "bad_response_status_code", "internalservererror", "apierror", "timeout_error"),
}
_MODEL = {
    *("model_not_found", "model_not_exist", "invalid_model", "unknown_model", "model_decommissioned", "deploymentnotfound"),
    *("model_not_available", "modelnotfound", "model_deprecated", "unknownmodel", "model_not_supported", "1211", "1212", "1221", "1311"),
}
_FILTER = {
    *("content_policy_violation", "content_filter", "content_filter_error", "contentfilter", "content_filtered", "invalid_prompt"),
    *("data_inspection_failed", "datainspectionfailed", "responsibleaipolicyviolation", "content_filter_policy", "cyber_policy"),
    *("moderation", "moderation_blocked", "content_moderation", "prohibited_content", "sensitive_words_detected", "safety"),
    *("minimax:1026", "minimax:1027", "new_sensitive", "image_policy_violation", "guardrail_intervened"),
}
_REQUEST = {
    *("invalid_argument", "bad_request", "bad_request_error", "badrequesterror", "invalid_parameter_error"),
    *("validation_error", "validationexception", "invalidparameter", "invalid_request", "unsupported_parameter", "unsupported_value"),
    *("minimax:2013", "1210", "1213", "1214", "1215", "400", "422", "unprocessable_entity", "parameter_error", "failed_precondition"),
}
_BY_CODE: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("filter", frozenset(_FILTER)),
    ("long", too_long.CODES),
    ("quota", frozenset(_QUOTA)),
    ("key", frozenset(_KEY)),
    ("rate", frozenset(_RATE)),
    ("model", frozenset(_MODEL)),
    ("server", frozenset(_SERVER)),
    ("request", frozenset(_REQUEST)),
)


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)


_FILTERED = _words(
    r"content management policy|usage (?:policy|policies|guidelines)|violat\w{1,4} .{0,60}(?:polic|guideline|terms)|safety system",
    r"(?:input|prompt|content|request|messages?|text)\b.{0,60}\bflagged|flagged as potentially|requires moderation|blocked by .{0,40}(?:polic|filter|safety)",
    r"inappropriate content|data inspection|prohibited (?:content|use)|content (?:filter|moderation)|(?:unsafe|sensitive) (?:or sensitive )?(?:content|information|words)",
    r"敏感|不安全|违规|不合规",
)
_NO_MONEY = _words(
    r"insufficient[_ ](?:balance|quota|credits?|funds)|credit balance|(?:out of|no|not enough|more|any|remaining|all available) credits|credits? (?:has |have )?(?:expired|exhausted|depleted|used)",
    r"used all (?:of )?(?:your |its |the )?.{0,20}credits|spending (?:limit|cap)|billing (?:hard )?limit|budget (?:has been )?exceeded|exceeded .{0,20}budget|payment (?:is )?required",
    r"check your plan and billing|exceeded your current quota|(?:account|organi[sz]ation|team|workspace)\b.{0,60}\b(?:suspended|overdue|arrears|not active|deactivated)",
    r"in good standing|\brecharge\b|top[- ]?up|add (?:more )?(?:credits|funds)|quota (?:has been |is )?(?:exhausted|used up|depleted)|(?:daily|monthly|weekly) (?:usage |request |quota |spend\w* )?(?:limit|quota)",
    r"余额不足|欠费|充值|额度(?:已)?(?:不足|用尽|用完)|配额不足|limit: 0\b(?!\.)|reached your .{0,30}(?:usage|spend\w{0,3}) limit|purchase (?:more )?credits",
)
_BAD_KEY = _words(
    r"(?:invalid|incorrect|wrong|bad|missing|expired|revoked|leaked) (?:x-)?(?:api|access|auth\w*|proxy|bearer|subscription|virtual)?[ -]?(?:key|token|credentials?|server token)\b",
    r"(?:api[ -]?key|token|credentials?|x-api-key)\b.{0,30}\b(?:invalid|not valid|expired|missing|required|incorrect|revoked|not found|wrong|reported as leaked|must be provided|disabled)",
    r"\bunauthori[sz]ed\b|authentication (?:error|fail|require|is required|fails)|not authenticated|invalid authentication|authorization (?:failed|header)|forbidden|permission denied",
    r"(?:not|isn['’]t) (?:supported|available|allowed) in your (?:country|region|location)|(?:country|region|location|territory)[ \w,]{0,30}(?:not supported|unsupported|blocked)|user location is not supported",
    r"令牌|鉴权|认证失败|密钥",
)
_TOO_OFTEN = _words(
    r"rate.?limit|too many (?:requests|concurrent)|throttl|requests? per (?:second|minute|hour|day)|tokens per (?:second|minute|hour|day)|quota exceeded for|请求过于频繁|限流|频率|并发",
)
_BUSY = _words(
    r"overloaded|over capacity|at capacity|capacity exceeded|high (?:traffic|demand|load)|temporarily unavailable|service unavailable|server (?:is )?busy|internal (?:server )?error",
    r"(?:still |currently |is |being )loading|loading (?:the )?model|model is (?:being )?load|warming up|starting up|cold start|not ready(?: yet)?|try again (?:later|shortly)|稍后(?:再试|重试)|繁忙|超时",
)
_NO_MODEL = _words(
    r"\bmodel\b.{0,120}\b(?:does not exist|doesn['’]t exist|not found|not exist|isn['’]t found|no longer (?:available|supported)|not deployed)",
    r"\b(?:invalid|unknown|no such|unrecogni[sz]ed|unsupported) model\b|not a valid model|not found, try pulling|no models? (?:is |are )?(?:currently )?loaded|no model (?:is )?(?:named|called)",
    r"\bmodel\b.{0,160}\b(?:decommissioned|deprecated and|retired|been (?:removed|deprecated|shut down|discontinued))|non-serverless|no endpoints found|does not support (?:chat|generatecontent)",
    r"model `?[^`\s]{1,100}`? (?:is )?not (?:available|supported)|模型不存在|not (?:a )?supported model|no available channel for model|is not a chat model",
)
_NO_PATH = _words(r"unexpected endpoint|page not found|(?:invalid|unknown|no such|unrecogni[sz]ed) (?:url|path|route|endpoint)|cannot post|no route (?:matched|found)|method not allowed|no static resource")
_SYSTEM = _words(
    r"(?:system|developer)[\s_-]?(?:role|messages?|prompts?|instructions?)['\"`]?.{0,60}?(?:not|n['’]t|un)[\s-]?(?:be )?(?:enabled|supported|allowed|available|permitted|accepted|implemented)",
    r"(?:not|n['’]t|un)[\s-]?(?:support|allow|accept)(?:ed|s)?\b.{0,60}?(?:['\"`]?(?:system|developer)['\"`]? ?(?:role|messages?|prompts?|instructions?)|role:? ?['\"`]?(?:system|developer)|['\"](?:system|developer)['\"])",
    r"(?:unexpected|invalid|unsupported|unknown)\b.{0,20}\brole\b.{0,20}(?:system|developer)|only user(?:,| and|/)? ?.{0,40}(?:assistant|model).{0,20}roles? (?:is|are) (?:supported|allowed)",
    r"roles must alternate|system message must be|role only allows|input should be 'user'|(?:system|developer)['\"`]? (?:is|was) not (?:one of|a valid)|role ['\"`]?(?:system|developer)['\"`]? is (?:not|un|in)",
    r"jinja|template ?error|raise_exception|(?:render|apply)\w* (?:the )?(?:prompt|chat)[ _-]?template|不支持.{0,20}(?:system|系统)",
)
_NO_TEMPLATE = _words(r"chat[_ ]template is not set|no chat[_ ]template|chat template is required|does not (?:define|have) a chat[_ ]template|default chat template is no longer")
_BEYOND_MINUTE = re.compile(r"limit:? (\d+).{0,60}requested:? (\d+)", re.IGNORECASE | re.DOTALL)
_UNCLEAR_CODES = frozenset({"rate_limit_exceeded", "requests", "tokens", "resource_exhausted"})


def kind(status: int | None, fault: Fault, *, wait_s: float | None) -> Kind:
    """Return what kind of failure a refusal is.

    `status` is HTTP's, or where that says success, the body's own; `wait_s` is how long the body asks to wait.
    """
    told, codes = fault.told, _codes(fault)
    coded: set[Kind] = {name for name, known in _BY_CODE if codes & known}
    if status == _PROXY_WANTS_KEY:
        return "key"
    if "filter" in coded or (status not in {401, 429} and _FILTERED.search(told)):
        return "filter"
    if limit := _limit(status, told, codes, coded, wait_s):
        return limit
    often = "rate" in coded or _TOO_OFTEN.search(told) is not None
    if status in {401, 403} and not often:
        return "key"
    if status in {403, 429} or ("rate" in coded and status not in _FAILING):
        return "rate"
    return _other(status, told, codes, coded)


def _limit(status: int | None, told: str, codes: set[str], coded: set[Kind], wait_s: float | None) -> Kind | None:
    """Return whether what was reached is a limit that waiting helps against, or the end of what was paid for."""
    if status == _UNPAID or "quota_is_zero" in codes or any("perday" in code for code in codes):
        return "quota"
    if any("perminute" in code or "persecond" in code for code in codes):
        return "rate"
    if _is_beyond_minute(status, told):
        return "quota"
    no_money = _NO_MONEY.search(told)
    if "resource_exhausted" in codes and not (no_money and "current quota" not in no_money[0].lower()):
        return "rate"
    if "quota" in coded:
        return "quota"
    if no_money is None or status in {404, 401}:
        return None
    can_wait = wait_s is not None and "limit: 0" not in told
    return "rate" if can_wait and status == _TOO_MANY else "quota"


def _is_beyond_minute(status: int | None, told: str) -> bool:
    """Whether one request is more than the account may have in a minute: no waiting helps against that."""
    if status in {400, 413, 422} and _PER_MINUTE.search(told):
        return True
    found = _BEYOND_MINUTE.search(told)
    return found is not None and int(found[2]) > int(found[1]) and "used" not in told.lower()


def _other(status: int | None, told: str, codes: set[str], coded: set[Kind]) -> Kind:
    """Return the first kind in a table that fits."""
    missing, failing, unsaid = status in _MISSING, status in _FAILING, status is None
    no_model = "model" in coded or _NO_MODEL.search(told) is not None
    busy = _BUSY.search(told) is not None and "non-serverless" not in told.lower()
    long = "long" in coded or too_long.says(told) or (status == _TOO_LARGE and _WORDLESS.match(told) is not None)
    bad_key = "key" in coded or (status in {None, 400, 422, 500} and _BAD_KEY.search(told) is not None)
    table: tuple[tuple[bool, Kind], ...] = (
        (status == _TIMED_OUT, "timeout"),
        (missing and busy and not no_model, "server"),
        (missing, "model" if no_model else "path"),
        (bad_key, "key"),
        (_SYSTEM.search(told) is not None and _NO_TEMPLATE.search(told) is None, "system"),
        (long and not failing, "long"),
        (no_model and not failing, "server" if busy else "model"),
        (unsaid and _NO_PATH.search(told) is not None, "path"),
        (unsaid and _TOO_OFTEN.search(told) is not None, "rate"),
        (unsaid, "request" if "request" in coded and "server" not in coded else "server"),
        (status is not None and (status in _TRANSIENT or status >= _SERVERS), "server"),
        (busy and not coded & {"request"} and not _VAGUE & codes and status in {400, 412, 422}, "server"),
    )
    return next((found for holds, found in table if holds), "request")


_PROXY_WANTS_KEY, _UNPAID, _TIMED_OUT, _TOO_LARGE, _TOO_MANY, _SERVERS = 407, 402, 408, 413, 429, 500
_MISSING = frozenset({404, 405, 410})
_TRANSIENT = frozenset({409, 421, 423, 424, 425, 440, 449, 460, 498, 499})
_FAILING = frozenset({502, 503, 504, 529})
"""Statuses of gateways and of servers with too much to do, whatever they say."""
_VAGUE = frozenset({"invalid_request_error"})
"""Codes that many servers give whatever went wrong."""
_WORDLESS = re.compile(r"\Z|a web page|HTTP status")
_PER_MINUTE = re.compile(r"per min(?:ute)?\b")


def _codes(fault: Fault) -> set[str]:
    codes = {code.lower().strip() for code in (fault.code, *fault.codes)}
    return {part for code in codes for part in (code, code.rpartition(".")[2], code.rpartition("#")[2]) if part}
