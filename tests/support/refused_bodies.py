"""What providers say when they refuse, and what must come of it: status, body, and our error's name.

Bodies are made up after public documents and reports; each line is one member of a kind.
"""

# ruff: noqa: E501, RUF001  what a provider says stays in one piece, with its own characters

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Said(NamedTuple):
    """A refusal as a provider sends it."""

    name: str
    status: int
    body: Any
    """JSON, or the text itself."""
    kind: str
    wait_s: float | None = None
    headers: dict[str, str] = {}  # noqa: RUF012  never changed
    holds: str = ""
    """What the message must hold."""

    @property
    def raw(self) -> bytes:
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


def openai(message: str, code: str | None = None, kind: str | None = None, param: str | None = None) -> Any:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def google(code: int, status: str, message: str, *details: Any) -> Any:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def quota(quota_id: str, delay: str, value: str = "10") -> tuple[Any, Any]:
    return (
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": quota_id, "quotaValue": value}],
        },
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    )


OVER = "You exceeded your current quota, please check your plan and billing details."
MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"

LIMITS = [
    Said("gemini per minute", 429, google(429, "RESOURCE_EXHAUSTED", OVER, *quota(MINUTE, "34s")), "RateLimited", 34.0),
    Said(
        "gemini per minute in a list",
        429,
        [google(429, "RESOURCE_EXHAUSTED", OVER, *quota(MINUTE, "3.5s"))],
        "RateLimited",
        3.5,
    ),
    Said("gemini in words alone", 429, openai(f"{OVER} Please retry in 1.2s."), "RateLimited", 1.2),
    Said("gemini per day", 429, google(429, "RESOURCE_EXHAUSTED", OVER, *quota(DAY, "41s")), "QuotaExceeded"),
    Said(
        "gemini without free tier",
        429,
        google(429, "RESOURCE_EXHAUSTED", f"{OVER} limit: 0", *quota(MINUTE, "4s", "0")),
        "QuotaExceeded",
    ),
    Said(
        "vertex exhausted",
        429,
        google(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later."),
        "RateLimited",
    ),
    Said("openai empty account", 429, openai(OVER, "insufficient_quota", "insufficient_quota"), "QuotaExceeded"),
    Said("openai without its code", 429, openai(OVER), "QuotaExceeded"),
    Said(
        "openai billing",
        400,
        openai("Billing hard limit has been reached", "billing_hard_limit_reached"),
        "QuotaExceeded",
    ),
    Said(
        "anthropic credit",
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."},
        },
        "QuotaExceeded",
    ),
    Said("deepseek balance", 402, openai("Insufficient Balance", "invalid_request_error"), "QuotaExceeded"),
    Said(
        "credits of x ai",
        403,
        {
            "code": "The caller does not have permission",
            "error": "Your team has used all available credits or reached its monthly spending limit.",
        },
        "QuotaExceeded",
    ),
    Said("new-api quota", 403, openai("用户额度不足, 剩余额度: $0.00", "insufficient_user_quota"), "QuotaExceeded"),
    Said(
        "rate in words",
        429,
        openai("Rate limit reached. Please try again in 6m0s.", "rate_limit_exceeded"),
        "RateLimited",
        360.0,
    ),
    Said("rate in hours", 429, openai("Limit reached, try again in 1h2m3s"), "RateLimited", 3723.0),
    Said("rate in milliseconds", 429, openai("Please try again in 350ms."), "RateLimited", 0.35),
    Said("rate in long words", 429, openai("Too many requests, retry after 20 seconds"), "RateLimited", 20.0),
    Said("rate as a field", 429, {"message": "slow down", "retry_after": 5}, "RateLimited", 5.0),
    Said(
        "openrouter's header in its body",
        429,
        {
            "error": {
                "message": "Rate limit exceeded: per-min",
                "code": 429,
                "metadata": {"headers": {"Retry-After": "8"}},
            }
        },
        "RateLimited",
        8.0,
    ),
    Said("a reset as a duration", 429, openai("slow"), "RateLimited", 360.0, {"x-ratelimit-reset-requests": "6m0s"}),
    Said(
        "the reset of what is used up",
        429,
        openai("slow"),
        "RateLimited",
        7.66,
        {
            "x-ratelimit-reset-requests": "6m0s",
            "x-ratelimit-remaining-requests": "3",
            "x-ratelimit-reset-tokens": "7.66s",
            "x-ratelimit-remaining-tokens": "0",
        },
    ),
    Said(
        "a header before all",
        429,
        openai("Please try again in 9s."),
        "RateLimited",
        2.0,
        {"retry-after": "2", "x-ratelimit-reset-tokens": "40s"},
    ),
    Said("a header as a duration", 429, openai("slow"), "RateLimited", 1.5, {"retry-after": "1.5s"}),
    Said(
        "too much for one minute",
        429,
        openai("Request too large on tokens per min (TPM): Limit 30000, Requested 40011."),
        "QuotaExceeded",
    ),
    Said(
        "zai frequency",
        200,
        {"error": {"code": "1302", "message": "High concurrency usage of this API"}},
        "RateLimited",
    ),
    Said("zai balance", 429, {"error": {"code": "1113", "message": "Insufficient balance"}}, "QuotaExceeded"),
    Said("minimax frequency", 200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, "RateLimited"),
    Said(
        "minimax balance",
        200,
        {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        "QuotaExceeded",
    ),
    Said("bedrock", 429, {"message": "Too many tokens, please wait before trying again."}, "RateLimited"),
    Said("too little credit", 402, openai("You requested up to 100 tokens, but can only afford 12"), "QuotaExceeded"),
    Said("tokens of a minute", 429, openai("Only 50 output tokens per minute are allowed"), "RateLimited"),
    Said("a rate with 403", 403, {"message": "API rate limit exceeded for this client"}, "RateLimited"),
]

KEYS = [
    Said(
        "gemini", 400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), "AuthFailed"
    ),
    Said(
        "gemini expired",
        400,
        [google(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.")],
        "AuthFailed",
    ),
    Said(
        "gemini region",
        400,
        google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        "AuthFailed",
    ),
    Said(
        "anthropic",
        401,
        {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}},
        "AuthFailed",
    ),
    Said(
        "openai region",
        403,
        openai("Country, region, or territory not supported", "unsupported_country_region_territory"),
        "AuthFailed",
    ),
    Said(
        "xai",
        400,
        {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***ey."},
        "AuthFailed",
    ),
    Said("as 200 with code and msg", 200, {"code": 401, "msg": "token expired"}, "AuthFailed", holds="token expired"),
    Said(
        "minimax",
        200,
        {"base_resp": {"status_code": 1004, "status_msg": "login fail"}},
        "AuthFailed",
        holds="login fail",
    ),
    Said(
        "cloudflare",
        403,
        {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]},
        "AuthFailed",
        holds="Authentication error",
    ),
    Said(
        "z ai, an account",
        429,
        {"error": {"code": "1112", "message": "Your account has been locked."}},
        "AuthFailed",
        holds="locked",
    ),
    Said("a token in words", 403, openai("Token has exceeded its limit of 50 uses"), "AuthFailed"),
    Said("plain text", 401, "Unauthorized", "AuthFailed", holds="Unauthorized"),
    Said(
        "a page",
        403,
        "<html><head><title>Access denied | gate.example</title></head></html>",
        "AuthFailed",
        holds="Access denied | gate.example",
    ),
    Said(
        "unauthenticated in a stream's place",
        200,
        {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "no"}},
        "AuthFailed",
    ),
]

