"""The journal of a server: whether it can be read and written, what is in it, and the space on its disk."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio

from moa_mcp.cli.doctor.diagnosis import Diagnosis, Level
from moa_mcp.cli.doctor.hosts import HostEntry
from moa_mcp.cli.doctor.surroundings import Shell
from moa_mcp.cli.launch import shown
from moa_mcp.cli.options import Refused, closing, journal_file, journal_name, opened
from moa_mcp.cli.text import counted
from moa_mcp.config import JournalSettings
from moa_mcp.errors import JournalError
from moa_mcp.journal.address import is_database

_MB = 1_000_000
_LEAST_BYTES = 50 * _MB
_FEW_BYTES = 500 * _MB


def of_journal(host: HostEntry, shell: Shell) -> Iterator[Diagnosis]:
    """Yield the facts about the journal of a server. Its file is not changed. Call it inside `as_host`."""
    if host.journal == "none":
        message = "runs are not recorded, so none can be resumed"
        yield Diagnosis("ok", "journal", message, str(host.file or ""))
        return
    if is_database(host.journal):
        yield _in_database(host.journal)
        return
    path = host.folder / journal_file(host.journal)
    if host.journal is None and str(path) != shell.journal:
        message = f"runs of the server are in {path}; in your shell, moa-mcp uses {shell.journal}"
        command = f"{host.installing} --journal {shlex.quote(shell.journal)}"
        yield Diagnosis("warning", "journal", message, str(host.file or ""), commands=(command,))
    if not path.exists():
        yield _absent(path)
    else:
        yield from _present(path, shell)
    yield _space(path)


def _in_database(address: str) -> Diagnosis:
    """Say whether the database can be used. Its tables are upgraded if they are of an earlier version."""
    try:
        with closing(opened(address, JournalSettings())) as journal:
            anyio.run(partial(journal.records, limit=1))
    except (Refused, JournalError) as error:
        return Diagnosis("problem", "journal", str(error), journal_name(address))
    return Diagnosis("ok", "journal", "the database can be used", journal_name(address))


def _absent(path: Path) -> Diagnosis:
    parent = next(each for each in path.parents if each.exists())
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
        return Diagnosis("ok", "journal", f"{path} is created by the first run")
    message = f"{path} can't be created, so no run can start: {parent} is not a folder that you can write to"
    return Diagnosis("problem", "journal", message, str(path), commands=_allowing((parent,)))


def _present(path: Path, shell: Shell) -> Iterator[Diagnosis]:
    from moa_mcp.journal.sqlite.inspection import LATEST, files, inspected  # noqa: PLC0415  it loads sqlite3

    try:
        found = inspected(path)
    except JournalError as error:
        yield Diagnosis("problem", "journal", str(error).removeprefix(f"the journal {path} "), str(path))
        return
    locked = tuple(each for each in (*files(path), path.parent) if not os.access(each, os.W_OK))
    if locked:
        message = f"it can be read but not written, so no run can start: {', '.join(map(str, locked))}"
        yield Diagnosis("problem", "journal", message, str(path), commands=_allowing(locked))
    size = f"{_size(found.size)}, version {found.version}"
    if found.runs is None:
        yield Diagnosis("ok", "journal", f"{size}; upgraded to version {LATEST} by the next run", str(path))
        return
    message = f"{counted(found.runs, 'run')}, {size}{', readable' if locked else ', writable'}"
    yield Diagnosis("ok", "journal", message, str(path))
    if found.interrupted:
        command = shown("runs", *([] if str(path) == shell.journal else ["--journal", str(path)]))
        message = f"{counted(found.interrupted, 'run')} {'was' if found.interrupted == 1 else 'were'} interrupted"
        remedy = "Resume or cancel it; paid answers are not paid again:"
        yield Diagnosis("warning", "journal", message, str(path), remedy=remedy, commands=(command,))


def _size(count: int) -> str:
    return f"{count / _MB:.1f} MB" if count >= _MB else f"{count / 1000:.0f} kB"


def _allowing(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the commands that make files and folders writable."""
    mine = tuple(each for each in paths if os.name == "posix" and each.stat().st_uid == os.getuid())
    others = tuple(each for each in paths if each not in mine)
    own = shlex.join(["chmod", "u+rwX", *map(str, mine)])
    foreign = shlex.join(["sudo", "chown", getpass.getuser(), *map(str, others)])
    return (*([own] if mine else []), *([foreign] if others and os.name == "posix" else []))


def _space(path: Path) -> Diagnosis:
    folder = next(each for each in path.parents if each.is_dir())
    free = shutil.disk_usage(folder).free
    if free >= _FEW_BYTES:
        return Diagnosis("ok", "disk", f"{free / 1000 / _MB:.1f} GB left")
    level: Level = "problem" if free < _LEAST_BYTES else "warning"
    message = f"the disk of {folder} has {free / _MB:.0f} MB left; a run that can't be recorded ends"
    commands = (shown("runs", "gc", "--older-than", "30d"),)
    return Diagnosis(level, "disk", message, str(folder), remedy="Make room, or delete old runs:", commands=commands)
