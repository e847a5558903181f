"""Describes the errors of a database: what is wrong, where, and what helps. Messages quote no stored data."""

from __future__ import annotations

import re

import psycopg

from moa_mcp.errors import JournalError

_PASSING = frozenset({"25006", "40001", "40P01", "55P03", "57014"})
_PASSING_CLASSES = ("08", "53", "57P")
"""Connections, resources such as disk space, and shutdowns (PostgreSQL's appendix A)."""
_UNREACHED = re.compile(r"authentication failed|no password supplied|does not exist|no pg_hba.conf entry|permission")
"""What a server says that was reached and refuses the connection, whatever is tried again."""
_UNASKED = "No model is called if calls can't be recorded; --journal none runs without a journal"
_STARTING = "see whether the server runs and is reachable there, and whether its log has a reason"
_RESTORE = "restore a backup; or drop the schema moa to begin again, without the runs so far"
_BY_STATE = {
    "53100": ("the disk of the server is full", "make room on it"),
    "53200": ("the server is out of memory", "give it more memory, or start fewer processes"),
    "53300": ("the server has no free connections", "raise its max_connections, or start fewer processes"),
    "25006": ("the server is read-only, as a standby is", "connect to the primary server"),
    "28P01": ("the server refuses the user or the password", "correct them in the address"),
    "42P01": ("tables are missing", _RESTORE),
    "42703": (
        "columns are missing",
        _RESTORE,
    ),
}
"""What is wrong and what helps, by SQLSTATE."""
_BY_TEXT = (
    (re.compile(r"authentication failed|no password supplied"), _BY_STATE["28P01"]),
    (
        re.compile(r'database "[^"]*" does not exist'),
        ("the database does not exist", "create it with: createdb --encoding UTF8 NAME"),
    ),
    (
        re.compile(r'role "[^"]*" does not exist'),
        ("the user does not exist", "create it with: createuser --pwprompt NAME"),
    ),
    (
        re.compile(r"no pg_hba\.conf entry"),
        ("the server accepts no such connection", "add a line to its pg_hba.conf, or try ?sslmode=require"),
    ),
    (re.compile(r"too many clients|remaining connection slots"), _BY_STATE["53300"]),
    (re.compile(r"starting up|shutting down"), ("the server starts or ends", "try again in a moment")),
    (re.compile(r"(?i)connection refused"), ("connection refused", _STARTING)),
    (re.compile(r"(?i)timeout expired"), ("no answer within the time limit", _STARTING)),
    (re.compile(r"(?i)resolve|name or service|nodename"), ("the host name is not known", "correct it in the address")),
    (re.compile(r"(?i)no such file or directory"), ("no server listens there", _STARTING)),
)
"""What is wrong and what helps, by the server's words: an error while connecting has no SQLSTATE."""
_LOST = ("the connection broke", _STARTING)


def is_passing(error: BaseException) -> bool:
    """Whether the same statements may succeed in a moment, on a new connection."""
    if isinstance(error, TimeoutError | OSError):
        return True
    if not isinstance(error, psycopg.Error):  # a library may have wrapped one
        return error.__cause__ is not None and is_passing(error.__cause__)
    if error.sqlstate is not None:
        return error.sqlstate in _PASSING or error.sqlstate.startswith(_PASSING_CLASSES)
    return isinstance(error, psycopg.OperationalError) and not _UNREACHED.search(str(error))


def explained(shown: str, error: BaseException) -> JournalError:
    """Return the error that users read; `shown` is the address without its password."""
    message, remedy = _explained(error)
    return JournalError(f"the journal {shown} can't be used: {message}; {remedy}. {_UNASKED}")


def _explained(error: BaseException) -> tuple[str, str]:
    state = getattr(error, "sqlstate", None)
    if state in _BY_STATE:
        return _BY_STATE[state]
    if state == "42501":
        return str(error).partition("\n")[0], "grant the user this right, as docs/durability.md shows"
    if state is not None and not state.startswith(_PASSING_CLASSES):
        return f"the server answers with error {state}", "its log has the details"
    return next((known for sign, known in _BY_TEXT if sign.search(str(error))), _LOST)
