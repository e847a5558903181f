"""A run as server-sent events: chunks with the text as it arrives, and its progress in comments."""

from __future__ import annotations

import json
from http import HTTPStatus

import anyio
from starlette.types import Send

from moa_mcp.runs import Run
from moa_mcp.server.openai import outcomes
from moa_mcp.server.openai.completions import Data, Shape
from moa_mcp.server.openai.errors import ApiError
from moa_mcp.server.openai.streamed import StreamedText
from moa_mcp.server.results import progress
from moa_mcp.server.status_line import one_line
from moa_mcp.server.waiting import BEAT_S
from moa_mcp.trace.trace import Trace

_HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would collect the events
]


class EventStream:
    """Writes the events of one run."""

    def __init__(self, send: Send, shape: Shape) -> None:
        self._send = send
        self._shape = shape
        self._progress = ""

    async def begin(self) -> None:
        """Send the head and the first chunk."""
        headers = [*_HEAD, (b"x-moa-run-id", self._shape.run_id.encode())]
        await self._send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        await self._event(self._shape.chunk(role="assistant", content=""))

    async def follow(self, run: Run, text: StreamedText) -> None:
        """Send text and progress until the run ends. Something is sent at least every `BEAT_S` seconds."""
        while not run.ended.is_set():
            if piece := text.take():
                await self._event(self._shape.chunk(content=piece))
            elif (shown := one_line(progress(run.trace))) != self._progress:
                await self._comment(shown)
            with anyio.move_on_after(BEAT_S) as beat:
                await run.changed()
            if beat.cancelled_caught:
                self._progress = ""

    async def finish(self, trace: Trace, text: StreamedText, *, with_usage: bool) -> None:
        """Send the rest of the answer and how the run ended, or an error."""
        if trace.answer is None:
            await self.fail(outcomes.of_run(trace, self._shape.about(trace)))
        elif (rest := text.rest(trace.answer)) is None:
            await self.fail(outcomes.replaced(trace, self._shape.about(trace)))
        else:
            if rest:
                await self._event(self._shape.chunk(content=rest))
            await self._event(self._shape.last(trace))
            if with_usage:
                await self._event(self._shape.used(trace))
            await self._write(b"data: [DONE]\n\n", more=False)

    async def fail(self, error: ApiError) -> None:
        """Send an error, which ends the stream."""
        await self._event(error.body)
        await self._write(b"", more=False)

    async def _event(self, data: Data) -> None:
        # answers in JSON can have numbers of any length, which orjson does not write
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        await self._write(f"data: {text}\n\n".encode())

    async def _comment(self, text: str) -> None:
        self._progress = text
        await self._write(f": {text}\n\n".encode())

    async def _write(self, body: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
