"""What providers say of a parameter that they refuse, and what is sent to them after that."""

# ruff: noqa: E501, RUF001  what a provider says stays in one piece, with its own characters

from __future__ import annotations

from typing import Any, NamedTuple

LIMIT, WARM = {"max_tokens": 20_000}, {"temperature": 1.7, "max_tokens": 100}
RENAMED = {"max_completion_tokens": 20_000}


class Case(NamedTuple):
    """A refusal of some parameters, and the parameters of the next request; None where there must be none."""

    told: str
    sent: dict[str, Any]
    then: dict[str, Any] | None
    status: int = 400
    param: str | None = None


CASES = [
    # a limit that is too large
    Case(
        "max_tokens is too large: 20000. This model supports at most 16384 completion tokens, whereas you provided 20000.",
        LIMIT,
        {"max_tokens": 16_384},
    ),
    Case("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", LIMIT, {"max_tokens": 8192}),
    Case(
        "max_tokens: 20000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-haiku",
        LIMIT,
        {"max_tokens": 8192},
    ),
    Case(
        "Unable to submit request because it has a maxOutputTokens value of 20000 but the supported range is from 1 (inclusive) to 8193 (exclusive). Update the value and try again.",
        LIMIT,
        {"max_tokens": 8192},
    ),
    Case(
        "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the `context_window` for this model",
        LIMIT,
        {"max_tokens": 8192},
    ),
    Case(
        "too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model - received 20000.",
        LIMIT,
        {"max_tokens": 4096},
    ),
    Case(
        "The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value that is lower than 4096.",
        LIMIT,
        {"max_tokens": 4096},
    ),
    Case(
        "Malformed input request: #/max_tokens_to_sample: 20000 is not less or equal to 4096, please reformat your input and try again.",
        LIMIT,
        {"max_tokens": 4096},
    ),
    Case(
        "Value '20000' at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must have value less than or equal to 10000",
        LIMIT,
        {"max_tokens": 10_000},
    ),
    Case(
        "The parameter `max_tokens` specified in the request are not valid: integer above maximum value, expected a value <= 12288, but got 20000 instead.",
        LIMIT,
        {"max_tokens": 12_288},
    ),
    Case("max_tokens should be between 1 and 8,192", LIMIT, {"max_tokens": 8192}),
    Case("max_tokens must not exceed 4096 for this model", LIMIT, {"max_tokens": 4096}),
    Case("The maximum value for max_tokens is 4096", LIMIT, {"max_tokens": 4096}),
    Case("max_tokens is greater than maximum 4096", LIMIT, {"max_tokens": 4096}),
    Case("max_tokens must be less than 4097", LIMIT, {"max_tokens": 4096}),
    Case("max_tokens cannot be greater than 4096", LIMIT, {"max_tokens": 4096}),
    Case("max_tokens (20000) exceeds the limit of 4096 tokens", LIMIT, {"max_tokens": 4096}),
    Case("Please set max_tokens to 4096 or less.", LIMIT, {"max_tokens": 4096}),
    Case("max_tokens 不能大于 8192", LIMIT, {"max_tokens": 8192}),
    Case("max_tokens参数非法。限制数值范围[1,98304]", {"max_tokens": 100_000}, {"max_tokens": 98_304}),
    Case("body.max_tokens: Input should be less than or equal to 8192", LIMIT, {"max_tokens": 8192}, 422),
    Case(
        "max_completion_tokens is too large: 20000. This model supports at most 4096 completion tokens.",
        RENAMED,
        {"max_completion_tokens": 4096},
    ),
    Case(
        "Param Incorrect",
        LIMIT,
        {"max_tokens": 4096},
        param="max_tokens is too large: 20000. This model supports at most 4096 completion tokens",
    ),
    Case("max_tokens is too large", LIMIT, {"max_tokens": 10_000}),
    Case("Invalid value", LIMIT, {"max_tokens": 10_000}, param="max_tokens"),
    Case(
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 1 instead.",
        {"max_tokens": 1},
        {"max_tokens": 16},
    ),
    Case("max_tokens out of bounds: 1 <= max_tokens <= 8192", LIMIT, {"max_tokens": 8192}),
    Case(
        "[{'type': 'less_than_equal', 'loc': ('body', 'max_tokens'), 'msg': 'Input should be valid', 'ctx': {'le': 8192}}]",
        LIMIT,
        {"max_tokens": 8192},
    ),
    Case("max_tokens may be 32k at most, the limit is 16k", {"max_tokens": 40_000}, {"max_tokens": 16_000}),
    Case("The request goes beyond the 1024-token cap", LIMIT, {"max_tokens": 1024}),
    Case("max_tokens must be <= 1024", LIMIT, {"max_tokens": 1024}, 401),
    Case("max_tokens must be <= 1024", LIMIT, {"max_tokens": 1024}, 402),
    Case("max_tokens must be <= 1024", LIMIT, {"max_tokens": 1024}, 403),
    Case("max_tokens must be <= 1024", LIMIT, {"max_tokens": 1024}, 409),
    Case("max_tokens must be <= 1024", LIMIT, {"max_tokens": 1024}, 429),
    Case("Your plan allows at most 1024 output tokens per request", LIMIT, {"max_tokens": 1024}, 403),
    Case("completion length 20000 is over the ceiling of 1024 tokens", LIMIT, {"max_tokens": 1024}),
    Case("Too many tokens requested: 20000 (limit 1024)", LIMIT, {"max_tokens": 1024}),
    Case("Output is capped at 1024 tokens", LIMIT, {"max_tokens": 1024}),
    Case("output token budget is 1024, but 20000 was requested", LIMIT, {"max_tokens": 1024}),
    Case("requested 20000 tokens, allowed 1024", LIMIT, {"max_tokens": 1024}),
    Case("maxTokens=20000 is beyond what this model can generate (1024)", LIMIT, {"max_tokens": 1024}),
    Case("Cannot generate more than 1024 tokens", LIMIT, {"max_tokens": 1024}),
    Case("max_tokens 20000 surpasses 1024", LIMIT, {"max_tokens": 1024}),
    Case("1024 tokens is the most that this model writes", LIMIT, {"max_tokens": 1024}),
    Case("Unsupported value: 'max_tokens' does not support 20000 with this model.", LIMIT, {"max_tokens": 10_000}),
    Case("max_tokens darf höchstens 1024 sein", LIMIT, {"max_tokens": 1024}),
    Case("max_tokens no puede superar 1024 (código 400)", LIMIT, {"max_tokens": 1024}),
    # a limit that the account can't pay for
    Case("You requested up to 20000 tokens, but can only afford 1024.", LIMIT, {"max_tokens": 1024}, 402),
    Case("Your balance is enough for 2,048 tokens", LIMIT, {"max_tokens": 2048}, 402),
    # a limit for which the prompt leaves no room
    Case(
        "'max_tokens' or 'max_completion_tokens' is too large: 20000. This model's maximum context length is 8192 tokens and your request has 4000 input tokens (20000 > 8192 - 4000).",
        LIMIT,
        {"max_tokens": 4192},
    ),
    Case(
        "This model's maximum context length is 8192 tokens. However, you requested 24000 tokens (4000 in the messages, 20000 in the completion). Please reduce the length of the messages or completion.",
        LIMIT,
        {"max_tokens": 4192},
    ),
    Case(
        "This endpoint's maximum context length is 8192 tokens. However, you requested about 24000 tokens (4000 of text input, 20000 in the output).",
        LIMIT,
        {"max_tokens": 4192},
    ),
    Case(
        "input length and `max_tokens` exceed context limit: 4000 + 20000 > 8192, decrease input length or `max_tokens` and try again",
        LIMIT,
        {"max_tokens": 4192},
    ),
    Case(
        "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 24000 tokens: 4000 tokens from the input messages and 20000 tokens for the completion.",
        LIMIT,
        {"max_tokens": 4192},
    ),
    Case(
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8192. Given: 4000 `inputs` tokens and 20000 `max_new_tokens`",
        LIMIT,
        {"max_tokens": 4192},
        422,
    ),
    Case(
        "This model's maximum context length is 8192 tokens. However, you requested 20000 output tokens and your prompt contains at least 4000 input tokens, for a total of at least 24000 tokens.",
        LIMIT,
        {"max_tokens": 4192},
    ),
    Case(
        "This model's maximum context length is 8192 tokens. However, you requested 28192 tokens (8190 in the messages, 20000 in the completion).",
        LIMIT,
        None,
    ),
    # a limit under another name
    Case(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        LIMIT,
        RENAMED,
    ),
    Case("max_tokens: Extra inputs are not permitted", LIMIT, RENAMED, 422),
    Case("Unknown parameter: 'max_completion_tokens'.", RENAMED, LIMIT),
    Case("property 'max_completion_tokens' is unsupported, did you mean 'max_tokens'?", RENAMED, LIMIT),
    Case("Unrecognized request argument supplied: max_completion_tokens", RENAMED, LIMIT),
    # a temperature out of range
    Case("temperature: range: 0..1", WARM, {"temperature": 1, "max_tokens": 100}),
    Case("temperature: Input should be less than or equal to 1", WARM, {"temperature": 1, "max_tokens": 100}, 422),
    Case("The temperature parameter is illegal.：限制数值范围[0,1]", WARM, {"temperature": 1, "max_tokens": 100}),
    Case(
        "<400> InternalError.Algo.InvalidParameter: Temperature should be in (0.0, 1.5)",
        WARM,
        {"temperature": 1.49, "max_tokens": 100},
    ),
    Case(
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 1.5, but got 1.7 instead.",
        WARM,
        {"temperature": 1.5, "max_tokens": 100},
    ),
    Case("1.7 is greater than the maximum of 1.5 - 'temperature'", WARM, {"temperature": 1.5, "max_tokens": 100}),
    Case("temperature must be between 0 and 1", WARM, {"temperature": 1, "max_tokens": 100}),
    Case("temperature is out of range", WARM, {"temperature": 1, "max_tokens": 100}),
    Case("`temperature` must be strictly positive", {"temperature": 0}, {"temperature": 0.01}, 422),
    Case("Invalid params: temperature must be in range (0, +inf)", {"temperature": 0.0}, {"temperature": 0.01}, 422),
    Case(
        "`top_p` must be > 0.0 and < 1.0. If you wish to disable it, leave it out", {"top_p": 1.0}, {"top_p": 0.99}, 422
    ),
    Case("top_p must be in (0, 1], got 1.2.", {"top_p": 1.2}, {"top_p": 1.0}),
    # a temperature that is not taken
    Case(
        "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported.",
        {"temperature": 0.7},
        {},
    ),
    Case("`temperature` is deprecated for this model.", {"temperature": 0.7}, {}),
    Case("`temperature` may only be set to 1 when thinking is enabled.", {"temperature": 0.7}, {}),
    Case("invalid temperature: only 1 is allowed for this model", {"temperature": 0.7}, {}),
    Case("Argument not supported on this model: temperature", {"temperature": 0.7}, {}),
    Case(
        "openai does not support parameters: ['temperature'], for model=m. To drop these, set `litellm.drop_params=True`",
        {"temperature": 0.7},
        {},
    ),
    # two that are not taken together
    Case(
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        {"temperature": 0.5, "top_p": 0.9},
        {"temperature": 0.5},
    ),
    Case("top_p and temperature are mutually exclusive", {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}),
]

