"""Settings of Python's garbage collector for long-running processes."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

_YOUNG = 100_000
"""More than 64 runs at once hold: what they need until they end is not scanned."""
_YOUNG_ROUNDS, _OLD_ROUNDS = 20, 20


def collect_seldom() -> None:
    """Exclude all present objects from garbage collection, and collect others rarely.

    Cyclic garbage is rare here, but calls in progress hold many objects for seconds. With Python's default thresholds,
    scanning these takes a tenth of the CPU time of a call.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG, _YOUNG_ROUNDS, _OLD_ROUNDS)


@contextmanager
def collecting_nothing() -> Generator[None]:
    """Pause garbage collection during imports: scanning imported objects takes a tenth of the startup time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
