"""The progress of a batch on stderr: a line that is drawn again at a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

import anyio
from rich.console import Console
from rich.live import Live
from rich.text import Text

from moa_mcp.batch.progress import BatchProgress
from moa_mcp.cli.text import counted, line, say
from moa_mcp.text.money import dollars

_REDRAWN_S = 0.2
_SAID_S = 15.0
"""Seconds between two lines where nothing is drawn again."""
_BAR = 16
_MINUTE_S, _HOUR_S = 60, 3600


class BatchScreen:
    """Shows the progress of a batch until it is closed; at a terminal it is erased then."""

    def __init__(self, console: Console, title: str, progress: BatchProgress, *, quiet: bool) -> None:
        self._console = console
        self._title = line(title)
        self._progress = progress
        self._quiet = quiet
        drawn = console.is_interactive and not quiet
        self._live = Live(console=console, auto_refresh=False, transient=True) if drawn else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            with suppress(OSError):  # the terminal may be gone
                self._live.stop()

    async def follow(self) -> None:
        """Show the progress until cancelled."""
        while not self._quiet:
            if self._live is not None:
                self._live.update(self._drawn(), refresh=True)
            await anyio.sleep(_SAID_S if self._live is None else _REDRAWN_S)
            if self._live is None:
                say(f"{self._title}: {', '.join(_parts(self._progress))}")

    def _drawn(self) -> Text:
        progress = self._progress
        full = _BAR * progress.done // max(1, progress.total)
        mark = "=" if self._console.options.ascii_only else "━"
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{self._title} ", "bold").append(mark * full, "green").append(mark * (_BAR - full), "dim")
        return text.append(f" {', '.join(_parts(progress))}")


def summary(progress: BatchProgress, noun: str = "item") -> str:
    """Return what became of the items of a batch, and what their runs cost in all its starts."""
    by_outcome = [f"{progress.counts[each]} {each.replace('_', ' ')}" for each in progress.counts]
    return f"{counted(progress.total, noun)}: {', '.join(by_outcome)}; {_cost(progress)}"


def _parts(progress: BatchProgress) -> Iterator[str]:
    yield f"{progress.done} of {progress.total}"
    if progress.failures:
        yield f"{progress.failures} failed"
    yield _cost(progress)
    left = progress.left_s
    if left is not None:
        yield f"{progress.per_second * _MINUTE_S:.0f}/min"
        yield f"{_duration(left)} left"
        yield f"ends {time.strftime('%H:%M', time.localtime(time.time() + left))}"


def _cost(progress: BatchProgress) -> str:
    known = dollars(progress.cost_usd)
    return f"cost {known}, and what is unknown" if progress.unpriced else f"cost {known}"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"
