"""What a command that runs a pipeline shows on stderr: progress while it runs, then what happened."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, nullcontext

from msgspec import Struct
from rich.console import Console

from moa_mcp.cli import draw
from moa_mcp.cli.live import Display
from moa_mcp.cli.pauses import Notices
from moa_mcp.cli.remedies import Remedies
from moa_mcp.cli.stream import Stream
from moa_mcp.cli.text import say, shortened
from moa_mcp.cli.timeline import Timeline
from moa_mcp.trace.trace import Trace

_SOON_S = 0.1
"""Seconds within which the rest of a short answer arrives."""
_LEAST_LINES = 6
_OTHER_LINES = 10
"""Lines of a terminal for the answer that follows, and the summary after it."""
_ANSWER_LINES = 5
"""Lines of a terminal for a short answer, with the empty lines around it."""


class DisplayOptions(Struct, frozen=True):
    """How a run and its result are shown."""

    simulated: bool
    as_json: bool
    quiet: bool
    remedies: Remedies


class Screen:
    """Shows a run on stderr. A terminal gets a display that is drawn again; others get lines about long pauses."""

    def __init__(self, console: Console, options: DisplayOptions, stream: Stream | None) -> None:
        """`stream` writes the answer to stdout while it arrives; None if it is written at the end."""
        self.stream = stream
        self._console = console
        self._options = options
        self._speaks = not (options.quiet or options.as_json)
        live = console.is_interactive and sys.stderr.isatty()
        self._display = Display(console, simulated=options.simulated) if live else None
        self._notices = Notices()
        self._drawn = False
        self._arrived = 0.0
        """When the first text of the answer arrived; 0 before."""

    def following(self) -> AbstractContextManager[object]:
        """Return the scope in which progress is shown; at its end it is erased."""
        return nullcontext() if self._display is None else self._display

    def show(self, trace: Trace) -> None:
        """Show the progress of a run, and the text of the answer that arrived."""
        if self.stream is not None and self.stream.pending:
            if not self._streams(trace):
                return
            if self._display is not None:
                self._display.close()
            if self._console.is_terminal:  # the answer comes last
                self._draw(trace, time.time())
            self.stream.write()
        elif self._display is None:
            if not self._options.quiet:
                say(*self._notices.new(trace, time.time()))
        elif self.stream is None or not self.stream.in_line:
            self._display.draw(trace)

    def _streams(self, trace: Trace) -> bool:
        """Whether to write an answer while it arrives. One that is complete soon follows the timeline of the whole run.

        Once a part of it is written, the rest follows.
        """
        if self._drawn or self.stream is None or self.stream.in_progress:
            return True
        self._arrived = self._arrived or time.monotonic()
        ended = trace.status != "running" or all(call.completion for call in trace.steps[-1].calls)
        return not ended and time.monotonic() - self._arrived >= _SOON_S

    def outcome(self, trace: Trace) -> None:
        """Print what happened in a run that ended: its timeline if it is not printed yet, and its summary."""
        summary = [*draw.summary(trace)]
        texts = [*_degradations(trace), *(text.plain for text in summary)]
        self._draw(trace, others=sum(1 + len(text) // self._console.width for text in texts) + _ANSWER_LINES)
        self.degraded(trace)
        if self._speaks:
            self._console.print(*summary, sep="\n")

    def degraded(self, trace: Trace) -> None:
        """Print why a result is degraded."""
        say(*_degradations(trace))

    def part(self, *, before_answer: bool = False) -> None:
        """Print an empty line between the answer and the rest, if both go to the terminal."""
        if self._console.is_terminal and (sys.stdout.isatty() or not before_answer):
            self._console.print()

    def _draw(self, trace: Trace, now: float | None = None, others: int = _OTHER_LINES) -> None:
        """Print the timeline once; `now` is the time of a run that has not ended.

        It leaves so many lines of a terminal to others.
        """
        if self._drawn or not self._speaks or not trace.steps:
            return
        self._drawn = True
        if self._options.simulated:
            self._console.print(draw.SIMULATED)
        lines = max(_LEAST_LINES, self._console.height - others) if self._console.is_terminal else None
        self._console.print(Timeline(trace, now, lines, streams=now is not None))
        self._console.print()


def _degradations(trace: Trace) -> list[str]:
    """Return the lines that say why a result is degraded; none if it is not."""
    if trace.status != "degraded":
        return []
    return ["Degraded:", *(f"- {shortened(reason)}" for reason in trace.degradations)]
