"""What servers and workers share: the options of their log and their metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from moa_mcp.cli.options import Decorated, Refused
from moa_mcp.metrics import is_installed
from moa_mcp.server.access import CannotServe
from moa_mcp.server.logs import FORMATS, LEVELS, LogSettings

if TYPE_CHECKING:
    from moa_mcp.server.monitoring import Monitoring

_PORTS = 2**16


def log_options(command: Decorated) -> Decorated:
    """Add --log-level and --log-format."""
    level = click.option(
        "--log-level",
        type=click.Choice(LEVELS),
        default="warning",
        show_default=True,
        envvar="MOA_MCP_LOG_LEVEL",
        show_envvar=True,
        help="What to log to stderr: info adds runs, debug adds requests to models.",
    )
    form = click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        envvar="MOA_MCP_LOG_FORMAT",
        show_envvar=True,
        help="Format of the log; json writes one object per line.",
    )
    return level(form(command))


def metrics_option(command: Decorated) -> Decorated:
    """Add --metrics."""
    return click.option(
        "--metrics",
        metavar="[HOST:]PORT",
        envvar="MOA_MCP_METRICS",
        show_envvar=True,
        help="Serve /metrics for Prometheus, /health and /ready on this port, without a token. Default host: "
        "127.0.0.1.",
    )(command)


def monitoring_at(address: str, log: LogSettings) -> Monitoring:
    """Return what counts runs, listening on an address. Raises `Refused`."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not (port.isdecimal() and int(port) < _PORTS):
        raise Refused(f"{address!r} of --metrics is not [HOST:]PORT", "Give a port, such as 9464 or 0.0.0.0:9464.")
    if not is_installed():
        raise Refused("--metrics needs the package prometheus-client", "Run pip install 'moa-mcp[team]'.")
    from moa_mcp.server.listeners import listening  # noqa: PLC0415
    from moa_mcp.server.monitoring import Monitoring  # noqa: PLC0415  it loads prometheus-client

    try:
        listener = listening(host, int(port))
    except CannotServe as error:
        raise Refused(str(error), "Give another port with --metrics.") from error
    shown = f"[{host}]" if ":" in host else host
    log.announce(f"moa-mcp serves metrics at http://{shown}:{listener.getsockname()[1]}/metrics")
    return Monitoring(listener)
