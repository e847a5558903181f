"""The questions that a user types, or that stdin has: a line each, or several lines between marks."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import click

from moa_mcp.cli.asked import decoded
from moa_mcp.cli.text import say

MARK = '"""'
_PROMPT, _MORE = "> ", "... "
_KEPT = 1000
"""Lines of the history."""


class TypedQuestions:
    """Reads questions from a terminal, with a history and editing of lines, or from a pipe."""

    def __init__(self, history: Path | None) -> None:
        """`history` is the file with the lines of earlier conversations; None for no file."""
        self.at_terminal = sys.stdin.isatty()
        self._edits = self.at_terminal and sys.stdout.isatty() and _edited(history)
        self._history = history if self._edits else None

    def next(self) -> str | None:
        """Return the next question, which may be empty; None at the end. Raises `KeyboardInterrupt` for Ctrl-C."""
        try:
            text = self._line(_PROMPT)
            if not text.startswith(MARK):
                return text.strip()
            lines = [text.removeprefix(MARK)]
            while not lines[-1].rstrip().endswith(MARK):
                lines.append(self._line(_MORE))
        except EOFError:
            return None
        return "\n".join(lines).rstrip().removesuffix(MARK).strip()

    def _line(self, prompt: str) -> str:
        if self._edits:
            return self._typed(prompt)
        if self.at_terminal:
            click.echo(prompt, nl=False, err=True)
        raw = sys.stdin.buffer.readline()
        if not raw:
            raise EOFError
        return decoded("stdin", raw).rstrip("\r\n")

    def _typed(self, prompt: str) -> str:
        while True:
            try:
                return input(prompt)
            except UnicodeDecodeError:
                say("The line is not UTF-8; type it again.")

    def close(self) -> None:
        """Store the history. A file that can't be written is left alone: it is only a convenience."""
        if self._history is None:
            return
        import readline  # noqa: PLC0415  not on Windows

        with suppress(OSError):
            self._history.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._history, os.O_CREAT | os.O_WRONLY, 0o600))
            readline.set_history_length(_KEPT)
            readline.write_history_file(self._history)


def _edited(history: Path | None) -> bool:
    """Return whether lines can be edited, after the history is read. A paste of several lines is then one question."""
    try:
        import readline  # noqa: PLC0415  not on Windows
    except ImportError:
        return False
    if "libedit" not in (readline.__doc__ or ""):
        readline.parse_and_bind("set enable-bracketed-paste on")
    with suppress(OSError):
        if history is not None:
            readline.read_history_file(history)
    return True
