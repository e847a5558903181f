"""The file with environment variables, which only its owner may be able to read. No message contains a value."""

from __future__ import annotations

import os
import re
import shlex
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from platformdirs import user_config_path

VARIABLE = "MOA_MCP_ENV_FILE"
"""The environment variable that names another file, or is `none`."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The variables of a file."""

    path: Path | None = None
    """None if there is no file."""
    values: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Without the empty ones."""
    problems: tuple[str, ...] = ()
    """Why the file, or some of its lines, are not used."""


def find() -> Path | None:
    """Return the path of the file, which may not exist; None if it is turned off."""
    named = os.environ.get(VARIABLE)
    if named == "none":
        return None
    return Path(named).expanduser() if named else user_config_path("moa-mcp") / ".env"


def read() -> EnvFile:
    """Return the variables of the file; problems and no values if others can read it, or if it can't be read."""
    path = find()
    if path is None:
        return EnvFile()
    try:
        text, problem = _private(path)
    except (FileNotFoundError, NotADirectoryError):
        return (
            EnvFile(problems=(f"{path}: no such file (set by {VARIABLE})",)) if os.environ.get(VARIABLE) else EnvFile()
        )
    except UnicodeDecodeError:
        text, problem = "", f"{path}: not UTF-8, so its keys are not used; save the file as UTF-8"
    except OSError as error:
        text, problem = "", f"{path}: can't be read, so its keys are not used: {error.strerror}"
    if problem:
        return EnvFile(path, problems=(problem,))
    values, bad = parse(text)
    return EnvFile(path, values, (f"{path}, {bad}",) if bad else ())


def write(name: str, value: str | None) -> Path | None:
    """Set a variable in the file, or remove it, and return the file's path; None if the file is turned off.

    The file is created if needed, readable by its owner alone. Other lines are kept.

    Raises:
        ValueError: others have access to the file, or it is not UTF-8; the message says what to do.
        OSError: the file can't be read or written.

    """
    path = find()
    if path is None:
        return None
    path = path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        text, problem = _private(path)
    except FileNotFoundError:
        text, problem = "", ""
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    if problem:
        raise ValueError(problem)
    kept = [line for line in text.splitlines() if name not in parse(line)[0]]
    set_now = [] if value is None else [f"{name}={_quoted(value)}"]
    _replace(path, "".join(f"{line}\n" for line in (*kept, *set_now)))
    return path


def _replace(path: Path, text: str) -> None:
    """Write a file as a whole: an interrupted write leaves the old one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _private(path: Path) -> tuple[str, str]:
    """Return the text of a file, or why it must not be used."""
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        problem = refused(path, os.fstat(file.fileno()))
        return ("", problem) if problem else (file.read().decode("utf-8-sig"), "")


def refused(path: Path, found: os.stat_result) -> str:
    """Return why a file with this status must not hold keys; empty if it may."""
    if not stat.S_ISREG(found.st_mode):
        return f"{path}: not a regular file, so its keys are not used"
    if os.name != "posix":
        return ""
    if found.st_uid != os.geteuid():
        owner = f"user ID {found.st_uid}, not to user ID {os.geteuid()}"
        return (
            f"{path}: the file belongs to {owner}, so its keys are not used; create your own file, or change the owner"
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        return (
            f"{path}: other users have access to the file (mode {mode:04o}), so its keys are not used; "
            f"run chmod 600 {shlex.quote(str(path))}"
        )
    return ""


def parse(text: str) -> tuple[dict[str, str], str]:
    """Return the variables in a text, and the numbers of the lines that are not used; empty if all are.

    Each variable is one line, ``NAME=value``, with optional ``export`` and quotes. Nothing is interpolated.
    """
    from dotenv.parser import parse_stream  # noqa: PLC0415  only for users who have a file

    values: dict[str, str] = {}
    bad: list[str] = []
    for number, line in enumerate(StringIO(text, newline=None), 1):
        for binding in parse_stream(StringIO(line.strip())):
            name, value = binding.key, binding.value
            if name is None and not binding.error:  # a comment
                continue
            if binding.error or name is None or value is None or not _NAME.fullmatch(name) or "\0" in value:
                bad.append(str(number))
                break
            values[name] = value
    lines = f"line{'s' * (len(bad) > 1)} {', '.join(bad)}: not NAME=value, ignored" if bad else ""
    return {name: value for name, value in values.items() if value.strip()}, lines
