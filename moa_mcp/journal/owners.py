"""The owner of a run: a process with a unique identity, so that other processes can tell whether it is alive."""

from __future__ import annotations

import os
import uuid
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_ENDED = frozenset("ZX")
"""States of a process that has exited but was not reaped."""


def me() -> str:
    """Return the identity of a new owner: this process and a random part."""
    return f"{_space(_PROC, os.getpid())}:{os.getpid()}:{_start(os.getpid())}:{uuid.uuid4().hex}"


def is_dead(owner: str | None) -> bool:
    """Whether an owner is known to be dead: None, or an exited process of this machine.

    A process ID is valid within one boot and one PID namespace; containers have separate ones. For an owner elsewhere,
    or without /proc, this returns False, and only the end of the lease counts.
    """
    if owner is None:
        return True
    space, _, process = owner.partition(":")
    pid, _, rest = process.partition(":")
    start, _, _ = rest.partition(":")
    if not space or space != _space(_PROC, os.getpid()) or not pid.isascii() or not pid.isdecimal():
        return False
    return _start(int(pid)) != start


@cache
def _space(proc: Path, own: int) -> str:
    """Return the boot ID and PID namespace of the process with this ID; empty if they are unknown.

    They do not change, and each record that is read needs them.
    """
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(proc / 'self/ns/pid').stat().st_ino}" if _start(own) else ""
    except OSError:
        return ""


def _start(pid: int) -> str:
    """Return the start time of a process in ticks since boot; empty if it does not exist or has exited."""
    try:
        status = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    state, *rest = status.rpartition(")")[
        2
    ].split()  # the process name may contain any character; it ends at the last bracket
    return "" if state in _ENDED else rest[18]
