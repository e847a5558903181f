"""``moa-mcp callers``: adds, lists and removes callers of a shared server. Only hashes of their tokens are stored."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import click

from moa_mcp.callers import Caller, Callers, document, file, tokens
from moa_mcp.callers.tables import NamedCaller
from moa_mcp.cli.groups import Group
from moa_mcp.cli.options import Decorated, Refused, nearest, us_dollars
from moa_mcp.cli.text import line, say
from moa_mcp.clients.documents import NotEditable
from moa_mcp.errors import ConfigError
from moa_mcp.text.money import dollars


class _Commands(Group):
    default = "list"


def _file_option(command: Decorated) -> Decorated:
    return click.option(
        "--callers",
        "path",
        type=click.Path(path_type=Path),
        default=file.default_path,
        envvar=file.ENVIRONMENT_VARIABLE,
        show_envvar=True,
        metavar="FILE",
        help="File of callers. Default: callers.toml in your config folder.",
    )(command)


@click.group("callers", cls=_Commands, invoke_without_command=True, context_settings={"ignore_unknown_options": True})
@click.pass_context
def command(ctx: click.Context) -> None:
    """List, add and remove callers of a server that several people share, for serve --callers.

    Running servers read the file again when it changes.
    """
    if ctx.invoked_subcommand is None:
        command.invoke_default(ctx)


@command.command("list")
@_file_option
def list_command(path: Path) -> None:
    """List the callers and their permissions."""
    callers = _read(path)
    for caller in sorted(callers.named.values(), key=lambda each: each.name):
        click.echo(f"{caller.name}  {_described(caller)}")
    if callers.oauth is not None:
        scopes = ", ".join(callers.oauth.scopes)
        click.echo(line(f"users of {callers.oauth.issuer} with a scope of {scopes}"))
    if not callers.named and callers.oauth is None:
        say(f"{path} has no callers.", "Run moa-mcp callers add NAME.")


@command.command("add")
@click.argument("name")
@click.option("--pipeline", "pipelines", multiple=True, metavar="NAME", help="A pipeline to allow. Default: all.")
@click.option(
    "--max-cost-per-day", type=us_dollars, metavar="USD", help="Budget of the caller's runs of one day (UTC)."
)
@click.option("--max-runs", type=click.IntRange(1), metavar="N", help="Runs of the caller at the same time.")
@click.option("--requests-per-minute", type=click.IntRange(1), metavar="N", help="HTTP requests of the caller.")
@click.option("--operator", is_flag=True, help="Let the caller see and manage the runs of all callers.")
@_file_option
def add_command(
    name: str,
    pipelines: tuple[str, ...],
    max_cost_per_day: Decimal | None,
    max_runs: int | None,
    requests_per_minute: int | None,
    operator: bool,
    path: Path,
) -> None:
    """Add the caller NAME and print its token, which is not stored and not shown again."""
    if not document.NAME.fullmatch(name):
        raise Refused(f"{name!r} can't be the name of a caller", f"Use {document.NAME_RULE}.")
    if any(each.name == name for each in (_read(path) if path.exists() else Callers()).named.values()):
        raise Refused(f"{path} already has a caller {name!r}", f"Run moa-mcp callers remove {name} first.")
    token = tokens.new()
    entry = NamedCaller(
        token_sha256=tokens.hashed(token),
        pipelines=pipelines or None,
        max_cost_usd_per_day=max_cost_per_day,
        max_runs=max_runs,
        requests_per_minute=requests_per_minute,
        operator=operator,
    )
    _change(path, document.added(_text(path), name, entry))
    click.echo(token)
    say(f"Caller {name} is added to {path}. The token above is not stored and not shown again.")


@command.command("remove")
@click.argument("name")
@_file_option
def remove_command(name: str, path: Path) -> None:
    """Remove the caller NAME. Its token is refused from then on; its runs stay recorded."""
    known = [each.name for each in _read(path).named.values()]
    if name not in known:
        why = f"{path} has no caller {name!r}{nearest(name, known)}"
        raise Refused(why, "Run moa-mcp callers list to see them.")
    try:
        after = document.removed(_text(path), name)
    except NotEditable as error:
        raise Refused(f"{path}: {error}", f"Remove the table [callers.{name}] by hand.") from error
    _change(path, after)
    say(f"Caller {name} is removed from {path}.")


def _described(caller: Caller) -> str:
    permissions = caller.permissions
    cost, runs, requests = (
        permissions.max_cost_usd_per_day,
        permissions.max_runs,
        permissions.requests_per_minute,
    )
    parts = [
        "operator" if permissions.operator else "",
        "all pipelines" if permissions.pipelines is None else ", ".join(permissions.pipelines),
        "" if cost is None else f"{dollars(cost)} per day",
        "" if runs is None else f"{runs} at once",
        "" if requests is None else f"{requests} requests per minute",
    ]
    return line("; ".join(filter(None, parts)))


def _read(path: Path) -> Callers:
    try:
        return file.read(path)
    except ConfigError as error:
        raise Refused(str(error), "Fix the file, or choose another with --callers.") from error


def _text(path: Path) -> str:
    return file.text_of(path) if path.exists() else ""


def _change(path: Path, text: str) -> None:
    try:
        file.write(path, text)
    except OSError as error:
        raise Refused(f"{path} can't be written: {error.strerror}", "Choose another file with --callers.") from error
