"""Runs that outlive the request that asked for them: started, waited for, cancelled, looked up.

They live in one task group that the server's lifespan, or a command, owns.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from moa_mcp.config import Config, Pipeline, models_of
from moa_mcp.engine import RunSpec, execute, started
from moa_mcp.errors import MissingKey, RunUnknown
from moa_mcp.events import Emit, Event, RunFinished, tee
from moa_mcp.journal import Journal
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.model import Limits, Model, Shared, Usable, stack
from moa_mcp.plan import blocking
from moa_mcp.providers import offline
from moa_mcp.providers.litellm import LiteLLM
from moa_mcp.routes import Routes
from moa_mcp.trace import Trace, trace_of
from moa_mcp.values import Question, Target

_log = logging.getLogger(__name__)
_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class Backend:
    """Where calls go: a provider, and how aliases find their place at it."""

    provider: Model
    usable: Usable
    simulated: bool = False


@dataclass(slots=True, eq=False)
class Run:
    """A run under way or ended, as this process drives it."""

    run_id: str
    trace: Trace
    ended: anyio.Event = field(default_factory=anyio.Event)
    _changed: anyio.Event = field(default_factory=anyio.Event)
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def changed(self) -> None:
        """Return when something has happened since the call."""
        await self._changed.wait()

    def tell(self, event: Event) -> None:
        """Take in what happened and wake those who wait for it."""
        self.trace.add(event)
        self._changed.set()
        self._changed = anyio.Event()

    def cancel(self) -> None:
        """Stop the run; its model calls end at once."""
        self._scope.cancel()

    @property
    def scope(self) -> anyio.CancelScope:
        """Bounds the run's work."""
        return self._scope


class Runs:
    """All runs of a process."""

    def __init__(self, config: Config, backend: Backend, journal: Journal | None = None) -> None:
        self.config = config
        self.backend = backend
        self.journal = journal or MemoryJournal()
        defaults = config.defaults
        self._shared = Shared(
            Limits(
                attempts=defaults.attempts,
                concurrency=defaults.concurrency,
                provider_concurrency=defaults.provider_concurrency,
                requests_per_minute=defaults.requests_per_minute,
            )
        )
        self._under_way: dict[str, Run] = {}
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Runs]:
        """Own the runs that are started inside; at the end, stop those that still go on."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield self
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    def start(
        self,
        pipeline: Pipeline,
        question: Question,
        *,
        seed: int | None = None,
        watch: Emit | None = None,
    ) -> Run:
        """Start a run and return at once. With `watch`, events go there too, the last answer's text included."""
        if self._tasks is None:
            raise RuntimeError("runs are started inside `async with runs.open()`")
        drawn = secrets.randbelow(_SEEDS) if seed is None else seed
        spec = RunSpec(secrets.token_hex(8), pipeline, question, drawn, stream=watch is not None)
        run = Run(spec.run_id, Trace(spec.run_id, pipeline.name, question, drawn))
        self._under_way[run.run_id] = run
        self._tasks.start_soon(self._drive, run, spec, watch)
        return run

    async def _drive(self, run: Run, spec: RunSpec, watch: Emit | None) -> None:
        def keep(event: Event) -> None:
            self.journal.append(spec.run_id, event)

        emit = tee(keep, run.tell, *((watch,) if watch else ()))
        model = stack(self.backend.provider, self.backend.usable, self._shared, emit)
        try:
            with run.scope:
                fault = await self._blocked(spec.pipeline)
                if fault:
                    emit(started(spec))
                    emit(RunFinished(status="failed", answer=None, error=fault, seconds=0.0))
                else:
                    await execute(spec, model, emit)
        except Exception:  # noqa: BLE001  a fault of ours ends this run alone and reaches the log, not the caller
            _log.exception("run %s stopped on an unexpected fault", spec.run_id)
            emit(RunFinished(status="failed", answer=None, error=_FAULT, seconds=0.0))
        finally:
            del self._under_way[spec.run_id]
            run.ended.set()

    async def _blocked(self, pipeline: Pipeline) -> str | None:
        """Return why a pipeline can't run here at all: known before the first call, it costs nothing."""
        missing: dict[str, MissingKey] = {}
        for alias in models_of(pipeline):
            try:
                await self.backend.usable(alias)
            except MissingKey as error:
                missing[alias] = error
        reasons = [f"{alias}: {missing[alias]}" for alias in blocking(pipeline, missing)]
        return f"no model was asked: {'; '.join(reasons)}" if reasons else None

    def find(self, run_id: str) -> Run | None:
        """Return a run that is under way in this process."""
        return self._under_way.get(run_id)

    def cancel_all(self) -> None:
        """Stop every run that is under way."""
        for run in self._under_way.values():
            run.cancel()

    async def idle(self) -> None:
        """Return when no run is under way."""
        for run in list(self._under_way.values()):
            await run.ended.wait()

    def trace(self, run_id: str) -> Trace:
        """Return a run's trace so far. Raises `RunUnknown`."""
        run = self.find(run_id)
        if run is not None:
            return run.trace
        events = self.journal.events(run_id)
        if events is None:
            raise RunUnknown(run_id)
        return trace_of(events)


_FAULT = "an unexpected fault in moa-mcp stopped the run; the server's log (stderr) tells more"


def real(config: Config, environ: dict[str, str]) -> tuple[Backend, LiteLLM, Routes]:
    """Return the backend that asks real models, with its provider and routes."""
    provider = LiteLLM()
    routes = Routes(config.models, environ)
    return Backend(provider, routes.usable), provider, routes


def simulated(delay_s: float = 0.15) -> Backend:
    """Return the backend that asks no model."""

    async def usable(alias: str) -> tuple[Target, ...]:
        return (offline.target(alias),)

    return Backend(offline.Offline(delay_s), usable, simulated=True)
