"""Reads the configuration, the keys and the callers again when their files change, or on SIGHUP.

Files with errors change nothing: what was read before stays in use, and the log says why. Changes are
found by looking at the files, so that it works for every editor, for mounted files and for replaced symbolic links.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio
import anyio.to_thread

from moa_mcp import config as configuration
from moa_mcp.config import Config
from moa_mcp.config.changes import changes
from moa_mcp.config.lines import line_of
from moa_mcp.errors import ConfigError
from moa_mcp.routing import env_file, environment
from moa_mcp.routing.environment import FileKeys

if TYPE_CHECKING:
    from moa_mcp.callers import CallersFile

LOOK_S = 2.0
"""Seconds between two looks at the files."""
CALLERS_S = 0.6
"""Seconds between two looks at the file of callers: a removed caller must not wait long."""
SETTLED_S = 0.3
"""Seconds without a change after which a file counts as written."""

Use: TypeAlias = Callable[[Config], Awaitable[None]]
Say: TypeAlias = Callable[[str], None]
_Mark: TypeAlias = tuple[tuple[str, int, int, int, int], ...]

_log = logging.getLogger(__name__)


class Reloading:
    """The configuration of a server, and where it came from."""

    def __init__(
        self,
        config: Config,
        path: Path | None,
        keys: FileKeys | None,
        names: Iterable[str] = (),
        say: Say = _log.info,
        callers: CallersFile | None = None,
    ) -> None:
        """Remember what was read.

        Args:
            config: The configuration in use.
            path: Its file; None for the one that is found at the usual places.
            keys: The keys of the user's file; None if they are not used.
            names: Variables of that file that are used besides those of providers and routes.
            say: Reports a change in one line.
            callers: The file of callers; None if there is none.

        """
        self._config = config
        self._path = path
        self._keys = keys
        self._names = tuple(names)
        self._say = say
        self._callers = callers
        self._seen = self._mark()

    async def keep_current(self, use: Use) -> None:
        """Pass each new configuration to `use`, until cancelled."""
        async with anyio.create_task_group() as tasks:
            if hasattr(signal, "SIGHUP"):
                tasks.start_soon(self._on_signal, use)
            if self._callers is not None:
                tasks.start_soon(_look_at, self._callers)
            await self._on_change(use)

    async def _on_signal(self, use: Use) -> None:
        had_terminal = _has_terminal()
        with anyio.open_signal_receiver(signal.SIGHUP) as signals:
            async for _ in signals:
                if had_terminal and not _has_terminal():  # it was closed, which ends programs
                    signal.raise_signal(signal.SIGTERM)
                else:
                    await self.read_again(use, asked=True)
                    if self._callers is not None:
                        self._callers.reload(asked=True)

    async def _on_change(self, use: Use) -> None:
        while True:
            await anyio.sleep(LOOK_S)
            if self._mark() != self._seen:
                await self._settled()
                await self.read_again(use)

    async def _settled(self) -> None:
        """Return when the files do not change any more."""
        before = None
        while (mark := self._mark()) != before:
            before = mark
            await anyio.sleep(SETTLED_S)

    async def read_again(self, use: Use, *, asked: bool = False) -> None:
        """Read the files. With `asked`, a line is written even if nothing has changed."""
        self._seen = self._mark()
        path = self._path or configuration.find()
        try:
            config = await anyio.to_thread.run_sync(configuration.load, path)
        except ConfigError as error:
            _log.error("the configuration was not changed: %s", await anyio.to_thread.run_sync(_located, path, error))
            return
        found = changes(self._config, config)
        renewed = self._renewed_keys(config)
        if renewed is None:
            return
        if found or renewed:
            await use(config)
            self._config = config
        about = "; ".join([*found, *([f"keys: {', '.join(renewed)}"] if renewed else [])])
        if about or asked:
            self._say(f"the configuration {path} was read again: {about or 'nothing has changed'}")
        for note in config.notes if found else ():
            _log.warning("%s: %s", path, note)

    def _renewed_keys(self, config: Config) -> tuple[str, ...] | None:
        """Update the environment from the user's file, and return the names that changed; None if it has errors."""
        if self._keys is None:
            return ()
        before = {name: os.environ.get(name) for name in self._keys.names}
        keys = environment.renew_from_file(config.models, self._names, self._keys)
        if keys is None:
            return None
        self._keys = keys
        after = {name: os.environ.get(name) for name in keys.names}
        return tuple(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))

    def _mark(self) -> _Mark:
        paths = [self._path or configuration.find(), *([env_file.find()] if self._keys is not None else [])]
        return tuple(_stat(path) for path in paths if path is not None)


def _stat(path: Path) -> tuple[str, int, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0, 0, 0
    return str(path), found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


async def _look_at(callers: CallersFile) -> None:
    """Look at the file of callers until cancelled."""
    while True:
        await anyio.sleep(CALLERS_S)
        callers.look()


def _has_terminal() -> bool:
    return sys.stderr.isatty()


def _located(path: Path, error: ConfigError) -> str:
    """Return an error with the lines of its problems."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return str(error)
    at = [line_of(text, each.place) for each in error.problems]
    described = [f"line {line}: {each}" if line else str(each) for line, each in zip(at, error.problems, strict=True)]
    return f"{path}: {'; '.join(described)}"
