"""The file of callers: found, read and written. It is read again when it changes.

A file with errors changes nothing: the last valid contents stay in effect.
"""

from __future__ import annotations

import logging
import os
import shlex
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from platformdirs import user_config_path

from moa_mcp.callers.document import Callers, changes, parse
from moa_mcp.errors import ConfigError, Problem

ENVIRONMENT_VARIABLE = "MOA_MCP_CALLERS"
LOOK_S = 0.5
"""Seconds between two looks at the file."""

_Status: TypeAlias = tuple[int, int, int] | None

_log = logging.getLogger(__name__)


class CallersFile:
    """A file of callers, with its current contents."""

    def __init__(self, path: Path, say: Callable[[str], None] = _log.info) -> None:
        """Read the file; `say` reports a change in one line. Raises `ConfigError`, with line numbers."""
        self.path = path
        self._say = say
        self._status = self._seen = _status(path)
        self._callers = read(path)
        self._looked = time.monotonic()
        self._heard: list[Callable[[], None]] = []

    def current(self) -> Callers:
        """Return the contents, after a look at the file."""
        self.look()
        return self._callers

    @property
    def is_empty(self) -> bool:
        """Whether it permits nothing to anyone."""
        return not self._callers.named and self._callers.oauth is None

    def on_change(self, hear: Callable[[], None]) -> None:
        """Have a function called after each change of the contents."""
        self._heard.append(hear)

    def look(self) -> None:
        """Read the file again if it has changed and is the same as at the look before: then it is completely written.

        A look that follows another one too soon does nothing.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked, before = now, self._seen
        self._seen = _status(self.path)
        if self._seen == before != self._status:
            self.reload()

    def reload(self, *, asked: bool = False) -> None:
        """Read the file again. If it has errors, its last valid contents stay in effect, and the log says why.

        With `asked`, a line is written even if nothing has changed.
        """
        self._status = self._seen = _status(self.path)
        try:
            callers = read(self.path)
        except ConfigError as error:
            _log.error("the callers are unchanged: %s", error)
            return
        about = changes(self._callers, callers)
        self._callers = callers
        if about or asked:
            self._say(f"the callers {self.path} were read again: {'; '.join(about) or 'nothing has changed'}")
        for hear in self._heard if about else ():
            hear()


def default_path() -> Path:
    """Return the path of the user's file, which may not exist: `MOA_MCP_CALLERS`, else one in the config folder."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named).expanduser() if named else user_config_path("moa-mcp") / "callers.toml"


def read(path: Path) -> Callers:
    """Read a file. Raises `ConfigError`, with line numbers."""
    return parse(text_of(path), str(path))


def text_of(path: Path) -> str:
    """Return the text of a file to which other users have no access. Raises `ConfigError`."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            if problem := _not_private(path, os.fstat(file.fileno())):
                raise ConfigError(str(path), [Problem("", problem)])
            return file.read().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(str(path), [Problem("", "no such file; moa-mcp callers add NAME creates it")]) from error
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 at byte {error.start}; save the file as UTF-8"
        raise ConfigError(str(path), [Problem("", problem)]) from error
    except OSError as error:
        raise ConfigError(str(path), [Problem("", f"can't be read: {error.strerror}")]) from error


def write(path: Path, text: str) -> None:
    """Replace the file by one that only its owner can read. An interrupted write changes nothing. Raises `OSError`."""
    path = path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _status(path: Path) -> _Status:
    """Return what changes whenever the file is written or replaced; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _not_private(path: Path, found: os.stat_result) -> str:
    """Return why a file with this status can't say who may use a server; empty if it can."""
    if not stat.S_ISREG(found.st_mode):
        return "not a regular file"
    if os.name != "posix":
        return ""
    if found.st_uid not in {0, os.geteuid()}:
        return f"belongs to user ID {found.st_uid}, who could add callers; change its owner to user ID {os.geteuid()}"
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        return f"other users have access to it (mode {mode:04o}); run chmod 600 {shlex.quote(str(path))}"
    return ""
