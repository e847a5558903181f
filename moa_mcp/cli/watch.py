"""Runs a pipeline and shows it: live progress, what happened, and the answer last.

The answer goes to stdout, everything else to stderr. It is the same for new, resumed and forked runs.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import anyio
from msgspec import Struct
from msgspec.structs import replace

from moa_mcp import telemetry
from moa_mcp.cli import draw
from moa_mcp.cli.options import Refused, RunFailed, add_keys
from moa_mcp.cli.remedies import Remedies
from moa_mcp.cli.screen import DisplayOptions, Screen
from moa_mcp.cli.signals import Interrupted, ended_as_by_ctrl_c
from moa_mcp.cli.stream import RESTARTED, Stream
from moa_mcp.cli.text import json_text, line, say, shortened, written
from moa_mcp.config import Config, Pipeline
from moa_mcp.errors import JournalError, MoaError
from moa_mcp.events import Emit
from moa_mcp.journal import Journal
from moa_mcp.providers.backend import Backend, real, simulated
from moa_mcp.routing.keychain import Keychain
from moa_mcp.routing.routes import Routes
from moa_mcp.runs import Run, Runs
from moa_mcp.runs.executor import Executor
from moa_mcp.schemas import indented
from moa_mcp.text.redact import redact
from moa_mcp.text.visible import visible
from moa_mcp.trace import json
from moa_mcp.trace.trace import Trace

_REDRAWN_S = 0.1

Executing: TypeAlias = Callable[[Config, Backend, Journal], Executor]
Begin = Callable[[Runs, Emit | None], Awaitable[Run]]
"""Starts the run, which sends its events to the `Emit` if there is one."""


class Seen(Struct, frozen=True):
    """A run that ended."""

    trace: Trace
    streamed: str
    """The text of the answer that was written while it arrived."""
    unwritten: str = ""
    """Why the answer could not be written; empty if it was, or if the reader closed the pipe."""


def ready(config: Config, *, offline: bool) -> tuple[Backend, Routes | None]:
    """Return the backend for calls, with the routes of the models unless they are simulated."""
    if offline:
        return simulated(), None
    add_keys(config)
    return real(config.models, dict(os.environ), Keychain())


def runs_of(config: Config, backend: Backend, journal: Journal, executor: Executing = Executor) -> Runs:
    """Return the runs of a command. Only a server resumes interrupted runs on its own, whatever the setting."""
    _silence_libraries()
    settings = config.journal.model_copy(update={"resume": "on-request"})
    return Runs(replace(config, journal=settings), backend, journal, telemetry.observers(os.environ), executor)


def watch(runs: Runs, pipeline: Pipeline, begin: Begin, options: DisplayOptions) -> Seen:
    """Execute the run, show its progress, and write what happened and its answer. Raises `Interrupted`."""
    streams = not options.as_json and sys.stdout.isatty() and pipeline.steps[-1].writes_answers
    screen = Screen(draw.console(stderr=True), options, Stream() if streams else None)
    with telemetry.parent_trace(os.environ):
        trace = _executed(runs, begin, screen, options.remedies)
    streamed = screen.stream.end() if screen.stream else ""
    if options.as_json:
        screen.degraded(trace)
        return Seen(trace, streamed, written(_json(trace, simulated=options.simulated)))
    answer = _answer(trace)
    unwritten = ""
    if not streamed.strip():
        screen.outcome(trace)
        screen.part(before_answer=True)
    elif answer is not None and answer.strip() != streamed.strip():
        say(RESTARTED)
    if answer is not None and answer.strip() != streamed.strip():
        unwritten = written(answer)
    if streamed.strip():
        screen.part()
        screen.outcome(trace)
    return Seen(trace, streamed, unwritten)


def _answer(trace: Trace) -> str | None:
    """Return the answer as stdout gets it: JSON as it is, and at a terminal with a line for each value."""
    if trace.answer is None:
        return None
    value = trace.answer_json
    text = trace.answer if value is None or not sys.stdout.isatty() else indented(value)
    shown = visible(text)
    return shown if value is None or shown == text else indented(value, escapes=True)


def _executed(runs: Runs, begin: Begin, screen: Screen, remedies: Remedies) -> Trace:
    """Execute the run and show its progress. Raises `Interrupted`, and `RunFailed` if it can't be recorded."""
    begun: list[Run] = []

    async def noted(runs: Runs, watching: Emit | None) -> Run:
        begun.append(await begin(runs, watching))
        return begun[0]

    with ended_as_by_ctrl_c() as ending:
        try:
            return anyio.run(_execute, runs, noted, screen)
        except JournalError as error:
            raise RunFailed(str(error), "No model was called and nothing was spent.") from error
        except KeyboardInterrupt as interrupt:
            resume = [remedies.of_interrupted(run.run_id) for run in begun]
            with suppress(OSError):  # the terminal may be gone
                if screen.stream:
                    screen.stream.end()
            text = " ".join(filter(None, ["Interrupted.", *resume]))
            raise Interrupted(text, ending.exit_code, tuple(run.run_id for run in begun)) from interrupt


def conclude(seen: Seen, options: DisplayOptions) -> None:
    """Raise `RunFailed` if the run has no answer, or none by its schema, or if it could not be written."""
    if seen.trace.answer is None:
        raise failed(seen.trace, options, "; the text above was cut off and is not the answer" if seen.streamed else "")
    if seen.unwritten:
        remedy = options.remedies.of_unwritten(seen.trace.run_id)
        raise RunFailed(f"can't write the answer: {seen.unwritten}", remedy)
    if not seen.trace.is_valid:
        message = "the answer is not JSON that the schema accepts"
        raise RunFailed(message, options.remedies.of_invalid(seen.trace.run_id))


def failed(trace: Trace, options: DisplayOptions, warning: str = "") -> Refused:
    """Return the error for a run without an answer."""
    reason = trace.error or ("another process continues it now" if trace.interrupted else trace.status)
    return RunFailed(f"{shortened(reason)}{warning}", options.remedies.of_failed(trace))


async def _execute(runs: Runs, begin: Begin, screen: Screen) -> Trace:
    async with runs.open():
        begun = await _begun(begin(runs, screen.stream.add if screen.stream else None))
        if isinstance(begun, Run):
            with screen.following():
                await _follow(begun, screen)
            await begun.ended.wait()
    if isinstance(begun, MoaError):
        raise begun
    return begun.trace


async def _begun(beginning: Awaitable[Run]) -> Run | MoaError:
    """Return the run or its error: a task group would wrap an exception."""
    try:
        return await beginning
    except MoaError as error:
        return error


async def _follow(run: Run, screen: Screen) -> None:
    while run.trace.status == "running" and not run.ended.is_set():
        with anyio.move_on_after(_REDRAWN_S):
            await run.changed()
        screen.show(run.trace)


def _silence_libraries() -> None:
    """Keep log messages of other libraries off the terminal."""
    ours = logging.getLogger("moa_mcp")
    if ours.handlers:
        return
    logging.getLogger().addHandler(logging.NullHandler())
    handler = logging.StreamHandler()
    handler.setFormatter(_InALine())
    ours.addHandler(handler)
    ours.propagate = False


class _InALine(logging.Formatter):
    """Formats an error and its place on one line, without API keys and stack trace."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info and (error := record.exc_info[1]):
            last = traceback.extract_tb(error.__traceback__)[-1]
            message += f": {type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})"
        return redact(line(message))


def _json(trace: Trace, *, simulated: bool) -> str:
    data = json.full(trace)
    steps = data.pop("steps")
    return json_text({**data, "simulated": simulated, "trace": steps})
