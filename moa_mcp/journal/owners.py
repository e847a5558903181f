"""Who drives a run: a process, told by what makes it one of a kind, so that it is known when it is no more."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

_PROC = Path("/proc")
_ENDED = frozenset("ZX")
"""States of a process that ended and whose parent has not asked how."""


def me() -> str:
    """Return a new owner: this process, where it can be known again, and what tells this owner from its others."""
    return f"{_space()}:{os.getpid()}:{_start(os.getpid())}:{uuid.uuid4().hex}"


def is_dead(owner: str | None) -> bool:
    """Whether an owner is known to be gone: nobody, or a process of this machine that is no more.

    A process's number says something only within one start of one machine and one space of such numbers; containers
    have their own. Of an owner elsewhere, or where there is no /proc, nothing is known until its lease ends.
    """
    if owner is None:
        return True
    space, _, process = owner.partition(":")
    pid, _, rest = process.partition(":")
    start, _, _ = rest.partition(":")
    if not space or space != _space() or not pid.isascii() or not pid.isdecimal():
        return False
    return _start(int(pid)) != start


def _space() -> str:
    """Return what tells this machine's start and space of process numbers from others; empty where that is unknown."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').stat().st_ino}" if _start(os.getpid()) else ""
    except OSError:
        return ""


def _start(pid: int) -> str:
    """Return when a process began, in ticks since the machine did; empty if there is none, or it has ended."""
    try:
        said = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    state, *rest = said.rpartition(")")[2].split()  # a name may hold anything, and ends with the last bracket
    return "" if state in _ENDED else rest[18]
