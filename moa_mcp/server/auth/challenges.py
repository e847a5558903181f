"""Refusals of HTTP requests, as RFC 6750 and RFC 6585 write them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from moa_mcp.server.refusals import HttpRefusal

Code = Literal["", "invalid_request", "invalid_token", "insufficient_scope", "rate_limited", "unavailable"]
"""The `error` of a refusal; empty if a request has no token, which is not an error (RFC 6750, section 3.1)."""

_STATUS: Mapping[Code, int] = {
    "": 401,
    "invalid_request": 400,
    "invalid_token": 401,
    "insufficient_scope": 403,
    "rate_limited": 429,
    "unavailable": 503,
}


class Denied(Exception):
    """A request is refused."""

    def __init__(self, code: Code, description: str, *, retry_after_s: float | None = None, caller: str = "") -> None:
        """Refuse. The description is for the developers of clients, and quotes nothing from a token."""
        super().__init__(description)
        self.code: Code = code
        self.description = description
        self.retry_after_s = retry_after_s
        self.caller = caller
        """The name of the caller; empty if it is not known."""


def response(denied: Denied, *, metadata_url: str = "", scope: str = "") -> HttpRefusal:
    """Return the answer to a refused request.

    Args:
        denied: The refusal.
        metadata_url: Where the protected resource metadata is (RFC 9728, section 5.1); empty if there is none.
        scope: Scopes to ask for, separated by spaces; empty if there are none.

    """
    headers: dict[str, str] = {}
    if denied.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(denied.retry_after_s)))
    status = _STATUS[denied.code]
    if status < 429:  # noqa: PLR2004  later ones are no matter of authentication
        headers["WWW-Authenticate"] = _challenge(denied, metadata_url, scope)
        headers["Connection"] = "close"  # clients without a token can't occupy connections
    return HttpRefusal(status, denied.code or "unauthorized", denied.description, headers)


def _challenge(denied: Denied, metadata_url: str, scope: str) -> str:
    parameters = {
        "error": denied.code,
        "error_description": denied.description if denied.code else "",
        "scope": scope if denied.code in {"", "insufficient_scope"} else "",
        "resource_metadata": metadata_url,
    }
    shown = ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value)
    return f"Bearer {shown}".rstrip()
