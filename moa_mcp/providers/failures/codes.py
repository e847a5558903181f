"""Error codes of providers, by kind of failure. Pure data."""

from __future__ import annotations

from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "key", "quota", "rate", "server", "timeout", "path", "model", "filter", "long", "system", "request"
]
"""What failed: the key, the account, a rate limit, the server, the address, or the request."""

_KEY = {
    *(
        "invalid_api_key",
        "incorrect_api_key",
        "wrong_api_key",
        "authentication_error",
        "permission_error",
        "permission_denied",
    ),
    *(
        "unauthenticated",
        "unauthorized",
        "invalid_authentication_error",
        "api_key_invalid",
        "api_key_expired",
        "invalid_token",
    ),
    *(
        "token_not_found_in_db",
        "token_invalid",
        "token_expired",
        "expired_token",
        "expired_key",
        "auth_error",
        "forbidden",
    ),
    *(
        "accessdeniedexception",
        "unrecognizedclientexception",
        "invalidapikey",
        "accessdenied",
        "missing_api_key",
        "no_auth",
    ),
    *("invalidsignatureexception", "expiredtokenexception", "unsupported_country_region_territory", "auth_unavailable"),
    *("authenticationerror", "permissiondeniederror", "invalid_user", "service_disabled", "consumer_invalid"),
    *(
        "minimax:1004",
        "minimax:2049",
        *("zai:1110", "zai:1111", "zai:1112", "zai:1120", "zai:1220"),
        *("failedtoresolveapikey", "invalidapikeyforgivenresource", "invalid_access_token", "access_token_expired"),
        *("invalidaccesstoken", "apikeynotfound", "invalidclientidforgivenresource"),
    ),
}
_QUOTA = {
    *(
        "insufficient_quota",
        "insufficient_balance",
        "insufficient_user_quota",
        "exceeded_current_quota_error",
        "arrearage",
    ),
    *("billing_not_active", "billing_hard_limit_reached", "budget_exceeded", "payment_required", "insufficient_funds"),
    *(
        "account_suspended",
        "account_deactivated",
        "credits_exhausted",
        "insufficient_credits",
        "pre_consume_token_quota_failed",
    ),
    *(
        "billing_error",
        "quota_is_zero",
        "out_of_credits",
        "quota_exhausted",
        "balance_not_enough",
        "allocationquota",
        "freetieronly",
    ),
    *(
        "minimax:1008",
        "minimax:2056",
        "zai:1113",
        "zai:1304",
        "zai:1308",
        "zai:1309",
        "zai:1310",
        "usage_limit_reached",
        "spend_limit_reached",
    ),
}
_RATE = {
    *(
        "rate_limit_exceeded",
        "rate_limit_error",
        "rate_limit_reached",
        "rate_limit_reached_error",
        "rate_limited",
        "ratelimit",
    ),
    *(
        "too_many_requests",
        "too_many_requests_error",
        "toomanyrequests",
        "throttling",
        "throttled",
        "throttlingexception",
    ),
    *("limit_requests", "limit_burst_rate", "limit_tokens", "resource_exhausted", "queue_exceeded", "ratelimiterror"),
    *(
        "ratelimitreached",
        "ratelimitexceeded",
        "requests_limit_exceeded",
        "concurrency_limit_exceeded",
        "quotaviolation",
        "spikearrestviolation",
        "zai:1302",
        "zai:1303",
        "zai:1305",
    ),
    *("minimax:1002", "minimax:1039", "minimax:1041", "minimax:2045", "zai:1231", "rate-limited", "too many requests"),
}
_SERVER = {
    *(
        "overloaded_error",
        "overloaded",
        "server_error",
        "internal_error",
        "internal_server_error",
        "internal",
        "unavailable",
    ),
    *("service_unavailable", "unavailable_error", "capacity_exceeded", "engine_overloaded_error", "engine_overloaded"),
    *(
        "serviceunavailableexception",
        "internalserverexception",
        "modelnotreadyexception",
        "modelerrorexception",
        "aborted",
    ),
    *(
        "deadline_exceeded",
        "model_loading",
        "modeltimeoutexception",
        "serviceunavailable",
        "server_overloaded",
        "slow_down",
    ),
    *(
        "minimax:1000",
        "minimax:1001",
        "minimax:1013",
        "minimax:1024",
        "minimax:1033",
        "zai:1230",
        "zai:1234",
        "zai:1312",
        "500",
        "502",
        "503",
        "504",
        "529",
    ),
    *("api_error", "upstream_error", "bad_response_status_code", "internalservererror", "apierror", "timeout_error"),
}
_MODEL = {
    *(
        "model_not_found",
        "model_not_exist",
        "invalid_model",
        "unknown_model",
        "model_decommissioned",
        "deploymentnotfound",
    ),
    *(
        "model_not_available",
        "modelnotfound",
        "model_deprecated",
        "unknownmodel",
        "model_not_supported",
        "zai:1211",
        "zai:1212",
        "zai:1221",
        "zai:1311",
    ),
}
_FILTER = {
    *(
        "content_policy_violation",
        "content_filter",
        "content_filter_error",
        "contentfilter",
        "content_filtered",
        "invalid_prompt",
    ),
    *(
        "data_inspection_failed",
        "datainspectionfailed",
        "responsibleaipolicyviolation",
        "content_filter_policy",
        "cyber_policy",
    ),
    *(
        "moderation",
        "moderation_blocked",
        "content_moderation",
        "prohibited_content",
        "sensitive_words_detected",
        "safety",
    ),
    *("minimax:1026", "minimax:1027", "new_sensitive", "image_policy_violation", "guardrail_intervened"),
}
_REQUEST = {
    *("invalid_argument", "bad_request", "bad_request_error", "badrequesterror", "invalid_parameter_error"),
    *(
        "validation_error",
        "validationexception",
        "invalidparameter",
        "invalid_request",
        "unsupported_parameter",
        "unsupported_value",
    ),
    *(
        "minimax:2013",
        "zai:1210",
        "zai:1213",
        "zai:1214",
        "zai:1215",
        "400",
        "422",
        "unprocessable_entity",
        "parameter_error",
        "failed_precondition",
    ),
}
_LONG = {
    *("context_length_exceeded", "exceed_context_size_error", "context_exceeded", "context_window_exceeded"),
    *("request_too_large", "prompt_too_long", "string_above_max_length", "input_too_long", "context_overflow"),
    *("contextwindowexceedederror", "model_context_window_exceeded", "zai:1261"),
}
BY_CODE: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("filter", frozenset(_FILTER)),
    ("long", frozenset(_LONG)),
    ("quota", frozenset(_QUOTA)),
    ("key", frozenset(_KEY)),
    ("rate", frozenset(_RATE)),
    ("model", frozenset(_MODEL)),
    ("server", frozenset(_SERVER)),
    ("request", frozenset(_REQUEST)),
)
"""In order of precedence: codes about a filter or a prompt are more reliable than codes about a request."""
