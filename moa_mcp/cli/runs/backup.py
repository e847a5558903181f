"""``moa-mcp runs backup``: copies the journal while servers use it."""

from __future__ import annotations

from pathlib import Path

import click

from moa_mcp.cli.options import Refused, config_unread, journal_file, journal_option
from moa_mcp.cli.runs.record import absent, no_runs
from moa_mcp.cli.text import counted, line
from moa_mcp.errors import JournalError

_PG_DUMP = "Run pg_dump --format=custom --file=FILE, and restore it with pg_restore."


@click.command("backup", epilog="Exit codes: 0 written, 2 the journal can't be read or the file can't be written.")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@journal_option
@config_unread
def backup(target: Path, journal: str | None) -> None:
    """Copy the journal to FILE, also while servers use it.

    The copy is a journal itself: --journal FILE reads it and resumes its runs. Answers that arrived after the copy are
    not in it, and are paid again.
    """
    if journal and journal.startswith(("postgresql:", "postgres:")):
        raise Refused("a journal in PostgreSQL is copied by its own tools", _PG_DUMP)
    if absent(journal):
        raise Refused(no_runs(journal), "Choose another journal with --journal PATH.")
    from moa_mcp.journal.sqlite.backup import back_up  # noqa: PLC0415  as other commands load the journal

    try:
        runs = back_up(journal_file(journal), target)
    except JournalError as error:
        raise Refused(str(error), "Check both paths, and the space on the disk.") from error
    click.echo(line(f"Copied {counted(runs, 'run')} to {target}."))
