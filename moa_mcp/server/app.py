"""The MCP server: connects all handlers, for every transport and both generations of the protocol."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

import anyio
import mcp_types as types
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.subscriptions import ResourcesListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError
from starlette.types import ASGIApp

from moa_mcp import telemetry
from moa_mcp.config import Config, called
from moa_mcp.journal import Journal
from moa_mcp.panels import needs
from moa_mcp.providers.backend import Backend, real, simulated
from moa_mcp.providers.transports import Real
from moa_mcp.routing.keychain import Keychain
from moa_mcp.routing.routes import Routes
from moa_mcp.runs import Runs
from moa_mcp.runs.observers import Observer
from moa_mcp.server import apps
from moa_mcp.server.asking import STATE_S
from moa_mcp.server.audit import AuditLog
from moa_mcp.server.doors import CallerOf, Doors, everyone_is_local
from moa_mcp.server.health import Health
from moa_mcp.server.listening import Listening
from moa_mcp.server.prompts import Prompts
from moa_mcp.server.readiness import ALL_READY, SOME_BLOCKED, readiness, sentence, surely_ready
from moa_mcp.server.reloading import Reloading
from moa_mcp.server.resources import Resources
from moa_mcp.server.run_log import RunLog
from moa_mcp.server.sessions import Sessions
from moa_mcp.server.static import Listings, McpServer, announce
from moa_mcp.server.tasks import Tasks
from moa_mcp.server.tools import Tools
from moa_mcp.server.tracing import in_client_trace
from moa_mcp.server.waiting import CancellationPolicy, Context

if TYPE_CHECKING:
    from moa_mcp.server.monitoring import Monitoring
    from moa_mcp.server.request_cap import RequestCap

_log = logging.getLogger(__name__)

INSTRUCTIONS = (
    "Each pipeline tool sends a question to several language models and returns one answer, its cost and a run_id. "
    "Use them for hard questions that justify several paid model calls; moa_estimate returns the cost in advance. A "
    "call returns within a minute: if its status is running, call moa_wait with its run_id instead of starting "
    "again.\n"
    "Arguments of every pipeline. question: self-contained, since the models do not see this conversation. context: "
    "source material such as file contents, data or earlier messages. images: data URIs or https addresses. "
    "continue_run: run_id of an earlier run that the question follows, or last; the models then see its question and "
    "answer. system: system prompt of every model. seed: random seed, for reproducible shuffling "
    "and sampling. models: who answers instead of the pipeline's models, "
    "names of configured models or of panels (fast, balanced, strong, reasoning), separated by commas; balanced:4 "
    "has four members. aggregator: the model or panel that merges or judges. wait_s: seconds to wait for the answer "
    "before the call returns status running. deadline_s: time limit in seconds; the run then returns the best "
    "answer so far. max_cost_usd: budget in US dollars; also confirms the cost of a run that requires confirmation. "
    "answer_schema: JSON Schema of the answer, which is then JSON; the result also has it as answer_json. "
    "deadline_s and max_cost_usd can only lower the configured limits."
)
_WARM_AFTER_S = 0.5
"""Seconds before loading clients, which uses much CPU. The first answer is sent and hosts that only probe are gone."""
_STABLE = CacheHint(ttl_ms=300_000, scope="public")
_HINTS: Mapping[CacheableMethod, CacheHint] = {
    "server/discover": _STABLE,
    "tools/list": CacheHint(ttl_ms=300_000, scope="private"),  # it depends on the caller and on what the client renders
    "prompts/list": _STABLE,
    "resources/templates/list": _STABLE,
    "resources/list": CacheHint(ttl_ms=1_000, scope="private"),
    "resources/read": CacheHint(ttl_ms=1_000, scope="private"),
}


class App:
    """The server and its runs."""

    def __init__(
        self,
        config: Config,
        *,
        offline: bool = False,
        backend: Backend | None = None,
        journal: Journal | None = None,
        submits: bool = False,
        caller_of: CallerOf = everyone_is_local,
        audit: AuditLog | None = None,
        over_http: bool = False,
        reloading: Reloading | None = None,
        monitoring: Monitoring | None = None,
    ) -> None:
        """Serve a configuration; `reloading` replaces it when its files change, and `monitoring` counts runs.

        With `submits`, runs go into the queue of the journal, and workers execute them. `caller_of` tells callers
        apart; by default, each is the local user, who sees all runs. Clients `over_http` may be on other machines.
        """
        routes: Routes | None = None
        self._provider: Real | None = None
        if backend is None and offline:
            backend = simulated()
        elif backend is None:
            self._provider = Real()
            backend, routes = real(config.models, dict(os.environ), Keychain(), self._provider)
        self._reloading = reloading
        self._monitoring = monitoring
        self.runs = self._runs(config, backend, journal, submits=submits)
        self.health = Health(self.runs, self._can_run)
        self._doors = doors = Doors(self.runs, caller_of, audit, over_http=over_http)
        self.listening = listening = Listening(doors)
        self.sessions = Sessions()
        self._listings = Listings(doors)
        self._answered = anyio.Event()
        cancellation, tasks = CancellationPolicy(), Tasks(doors)
        self._routes = routes
        self._tools = tools = Tools(doors, tasks, cancellation, listening.runs_changed)
        self._resources = resources = Resources(doors, routes)
        prompts = Prompts(doors)
        self.server = McpServer(
            "moa-mcp",
            version=version("moa-mcp"),
            title="Mixture of Agents",
            description="Sends a question to several language models and returns one answer.",
            instructions=INSTRUCTIONS,
            lifespan=self.lifespan,
            get_tool_input_schema=tools.input_schema,
            cache_hints=_HINTS,
            on_list_tools=tools.list,
            on_list_resources=resources.list,
            on_list_resource_templates=resources.templates,
            on_read_resource=resources.read,
            on_list_prompts=prompts.list,
            on_get_prompt=prompts.get,
            on_completion=resources.complete,
            on_subscriptions_listen=listening,
        )
        self._extend(tasks, cancellation)

    def _extend(self, tasks: Tasks, cancellation: CancellationPolicy) -> None:
        """Add what the constructor of the server does not take: tasks, extensions and middleware."""
        server, tools = self.server, self._tools
        # on_call_tool does not allow tasks as results.
        server.add_request_handler("tools/call", types.CallToolRequestParams, tools.call)
        states = _boundary(self._doors, server.name)
        listings, sessions = self._listings.keep, self.sessions.watch
        server.middleware += [self._guard, cancellation.watch, sessions, listings, tools.take, states]
        server.middleware.insert(0, in_client_trace)  # before the one of the SDK, which starts a span
        tasks.register(server)
        server.extensions[apps.EXTENSION] = {}
        server.tools_change = self._reloading is not None
        announce(server)

    def _runs(self, config: Config, backend: Backend, journal: Journal | None, *, submits: bool) -> Runs:
        if not submits:
            return Runs(config, backend, journal, self._observers())
        from moa_mcp.workers.submitting import Submitting  # noqa: PLC0415  few servers have workers

        return Runs(config, backend, journal, self._observers(), Submitting)

    def _observers(self) -> Sequence[Observer]:
        counted = () if self._monitoring is None else (self._monitoring.observer,)
        return (*telemetry.observers(os.environ), RunLog(), *counted)

    async def prepare(self) -> None:
        """Complete the instructions: they say which pipelines can run. Call it before the first client is served."""
        ready = surely_ready(self.runs.config, self._routes)
        about = ALL_READY if ready else sentence(await self._tools.described(), self._needed())
        if not ready and self._doors.guarded:
            about = SOME_BLOCKED  # callers may not know the names of all pipelines
        self.server.instructions = f"{INSTRUCTIONS}\n{about}"

    async def _can_run(self) -> bool:
        """Whether any pipeline has a usable provider now."""
        config, routes = self.runs.config, self._routes
        return surely_ready(config, routes) or any(
            each.ready for each in (await readiness(self._doors.whole())).values()
        )

    async def use(self, config: Config) -> None:
        """Use another configuration, and the keys that are in the environment now, for new runs; tell clients."""
        backend = self.runs.backend
        if self._provider is not None:
            backend, routes = real(config.models, dict(os.environ), Keychain(), self._provider)
            self._routes = routes
            self._resources.use(routes)
        pipelines = self.runs.config.pipelines
        self.runs.use(config, backend)
        tools_changed = await self._tools.renew()
        self._listings.forget()
        await self.prepare()
        if pipelines != config.pipelines:
            await self.listening.publish(ResourcesListChanged())
        if tools_changed:
            await self.listening.publish(ToolsListChanged())
            await self.sessions.tell_tools_changed()

    def _needed(self) -> str:
        return "" if self._routes is None else needs(self.runs.config, self._routes)

    def with_openai(self, app: ASGIApp, cap: RequestCap) -> ASGIApp:
        """Return an application that also answers the requests of OpenAI's API, for the same callers."""
        from moa_mcp.server.openai.face import OpenAIFace  # noqa: PLC0415  only over HTTP

        return OpenAIFace(app, self._doors, self.listening.runs_changed, cap)

    @asynccontextmanager
    async def lifespan(self, server: Server[None]) -> AsyncGenerator[None]:
        """Own the runs during the lifetime of the server."""
        del server
        await self.prepare()
        async with self.runs.open(), self._monitored(), anyio.create_task_group() as tasks:
            tasks.start_soon(self._warm)
            if self._reloading is not None:
                tasks.start_soon(self._reloading.keep_current, self.use)
            yield
            tasks.cancel_scope.cancel()

    @asynccontextmanager
    async def _monitored(self) -> AsyncGenerator[None]:
        if self._monitoring is None:
            yield
            return
        async with self._monitoring.serve(self.runs, self.health, self.sessions):
            yield

    async def _warm(self) -> None:
        """Load the clients of providers after the first answer."""
        await self._answered.wait()
        await anyio.sleep(_WARM_AFTER_S)
        try:
            for pipeline in self.runs.config.pipelines.values():
                resolved = await self.runs.resolved(pipeline)
                await self.runs.backend.ready(called(resolved.pipeline), self.runs.backend.usable(resolved.routes))
        except Exception:  # noqa: BLE001  the first call would fail too, and say so
            _log.exception("can't load the clients of providers in advance")

    async def _guard(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Middleware: hide unexpected errors from clients. The SDK would send their text to older clients."""
        try:
            return await call_next(ctx)
        except (MCPError, ValidationError):
            raise
        except Exception as error:
            _log.exception("unexpected error in %s", ctx.method)
            raise MCPError(types.INTERNAL_ERROR, "Internal error; see the server's log (stderr)") from error
        finally:
            self._answered.set()


def _boundary(doors: Doors, name: str) -> RequestStateBoundary:
    """Return the middleware for questions to a user: only the caller that was asked can answer."""
    key = os.urandom(32)
    security = RequestStateSecurity(
        keys=[key], ttl=STATE_S, bind_principal=lambda context: doors.caller_of(context).name or None
    )
    return RequestStateBoundary(security, default_audience=name)
