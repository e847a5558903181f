"""Answers the requests to the paths of the API, each on behalf of its caller."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple, cast

from pydantic import JsonValue
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from moa_mcp import telemetry
from moa_mcp.errors import ChangeRefused
from moa_mcp.runs import CallerRuns, NewRun, chosen
from moa_mcp.server.bodies import MAX_BYTES, whole
from moa_mcp.server.doors import CHAT, Doors
from moa_mcp.server.openai import models, outcomes
from moa_mcp.server.openai.chat import Chat
from moa_mcp.server.openai.errors import PREFIX, ApiError
from moa_mcp.server.openai.layer import configured
from moa_mcp.server.openai.messages import question_of
from moa_mcp.server.openai.parameters import Parameters, read
from moa_mcp.server.request_cap import RequestCap
from moa_mcp.text.redact import redact
from moa_mcp.text.visible import quoted

MODELS = "models"
_log = logging.getLogger(__name__)


class _Asked(NamedTuple):
    """A request for the runs of its caller."""

    request: Request
    method: str
    params: dict[str, Any] | None = None


class OpenAIFace:
    """Answers requests to the paths of the API, and passes on others."""

    def __init__(
        self, app: ASGIApp, doors: Doors, announce: Callable[[CallerRuns], Awaitable[None]], cap: RequestCap
    ) -> None:
        """`announce` notifies the MCP clients of a caller that the list of its runs has changed.

        `cap` limits the requests for completions that are answered at once.
        """
        self._app = app
        self._doors = doors
        self._announce = announce
        self._cap = cap

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        name = scope["path"].removeprefix(PREFIX).rstrip("/")
        try:
            match scope["method"], name:
                case "POST", "chat/completions":
                    await self._chat(scope, receive, send)
                case "GET" | "HEAD", _ if name == MODELS or name.startswith(f"{MODELS}/"):
                    answer = self._listed(Request(scope), name.removeprefix(MODELS).removeprefix("/"))
                    await JSONResponse(answer)(scope, receive, send)
                case method, _:
                    raise _no_such(method, name)
        except ApiError as error:
            await error.response()(scope, receive, send)
        except ChangeRefused as error:
            await outcomes.of_error(error).response()(scope, receive, send)

    def _listed(self, request: Request, name: str) -> dict[str, object]:
        runs = self._doors.of(_Asked(request, MODELS))
        return models.described(models.named(runs, name)) if name else models.listing(runs)

    async def _chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await whole(receive)
        if body is None:
            return
        if (encoding := Headers(scope=scope).get("content-encoding", "identity").lower()) != "identity":
            shown = quoted(redact(encoding[:80]))
            raise ApiError(415, "unsupported_encoding", f"the body has the encoding {shown}; send it without")
        given = _parameters(body)
        runs = self._doors.of(_Asked(Request(scope), CHAT, {"name": given.model}))
        chat = Chat(runs, _new_run(given, runs), given, self._announce)
        with telemetry.client_trace(os.environ, Headers(scope=scope)):
            await self._cap.shared_by(chat.serve)(scope, receive, send)


def _parameters(body: bytes) -> Parameters:
    """Return the parameters in the body of a request. Raises `ApiError`."""
    if len(body) > MAX_BYTES:
        raise ApiError(413, "request_too_large", f"the body is too large: the limit is {MAX_BYTES} bytes")
    try:
        found = cast("JsonValue", json.loads(body))
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "invalid_json", "the body is not valid JSON in UTF-8") from error
    if not isinstance(found, dict):
        raise ApiError(400, "invalid_json", 'the body should be an object such as {"model": "...", "messages": [...]}')
    return read(found)


def _new_run(given: Parameters, runs: CallerRuns) -> NewRun:
    """Return the run that a request asks for. Raises `ApiError`, `ChangeRefused`."""
    config, more = runs.config, given.moa
    pipeline = chosen(models.named(runs, given.model), more.models or "", more.aggregator or "", config)
    return NewRun(
        pipeline=configured(pipeline, given, config),
        question=replace(question_of(given.messages), answer_schema=given.response_format.answer_schema),
        seed=given.seed,
        max_cost_usd=None if more.max_cost_usd is None else Decimal(str(more.max_cost_usd)),
        deadline_s=more.deadline_s,
        consent="budget",
    )


def _no_such(method: str, name: str) -> ApiError:
    return ApiError(
        404,
        "not_found",
        f"there is no {method} {PREFIX}{name}; this server answers GET /v1/models and POST /v1/chat/completions",
    )
