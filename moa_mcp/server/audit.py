"""The audit log: one JSON object on a line for each request that starts, continues or cancels a run, or is refused.

It has no questions, answers or tokens.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from moa_mcp.text.visible import visible

Outcome: TypeAlias = Literal["done", "refused", "denied"]
"""`refused`: a limit or the state of the run does not allow it. `denied`: the caller has no right to it."""
_LONGEST = 300
_PRIVATE = 0o600

_log = logging.getLogger(__name__)


class AuditLog:
    """Writes audit lines to a file, or to stderr."""

    def __init__(self, path: Path | None = None) -> None:
        """Without a path, lines go to stderr. Raises `OSError` if the file can't be written."""
        self._path = path
        self._failed = False
        if path is not None:
            self._append(b"", path)

    def add(self, action: str, outcome: Outcome, **fields: str) -> None:
        """Write a line. Fields without a value are left out."""
        known = {name: visible(value)[:_LONGEST] for name, value in fields.items() if value}
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line: Mapping[str, str] = {"audit": action, "time": time, "outcome": outcome, **known}
        self._write(f"{json.dumps(line)}\n")

    def _write(self, line: str) -> None:
        if self._path is None:
            sys.stderr.write(line)
            return
        try:
            self._append(line.encode(), self._path)
        except OSError as error:
            if not self._failed:  # once, until it can be written again
                _log.error("can't write the audit log %s: %s", self._path, error.strerror)
            self._failed = True
        else:
            self._failed = False

    @staticmethod
    def _append(line: bytes, path: Path) -> None:
        """Append to the file, which is opened anew, so that another program can move it away."""
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _PRIVATE)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)
