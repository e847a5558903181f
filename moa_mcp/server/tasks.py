"""Runs as tasks of the extension io.modelcontextprotocol/tasks (SEP-2663): the client gets a handle and polls it.

A task is a run, and its id is the run's. Its state is in the journal, so it survives this process. Clients without the
extension, and clients older than 2026-07-28, do not see tasks.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from moa_mcp.errors import JournalError, RunNotFound, RunNotResumable, TooManyRuns
from moa_mcp.journal import RunRecord
from moa_mcp.runs import CallerRuns, Ready, ResumedRun
from moa_mcp.server import results
from moa_mcp.server.doors import Doors
from moa_mcp.server.waiting import Context
from moa_mcp.values import ACTIVE

EXTENSION = "io.modelcontextprotocol/tasks"
POLL_MS = 1_000
"""Recommended milliseconds between two polls."""

TaskResult = dict[str, Any]
"""A task as JSON. Not a model, since serializing one drops nulls, but `ttlMs` must be null."""


class TaskParams(types.RequestParams):
    """Identifies a task. The responses in `tasks/update` are ignored, since runs ask no questions."""

    task_id: str


class Tasks:
    """Serves runs as tasks: creates, reports and cancels them."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def register(self, server: Server[None]) -> None:
        """Serve the extension's methods and advertise it."""
        server.extensions[EXTENSION] = {}
        server.add_request_handler("tasks/get", TaskParams, self.get)
        server.add_request_handler("tasks/update", TaskParams, self.update)
        server.add_request_handler("tasks/cancel", TaskParams, self.cancel)
        server.middleware.append(_require_for_listening)

    async def handle(self, runs: CallerRuns, run_id: str) -> TaskResult:
        """Return a running run as a task. Raises `RunNotFound`, `JournalError`."""
        record, trace = await runs.record(run_id), await runs.trace(run_id)
        return {"resultType": "task", **_task(record, "working", results.progress(trace))}

    async def get(self, context: Context, params: TaskParams) -> TaskResult:
        """Return the state of a task, with the result of its call if it has ended.

        An interrupted run is resumed, as by moa_wait.
        """
        _check(context, params)
        runs, run_id = self._doors.of(context), params.task_id
        with _explained(run_id):
            trace = await runs.trace(run_id)
            refusal = None
            if trace.interrupted and not runs.draining:  # else another process takes it up
                refusal = await _take_up(runs, run_id)
                trace = await runs.trace(run_id)
            record = await runs.record(run_id)
        if refusal and trace.interrupted:
            return _completed(record, refusal, results.error(refusal))
        if ACTIVE.intersection({trace.status, record.status}):  # it has ended only when its end is recorded
            return _complete(_task(record, "working", results.progress(trace)))
        if trace.status == "cancelled":
            return _complete(_task(record, "cancelled", trace.status))
        return _completed(
            record, trace.status, results.of_run(trace, simulated=runs.backend.simulated, shared=runs.shared)
        )

    async def update(self, context: Context, params: TaskParams) -> TaskResult:
        """Acknowledge responses. No run asks for any."""
        _check(context, params)
        with _explained(params.task_id):
            await self._doors.of(context).record(params.task_id)
        return _complete({})

    async def cancel(self, context: Context, params: TaskParams) -> TaskResult:
        """Cancel a task's run, in this or another process. A run that has ended does not change."""
        _check(context, params)
        with _explained(params.task_id):
            await self._doors.of(context).cancel(params.task_id)
        return _complete({})


async def _take_up(runs: CallerRuns, run_id: str) -> str | None:
    """Resume an interrupted run, or return why it can't be resumed."""
    try:
        admitted = await runs.admit(ResumedRun(run_id=run_id))
        if not isinstance(admitted, Ready):
            return str(admitted)
        await runs.start(admitted)
    except (RunNotResumable, TooManyRuns) as error:
        return str(error)
    return None


def declared(context: Context) -> bool:
    """Whether the client of this request accepts a task as a result."""
    capabilities = context.session.client_capabilities
    extensions = capabilities.extensions if capabilities else None
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS and EXTENSION in (extensions or {})


def _check(context: Context, params: TaskParams) -> None:
    """Reject clients without the extension, and requests whose header and body name different tasks."""
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(types.METHOD_NOT_FOUND, "Method not found", data=context.method)
    if not declared(context):
        raise _missing()
    named: str | None = None if context.request is None else context.request.headers.get(MCP_NAME_HEADER)
    # Some clients omit the required header (fastmcp-tasks 4.1); nothing here depends on it.
    if named is not None and decode_header_value(named) != params.task_id:
        raise MCPError(types.HEADER_MISMATCH, "Mcp-Name header does not match taskId in the request body")


async def _require_for_listening(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Middleware: reject subscriptions to tasks without the extension, which the SDK does not check."""
    if ctx.method == "subscriptions/listen" and not declared(ctx):
        wanted = (ctx.params or {}).get("notifications")
        if isinstance(wanted, dict) and "taskIds" in wanted:
            raise _missing()
    return await call_next(ctx)


def _missing() -> MCPError:
    return MCPError(
        types.MISSING_REQUIRED_CLIENT_CAPABILITY,
        f"Missing required client capability: the extension {EXTENSION}",
        data={"requiredCapabilities": {"extensions": {EXTENSION: {}}}},
    )


@contextmanager
def _explained(task_id: str) -> Generator[None]:
    try:
        yield
    except RunNotFound as error:
        raise MCPError(types.INVALID_PARAMS, f"Unknown task: {error}", data={"taskId": task_id}) from error
    except JournalError as error:
        raise MCPError(types.INTERNAL_ERROR, str(error)) from error


def _task(record: RunRecord, status: str, message: str) -> TaskResult:
    return {
        "taskId": record.run_id,
        "status": status,
        "statusMessage": message,
        "createdAt": _time(record.created_at),
        "lastUpdatedAt": _time(record.updated_at),
        "ttlMs": None,
        "pollIntervalMs": POLL_MS,
    }


def _completed(record: RunRecord, message: str, result: types.CallToolResult) -> TaskResult:
    inlined = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return _complete({**_task(record, "completed", message), "result": inlined})


def _complete(result: TaskResult) -> TaskResult:
    return {"resultType": "complete", **result}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
