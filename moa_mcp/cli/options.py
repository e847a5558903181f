"""What the commands share: options that are valid before and after a command's name, and errors."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import anyio
import click
from click.core import ParameterSource
from platformdirs import user_data_path

from moa_mcp import config as configuration
from moa_mcp.cli.completing import files
from moa_mcp.cli.text import say
from moa_mcp.config import Config, JournalSettings, Pipeline
from moa_mcp.errors import ConfigError, JournalError
from moa_mcp.journal import Journal
from moa_mcp.journal.address import is_database, shown
from moa_mcp.journal.delivery import Delivery
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.routing import environment
from moa_mcp.routing.environment import FileKeys
from moa_mcp.text.suggest import closest

if TYPE_CHECKING:
    from moa_mcp.workers import Queue

FAILED = 1
REFUSED = 2
NO_KEYS = 3

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Refused(click.ClickException):
    """A command can't run. Two lines: what is wrong, and the remedy."""

    exit_code = REFUSED

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy

    def show(self, file: IO[Any] | None = None) -> None:
        del file
        say(f"Error: {self.message}", self.remedy)


class RunFailed(Refused):
    """The run has no answer."""

    exit_code = FAILED


class KeysMissing(Refused):
    """The run can't start: no usable provider, because an API key or a server is missing."""

    exit_code = NO_KEYS


def also_before(ctx: click.Context, param: click.Parameter, value: Any) -> Any:  # noqa: ANN401  the type depends on the option
    """Return the option's value after the command's name, else before it, else from the environment."""
    name = param.name or ""
    before = ctx.parent.params.get(name) if ctx.parent else None
    return value if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE else before or value