FILTERS = [
    Said(
        "openrouter",
        403,
        {
            "error": {
                "code": 403,
                "message": "Your input was flagged",
                "metadata": {"reasons": ["hate"], "provider_name": "X"},
            }
        },
        "AnswerRefused",
    ),
    Said(
        "azure",
        400,
        openai(
            "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
            "content_filter",
        ),
        "AnswerRefused",
    ),
    Said(
        "dashscope",
        400,
        openai("Input data may contain inappropriate content.", "data_inspection_failed"),
        "AnswerRefused",
    ),
    Said("minimax", 200, {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}, "AnswerRefused"),
    Said(
        "zai",
        400,
        {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}},
        "AnswerRefused",
    ),
]

SERVERS = [
    *[
        Said(f"status {status}", status, {"message": "no luck"}, "ServerFailed")
        for status in (409, 425, 498, 499, 500, 502, 503, 504, 520, 522, 524, 530, 529)
    ],
    Said("retry after", 503, openai("busy"), "ServerFailed", 3.0, {"retry-after": "3"}),
    Said("retry after in milliseconds", 503, openai("busy"), "ServerFailed", 0.25, {"retry-after-ms": "250"}),
    Said(
        "anthropic",
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        "ServerFailed",
    ),
    Said(
        "overloaded in 200",
        200,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        "ServerFailed",
        holds="Overloaded",
    ),
    Said(
        "hugging face",
        503,
        {"error": "Model x/y is currently loading", "estimated_time": 20.0},
        "ServerFailed",
        holds="currently loading",
    ),
    Said("loading as a bad request", 400, {"error": "model is loading, please wait"}, "ServerFailed"),
    Said("gemini", 503, google(503, "UNAVAILABLE", "The model is overloaded."), "ServerFailed"),
    Said(
        "code and msg",
        200,
        {"code": 500, "msg": "404 NOT_FOUND", "success": False},
        "ServerFailed",
        holds="404 NOT_FOUND",
    ),
    Said(
        "xml",
        503,
        "<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate &amp; wait</Message></Error>",
        "ServerFailed",
        holds="Reduce your rate & wait",
    ),
    Said(
        "upstream's words",
        502,
        {
            "error": {
                "message": "Provider returned error",
                "code": 502,
                "metadata": {"raw": '{"error": {"message": "CUDA out of memory"}}', "provider_name": "Novita"},
            }
        },
        "ServerFailed",
        holds="CUDA out of memory (Novita)",
    ),
    Said(
        "text alone",
        500,
        "upstream connect error or disconnect/reset before headers",
        "ServerFailed",
        holds="upstream connect error",
    ),
    Said("a code alone", 200, {"errors": [{"code": 1000}]}, "ServerFailed", holds="code 1000"),
    Said("a code as text", 200, {"error": {"code": "1001", "message": "no luck"}}, "ServerFailed", holds="no luck"),
    Said(
        "apigee",
        200,
        {
            "fault": {
                "faultstring": "Execution failed",
                "detail": {"errorcode": "steps.javascript.ScriptExecutionFailed"},
            }
        },
        "ServerFailed",
        holds="Execution failed",
    ),
    Said("text in 200", 200, "upstream request timeout", "ServerFailed", holds="upstream request timeout"),
    Said("a page in 200", 200, "<html><title>Sign in</title></html>", "ServerFailed", holds="Sign in"),
    Said("xml in 200", 200, "<failure><what>no disk</what></failure>", "ServerFailed", holds="no disk"),
    Said("a list of texts", 500, {"errors": ["first thing", "second thing"]}, "ServerFailed", holds="first thing"),
    Said("unknown names", 500, {"oops": {"what": "the disk is gone"}}, "ServerFailed", holds="the disk is gone"),
]