HIGH: dict[str, Any] = {"reasoning_effort": "high", "max_tokens": 2048}
MEDIUM, LOW = {**HIGH, "reasoning_effort": "medium"}, {**HIGH, "reasoning_effort": "low"}
MOST, NONE = {**HIGH, "reasoning_effort": "max"}, {**HIGH, "reasoning_effort": "none"}
WITHOUT = {"max_tokens": 2048}
EFFORTS = [
    # OpenAI, and servers that write as it does
    Case(
        "Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported values are: 'minimal', 'low', 'medium', and 'high'.",
        NONE,
        {**HIGH, "reasoning_effort": "minimal"},
    ),
    Case(
        "Unsupported value: 'reasoning_effort' does not support 'medium' with this model. Supported values are: 'low', 'high', and 'max'.",
        MEDIUM,
        LOW,
    ),
    Case("Unsupported parameter: 'reasoning_effort' is not supported with this model.", HIGH, WITHOUT),
    Case("Unrecognized request argument supplied: reasoning_effort", HIGH, WITHOUT),
    Case(
        "Invalid value: 'max'. Supported values are: 'low', 'medium', and 'high'.", MOST, HIGH, param="reasoning_effort"
    ),
    Case("reasoning_effort: the supported values depend on the model", HIGH, WITHOUT),
    # Groq
    Case("`reasoning_effort` must be one of `none` or `default`", HIGH, {**HIGH, "reasoning_effort": "default"}),
    Case("`reasoning_effort` must be one of `low`, `medium`, or `high`", NONE, LOW),
    Case(
        "'reasoning_effort' : value is not one of the allowed values ['none', 'default', 'low', 'medium', 'high']",
        MOST,
        HIGH,
    ),
    Case("property 'reasoning_effort' is unsupported, did you mean 'reasoning_format'?", HIGH, WITHOUT),
    # xAI
    Case("Model grok-4.20-0309-reasoning does not support parameter reasoningEffort.", HIGH, WITHOUT),
    Case("invalid-argument: Invalid reasoning effort.", MOST, HIGH),
    Case("Argument not supported on this model: reasoning_effort", HIGH, WITHOUT),
    # Mistral
    Case(
        "reasoning_effort='medium' is not supported for this model. Must be one of (<ReasoningEffort.none: 'none'>, <ReasoningEffort.high: 'high'>)",
        MEDIUM,
        HIGH,
    ),
    Case("reasoning_effort: Extra inputs are not permitted", HIGH, WITHOUT, 422),
    # Anthropic, also through litellm
    Case(
        "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking",
        HIGH,
        MEDIUM,
    ),
    Case("effort='max' is not supported by this model. Got model: claude-opus-4-5", MOST, HIGH),
    Case("anthropic does not support parameters: ['reasoning_effort'], for model=claude-3-5-haiku", HIGH, WITHOUT),
    Case("output_config.effort: Input should be 'low', 'medium' or 'high'", MOST, HIGH),
    # Moonshot, SGLang
    Case(
        "Validation error for `reasoning_effort`: expected one of `'low' | 'medium' | 'high'`, received `'max'`",
        MOST,
        HIGH,
    ),
    Case(
        "1 validation error: {'type': 'literal_error', 'loc': ('body', 'reasoning_effort'), 'msg': \"Input should be 'low', 'medium' or 'high'\", 'input': 'max'}",
        MOST,
        HIGH,
    ),
    # a gateway
    Case(
        'reasoning_effort: level "max" not supported, valid levels: low, medium, high, xhigh',
        MOST,
        {**HIGH, "reasoning_effort": "xhigh"},
    ),
]
"""What providers say of a reasoning effort, as users report it, and what is sent after that."""

