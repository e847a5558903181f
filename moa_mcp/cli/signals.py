"""Signals that end a command in the way that Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT


class Interrupted(KeyboardInterrupt):
    """A command was ended by its user, or by who supervises it; its text says what helps."""

    def __init__(self, message: str, exit_code: int = INTERRUPTED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Ending:
    """Which signal ended a command, if one did."""

    def __init__(self) -> None:
        self.signal: int | None = None

    @property
    def exit_code(self) -> int:
        """The code that shells use for a command that a signal ended."""
        return INTERRUPTED if self.signal is None else 128 + self.signal

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Do what Ctrl-C does; once, since supervisors send several."""
        del frame
        if self.signal is not None:
            return
        self.signal = number
        if callable(signal.getsignal(signal.SIGINT)):
            signal.raise_signal(signal.SIGINT)  # the event loop has its own way to end on it
        else:  # ignored, as shells have it for jobs in the background
            raise KeyboardInterrupt


@contextmanager
def ended_as_by_ctrl_c() -> Generator[Ending]:
    """Let SIGTERM, and a terminal that goes away, end what is done inside as Ctrl-C does, unless they are ignored."""
    ending = Ending()
    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.getsignal(number) for number in numbers}
    usual = [number for number, handler in before.items() if handler is signal.SIG_DFL]
    for number in usual:
        signal.signal(number, ending)
    try:
        yield ending
    finally:
        for number in usual:
            signal.signal(number, before[number])
