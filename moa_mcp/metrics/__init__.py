"""Metrics runs for Prometheus: an observer that makes metrics from events. It does not know MCP, HTTP or the journal.

It needs the package prometheus-client of the extra `team`; without it, only `is_installed` works.
"""

from __future__ import annotations

from importlib.util import find_spec


def is_installed() -> bool:
    """Return whether metrics can be served."""
    return find_spec("prometheus_client") is not None
