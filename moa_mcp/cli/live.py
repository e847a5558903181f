"""The live display of a run on stderr: a bar for each call so far, and what the run waits for.

It is a view of the run's trace; the run does not depend on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Literal, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from moa_mcp.cli.draw import SIMULATED
from moa_mcp.cli.pauses import pauses
from moa_mcp.cli.text import line
from moa_mcp.cli.timeline import Timeline
from moa_mcp.trace.trace import Trace

_FRAMES, _ASCII_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "-\\|/"
_FRAMES_PER_S = 10
_MOST_PAUSES = 3


class Display:
    """Shows the progress of a run; erased from the screen when closed."""

    def __init__(self, console: Console, *, simulated: bool) -> None:
        self._console = console
        self._simulated = simulated
        self._began = time.monotonic()
        self._rests_until = 0.0
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Erase the display; drawing opens it again."""
        live, self._live = self._live, None
        if live is not None:
            with suppress(OSError):  # the terminal may be gone
                live.stop()

    def draw(self, trace: Trace) -> None:
        """Show the progress of the run. Drawing takes a tenth of the time at most, however many calls there are."""
        began = time.monotonic()
        if began < self._rests_until:
            return
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(Group(*self._parts(trace)), refresh=True)
        ended = time.monotonic()
        self._rests_until = ended + 9 * (ended - began)

    def _parts(self, trace: Trace) -> Iterator[RenderableType]:
        now = time.time()
        waits = self._pauses([*pauses(trace, now)])
        yield self._heading(trace)
        yield Timeline(trace, now, self._console.height - len(waits) - 2, explained=False)
        yield from waits

    def _heading(self, trace: Trace) -> Text:
        frames = _ASCII_FRAMES if self._console.options.ascii_only else _FRAMES
        elapsed = time.monotonic() - self._began
        frame = frames[int(elapsed * _FRAMES_PER_S) % len(frames)]
        heading = self._line((f"{frame} ", "cyan"), (line(trace.pipeline), "bold"), (f"  {elapsed:.1f} s  ", "dim"))
        return heading.append_text(SIMULATED) if self._simulated else heading

    def _pauses(self, sentences: Sequence[str]) -> Sequence[Text]:
        shown = sentences[:_MOST_PAUSES]
        more = [f"and {len(sentences) - len(shown)} more reasons"] if len(sentences) > len(shown) else []
        return [self._line((each, "dim")) for each in (*shown, *more)]

    def _line(self, *parts: tuple[str, str]) -> Text:
        overflow: Literal["crop", "ellipsis"] = "crop" if self._console.options.ascii_only else "ellipsis"
        return Text.assemble(*parts, no_wrap=True, overflow=overflow)
