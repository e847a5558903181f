"""One request for a chat completion: starts its run, and sends the answer as a whole or as it arrives."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from moa_mcp.errors import MoaError
from moa_mcp.runs import CallerRuns, NewRun, Run
from moa_mcp.server.openai import outcomes
from moa_mcp.server.openai.completions import Shape
from moa_mcp.server.openai.errors import ApiError
from moa_mcp.server.openai.parameters import Parameters
from moa_mcp.server.openai.stream import EventStream
from moa_mcp.server.openai.streamed import StreamedText
from moa_mcp.trace.trace import Trace

_log = logging.getLogger(__name__)


class Chat:
    """One request for a completion. If it ends before its run, because its client goes away, the run is cancelled."""

    def __init__(
        self,
        runs: CallerRuns,
        request: NewRun,
        given: Parameters,
        announce: Callable[[CallerRuns], Awaitable[None]],
    ) -> None:
        """`announce` notifies the MCP clients of a caller that the list of its runs has changed."""
        self._runs = runs
        self._request = request
        self._given = given
        self._announce = announce
        self._run: Run | None = None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the client goes away. The body of the request was read before."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_when_gone, receive, tasks.cancel_scope)
            await self._answer(scope, receive, send)
            tasks.cancel_scope.cancel()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
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
