"""Masks keys in untrusted text before it reaches a user, a log or a trace."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)(_?\d+)?$", re.IGNORECASE)
_HEADERS = re.compile(r"OTEL_EXPORTER_OTLP_([A-Z]+_)?HEADERS")
"""Variables whose value is a list of headers, such as ``api-key=abc,team=x``."""
_HEADER_NAME = re.compile(r"^[^=:]*[=:]\s*(?:bearer(?:\s|%20)+)?", re.IGNORECASE)
_SHORTEST = 8
_LOOKS_SECRET = re.compile(
    r"\b(?:(?:sk|pk|rk|gsk|xai|tgp_v1|fw|nvapi|hf|r8|pplx|csk)[-_]|AKIA|AIza)[A-Za-z0-9*][A-Za-z0-9_*\-.]{6,}"
    r"|\bmoa_[A-Za-z0-9_-]{43}"  # a caller's token
    r"|\bkey[-_](?=\S*[\d*])[A-Za-z0-9*][A-Za-z0-9_*\-.]{6,}"
    r"|(?<=://)[^/\s@]+(?=@)"
    r"|(?<=[Bb]earer )[A-Za-z0-9._~+/=*\-]{6,}"
)
MASK = "[key]"


def is_secret(name: str) -> bool:
    """Whether the value of a variable with this name is masked."""
    return _SECRET_NAME.search(name) is not None


def redact(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the text with masks for the values of key variables and for everything that looks like a key."""
    variables = os.environ if environ is None else environ
    secrets = {value.strip() for name, value in variables.items() if is_secret(name)}
    headers = [each for name, value in variables.items() if _HEADERS.fullmatch(name) for each in value.split(",")]
    secrets.update(_HEADER_NAME.sub("", header.strip()) for header in headers)
    values = {value for value in secrets if len(value) >= _SHORTEST}
    for value in sorted(values, key=len, reverse=True):  # a value may begin with another one
        text = text.replace(value, MASK)
    return _LOOKS_SECRET.sub(MASK, text)
