"""The answer on stdout while it arrives. It is a view of the run's events; the run does not depend on it."""

from __future__ import annotations

import click

from moa_mcp.events import AttemptFailed, CallFailed, Event, TextReceived
from moa_mcp.text.visible import Visible

RESTARTED = "(cut off; the answer starts again)"


class Stream:
    """Writes the answer to stdout while it arrives. After a failed attempt, it prints a note and starts again."""

    def __init__(self) -> None:
        self._pending: list[str | None] = []
        """Pieces of the text; None where it was cut off."""
        self._written = ""
        self._visible = Visible()
        self._cut = ""
        """The text that was cut off, as long as nothing follows it."""

    def add(self, event: Event) -> None:
        """Add the text of an event to the next `write`."""
        if isinstance(event, TextReceived):
            self._pending.append(event.text)
        elif isinstance(event, AttemptFailed | CallFailed) and (self._pending or self._written):
            self._pending.append(None)

    @property
    def pending(self) -> bool:
        """Whether there is something to write."""
        return bool(self._pending)

    @property
    def in_progress(self) -> bool:
        """Whether a part of the answer is written."""
        return bool(self._written or self._cut)

    @property
    def in_line(self) -> bool:
        """Whether a text has begun that may continue, so that nothing else may be written."""
        return bool(self._written or self._pending)

    def write(self) -> None:
        """Write the text that arrived."""
        for piece in self._pending:
            if piece is None:
                self._cut = self._end() or self._cut
            else:
                self._write(self._visible.add(piece))
        self._pending.clear()

    def _write(self, shown: str) -> None:
        if shown and self._cut:
            click.echo(RESTARTED, err=True)
            self._cut = ""
        click.echo(shown, nl=False)
        self._written += shown

    def end(self) -> str:
        """End the last line and return the text written so far, which may be cut off."""
        return self._end() or self._cut

    def _end(self) -> str:
        self._write(self._visible.end())
        text, self._written, self._visible = self._written, "", Visible()
        if text and not text.endswith("\n"):
            click.echo()
        return text
