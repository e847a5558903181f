"""How often Python's garbage collector looks at the objects of a process that answers for long."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

_YOUNG = 50_000
_YOUNG_ROUNDS, _OLD_ROUNDS = 20, 20


def collect_seldom() -> None:
    """Leave what is loaded out of the collector's sight, and let it look at the rest seldom.

    Hardly anything here is garbage in a cycle, while calls under way are many objects that live for seconds: looking
    at them as often as Python does by default takes a tenth of what a call costs.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG, _YOUNG_ROUNDS, _OLD_ROUNDS)


@contextmanager
def collecting_nothing() -> Generator[None]:
    """Let the collector rest: what is imported meanwhile stays, and looking at it takes a tenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