VALIDATED = [
    (
        [{"type": "less_than_equal", "loc": ["body", "max_tokens"], "msg": "wrong", "ctx": {"le": 8192}}],
        {"max_tokens": 8192},
    ),
    ([{"type": "less_than", "loc": ["body", "max_tokens"], "msg": "wrong", "ctx": {"lt": 8192}}], {"max_tokens": 8191}),
    (
        [
            {
                "type": "value_error.number.not_le",
                "loc": ["body", "max_tokens"],
                "msg": "wrong",
                "ctx": {"limit_value": 8192},
            }
        ],
        {"max_tokens": 8192},
    ),
    (
        [{"type": "value_error.number.not_ge", "loc": ["max_tokens"], "msg": "wrong", "ctx": {"limit_value": 30_000}}],
        {"max_tokens": 30_000},
    ),
    (
        [
            {
                "type": "less_than_equal",
                "loc": ["body", "max_tokens"],
                "msg": "wrong",
                "ctx": {"le": 8192, "error": {}},
            },
            {"type": "less_than_equal", "loc": ["body", "top_p"], "msg": "wrong", "ctx": {"le": 1}},
        ],
        {"max_tokens": 8192},
    ),
    ([{"type": "extra_forbidden", "loc": ["body", "max_tokens"], "msg": "Extra inputs are not permitted"}], RENAMED),
]
"""What a server's validation tells of the limit, and the next request."""

SYSTEM = [
    (400, "Developer instruction is not enabled for models/gemma-3-27b-it"),
    (400, "System role not supported"),
    (500, "System role not supported"),
    (400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    (400, "This model doesn't support system messages. Try again without system messages."),
    (400, "Only user and assistant roles are supported!"),
    (400, 'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter'),
    (400, "Unsupported value: 'messages[0].role' does not support 'system' with this model."),
    (400, "模型不支持的 message role: system"),
    (500, "Error rendering prompt with jinja template: raise_exception"),
    (422, "messages.0.role: Input should be 'user' or 'assistant'"),
    (400, "'system' is not one of ['user', 'assistant'] - 'messages.0.role'"),
    (400, "System instruction is not supported for this model"),
]
"""Status and words where a model takes no system message."""

FORMAT = [
    "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
    "This response_format type is unavailable now",
    "The parameter `response_format.type` specified in the request are not valid: invalid value: `json_schema`, supported values are: `json_object` and `text`.",
    "response_schema is not supported for this model",
    "This model does not support structured outputs",
    "'response_format.type' must be 'json_object'",
    "JSON mode is not enabled for this model",
]
