"""The log of the server, on stderr: level and format. Keys are masked, since hosts store the stderr of a server.

The level applies to this package. Other libraries log warnings and errors alone: their details contain prompts.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeAlias, get_args

from moa_mcp.text.redact import redact
from moa_mcp.text.visible import visible

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
LogFormat: TypeAlias = Literal["text", "json"]
LEVELS: tuple[Level, ...] = get_args(Level)
FORMATS: tuple[LogFormat, ...] = get_args(LogFormat)


class LogSettings(NamedTuple):
    """What is logged, and how."""

    level: Level = "warning"
    format: LogFormat = "text"

    def formatter(self) -> logging.Formatter:
        """Return the formatter of log lines."""
        return _Json() if self.format == "json" else _Text("moa-mcp: %(levelname)s: %(message)s")

    def start(self) -> None:
        """Log to stderr from now on."""
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(self.formatter())
        level = logging.getLevelNamesMapping()[self.level.upper()]
        logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING))
        logging.getLogger("moa_mcp").setLevel(level)

    def announce(self, message: str) -> None:
        """Write a message to stderr at any level, such as the address of the server."""
        if self.format == "json":
            message = self.formatter().format(logging.LogRecord(__name__, logging.INFO, "", 0, message, None, None))
        sys.stderr.write(f"{message}\n")


class _Text(logging.Formatter):
    """One record on a line, its further lines indented.

    Untrusted text can't use control characters, hide a key, or imitate a log line.
    """

    def format(self, record: logging.LogRecord) -> str:
        return _safe(super().format(record)).rstrip().replace("\n", "\n  ")


class _Json(logging.Formatter):
    """One record as one JSON object on a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _safe(record.getMessage()),
        }
        if isinstance(run_id := getattr(record, "run_id", None), str):
            fields["run_id"] = run_id
        if record.exc_info:
            fields["error"] = _safe(self.formatException(record.exc_info))
        return json.dumps(fields)


def _safe(text: str) -> str:
    return redact(visible(text))