def config_option(command: Decorated) -> Decorated:
    """Add --config."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        metavar="PATH",
        callback=also_before,
        help="Configuration file; moa-mcp check prints the path in use.  "
        f"[env var: {configuration.ENVIRONMENT_VARIABLE}]",
    )(command)


def config_unread(command: Decorated) -> Decorated:
    """Accept --config as other commands do, though stored runs need no configuration."""
    return click.option("--config", hidden=True, expose_value=False)(command)


def offline_option(command: Decorated) -> Decorated:
    """Add --offline."""
    return click.option(
        "--offline",
        is_flag=True,
        envvar="MOA_MCP_OFFLINE",
        show_envvar=True,
        callback=also_before,
        help="Simulate the models: no API key, no network, no cost.",
    )(command)


def journal_option(command: Decorated) -> Decorated:
    """Add --journal."""
    return click.option(
        "--journal",
        envvar="MOA_MCP_JOURNAL",
        show_envvar=True,
        metavar="PATH",
        callback=also_before,
        shell_complete=files,
        help="Journal that stores runs: a file, a postgresql:// address of a team's database, or 'none'. Default: "
        "journal.sqlite in your data folder.",
    )(command)


def us_dollars(value: str) -> Decimal:
    """Parse a positive amount in US dollars."""
    try:
        amount = Decimal(value.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(0)
    if not (amount.is_finite() and amount > 0):
        raise click.BadParameter(f"{value!r} is not an amount in US dollars above 0, such as 0.25")
    return amount


def seconds(value: str) -> float:
    """Parse a positive number of seconds."""
    try:
        amount = float(value)
    except ValueError:
        amount = 0.0
    if not amount > 0:
        raise click.BadParameter(f"{value!r} is not a number of seconds above 0, such as 90")
    return amount


def max_cost_option(command: Decorated) -> Decorated:
    """Add --max-cost."""
    return click.option(
        "--max-cost",
        "max_cost_usd",
        type=us_dollars,
        metavar="USD",
        help="Budget of the run in US dollars; overrides max_cost_usd.",
    )(command)


def journal_file(path: str | None) -> Path:
    """Return the path of the journal file."""
    return Path(path).expanduser() if path else user_data_path("moa-mcp") / "journal.sqlite"


def journal_name(path: str | None) -> str:
    """Return the journal as messages name it: its file, or its address without the password."""
    return shown(path) if is_database(path) else str(journal_file(path))


def opened(
    path: str | None,
    settings: JournalSettings,
    *,
    at_once: bool = True,
    to_read: bool = False,
    only_reads: bool = False,
) -> Journal:
    """Return the journal, opened now or on first use; the options are those of `SQLiteJournal`. Raises `Refused`."""
    if path == "none":
        return MemoryJournal()
    if is_database(path):
        return _database(path, settings)
    from moa_mcp.journal.sqlite import SQLiteJournal  # noqa: PLC0415  not needed for most commands

    try:
        return SQLiteJournal(
            journal_file(path),
            synchronous="FULL" if settings.durability == "power" else "NORMAL",
            texts=settings.record == "calls",
            at_once=at_once,
            to_read=to_read,
            only_reads=only_reads,
        )
    except JournalError as error:
        raise Refused(str(error), "Choose another file with --journal, or use --journal none.") from error


def opened_with_queue(path: str | None, settings: JournalSettings) -> tuple[Journal, Queue]:
    """Return the journal in a database, and the queue beside it. Raises `Refused`."""
    if path is None or not is_database(path):
        raise Refused(
            f"the journal {journal_name(path)} has no queue: workers need a database",
            "Add --journal postgresql://USER:PASSWORD@HOST/DATABASE.",
        )
    if settings.record != "calls":
        raise Refused(
            f'workers can\'t execute runs whose questions are not stored (record = "{settings.record}")',
            'Set record = "calls" in [journal].',
        )
    _require("psycopg", path)
    _require("procrastinate", path)
    from moa_mcp.journal.postgres import LEASE_S  # noqa: PLC0415  the driver of an extra
    from moa_mcp.workers import Queue  # noqa: PLC0415  as above

    queue = Queue(path, lease_s=LEASE_S)
    return _database(path, settings, queue), queue


def _require(package: str, address: str) -> None:
    if find_spec(package) is None:
        raise Refused(
            f"the journal {shown(address)} needs {package}, which is not installed",
            "Install it with: pip install 'moa-mcp[team]'",
        )


def _database(address: str, settings: JournalSettings, delivery: Delivery | None = None) -> Journal:
    """Return the journal in a database, whose tables are those of this version. Raises `Refused`."""
    _require("psycopg", address)
    from moa_mcp.journal.postgres import PostgresJournal  # noqa: PLC0415  the driver of an extra

    try:
        journal: Journal = PostgresJournal(
            address,
            synchronous="FULL" if settings.durability == "power" else "NORMAL",
            texts=settings.record == "calls",
            delivery=delivery,
        )
        anyio.run(_open, journal)
    except JournalError as error:
        raise Refused(str(error), "Correct the address of --journal, or use --journal none.") from error
    return journal


async def _open(journal: Journal) -> None:
    try:
        await journal.open()
    except JournalError:
        await journal.close()
        raise


@contextmanager
def closing(journal: Journal) -> Generator[Journal]:
    """Close a journal at the end."""
    try:
        yield journal
    finally:
        anyio.run(journal.close)


def loaded(path: Path | None) -> Config:
    """Return the configuration. Raises `Refused`."""
    try:
        return configuration.load(path)
    except ConfigError as error:
        raise Refused(str(error), "Fix the file, or choose another with --config.") from error


def show_notes(config: Config) -> None:
    """Print on stderr what the author of the configuration should change."""
    for note in config.notes:
        say(f"Note: {config.source}: {note}")


def add_keys(config: Config, *names: str) -> FileKeys:
    """Add the keys of the user's file to the environment, and those `names` of it; print its problems on stderr."""
    found = environment.add_from_file(config.models, names)
    for problem in found.problems:
        say(f"Note: {problem}")
    return found


def named(config: Config, name: str) -> Pipeline:
    """Return the pipeline of that name. Raises `Refused`."""
    pipeline = config.pipelines.get(name)
    if pipeline is None:
        raise Refused(
            f"there is no pipeline {name!r}{nearest(name, config.pipelines)}",
            f"Pipelines: {', '.join(config.pipelines)}.",
        )
    return pipeline


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a "did you mean" question with the most similar name; empty if none is similar."""
    near = closest(word, known)
    return f"; did you mean {near!r}?" if near else ""
