"""Tells whether other work disturbed a round of a benchmark, and repeats such a round.

Linux counts in /proc the CPU time of the machine and of each process. What the machine spent, less what this process
and its descendants spent, went to others, as did the time that a hypervisor took (steal). Interrupts are not counted,
since a benchmark's own network traffic causes them. Elsewhere nothing is known, and no round counts as disturbed.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

MOST_OTHERS = 0.1
"""CPUs that others may use on average in an undisturbed round."""
TRIES = 4
_COARSE_S = 0.02
"""CPU seconds by which two samples may be wrong, since /proc counts in ticks of 10 ms."""
_MACHINE = Path("/proc/stat")

Measured = TypeVar("Measured")


class Sample(NamedTuple):
    """CPU seconds since the start of the machine, and when they were read."""

    at_s: float
    machine: float
    """Of all processes."""
    stolen: float
    """Taken by the hypervisor for other machines."""
    own: float
    """Of the processes in a tree, and of their children that have ended."""


def sample(root: int | None = None) -> Sample | None:
    """Read the CPU time of the machine and of the process tree below `root`; None if the system does not tell."""
    if not _MACHINE.exists():
        return None
    tick = os.sysconf("SC_CLK_TCK")
    user, nice, system, _, _, _, _, stolen = map(int, _MACHINE.read_text().split(maxsplit=9)[1:9])
    return Sample(time.perf_counter(), (user + nice + system) / tick, stolen / tick, _spent(root or os.getpid()) / tick)


def others(before: Sample, after: Sample) -> float:
    """Return how many CPUs others used on average between two samples."""
    foreign = after.machine - before.machine - (after.own - before.own)
    taken = foreign + after.stolen - before.stolen - _COARSE_S
    return max(0.0, taken) / max(after.at_s - before.at_s, _COARSE_S)


def _spent(root: int) -> int:
    """Return the clock ticks of a process, its descendants and their ended children."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(stat.parent.name)
        children[int(fields[1])].append(pid)
        ticks[pid] = sum(map(int, fields[11:15]))
    spent, left = 0, [root]
    while left:
        pid = left.pop()
        spent += ticks.get(pid, 0)
        left += children[pid]
    return spent


class Round:
    """One round of a benchmark, as a context manager around what is measured."""

    def __init__(self, root: int | None = None) -> None:
        """Count as own what the process `root` and its descendants do; this process by default."""
        self.others: float | None = None
        """CPUs that others used on average; None if unknown."""
        self._root = root
        self._before: Sample | None = None

    @property
    def disturbed(self) -> bool:
        return self.others is not None and self.others > MOST_OTHERS

    def __enter__(self) -> Self:
        self._before = sample(self._root)
        return self

    def __exit__(self, *_: object) -> None:
        after = sample(self._root)
        if self._before is not None and after is not None:
            self.others = others(self._before, after)


def until_quiet(tries: int = TRIES) -> Iterator[Round]:
    """Yield rounds until one is not disturbed, at most `tries`. What the last one measured counts.

    Use it as `for each in until_quiet():` with `with each:` around the measurement.
    """
    for _ in range(tries):
        each = Round()
        yield each
        if not each.disturbed:
            return


def undisturbed(measured: Sequence[tuple[Measured, Round]]) -> list[Measured]:
    """Return what undisturbed rounds measured; all measurements if there are no such rounds."""
    quiet = [value for value, each in measured if not each.disturbed]
    return quiet or [value for value, _ in measured]


def disturbed(rounds: Sequence[Round]) -> bool:
    """Whether no round was undisturbed, so that the result tells little."""
    return all(each.disturbed for each in rounds)


def mark(rounds: Sequence[Round]) -> str:
    """Return the cell of a table that says whether a result can be relied on."""
    used = [each.others or 0.0 for each in rounds if each.disturbed]
    if not used:
        return "no"
    return f"{len(used)} of {len(rounds)} rounds, up to {max(used):.1f} CPUs"


def verdict(exceeded: Iterable[str], disturbed: Iterable[str]) -> int:
    """Print which limits are exceeded and which results could not be judged, and return the exit code.

    It is 1 only for an exceeded limit: a disturbed result exceeds none.
    """
    exceeded, disturbed = [*exceeded], [*disturbed]
    if disturbed:
        print(f"\nDISTURBED by other work on this machine, so not judged: {', '.join(disturbed)}.", flush=True)
        print("Run it again when the machine is idle.", flush=True)
    if exceeded:
        print(f"\nLimits exceeded: {', '.join(exceeded)}.", file=sys.stderr)
    return int(bool(exceeded))
