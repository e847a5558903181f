"""``moa-mcp serve``: the MCP server on stdio, HTTP or SSE."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource

from moa_mcp.cli.monitored import log_options, metrics_option, monitoring_at
from moa_mcp.cli.options import (
    Refused,
    add_keys,
    config_option,
    journal_option,
    loaded,
    offline_option,
    opened,
    opened_with_queue,
    show_notes,
)
from moa_mcp.cli.text import say
from moa_mcp.errors import ConfigError, MoaError
from moa_mcp.garbage import collect_seldom, collecting_nothing
from moa_mcp.server.access import CannotServe, ServerAccess, public
from moa_mcp.server.logs import Level, LogFormat, LogSettings
from moa_mcp.server.reloading import Reloading

_LISTENING = {
    "host": "--host",
    "port": "--port",
    "token_env": "--token-env",
    "callers": "--callers",
    "public_url": "--public-url",
    "audit": "--audit",
    "drain_s": "--drain",
    "max_requests": "--max-requests",
    "openai": "--openai",
}


@click.command(
    "serve",
    epilog="Exit codes: 0 closed by the client, 2 wrong usage or an error in the configuration, 130 interrupted.",
)
@click.option("--http", is_flag=True, help="Serve streamable HTTP at /mcp instead of stdio.")
@click.option("--sse", is_flag=True, help="Serve HTTP with SSE at /sse, for clients from before March 2025.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--token-env",
    default="MOA_MCP_TOKEN",
    show_default=True,
    metavar="NAME",
    help="Environment variable with the bearer token for clients; required unless --host is local.",
)
@click.option(
    "--callers",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File with named callers and OAuth, instead of one token; see moa-mcp callers.",
)
@click.option(
    "--public-url",
    metavar="URL",
    help="https:// URL by which clients reach the server through a proxy; only requests to it are accepted.",
)
@click.option(
    "--audit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Audit log: who starts, cancels or may not see which run. With --callers, stderr by default.",
)
@click.option(
    "--openai/--no-openai",
    default=True,
    show_default=True,
    help="Also serve OpenAI's API at /v1, with the pipelines as models.",
)
@log_options
@click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(0),
    default=5.0,  # as `DRAIN_S` of the transports, which take a second to load
    show_default=True,
    metavar="SECONDS",
    envvar="MOA_MCP_DRAIN",
    show_envvar=True,
    help="Seconds that active runs may go on after SIGTERM; no new runs start.",
)
@click.option(
    "--max-requests",
    type=click.IntRange(1),
    default=2000,  # as `MAX_REQUESTS` of the transports
    show_default=True,
    metavar="N",
    help="Requests that are answered at once; others get status 503 with Retry-After. Calls that wait count.",
)
@metrics_option
@click.option(
    "--submit",
    is_flag=True,
    help="Put runs into the queue of a PostgreSQL journal, for moa-mcp worker, instead of executing them here.",
)
@offline_option
@journal_option
@config_option
@click.pass_context
def command(
    ctx: click.Context,
    http: bool,
    sse: bool,
    host: str,
    port: int,
    token_env: str,
    callers: Path | None,
    public_url: str | None,
    audit: Path | None,
    openai: bool,
    log_level: Level,
    log_format: LogFormat,
    drain_s: float,
    max_requests: int,
    metrics: str | None,
    submit: bool,
    offline: bool,
    journal: str | None,
    config_path: Path | None,
) -> None:
    """Start the MCP server; each pipeline is a tool.

    The default transport is stdio.
    """
    given = _given(ctx, http=http, sse=sse)
    config = loaded(config_path)
    show_notes(config)
    keys = add_keys(config, token_env) if http or sse or not offline else None
    log = LogSettings(log_level, log_format)
    token = _token(token_env, callers, named="--token-env" in given) if http or sse else None
    access = _access(token, callers, public_url, audit, host, log) if http or sse else ServerAccess()
    reloading = Reloading(config, config_path, keys, [token_env], log.announce, access.callers)
    with collecting_nothing():
        from moa_mcp.server import transports  # noqa: PLC0415  takes a second; errors above need not wait
    monitoring = None if metrics is None else monitoring_at(metrics, log)
    kept = opened_with_queue(journal, config.journal)[0] if submit else opened(journal, config.journal, at_once=False)
    collect_seldom()
    if http or sse:
        over_http = transports.serve_http if http else transports.serve_sse
        at = partial(over_http, host=host, port=port, access=access)
        serve = partial(at, drain_s=drain_s, max_requests=max_requests, openai=openai)
    else:
        _greet()
        serve = partial(transports.serve_stdio)
    try:
        serve(
            config,
            journal=kept,
            submits=submit,
            offline=offline,
            log=log,
            reloading=reloading,
            monitoring=monitoring,
        )
    except MoaError as error:
        raise Refused(str(error), "See moa-mcp serve --help.") from error


def _given(ctx: click.Context, *, http: bool, sse: bool) -> list[str]:
    """Return the options of HTTP on the command line. Raises `Refused` if they don't fit."""
    given = [name for key, name in _LISTENING.items() if ctx.get_parameter_source(key) is ParameterSource.COMMANDLINE]
    if http and sse:
        raise Refused("--http and --sse can't be combined", "Use --http, unless a client only supports SSE.")
    if given and not (http or sse):
        raise Refused(f"{given[0]} has no effect over stdio", "Add --http or --sse.")
    if {"--callers", "--token-env"} <= {*given}:
        raise Refused("--callers and --token-env can't be combined", "Add a caller instead: moa-mcp callers add NAME.")
    return given


def _token(variable: str, callers: Path | None, *, named: bool) -> str | None:
    """Return the bearer token; None if there is none. Raises `Refused` if its variable is named and not set."""
    token = os.environ.get(variable)
    if callers is not None:
        if token:
            say(f"Note: the token in {variable} is not accepted, since --callers has the tokens of this server.")
        return None
    if not token and named:
        raise Refused(f"the environment variable {variable} of --token-env is not set", f"Set {variable} to the token.")
    return token or None


def _access(
    token: str | None, callers: Path | None, public_url: str | None, audit: Path | None, host: str, log: LogSettings
) -> ServerAccess:
    """Return who may reach the server. Raises `Refused`."""
    from moa_mcp.callers import CallersFile  # noqa: PLC0415  only servers with callers need it

    try:
        url = None if public_url is None else public(public_url)
        file = None if callers is None else CallersFile(callers, log.announce)
        access = ServerAccess(token, file, url, audit)
    except CannotServe as error:
        raise Refused(str(error), "Use the URL of the proxy, such as https://moa.example.com.") from error
    except ConfigError as error:
        raise Refused(str(error), "Fix the file, or choose another with --callers.") from error
    try:
        access.check(host)
    except CannotServe as error:
        raise Refused(str(error), "Set MOA_MCP_TOKEN to a token, add --callers, or use --host 127.0.0.1.") from error
    if file is not None and file.is_empty:
        say(f"Note: {file.path} has no callers, so every request is refused; add one: moa-mcp callers add NAME.")
    return access


def _greet() -> None:
    """Explain the silence to a user who started the server at a terminal."""
    if sys.stdin is not None and sys.stdin.isatty():
        say(
            "Serving MCP over stdio. MCP clients such as Claude Desktop start this command and send it requests.",
            "Press Ctrl-C to stop. Run moa-mcp --help to see the other commands.",
        )
