"""Runs a pipeline and shows it: live progress, then the answer, the trace and the status.

The answer goes to stdout, everything else to stderr. It is the same for new, resumed and forked runs.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
from rich.console import Console

from moa_mcp import telemetry
from moa_mcp.cli import draw
from moa_mcp.cli.live import RESTARTED, Layers, Stream
from moa_mcp.cli.options import Refused, RunFailed, add_keys
from moa_mcp.cli.remedies import Remedies
from moa_mcp.cli.signals import Interrupted, ended_as_by_ctrl_c
from moa_mcp.cli.text import json_text, line, say, shortened, written
from moa_mcp.config import Config, Pipeline
from moa_mcp.errors import MoaError
from moa_mcp.events import Emit
from moa_mcp.journal import Journal
from moa_mcp.providers.backend import Backend, real, simulated
from moa_mcp.routing.keychain import Keychain
from moa_mcp.routing.routes import Routes
from moa_mcp.runs import Run, Runs
from moa_mcp.text.redact import redact
from moa_mcp.text.visible import visible
from moa_mcp.trace import json
from moa_mcp.trace.trace import Trace

_REDRAWN_S = 0.1

Begin = Callable[[Runs, Emit | None], Awaitable[Run]]
"""Starts the run, which sends its events to the `Emit` if there is one."""


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """How a run and its result are shown."""

    simulated: bool
    as_json: bool
    quiet: bool
    remedies: Remedies


@dataclass(frozen=True, slots=True)
class Seen:
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


def runs_of(config: Config, backend: Backend, journal: Journal) -> Runs:
    """Return the runs of a command. Only a server resumes interrupted runs on its own, whatever the setting."""
    _silence_libraries()
    settings = config.journal.model_copy(update={"resume": "on-request"})
    return Runs(replace(config, journal=settings), backend, journal, telemetry.observers(os.environ))


def watch(runs: Runs, pipeline: Pipeline, begin: Begin, options: DisplayOptions) -> Seen:
    """Execute the run, show its progress, and write its answer. Raises `Interrupted`."""
    stream = Stream() if not options.as_json and sys.stdout.isatty() and pipeline.steps[-1].writes_answers else None
    return _written(_executed(runs, begin, stream, options.remedies), stream, options)


def _executed(runs: Runs, begin: Begin, stream: Stream | None, remedies: Remedies) -> Trace:
    """Execute the run and show its progress. Raises `Interrupted`."""
    begun: list[Run] = []

    async def noted(runs: Runs, watching: Emit | None) -> Run:
        begun.append(await begin(runs, watching))
        return begun[0]

    with ended_as_by_ctrl_c() as ending:
        try:
            return anyio.run(_execute, runs, noted, stream)
        except KeyboardInterrupt as interrupt:
            resume = [remedies.of_interrupted(run.run_id) for run in begun]
            with suppress(OSError):  # the terminal may be gone
                if stream:
                    stream.end()
            raise Interrupted(" ".join(filter(None, ["Interrupted.", *resume])), ending.exit_code) from interrupt


def _written(trace: Trace, stream: Stream | None, options: DisplayOptions) -> Seen:
    """Write the answer, or the result as JSON, unless the stream has written it."""
    streamed = stream.end() if stream else ""
    if options.as_json:
        return Seen(trace, streamed, written(_json(trace, simulated=options.simulated)))
    answer = None if trace.answer is None else visible(trace.answer)
    if answer is None or answer.strip() == streamed.strip():
        return Seen(trace, streamed)
    if streamed.strip():
        say(RESTARTED)
    return Seen(trace, streamed, written(answer))


def conclude(seen: Seen, options: DisplayOptions) -> None:
    """Print to stderr why a result is degraded and, unless `quiet`, the trace. Raises `RunFailed` without an answer."""
    trace, screen = seen.trace, draw.console(stderr=True)
    if trace.status == "degraded":
        _part(screen)
        say("Degraded:", *(f"- {shortened(reason)}" for reason in trace.degradations))
    if not (options.quiet or options.as_json):
        _part(screen)
        screen.print(*draw.conclusion(trace, simulated=options.simulated), sep="\n")
    if trace.answer is None:
        raise failed(trace, options, "; the text above was cut off and is not the answer" if seen.streamed else "")
    if seen.unwritten:
        remedy = options.remedies.of_unwritten(trace.run_id)
        raise RunFailed(f"can't write the answer: {seen.unwritten}", remedy)


def failed(trace: Trace, options: DisplayOptions, warning: str = "") -> Refused:
    """Return the error for a run without an answer."""
    reason = trace.error or ("another process continues it now" if trace.interrupted else trace.status)
    return RunFailed(f"{shortened(reason)}{warning}", options.remedies.of_failed(trace))


async def _execute(runs: Runs, begin: Begin, stream: Stream | None) -> Trace:
    screen = draw.console(stderr=True)
    live = screen.is_interactive and sys.stderr.isatty()
    layers = Layers(screen, simulated=runs.backend.simulated) if live else None
    async with runs.open():
        begun = await _begun(begin(runs, stream.add if stream else None))
        if isinstance(begun, Run):
            with nullcontext() if layers is None else layers:
                await _follow(begun, layers, stream)
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


async def _follow(run: Run, layers: Layers | None, stream: Stream | None) -> None:
    announced = layers is not None
    while run.trace.status == "running" and not run.ended.is_set():
        with anyio.move_on_after(_REDRAWN_S):
            await run.changed()
        if run.trace.waiting and not announced:
            announced = True
            say(f"The run is {run.trace.waiting}.")
        if stream is not None and stream.pending:
            if layers is not None:
                layers.close()
            stream.write()
        elif layers is not None:
            layers.draw(run.trace)


def _silence_libraries() -> None:
    """Keep log messages of other libraries off the terminal."""
    logging.getLogger().addHandler(logging.NullHandler())
    ours = logging.getLogger("moa_mcp")
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


def _part(screen: Console) -> None:
    """Print an empty line after the answer on a terminal."""
    if screen.is_terminal:
        screen.print()
