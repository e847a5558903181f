"""Runs a program once: its input, its output up to a limit, and its end with all processes that it started.

Knows no program. POSIX systems end the whole process group. A process that left the group is not found.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import anyio
from anyio.abc import ByteSendStream, Process

MOST_BYTES = 2**23
"""Maximum bytes of standard output."""
_MOST_ERRORS = 2**16
"""Bytes of standard error that are kept, the last ones."""
_GRACE_S = 2.0
"""Seconds between SIGTERM and SIGKILL."""
_POLL_S = 0.02
_DRAIN_S = 1.0
"""Seconds to read what a program printed before it ended, while its children keep its output open."""
_EXIT_POLL_S = 0.5


class Finished(NamedTuple):
    """A program that ended."""

    code: int
    """Exit code; the negative number of the signal that ended it."""
    stdout: bytes
    stderr: bytes
    """The end of standard error."""


class TooMuchOutput(Exception):
    """A program printed more than `MOST_BYTES`."""


class _Output:
    """One output of a program. Reads all of it, so that the program never waits, and keeps a part."""

    def __init__(self, most: int, *, keep_end: bool = False) -> None:
        self.kept = bytearray()
        self.exceeded = False
        self.ended = anyio.Event()
        self._most = most
        self._keep_end = keep_end

    async def read(self, stream: AsyncIterable[bytes], scope: anyio.CancelScope) -> None:
        """Read to the end. Cancel `scope` if there is too much."""
        async for piece in stream:
            self.kept += piece
            if len(self.kept) > self._most:
                if not self._keep_end:
                    self.exceeded = True
                    scope.cancel()
                    return
                del self.kept[: -self._most]
        self.ended.set()


async def run(words: Sequence[str], given: bytes, environ: Mapping[str, str], folder: Path) -> Finished:
    """Run a program in a folder with `given` as its standard input. If cancelled, end it with all its children.

    Raises:
        OSError: it can't be started.
        TooMuchOutput: its output exceeds the limit.

    """
    process = await _started(words, environ, folder)
    try:
        return await _finished(process, given)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _started(words: Sequence[str], environ: Mapping[str, str], folder: Path) -> Process:
    with anyio.CancelScope(shield=True):  # if it was started, it must be known, so that it can be ended
        return await _opened(words, environ, folder)
    raise AssertionError("a shielded scope is not cancelled")


async def _opened(words: Sequence[str], environ: Mapping[str, str], folder: Path) -> Process:
    if sys.platform == "win32":
        from subprocess import CREATE_NEW_PROCESS_GROUP  # noqa: PLC0415

        return await anyio.open_process(words, cwd=folder, env=environ, creationflags=CREATE_NEW_PROCESS_GROUP)
    return await anyio.open_process(words, cwd=folder, env=environ, start_new_session=True)


async def _finished(process: Process, given: bytes) -> Finished:
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    if stdin is None or stdout is None or stderr is None:
        raise RuntimeError("the process has no pipes")
    printed, errors = _Output(MOST_BYTES), _Output(_MOST_ERRORS, keep_end=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_write, stdin, given)
        tasks.start_soon(printed.read, stdout, tasks.cancel_scope)
        tasks.start_soon(errors.read, stderr, tasks.cancel_scope)
        await _exit(process)
        with anyio.move_on_after(_DRAIN_S):
            await printed.ended.wait()
            await errors.ended.wait()
        tasks.cancel_scope.cancel()
    if printed.exceeded:
        raise TooMuchOutput(f"printed more than {MOST_BYTES // 2**20} MiB")
    return Finished(await _exit(process), bytes(printed.kept), bytes(errors.kept))


async def _write(stdin: ByteSendStream, given: bytes) -> None:
    try:
        await stdin.send(given)
        await stdin.aclose()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        pass  # it ended or closed its input without reading all; its output counts


async def _exit(process: Process) -> int:
    """Return the exit code, even if children keep the outputs open: asyncio may then wait for them, so this polls."""
    while process.returncode is None:
        with anyio.move_on_after(_EXIT_POLL_S):
            await process.wait()
    return process.returncode


async def _end(process: Process) -> None:
    """End a program and its children, if any of them still run, and close its pipes."""
    if sys.platform == "win32":
        if process.returncode is None:
            killer = ("taskkill", "/T", "/F", "/PID", str(process.pid))
            await anyio.run_process(killer, check=False)
    elif _signalled(process, signal.SIGTERM):
        with anyio.move_on_after(_GRACE_S):
            while _signalled(process, 0):  # noqa: ASYNC110  no event tells when the last child ended
                await anyio.sleep(_POLL_S)
        _signalled(process, signal.SIGKILL)
    await _exit(process)
    with anyio.move_on_after(_DRAIN_S):  # else the event loop may close before it sees that the pipes are closed
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                async for _ in stream:
                    pass
    await process.aclose()


def _signalled(process: Process, number: int) -> bool:
    """Send a signal to a process group, or only ask with 0; return whether the group exists."""
    if sys.platform == "win32":
        return False
    _ = process.returncode  # on trio, this removes a process that ended, which would else count as existing
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
