"""The tools: one for each pipeline, and those that manage runs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server.context import CallNext, HandlerResult
from mcp.shared.exceptions import MCPError

from moa_mcp.config import Pipeline
from moa_mcp.errors import (
    ChangeRefused,
    JournalError,
    RunAmbiguous,
    RunNotFound,
    RunNotResumable,
    TooManyRuns,
)
from moa_mcp.files.images import images_of
from moa_mcp.files.refused import FileRefused
from moa_mcp.planning.forecast import assumed
from moa_mcp.planning.plan import plan
from moa_mcp.runs import CallerRuns, ForkedRun, NewRun, Ready, ResumedRun, Run, RunRequest, changed, chosen
from moa_mcp.runs.lookup import LAST
from moa_mcp.server import apps, estimates, results, spellings
from moa_mcp.server.arguments import (
    AskArguments,
    BadArguments,
    EstimateArguments,
    ForkArguments,
    ResumeArguments,
    RunArguments,
    TraceArguments,
    WaitArguments,
    exact,
    read,
)
from moa_mcp.server.asking import Unstarted, admitted
from moa_mcp.server.doors import Doors
from moa_mcp.server.listing import SHOWN_RUNS, VIEW, own_tools, pipeline_tool, view_tool
from moa_mcp.server.pages import only_page, page
from moa_mcp.server.readiness import Readiness, readiness
from moa_mcp.server.tasks import TaskResult, Tasks, declared
from moa_mcp.server.views import Views
from moa_mcp.server.waiting import CancellationPolicy, Context, follow
from moa_mcp.text.suggest import closest
from moa_mcp.text.visible import quoted
from moa_mcp.trace.trace import Trace
from moa_mcp.values import ACTIVE, Image, Question

GivenRun = TypeVar("GivenRun", bound=RunArguments)

Answered = Unstarted | TaskResult
"""The result of a call: a final result, a question to the user, or a task for clients that accept one."""
Handler = Callable[[Context, types.CallToolRequestParams], Awaitable[Answered]]


class Tools:
    """Lists the tools and answers their calls."""

    def __init__(
        self,
        doors: Doors,
        tasks: Tasks,
        cancellation: CancellationPolicy,
        announce: Callable[[CallerRuns], Awaitable[None]],
    ) -> None:
        self._doors = doors
        self._tasks = tasks
        self._cancellation = cancellation
        self._announce = announce
        """Notifies the clients of a caller that the list of its runs has changed."""
        self._views = views = Views(doors)
        self._calls: Mapping[str, int] = {}
        self._own: Mapping[str, Handler] = {
            "moa_wait": self._wait,
            "moa_resume": self._resume,
            "moa_fork": self._fork,
            "moa_cancel": self._cancel,
            "moa_trace": self._trace,
            "moa_estimate": self._estimate,
            VIEW: views.news,
        }
        self._described: Mapping[str, Readiness] | None = None
        self._tools: dict[str, types.Tool] = {}
        self._in_apps: list[types.Tool] = []
        """The tools for clients that render the page of a run."""
        self._begin()

    def _begin(self) -> None:
        pipelines = self._doors.whole().config.pipelines
        self._calls = {name: plan(pipeline).calls for name, pipeline in pipelines.items()}
        self._described = None
        self._list(dict.fromkeys(pipelines, Readiness(ready=True)))

    async def renew(self) -> bool:
        """List the pipelines of the current configuration; return whether the list has changed."""
        before = self._in_apps
        self._begin()
        await self.described()
        return self._in_apps != before

    async def described(self) -> Mapping[str, Readiness]:
        """Return which pipelines can run, by name. The descriptions of their tools then say so."""
        if self._described is None:
            self._described = await readiness(self._doors.whole())
            self._list(self._described)
        return self._described

    def _list(self, found: Mapping[str, Readiness]) -> None:
        runs = self._doors.whole()
        simulated = runs.backend.simulated
        pipelines = [
            pipeline_tool(pipeline, found[name], simulated=simulated)
            for name, pipeline in runs.config.pipelines.items()
        ]
        self._tools = {tool.name: tool for tool in (*pipelines, *own_tools())}
        shows = {*found, *SHOWN_RUNS}
        self._in_apps = [apps.shown(each) if each.name in shows else each for each in self._tools.values()]
        self._in_apps.append(view_tool())

    async def list(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """Return the listed tools that the caller may call, the pipelines first, as the configuration has them."""
        only_page(params, "tools")
        allowed = self._doors.of(context).config.pipelines
        hidden = {name for name in await self.described() if name not in allowed or not allowed[name].listed}
        every = self._in_apps if apps.renders(context) else self._tools.values()
        return types.ListToolsResult(tools=[each for each in every if each.name not in hidden])

    def input_schema(self, name: str) -> dict[str, Any] | None:
        """Return a tool's input schema; None if there is no such tool."""
        tool = view_tool() if name == VIEW else self._tools.get(name)
        return None if tool is None else tool.input_schema

    async def take(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Middleware: also accept the arguments of a call as JSON text."""
        given = (ctx.params or {}).get("arguments")
        if ctx.method != "tools/call" or given is None or isinstance(given, dict):
            return await call_next(ctx)
        arguments = spellings.arguments(given)
        if arguments is None:
            text = 'Invalid params: arguments must be an object, such as {"question": "…"}'
            raise MCPError(types.INVALID_PARAMS, text)
        return await call_next(replace(ctx, params={**(ctx.params or {}), "arguments": arguments}))

    async def call(self, context: Context, params: types.CallToolRequestParams) -> Answered:
        """Answer a call."""
        try:
            if params.name in self._own:
                return await self._own[params.name](context, params)
            pipeline = self._doors.of(context).config.pipelines.get(params.name)
            if pipeline is None:
                raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")
            return await self._ask(context, pipeline, params)
        except (BadArguments, RunNotFound, RunAmbiguous, RunNotResumable, TooManyRuns, JournalError) as error:
            return results.error(str(error))
        except (ChangeRefused, FileRefused) as error:
            return results.error(f"{error}. {error.remedy}".strip())

    async def _ask(self, context: Context, pipeline: Pipeline, params: types.CallToolRequestParams) -> Answered:
        runs = self._doors.of(context)
        given = read(AskArguments, params.arguments)
        request = NewRun(
            pipeline=chosen(pipeline, given.models or "", given.aggregator or "", runs.config),
            question=await self._question(given),
            seed=given.seed,
            max_cost_usd=exact(given.max_cost_usd),
            deadline_s=given.deadline_s,
            continues=await _earlier(runs, given.continue_run),
        )
        return await self._start(context, params, request, given.wait_s)

    async def _question(self, given: AskArguments) -> Question:
        return Question(
            given.question,
            given.context or None,
            given.system or None,
            images=await self._images(given.images or ()),
            answer_schema=given.answer_schema,
        )

    async def _images(self, given: Sequence[str]) -> tuple[Image, ...]:
        """Return the images of a call. Raises `FileRefused`."""
        if not given:
            return ()
        return await anyio.to_thread.run_sync(images_of, given, self._doors.image_folders)

    async def _start(
        self, context: Context, params: types.CallToolRequestParams, request: RunRequest, wait_s: float | None
    ) -> Answered:
        """Start a run and wait for it, if it is admitted and its cost is confirmed."""
        runs = self._doors.of(context)
        ready = await admitted(runs, context, params, request)
        if not isinstance(ready, Ready):
            return ready
        begun: list[Run] = []

        def abort() -> None:
            for run in begun:
                runs.abort(run)

        async with self._cancellation.waits(context, abort):
            run = await runs.start(ready)  # a run that begins although its call is cancelled is aborted
            begun.append(run)
            calls = self._calls_of(run) if isinstance(request, ResumedRun) else plan(request.pipeline).calls
            if not isinstance(request, ResumedRun):
                self._views.origins.add(runs, context, params.name, params.arguments, run.run_id)
                await self._announce(runs)
            return await self._followed(context, run, calls, wait_s)

    async def _wait(self, context: Context, params: types.CallToolRequestParams) -> Answered:
        runs = self._doors.of(context)
        given = await _identified(runs, read(WaitArguments, params.arguments))
        ends = anyio.current_time() + self._patience_s(given.wait_s)
        while True:
            left_s = max(0.0, ends - anyio.current_time())
            run = await runs.active(given.run_id)
            if run is not None:
                return await self._follow(context, run, self._calls_of(run), left_s)
            trace = await runs.trace(given.run_id)
            if _active(trace) and declared(context):
                return await self._tasks.handle(runs, given.run_id)
            trace = await _watched(runs, trace, left_s)
            if not trace.interrupted:
                return _shown(runs, trace)
            try:
                ready = await admitted(runs, context, params, ResumedRun(run_id=given.run_id))
                if not isinstance(ready, Ready):
                    return ready
                await runs.start(ready)
            except RunNotResumable:
                if (await runs.trace(given.run_id)).interrupted:
                    raise  # otherwise another request resumed it first: wait for that run

    async def _resume(self, context: Context, params: types.CallToolRequestParams) -> Answered:
        given = await _identified(self._doors.of(context), read(ResumeArguments, params.arguments))
        request = ResumedRun(run_id=given.run_id, max_cost_usd=exact(given.max_cost_usd))
        return await self._start(context, params, request, given.wait_s)

    async def _fork(self, context: Context, params: types.CallToolRequestParams) -> Answered:
        runs = self._doors.of(context)
        given = await _identified(runs, read(ForkArguments, params.arguments))
        pipeline = await runs.pipeline_of(given.run_id)
        if given.step > len(pipeline.steps):
            raise BadArguments(f"step {given.step} does not exist: run {given.run_id} has {len(pipeline.steps)} steps")
        other = changed(pipeline, given.step, given.changes, runs.config)
        request = ForkedRun(
            run_id=given.run_id,
            step=given.step,
            pipeline=other,
            seed=given.seed,
            max_cost_usd=exact(given.max_cost_usd),
        )
        return await self._start(context, params, request, given.wait_s)

    def _patience_s(self, wait_s: float | None) -> float:
        return self._doors.whole().config.limits.wait_s if wait_s is None else wait_s

    def _calls_of(self, run: Run) -> int:
        """Return the expected number of calls of a run: its pipeline may have other models than that of its name."""
        estimated = run.trace.estimated
        return self._calls.get(run.trace.pipeline, 0) if estimated is None else estimated.calls

    async def _follow(self, context: Context, run: Run, calls: int, wait_s: float | None) -> Answered:
        runs = self._doors.of(context)
        async with self._cancellation.waits(context, lambda: runs.abort(run)):
            return await self._followed(context, run, calls, wait_s)

    async def _followed(self, context: Context, run: Run, calls: int, wait_s: float | None) -> Answered:
        runs = self._doors.of(context)
        if declared(context):  # from now on, only tasks/cancel ends the run
            return await self._tasks.handle(runs, run.run_id)
        ends = anyio.current_time() + self._patience_s(wait_s)
        await follow(run, context, self._patience_s(wait_s), calls)
        trace = run.trace
        if trace.interrupted:  # another process may have taken it over
            trace = await _watched(runs, await runs.trace(run.run_id), max(0.0, ends - anyio.current_time()))
        return _shown(runs, trace)

    async def _cancel(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        runs = self._doors.of(context)
        given = read(RunArguments, params.arguments)
        if given.run_id == LAST:
            raise BadArguments("run_id must be the ID of a run: the last run may belong to another client")
        given = await _identified(runs, given)
        await runs.cancel(given.run_id)
        result = _shown(runs, await runs.trace(given.run_id))
        return result.model_copy(update={"is_error": False})

    async def _trace(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        runs = self._doors.of(context)
        given = await _identified(runs, read(TraceArguments, params.arguments))
        found = page(await runs.trace(given.run_id), given.page)
        if found is None:
            raise BadArguments(
                f"page {given.page} does not exist: run {given.run_id} has fewer pages; start with page 1"
            )
        text = types.TextContent(type="text", text=json.dumps(found, ensure_ascii=False, indent=1))
        return types.CallToolResult(content=[text], structured_content=found)

    async def _estimate(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        runs = self._doors.of(context)
        given = read(EstimateArguments, params.arguments)
        pipelines = runs.config.pipelines
        pipeline = pipelines.get(given.pipeline)
        if pipeline is None:
            known = ", ".join(pipelines)
            near = closest(given.pipeline, pipelines)
            meant = f", did you mean {near}?" if near else ""
            raise BadArguments(f"unknown pipeline {quoted(given.pipeline)}{meant} (available: {known})")
        asked = assumed() if given.question is None else Question(given.question)
        question = replace(
            asked,
            context=given.context or None,
            system=given.system or None,
            images=await self._images(given.images or ()),
            answer_schema=given.answer_schema,
        )
        question = pipeline.asked(question)
        if earlier := await _earlier(runs, given.continue_run):
            question = await runs.following(earlier, question)
        pipeline = chosen(pipeline, given.models or "", given.aggregator or "", runs.config)
        return await estimates.of_pipeline(runs, pipeline, question)


async def _identified(runs: CallerRuns, given: GivenRun) -> GivenRun:
    """Return the arguments with the whole ID of the run, of which a caller may give the start, or ``last``."""
    run_id = await runs.identified(given.run_id)
    return given.model_copy(update={"run_id": run_id})


async def _earlier(runs: CallerRuns, given: str | None) -> str:
    """Return the whole ID of the run that a question follows; empty for none."""
    run_id = (given or "").strip()
    return await runs.identified(run_id) if run_id else ""


async def _watched(runs: CallerRuns, trace: Trace, wait_s: float) -> Trace:
    """Return the trace of a run in another process when it ends, is interrupted, or the wait is over."""
    if not _active(trace):
        return trace
    with anyio.move_on_after(wait_s):
        await runs.inactive(trace.run_id)
    return await runs.trace(trace.run_id)


def _shown(runs: CallerRuns, trace: Trace) -> types.CallToolResult:
    return results.of_run(trace, simulated=runs.backend.simulated, shared=runs.shared)


def _active(trace: Trace) -> bool:
    """Whether a run is queued or running, in this or another process."""
    return trace.status in ACTIVE and not trace.interrupted
