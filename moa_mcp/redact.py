"""Takes keys out of text that others wrote, before a person, a log or a trace sees it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$", re.IGNORECASE)
_SHORTEST = 8
_LOOKS_SECRET = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|tgp_v1|key|fw|nvapi|hf|r8|pplx|csk|AKIA|AIza)[-_]?[A-Za-z0-9][A-Za-z0-9_*\-.]{6,}"
    r"|(?<=[Bb]earer )[A-Za-z0-9._~+/=*\-]{6,}"
)
MASK = "[key]"


def redact(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the text with every value of a key variable, and all that looks like a key, masked."""
    variables = os.environ if environ is None else environ
    for name, value in variables.items():
        if len(value) >= _SHORTEST and _SECRET_NAME.search(name):
            text = text.replace(value, MASK)
    return _LOOKS_SECRET.sub(MASK, text)
