"""Answers the requests to the paths of the API, each on behalf of its caller."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, NamedTuple, cast

import anyio
from pydantic import JsonValue
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from moa_mcp import telemetry
from moa_mcp.errors import ChangeRefused, MoaError
from moa_mcp.runs import CallerRuns, NewRun, Run, chosen
from moa_mcp.server.bodies import MAX_BYTES, whole
from moa_mcp.server.doors import CHAT, Doors
from moa_mcp.server.openai import models, outcomes
from moa_mcp.server.openai.completions import Shape
from moa_mcp.server.openai.errors import PREFIX, ApiError
from moa_mcp.server.openai.layer import configured
from moa_mcp.server.openai.messages import question_of
from moa_mcp.server.openai.parameters import Parameters, read
from moa_mcp.server.openai.stream import EventStream
from moa_mcp.server.openai.streamed import StreamedText
from moa_mcp.trace.trace import Trace

MODELS = "models"
_log = logging.getLogger(__name__)


class _Asked(NamedTuple):
    """A request for the runs of its caller."""

    request: Request
    method: str
    params: dict[str, Any] | None = None


class OpenAIFace:
    """Answers requests to the paths of the API, and passes on others."""

    def __init__(self, app: ASGIApp, doors: Doors, announce: Callable[[CallerRuns], Awaitable[None]]) -> None:
        """`announce` notifies the MCP clients of a caller that the list of its runs has changed."""
        self._app = app
        self._doors = doors
        self._announce = announce

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
        given = _parameters(body)
        runs = self._doors.of(_Asked(Request(scope), CHAT, {"name": given.model}))
        chat = _Chat(runs, _new_run(given, runs), given, self._announce)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_when_gone, receive, tasks.cancel_scope)
            with telemetry.client_trace(os.environ, Headers(scope=scope)):
                await chat.answer(scope, receive, send)
            tasks.cancel_scope.cancel()


class _Chat:
    """One request for a completion. If it ends before its run, because its client goes away, the run is cancelled."""

    def __init__(
        self,
        runs: CallerRuns,
        request: NewRun,
        given: Parameters,
        announce: Callable[[CallerRuns], Awaitable[None]],
    ) -> None:
        self._runs = runs
        self._request = request
        self._given = given
        self._announce = announce
        self._run: Run | None = None

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the run and send its answer, or why there is none."""
        stream: EventStream | None = None
        try:
            if self._given.stream:
                text = StreamedText()
                run = await self._started(text)
                stream = EventStream(send, self._shape(run))
                await stream.begin()
                await stream.follow(run, text)
                with_usage = self._given.stream_options.include_usage
                await stream.finish(await self._ended(run), text, with_usage=with_usage)
            else:
                run = await self._started()
                await run.ended.wait()
                await self._whole(await self._ended(run), self._shape(run))(scope, receive, send)
        except (ApiError, MoaError) as error:
            fault = error if isinstance(error, ApiError) else outcomes.of_error(error)
        except anyio.get_cancelled_exc_class():
            if self._run is not None and not self._run.ended.is_set():
                self._runs.abort(self._run)
            raise
        except Exception:  # noqa: BLE001  it is logged, and its text is not for clients
            _log.exception("unexpected error in a chat completion")
            fault = outcomes.INTERNAL
        else:
            return
        await (fault.response()(scope, receive, send) if stream is None else stream.fail(fault))

    async def _started(self, text: StreamedText | None = None) -> Run:
        ready = outcomes.started(await self._runs.admit(self._request))
        # a run that begins although its request has ended is cancelled at the next await
        run = self._run = await self._runs.start(ready, None if text is None else text.hear)
        await self._announce(self._runs)
        return run

    async def _ended(self, run: Run) -> Trace:
        """Return the trace of a run that has ended here. If another process has taken it over, wait for that one."""
        if not run.trace.interrupted:
            return run.trace
        await self._runs.inactive(run.run_id)
        return await self._runs.trace(run.run_id)

    def _shape(self, run: Run) -> Shape:
        return Shape(run.run_id, self._given.model, self._runs.backend.simulated)

    @staticmethod
    def _whole(trace: Trace, shape: Shape) -> JSONResponse:
        if trace.answer is None:
            raise outcomes.of_run(trace, shape.about(trace))
        cost = {} if trace.cost_usd is None else {"x-moa-cost-usd": f"{trace.cost_usd:f}"}
        return JSONResponse(shape.completion(trace), headers={"x-moa-run-id": trace.run_id, **cost})


async def _end_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


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
        question=question_of(given.messages),
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
