"""Errors for recorded runs that make no sense, whichever journal has them. They never quote stored data."""

from __future__ import annotations

import re
import zlib
from collections.abc import Generator
from contextlib import contextmanager

from moa_mcp.errors import JournalDamaged

SENSELESS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, zlib.error)
"""Exceptions that reading corrupt data can raise."""
_ID = re.compile(r"[\w.-]{1,64}")


@contextmanager
def readable(run_id: str) -> Generator[None]:
    """Turn exceptions from reading a run into errors. Raises `JournalError` if its data is corrupt."""
    try:
        yield
    except SENSELESS as error:
        raise damaged_run(run_id) from error


def damaged_run(run_id: str) -> JournalDamaged:
    """Return the error for a corrupt run."""
    named = run_id if _ID.fullmatch(run_id) else "(its ID is lost)"
    return JournalDamaged(
        f"the record of run {named} can't be read: it is damaged, or from another version of moa-mcp; "
        "other runs are not affected, and a backup of the journal may still have it"
    )


def checked(text: str, *before: object) -> int:
    """Return a checksum of a text and its owners."""
    crc = 0
    for part in (*before, text):
        crc = zlib.crc32(str(part).encode("utf-8", "surrogatepass"), crc)
    return crc