MODELS = [
    Said(
        "openai",
        404,
        openai("The model `m` does not exist or you do not have access to it.", "model_not_found"),
        "ModelNotFound",
        holds="does not exist",
    ),
    Said(
        "ollama",
        404,
        {"error": {"message": 'model "x" not found, try pulling it first', "type": "api_error"}},
        "ModelNotFound",
    ),
    Said("lm studio", 400, {"error": "No models loaded. Please load a model first."}, "ModelNotFound"),
    Said("deepseek", 400, openai("Model Not Exist", "invalid_request_error"), "ModelNotFound"),
    Said(
        "groq",
        400,
        openai("The model `x` has been decommissioned and is no longer supported.", "model_decommissioned"),
        "ModelNotFound",
    ),
    Said("zai", 200, {"error": {"code": "1211", "message": "模型不存在，请检查模型代码。"}}, "ModelNotFound"),
    Said(
        "vllm",
        404,
        {
            "object": "error",
            "message": "The model `x` does not exist.",
            "type": "NotFoundError",
            "param": "model",
            "code": 404,
        },
        "ModelNotFound",
    ),
    Said("gone", 410, {"message": "This API is gone"}, "ModelNotFound"),
]

TOO_LONG = [
    Said(
        "openai",
        400,
        openai(
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            "context_length_exceeded",
            param="messages",
        ),
        "ContextTooLong",
    ),
    Said(
        "anthropic",
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"},
        },
        "ContextTooLong",
    ),
    Said(
        "gemini",
        400,
        google(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200345) exceeds the maximum number of tokens allowed (1048576).",
        ),
        "ContextTooLong",
    ),
    Said(
        "groq",
        400,
        openai("Please reduce the length of the messages or completion.", "context_length_exceeded", param="messages"),
        "ContextTooLong",
    ),
    Said(
        "llama.cpp",
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size",
                "type": "exceed_context_size_error",
            }
        },
        "ContextTooLong",
    ),
    Said(
        "mistral",
        400,
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            "type": "invalid_request_prompt",
            "code": 3051,
        },
        "ContextTooLong",
    ),
    Said(
        "xai",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
        },
        "ContextTooLong",
    ),
    Said("ollama", 400, {"error": "prompt too long; exceeded max context length by 12 tokens"}, "ContextTooLong"),
    Said(
        "sglang",
        400,
        {
            "object": "error",
            "message": "Input length (50000 tokens) exceeds the maximum allowed length (32768 tokens).",
            "code": 400,
        },
        "ContextTooLong",
    ),
    Said("bedrock", 400, {"message": "Input is too long for requested model."}, "ContextTooLong"),
    Said(
        "siliconflow",
        400,
        {
            "code": 20015,
            "message": "number of input tokens (204703) has exceeded max_prompt_tokens (202752) limit.",
            "data": None,
        },
        "ContextTooLong",
    ),
    Said("nginx", 413, "<html><head><title>413 Request Entity Too Large</title></head></html>", "ContextTooLong"),
    Said(
        "old vllm",
        500,
        {
            "object": "error",
            "message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
            "type": "InternalServerError",
            "code": 500,
        },
        "ContextTooLong",
    ),
    Said(
        "dashscope",
        400,
        openai("Range of input length should be [1, 129024]", "invalid_parameter_error"),
        "ContextTooLong",
    ),
]

OTHERS = [
    Said("rails", 400, {"errors": {"messages": ["is too odd"]}}, "RequestRefused", holds="messages: is too odd"),
    Said(
        "a fault far inside",
        400,
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": "deep"}}}}}, "h": "near"}},
        "RequestRefused",
    ),
    Said("a plan", 403, openai("Your plan has no output tokens for a prompt of 1024 tokens"), "AuthFailed"),
    Said(
        "a gateway that can wait",
        429,
        {"error": {"message": "slow down", "metadata": {"retry_after_ms": 2500}}},
        "RateLimited",
        2.5,
    ),
    Said("a parameter as a server's fault", 500, openai("max_tokens must be <= 64"), "ParameterRefused"),
    Said(
        "an error beside an empty answer",
        200,
        {
            "choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}],
            "error": {"message": "no luck", "code": 502},
        },
        "ServerFailed",
        holds="no luck",
    ),
    Said("a page", 200, "so " * 400, "ServerFailed"),
]

REFUSED = [*LIMITS, *KEYS, *FILTERS, *SERVERS, *MODELS, *TOO_LONG, *OTHERS]
