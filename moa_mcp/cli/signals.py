"""Handles signals that end a command like Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT


class Interrupted(KeyboardInterrupt):
    """A user or a supervisor ended the command. The message includes the remedy."""

    def __init__(self, message: str, exit_code: int = INTERRUPTED, run_ids: tuple[str, ...] = ()) -> None:
        """`run_ids` are the runs that it stopped."""
        super().__init__(message)
        self.exit_code = exit_code
        self.run_ids = run_ids


class Ending:
    """The signal that ended a command, if there was one."""

    def __init__(self) -> None:
        self.signal: int | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of shells for a command that a signal ended."""
        return INTERRUPTED if self.signal is None else 128 + self.signal

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Act like Ctrl-C, but only once: supervisors may send several signals."""
        del frame
        if self.signal is not None:
            return
        self.signal = number
        if callable(signal.getsignal(signal.SIGINT)):
            signal.raise_signal(signal.SIGINT)  # the event loop handles it
        else:  # shells ignore it for background jobs
            raise KeyboardInterrupt


@contextmanager
def ended_as_by_ctrl_c() -> Generator[Ending]:
    """Make SIGTERM and the loss of the terminal act like Ctrl-C inside, unless these signals are ignored."""
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
