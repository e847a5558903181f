from __future__ import annotations

import pytest

from moa_mcp.text.redact import MASK, redact


@pytest.mark.parametrize(
    "key",
    [
        "sk-abc123def456ghi789",
        "sk-proj-Ab_cd-Ef12345678901234567890",
        "sk-ant-api03-AbCdEf-123_456",
        "sk-or-v1-0123456789abcdef",
        "sk-lf-0123456789",
        "sk-abcde***xyz",
        "pk-lf-0123456789",
        "gsk_abcdefGHIJ1234567890",
        "xai-AbCdEf1234567890",
        "AIzaSyA1234567890_abcdefghijk",
        "AKIAIOSFODNN7EXAMPLE",
        "hf_AbCdEfGhIjKlMnOp",
        "r8_AbCdEfGhIjKlMnOp",
        "pplx-0123456789abcdef",
        "nvapi-Ab_12345678",
        "tgp_v1_AbCdEf123456",
        "fw_AbCdEf123456",
        "csk-abcdef123456",
        "key-0123456789abcdef",
    ],
)
def test_what_looks_like_a_key_is_masked_and_the_rest_stays(key: str) -> None:
    assert redact(f"Incorrect API key provided: {key}, see https://x.", {}) == (
        f"Incorrect API key provided: {MASK}, see https://x."
    )
    assert redact(f'{{"key": "{key}"}}', {}) == f'{{"key": "{MASK}"}}'


def test_a_bearer_token_of_any_shape_is_masked() -> None:
    assert redact("Authorization: Bearer abc.def+/ghi=", {}) == f"Authorization: Bearer {MASK}"
    assert redact("authorization: bearer abcdef", {}) == f"authorization: bearer {MASK}"


@pytest.mark.parametrize(
    "text",
    [
        "the keyboard and the keyword-arguments",
        "sketching a skeleton, skydiving, skillfully",
        "a key-value-store",
        "task-specific and risk-adjusted",
        "model gpt-5-nano-2025-08-07 at http://localhost:11434/v1",
        "rate limit: 60 requests per minute",
        "",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text, {}) == text


@pytest.mark.parametrize(
    "name",
    [
        "MISTRAL_API_KEY",
        "HF_TOKEN",
        "AZURE_CLIENT_SECRET",
        "DB_PASSWORD",
        "MY_CREDENTIALS",
        "api_key",
        "OPENAI_API_KEY_2",
    ],
)
def test_the_exact_value_of_a_key_variable_is_masked_wherever_it_stands(name: str) -> None:
    value = "Zx8kW2pLq0"
    assert redact(f"x{value}y, {value}", {name: value}) == f"x{MASK}y, {MASK}"


@pytest.mark.parametrize(("name", "value"), [("HOME", "/home/somebody"), ("API_KEY", "short12"), ("TOKEN", "")])
def test_values_of_other_variables_and_very_short_ones_stay(name: str, value: str) -> None:
    assert redact(f"in {value} or so", {name: value}) == f"in {value} or so"


def test_a_key_that_begins_like_another_leaves_nothing_of_it() -> None:
    environ = {"A_KEY": "Zx8kW2pL", "B_KEY": "Zx8kW2pLq0rest"}
    assert redact("Zx8kW2pLq0rest, Zx8kW2pL", environ) == f"{MASK}, {MASK}"


def test_the_environment_is_that_of_the_process_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "Zx8kW2pLq0")
    assert redact("it is Zx8kW2pLq0") == f"it is {MASK}"
    assert redact("it is Zx8kW2pLq0", {}) == "it is Zx8kW2pLq0"


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
@pytest.mark.parametrize("headers", ["team=x, api-key={}", "authorization=Bearer%20{}", "x-api-key: {}"])
def test_the_values_of_headers_for_telemetry_are_masked_and_their_names_stay(name: str, headers: str) -> None:
    secret = "abcdefgh12345678"
    assert redact(f"invalid header: api-key {secret}", {name: headers.format(secret)}) == (
        f"invalid header: api-key {MASK}"
    )
