"""A run before the eyes of whoever sits at the terminal: shown while it goes on, then its answer, trace and end.

The answer goes to stdout, all else to stderr. It does not know whether a run is new, resumed or forked.
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

from moa_mcp.cli import draw
from moa_mcp.cli.display import BROKE_OFF, Layers, Stream
from moa_mcp.cli.options import Refused, RunFailed
from moa_mcp.cli.remedies import Remedies
from moa_mcp.cli.signals import Interrupted, ended_as_by_ctrl_c
from moa_mcp.cli.text import json_text, line, say, shortened, written
from moa_mcp.config import Config, Pipeline
from moa_mcp.errors import MoaError
from moa_mcp.events import Emit
from moa_mcp.journal import Journal
from moa_mcp.providers.backend import Backend, real, simulated
from moa_mcp.routing.routes import Routes
from moa_mcp.runs import Run, Runs
from moa_mcp.text.redact import redact
from moa_mcp.text.visible import visible
from moa_mcp.trace import json
from moa_mcp.trace.trace import Trace

_REDRAWN_S = 0.1

Begin = Callable[[Runs, Emit | None], Awaitable[Run]]
"""Starts the run, which tells its events to the emit if there is one."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a run and its result are shown."""

    simulated: bool
    as_json: bool
    quiet: bool
    remedies: Remedies


@dataclass(frozen=True, slots=True)
class Seen:
    """A run that ended."""

    trace: Trace
    told: str
    """The answer's text so far as it was written while it came."""
    unwritten: str = ""
    """Why the answer could not be written, though somebody may want it."""


def ready(config: Config, *, offline: bool) -> tuple[Backend, Routes | None]:
    """Return where calls go, with the routes of the configured models if these are real."""
    if offline:
        return simulated(), None
    return real(config.models, dict(os.environ))


def runs_of(config: Config, backend: Backend, journal: Journal) -> Runs:
    """Return the runs of a command: other interrupted runs are a server's to go on with, whatever the setting."""
    defaults = config.defaults.model_copy(update={"resume": "on-request"})
    return Runs(replace(config, defaults=defaults), backend, journal)


def watch(runs: Runs, pipeline: Pipeline, begin: Begin, manner: Manner) -> Seen:
    """Drive the run to its end, show it meanwhile, and write its answer."""
    _silence_libraries()
    stream = Stream() if not manner.as_json and sys.stdout.isatty() and pipeline.steps[-1].writes_answers else None
    told, begun = "", list[Run]()

    async def noted(runs: Runs, watching: Emit | None) -> Run:
        begun.append(await begin(runs, watching))
        return begun[0]

    with ended_as_by_ctrl_c() as ending:
        try:
            trace = anyio.run(_drive, runs, noted, stream)
        except KeyboardInterrupt as interrupt:
            remedies = [manner.remedies.of_interrupted(run.run_id) for run in begun]
            with suppress(OSError):  # the terminal may be gone
                if stream:
                    stream.end()
            raise Interrupted(" ".join(filter(None, ["Interrupted.", *remedies])), ending.exit_code) from interrupt
    told = stream.end() if stream else ""
    if manner.as_json:
        return Seen(trace, told, written(_json(trace, simulated=manner.simulated)))
    answer = None if trace.answer is None else visible(trace.answer)
    if answer is None or answer.strip() == told.strip():
        return Seen(trace, told)
    if told.strip():
        say(BROKE_OFF)
    return Seen(trace, told, written(answer))


def conclude(seen: Seen, manner: Manner) -> None:
    """Say on stderr why a result is degraded and, if wanted, how it came about. Raises `RunFailed` for no answer."""
    trace, screen = seen.trace, draw.console(stderr=True)
    if trace.status == "degraded":
        _part(screen)
        say("Degraded:", *(f"- {shortened(reason)}" for reason in trace.degradations))
    if not (manner.quiet or manner.as_json):
        _part(screen)
        screen.print(*draw.conclusion(trace, simulated=manner.simulated), sep="\n")
    if trace.answer is None:
        raise failed(trace, manner, "; the text above broke off and is no answer" if seen.told else "")
    if seen.unwritten:
        remedy = manner.remedies.of_unwritten(trace.run_id)
        raise RunFailed(f"the answer could not be written: {seen.unwritten}", remedy)


def failed(trace: Trace, manner: Manner, warning: str = "") -> Refused:
    """Return why there is no answer."""
    reason = trace.error or ("another process drives it now" if trace.interrupted else trace.status)
    return RunFailed(f"{shortened(reason)}{warning}", manner.remedies.of_failed(trace))


async def _drive(runs: Runs, begin: Begin, stream: Stream | None) -> Trace:
    screen = draw.console(stderr=True)
    live = screen.is_interactive and sys.stderr.isatty()
    layers = Layers(screen, simulated=runs.backend.simulated) if live else None
    async with runs.open():
        begun = await _begun(begin(runs, stream.tell if stream else None))
        if isinstance(begun, Run):
            with nullcontext() if layers is None else layers:
                await _follow(begun, layers, stream)
            await begun.ended.wait()
    if isinstance(begun, MoaError):
        raise begun
    return begun.trace


async def _begun(beginning: Awaitable[Run]) -> Run | MoaError:
    """Return the run, or why there is none: the task group around would wrap what is raised."""
    try:
        return await beginning
    except MoaError as error:
        return error


async def _follow(run: Run, layers: Layers | None, stream: Stream | None) -> None:
    told = layers is not None
    while run.trace.status == "running" and not run.ended.is_set():
        with anyio.move_on_after(_REDRAWN_S):
            await run.changed()
        if run.trace.waiting and not told:
            told = True
            say(f"The run is {run.trace.waiting}.")
        if stream is not None and stream.pending:
            if layers is not None:
                layers.close()
            stream.write()
        elif layers is not None:
            layers.draw(run.trace)


def _silence_libraries() -> None:
    """Let no log but our own faults reach the terminal."""
    logging.getLogger().addHandler(logging.NullHandler())
    ours = logging.getLogger("moa_mcp")
    handler = logging.StreamHandler()
    handler.setFormatter(_InALine())
    ours.addHandler(handler)
    ours.propagate = False


class _InALine(logging.Formatter):
    """Tells a fault, and where it happened, in a line and without keys: no user reads a stack trace."""

    def format(self, record: logging.LogRecord) -> str:
        said = record.getMessage()
        if record.exc_info and (error := record.exc_info[1]):
            last = traceback.extract_tb(error.__traceback__)[-1]
            said += f": {type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})"
        return redact(line(said))


def _json(trace: Trace, *, simulated: bool) -> str:
    data = json.full(trace)
    steps = data.pop("steps")
    return json_text({**data, "simulated": simulated, "trace": steps})


def _part(screen: Console) -> None:
    """Leave a line free on a terminal, where the answer stands above."""
    if screen.is_terminal:
        screen.print()
