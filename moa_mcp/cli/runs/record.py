"""The journal for the commands on runs: opens it, finds a run, and turns its errors into a message and a remedy."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import anyio
import click

from moa_mcp.cli import completing
from moa_mcp.cli.options import Refused, journal_file, journal_name, opened
from moa_mcp.config import JournalSettings
from moa_mcp.errors import JournalError, RunAmbiguous, RunNotFound, RunNotResumable
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.journal.address import is_database
from moa_mcp.runs.lookup import LAST, find_run

_ANY = JournalSettings()
"""Settings for a journal that is only read."""
_FIRST = 'Run moa-mcp ask vote "Why is the sky blue?" to create one, or choose another journal with --journal PATH.'
_ANOTHER = "Choose another journal with --journal PATH."

run_argument = click.argument("run_id", metavar="ID", shell_complete=completing.runs)


def absent(path: str | None) -> bool:
    """Whether there is no journal file yet. Raises `Refused` for --journal none."""
    if path == "none":
        raise Refused("--journal none does not store runs", _ANOTHER)
    if is_database(path):
        return False
    try:
        return not journal_file(path).exists()
    except OSError:  # it may exist; opening it gives a better error
        return False


def no_runs(path: str | None) -> str:
    """Return a message that there are no runs, with the path of the journal."""
    return f"there are no runs yet in {journal_name(path)}"


@contextmanager
def journal_of(path: str | None, settings: JournalSettings | None = None) -> Generator[Journal]:
    """Open the journal, and close it at the end. Errors inside are raised as `Refused`.

    With `settings` it is opened for writing, as commands that start runs need it; without, it may be read-only.
    """
    if absent(path):
        raise Refused(no_runs(path), _FIRST)
    try:
        journal = opened(path, settings or _ANY, to_read=settings is None)
    except Refused as error:
        raise Refused(error.message, error.remedy if is_database(path) else _ANOTHER) from error
    try:
        with explained():
            yield journal
    finally:
        anyio.run(journal.close)


@contextmanager
def explained() -> Generator[None]:
    """Raise errors of the journal, and those of a run that can't be found or continued, as `Refused`."""
    try:
        yield
    except JournalError as error:
        raise Refused(str(error), _ANOTHER) from error
    except RunNotResumable as error:
        raise Refused(str(error), "Run moa-mcp runs list to see the status of each run.") from error
    except RunNotFound as error:
        raise Refused(str(error), "Run moa-mcp runs to list the stored runs.") from error


def stands(record: RunRecord) -> str:
    """Return a run's status; a running run that no process owns is interrupted."""
    return "interrupted" if record.status == "running" and not record.owned else record.status


async def find(journal: Journal, given: str) -> RunRecord:
    """Return the run of an ID or of the start of one, or the last run. Raises `Refused`, `RunNotFound`."""
    try:
        return await find_run(journal, given)
    except RunAmbiguous as error:
        message, _, _ = str(error).partition("; ")
        raise Refused(message, "Use more characters of the ID.") from error
    except RunNotFound as error:
        if given != LAST:
            raise
        raise Refused(str(error), _FIRST) from error
