"""The journal as the commands on runs use it: opened, searched for a run, and its faults told in two lines."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import anyio
import click

from moa_mcp.cli.options import Refused, journal_file, nearest, opened
from moa_mcp.config import JournalSettings
from moa_mcp.errors import JournalError, RunNotFound, RunNotResumable
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.text.visible import quoted

ALL = 2**31 - 1
"""More runs than any journal holds."""
_SHOWN = 5
_ANY = JournalSettings()
"""How to open a journal that is only looked at."""
_FIRST = 'moa-mcp ask vote "Why is the sky blue?" makes the first; --journal PATH names another file.'
_ANOTHER = "Name another file with --journal PATH."

run_argument = click.argument("run_id", metavar="ID")


def absent(path: str | None) -> bool:
    """Whether nothing was recorded yet. Raises `Refused` where nothing ever is."""
    if path == "none":
        raise Refused("--journal none keeps no runs beyond their process", _ANOTHER)
    try:
        return not journal_file(path).exists()
    except OSError:  # it may be there; opening it tells what is wrong
        return False


def no_runs(path: str | None) -> str:
    """Return that nothing was recorded, and where that was looked for."""
    return f"there are no runs yet in {journal_file(path)}"


@contextmanager
def journal_of(path: str | None, settings: JournalSettings | None = None) -> Generator[Journal]:
    """Open the journal, and close it. What goes wrong inside is reported as `Refused`.

    Commands that drive runs write to it, and give the `settings` that say how; the others can do with one that is
    read-only.
    """
    if absent(path):
        raise Refused(no_runs(path), _FIRST)
    try:
        journal = opened(path, settings or _ANY, to_read=settings is None)
    except Refused as error:
        raise Refused(error.message, _ANOTHER) from error
    try:
        yield journal
    except JournalError as error:
        raise Refused(str(error), _ANOTHER) from error
    except RunNotResumable as error:
        raise Refused(str(error), "moa-mcp runs show tells how it stands.") from error
    except RunNotFound as error:
        raise Refused(str(error), "moa-mcp runs lists those on record.") from error
    finally:
        anyio.run(journal.close)


def stands(record: RunRecord) -> str:
    """Return a run's status; one that nobody drives though it has no end is interrupted."""
    return "interrupted" if record.status == "running" and not record.owned else record.status


async def find(journal: Journal, given: str) -> RunRecord:
    """Return the run of an id, of the beginning of one, or the last. Raises `Refused`."""
    if given == "last":
        return _only(await journal.records(limit=1), given)
    record = await journal.record(given)
    if record is not None:
        return record
    records = await journal.records(limit=ALL)
    found = [each for each in records if given and each.run_id.startswith(given)]
    if not found:
        near = nearest(given, [each.run_id for each in records])
        raise Refused(f"there is no run {quoted(given)}{near}", "moa-mcp runs lists those on record.")
    return _only(found, given)


def _only(found: Sequence[RunRecord], given: str) -> RunRecord:
    if not found:
        raise Refused("there are no runs yet", _FIRST)
    if len(found) > 1:
        ids = ", ".join(each.run_id for each in found[:_SHOWN])
        more = ", …" if len(found) > _SHOWN else ""
        raise Refused(f"{given!r} begins the ids of {len(found)} runs: {ids}{more}", "Give more of the id.")
    return found[0]
