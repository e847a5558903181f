"""Sends runs to OpenTelemetry: an observer that makes spans and metrics from events.

The standard OTEL_* variables alone turn it on; without them nothing is imported. It does not know MCP or providers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING

from moa_mcp.telemetry.variables import destinations

if TYPE_CHECKING:
    from moa_mcp.telemetry.observer import Telemetry

_log = logging.getLogger(__name__)


def observers(environ: Mapping[str, str]) -> tuple[Telemetry, ...]:
    """Return the observer of runs that the environment asks for; none if it asks for none, or if it can't be set up."""
    if not destinations(environ).any:
        return ()
    if not _is_installed():
        _log.warning(
            "telemetry is off: OTEL_* variables are set, but the OpenTelemetry SDK is not installed; "
            "run pip install 'moa-mcp[otel]', or set OTEL_SDK_DISABLED=true"
        )
        return ()
    from moa_mcp.telemetry.setup import set_up  # noqa: PLC0415  it loads the SDK

    found = set_up(environ)
    return () if found is None else (found,)


def client_trace(environ: Mapping[str, str], headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """Return a scope whose spans belong to the trace of a request's headers, such as `traceparent`."""
    if not destinations(environ).any or not _is_installed():
        return nullcontext()
    from moa_mcp.telemetry.propagation import inside  # noqa: PLC0415  it loads the API

    return inside(headers)


def parent_trace(environ: Mapping[str, str]) -> AbstractContextManager[None]:
    """Return a scope whose spans belong to the trace of the process that started this one.

    That is the one in TRACEPARENT and TRACESTATE, by the convention of OpenTelemetry for environment variables.
    """
    return client_trace(environ, {name.lower().replace("_", "-"): value for name, value in environ.items()})


def traceparent(environ: Mapping[str, str]) -> str:
    """Return the trace context of the current span, to hand it to another process; empty if there is none."""
    if not destinations(environ).any or not _is_installed():
        return ""
    from moa_mcp.telemetry.propagation import traceparent_of_current  # noqa: PLC0415  it loads the API

    return traceparent_of_current()


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.sdk") is not None
    except ModuleNotFoundError:
        return False
