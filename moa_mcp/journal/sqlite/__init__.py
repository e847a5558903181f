"""The journal in a SQLite file."""

from __future__ import annotations

from moa_mcp.journal.sqlite.journal import SQLiteJournal

__all__ = ["SQLiteJournal"]
