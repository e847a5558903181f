"""Errors as the API of OpenAI writes them. Clients choose their exception by the status, so it says who can help."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

from moa_mcp.text.surrogates import mended

PREFIX = "/v1/"
"""What the paths of this API begin with."""
_TYPES: Mapping[int, str] = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """A request that gets no answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        moa: Mapping[str, object] | None = None,
    ) -> None:
        """Refuse. The message says what is wrong and what to do; `moa` has the run, if one was started."""
        message = mended(message)  # it may quote the request
        super().__init__(message)
        self._status = status
        self._error = {"message": message, "type": _type(status), "param": param and mended(param), "code": code}
        self._retry_after_s = retry_after_s
        self._moa = moa

    @property
    def body(self) -> dict[str, object]:
        """The error as JSON data, as an answer or in a stream."""
        return {"error": self._error} if self._moa is None else {"error": self._error, "moa": dict(self._moa)}

    def response(self, headers: Mapping[str, str] | None = None) -> JSONResponse:
        """Return the answer."""
        given = dict(headers or {})
        if self._retry_after_s is not None:
            given["Retry-After"] = str(max(1, math.ceil(self._retry_after_s)))
        elif self._status >= HTTPStatus.CONFLICT and "Retry-After" not in given:
            # Clients of OpenAI repeat requests with these statuses on their own, and would pay for another run.
            given["x-should-retry"] = "false"
        if self._moa is not None:
            given["x-moa-run-id"] = str(self._moa["run_id"])
        return JSONResponse(self.body, self._status, given)


def _type(status: int) -> str:
    return "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _TYPES.get(status, "invalid_request_error")
