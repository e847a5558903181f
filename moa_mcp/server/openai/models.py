"""The pipelines of a caller as models."""

from __future__ import annotations

import time

from moa_mcp.config import Pipeline
from moa_mcp.planning.plan import plan
from moa_mcp.runs import CallerRuns
from moa_mcp.server.openai.errors import ApiError
from moa_mcp.text.redact import redact
from moa_mcp.text.suggest import closest
from moa_mcp.text.visible import quoted

_FOLDER = "moa/"
"""May stand before a name, as clients write providers."""
_LONGEST = 80
_SINCE = int(time.time())
"""When the models were created, which clients expect to know: the start of this server."""


def listing(runs: CallerRuns) -> dict[str, object]:
    """Return all pipelines that the caller may call, those that MCP clients do not list too."""
    return {"object": "list", "data": [described(each) for each in runs.config.pipelines.values()]}


def described(pipeline: Pipeline) -> dict[str, object]:
    """Return a pipeline as a model, with its description."""
    about = {"description": pipeline.description, "calls": plan(pipeline).calls}
    return {"id": pipeline.name, "object": "model", "created": _SINCE, "owned_by": "moa-mcp", "moa": about}


def named(runs: CallerRuns, name: str) -> Pipeline:
    """Return the pipeline of a name. Raises `ApiError` if there is none that the caller may call."""
    pipelines = runs.config.pipelines
    found = pipelines.get(name) or pipelines.get(name.removeprefix(_FOLDER))
    if found is not None:
        return found
    near = closest(name, pipelines)
    meant = f" (did you mean {near}?)" if near else ""
    message = f"the model {quoted(redact(name[:_LONGEST]))} does not exist{meant}; GET /v1/models lists the models"
    raise ApiError(404, "model_not_found", message, param="model")
