"""Resources: every pipeline with its requirements, and every run with its trace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

from moa_mcp.config import Pipeline
from moa_mcp.errors import JournalError, RunNotFound
from moa_mcp.journal import RunRecord
from moa_mcp.panels import needs
from moa_mcp.planning.plan import Reach, blocking, plan, reach
from moa_mcp.routing.routes import Routes
from moa_mcp.runs import CallerRuns
from moa_mcp.server import apps
from moa_mcp.server.doors import Doors
from moa_mcp.server.pages import only_page, page
from moa_mcp.server.waiting import Context

PAGE = 50
"""Resources on one page of a listing."""
_JSON = "application/json"
_PIPELINE = "moa://pipelines/"
_RUN = "moa://runs/"
_LEGACY_NOT_FOUND = -32002
_MODERN = "2026-07-28"
_COMPLETIONS = 100


class Resources:
    """Lists, reads and completes resources."""

    def __init__(self, doors: Doors, routes: Routes | None) -> None:
        self._doors = doors
        self._routes = routes
        """None if models are simulated, so that every pipeline can run."""

    def use(self, routes: Routes) -> None:
        """Describe the pipelines of another configuration."""
        self._routes = routes

    async def list(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        """Return the caller's pipelines, then its runs, newest first. A cursor is the last resource of a page."""
        runs = self._doors.of(context)
        cursor = params.cursor if params else None
        resources: list[types.Resource] = []
        if cursor is None or not cursor.startswith(_RUN):
            pages = [apps.RESOURCE] if apps.renders(context) else []
            fixed = [*pages, *map(_pipeline_resource, runs.config.pipelines.values())]
            resources = fixed[_after(cursor, fixed) :]
        last = cursor.removeprefix(_RUN) if cursor and cursor.startswith(_RUN) else None
        resources += map(_run_resource, await _records(runs, last, max(0, PAGE + 1 - len(resources))))
        shown = resources[:PAGE]
        more = len(resources) > PAGE
        return types.ListResourcesResult(resources=shown, next_cursor=str(shown[-1].uri) if more else None)

    async def templates(
        self, context: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """Return the URI templates."""
        del context
        only_page(params, "templates")
        return types.ListResourceTemplatesResult(resource_templates=list(_TEMPLATES))

    async def read(self, context: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        """Return a pipeline or a page of a run's trace, as JSON, or the page that shows runs in a chat."""
        uri = str(params.uri)
        if uri == apps.URI:
            return types.ReadResourceResult(contents=[apps.contents()])
        found = await self._found(self._doors.of(context), uri)
        if found is None:
            code = types.INVALID_PARAMS if context.protocol_version >= _MODERN else _LEGACY_NOT_FOUND
            raise MCPError(code, f"Resource not found: {uri}", data={"uri": uri})
        text = json.dumps(found, ensure_ascii=False, indent=1)
        return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, text=text, mime_type=_JSON)])

    async def _found(self, runs: CallerRuns, uri: str) -> dict[str, Any] | None:
        if uri.startswith(_PIPELINE):
            pipeline = runs.config.pipelines.get(uri.removeprefix(_PIPELINE))
            return None if pipeline is None else await self._described(runs, pipeline)
        if uri.startswith(_RUN):
            run_id, _, number = uri.removeprefix(_RUN).partition("/")
            try:
                return page(await runs.trace(run_id), int(number or 1))
            except (RunNotFound, ValueError):
                return None
            except JournalError as error:
                raise _unreadable(error) from error
        return None

    async def _described(self, runs: CallerRuns, pipeline: Pipeline) -> dict[str, Any]:
        resolved = await runs.resolved(pipeline)
        pipeline = resolved.pipeline
        whole = plan(pipeline)
        reaches: tuple[Reach, ...] = ()
        if self._routes is not None:
            needed = needs(runs.config, self._routes)
            reaches = await reach(pipeline, self._routes.of(resolved.routes), needed)
        missing = {each.alias: each.missing for each in reaches if each.missing}
        return {
            **pipeline.model_dump(mode="json", by_alias=True, exclude_none=True),
            "layers": whole.layers,
            "calls": whole.calls,
            "models": {each.alias: _route_states(each) for each in reaches},
            "runs_here": not blocking(pipeline, missing),
            "simulated": runs.backend.simulated,
            "missing": missing,
            "stand_ins": {each.alias: each.model for each in resolved.stand_ins},
        }

    async def complete(self, context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        """Return the caller's pipelines or run IDs that begin with the typed text."""
        runs = self._doors.of(context)
        typed, values = params.argument.value, list[str]()
        if params.argument.name == "run_id":
            values = await _run_ids(runs, typed)
        elif params.argument.name in {"name", "pipeline"}:
            values = [name for name in runs.config.pipelines if name.startswith(typed)]
        shown, more = values[:_COMPLETIONS], len(values) > _COMPLETIONS
        completion = types.Completion(values=shown, total=None if more else len(values), has_more=more)
        return types.CompleteResult(completion=completion)


_TEMPLATES = (
    types.ResourceTemplate(
        uri_template=f"{_PIPELINE}{{name}}",
        name="pipeline",
        title="A pipeline",
        description="Steps, models and routes; whether the pipeline can run here, and what is missing.",
        mime_type=_JSON,
    ),
    types.ResourceTemplate(
        uri_template=f"{_RUN}{{run_id}}",
        name="run",
        title="A run",
        description="Trace of a run: every prompt and answer, tokens, time and cost. Long traces continue at /2, /3, …",
        mime_type=_JSON,
    ),
    types.ResourceTemplate(
        uri_template=f"{_RUN}{{run_id}}/{{page}}",
        name="run_page",
        title="A page of a trace",
        description="One page of a long trace.",
        mime_type=_JSON,
    ),
)


async def _records(runs: CallerRuns, before: str | None, limit: int) -> Sequence[RunRecord]:
    try:
        return await runs.records(before=before, limit=limit)
    except RunNotFound as error:
        raise _stale() from error
    except JournalError as error:
        raise _unreadable(error) from error


async def _run_ids(runs: CallerRuns, typed: str) -> list[str]:
    """Return the IDs of the newest runs that begin with a text, and one more than are shown."""
    found: list[str] = []
    try:
        async with aclosing(runs.every()) as records:
            async for each in records:
                if each.run_id.startswith(typed):
                    found.append(each.run_id)
                if len(found) > _COMPLETIONS:
                    break
    except JournalError as error:
        raise _unreadable(error) from error
    return found


def _unreadable(error: JournalError) -> MCPError:
    return MCPError(types.INTERNAL_ERROR, str(error))


def _pipeline_resource(pipeline: Pipeline) -> types.Resource:
    return types.Resource(
        uri=f"{_PIPELINE}{pipeline.name}",
        name=pipeline.name,
        title=pipeline.title,
        description=pipeline.description,
        mime_type=_JSON,
    )


def _run_resource(record: RunRecord) -> types.Resource:
    return types.Resource(
        uri=f"{_RUN}{record.run_id}",
        name=record.run_id,
        title=f"{record.pipeline}: {record.title}",
        description=f"Trace of a run of {record.pipeline}: {'damaged' if record.damaged else record.status}",
        mime_type=_JSON,
    )


def _route_states(each: Reach) -> list[dict[str, Any]]:
    return [
        {"route": str(state.route), "usable": state.target is not None, "missing": state.missing}
        for state in each.routes
    ]


def _after(cursor: str | None, resources: Sequence[types.Resource]) -> int:
    if cursor is None:
        return 0
    for index, resource in enumerate(resources):
        if str(resource.uri) == cursor:
            return index + 1
    raise _stale()


def _stale() -> MCPError:
    return MCPError(types.INVALID_PARAMS, "Invalid cursor: that resource is gone; list again without a cursor")
