"""The tables of a SQLite journal, version by version, and opening its file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from moa_mcp.errors import JournalError

_BUSY_MS = 10_000

MIGRATIONS = (
    """
    CREATE TABLE runs(
        run_id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL, title TEXT NOT NULL,
        owner TEXT, lease_until REAL NOT NULL, created_at REAL NOT NULL, updated_at REAL NOT NULL);
    CREATE INDEX runs_by_time ON runs(created_at);
    CREATE TABLE events(
        seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, body TEXT NOT NULL);
    CREATE INDEX events_by_run ON events(run_id, seq);
    CREATE TABLE texts(digest TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE spending(
        run_id TEXT NOT NULL, day TEXT NOT NULL, nanodollars INTEGER NOT NULL, PRIMARY KEY(day, run_id)) WITHOUT ROWID;
    """,
    """
    CREATE TABLE numbered(
        text_id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, packed INTEGER NOT NULL, body BLOB NOT NULL);
    INSERT INTO numbered(digest, packed, body) SELECT digest, 1, body FROM texts;
    DROP TABLE texts;
    ALTER TABLE numbered RENAME TO texts;
    CREATE TABLE refs(
        run_id TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, text_id INTEGER NOT NULL, PRIMARY KEY(run_id, text_id)
    ) WITHOUT ROWID;
    CREATE INDEX refs_by_text ON refs(text_id);
    CREATE INDEX runs_by_touch ON runs(updated_at, status, lease_until);
    INSERT OR IGNORE INTO refs SELECT events.run_id, texts.text_id
        FROM events, json_tree(events.body) AS part JOIN texts ON texts.digest = part.value WHERE part.key = 'sha256';
    """,
    "",  # the same tables, but events that hold answers, which earlier versions can't read
    """
    ALTER TABLE spending ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE runs ADD COLUMN crc INTEGER;
    ALTER TABLE runs ADD COLUMN parts INTEGER;
    ALTER TABLE events ADD COLUMN crc INTEGER;
    """,
)
"""Migrations in order: each upgrades a file from the version of its index. Released migrations never change."""


_OURS = {"runs", "events"}
"""Tables that exist in every version."""


def opened(path: Path, synchronous: str) -> sqlite3.Connection:
    """Open or create the file and upgrade it to the latest version. Raises `JournalError` for a newer version."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    db = connected(str(path))
    try:
        version(db, path)  # raises before a foreign file is changed
        for pragma in (f"busy_timeout = {_BUSY_MS}", "journal_mode = WAL", f"synchronous = {synchronous}"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("PRAGMA foreign_keys = ON")
        _migrate(db, path)
    except BaseException:
        db.close()
        raise
    return db


def connected(name: str, *, uri: bool = False) -> sqlite3.Connection:
    """Return a connection to a file. Invalid UTF-8 is read as is, and detected as corrupt later."""
    db = sqlite3.connect(name, isolation_level=None, timeout=_BUSY_MS / 1000, check_same_thread=False, uri=uri)
    db.text_factory = _text
    return db


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    if version(db, path) == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")  # another process may be migrating; read the version again inside
    for statements in MIGRATIONS[version(db, path) :]:
        for statement in filter(str.strip, statements.split(";")):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    db.execute("COMMIT")


def version(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of a file. Raises `JournalError` for a newer version, and for a file that is not a journal."""
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    tables = {str(name) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if (tables or 0 < found <= len(MIGRATIONS)) and not tables >= _OURS:
        raise JournalError(
            f"{path} is a SQLite database but not a journal of moa-mcp, or damaged; "
            "use another file with --journal PATH"
        )
    if found > len(MIGRATIONS):
        raise JournalError(
            f"{path} was written by a newer moa-mcp (version {found}); update moa-mcp, "
            "or use another file with --journal PATH. If you never used a newer version, the file is damaged"
        )
    return found
