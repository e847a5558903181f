"""``moa-mcp runs cancel`` and ``gc``: stop a run, delete old runs."""

from __future__ import annotations

import time
from functools import partial

import anyio
import click

from moa_mcp.cli.ages import SECONDS, measured
from moa_mcp.cli.options import Refused, config_unread, journal_option
from moa_mcp.cli.runs.record import find, journal_of, run_argument, stands
from moa_mcp.cli.text import counted, line
from moa_mcp.journal import Journal
from moa_mcp.runs.lookup import every

_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@click.command("cancel", epilog="Exit codes: 0 cancelled, 2 wrong usage or the run has ended.")
@run_argument
@journal_option
@config_unread
def cancel(run_id: str, journal: str | None) -> None:
    """Cancel a run, in this process or another. It can be resumed later.

    ID is a run ID, the start of one, or 'last'.
    """
    with journal_of(journal) as kept:
        click.echo(line(anyio.run(_cancel, kept, run_id)))


async def _cancel(journal: Journal, given: str) -> str:
    before = await find(journal, given)
    if await journal.cancel(before.run_id):
        when = "; its process stops it within a second" if stands(before) == "running" else ""
        return f"Cancelled run {before.run_id}{when}."
    now = await find(journal, before.run_id)
    if now.status == "cancelled":
        return f"Run {now.run_id} was already cancelled."
    raise Refused(
        f"run {now.run_id} is {now.status}; there is nothing to cancel",
        f"Run moa-mcp runs show {now.run_id} to see its result.",
    )


@click.command("gc", epilog="Exit codes: 0 success, 2 wrong usage or unusable journal.")
@click.option("--older-than", metavar="AGE", help="Delete runs unchanged for longer than AGE, such as 30d, 12h or 2w.")
@click.option(
    "--max-size", metavar="SIZE", help="Delete the oldest runs until the journal fits in SIZE, such as 500MB or 2GB."
)
@click.option("--dry-run", is_flag=True, help="Only print how many runs would be deleted.")
@journal_option
@config_unread
def gc(older_than: str | None, max_size: str | None, dry_run: bool, journal: str | None) -> None:
    """Delete old runs with their prompts and answers. Active runs are kept."""
    if older_than is None and max_size is None:
        raise Refused(
            "gc needs --older-than or --max-size", "For example: moa-mcp runs gc --older-than 30d --max-size 500MB"
        )
    age_s = None if older_than is None else measured("--older-than", older_than, SECONDS, "30d, 12h or 2w")
    size = None if max_size is None else measured("--max-size", max_size, _BYTES, "500MB or 2GB")
    with journal_of(journal) as kept:
        before = None if age_s is None else time.time() - age_s
        beyond = None if size is None else int(size)
        total = anyio.run(_count, kept)
        gone = anyio.run(partial(kept.forget, older_than=before, beyond_bytes=beyond, dry=dry_run))
    did = "Would delete" if dry_run else "Deleted"
    click.echo(f"{did} {gone} of {counted(total, 'run')}.")


async def _count(journal: Journal) -> int:
    return sum([1 async for _ in every(journal)])
