"""What is on record and makes no sense: a bit that the disk has lost. SQLite keeps no checksums of what it holds."""

from __future__ import annotations

import zlib
from collections.abc import Generator
from contextlib import contextmanager

from moa_mcp.errors import JournalError


@contextmanager
def readable(run_id: str) -> Generator[None]:
    """Hold what is done inside to what is on record of a run. Raises `JournalError` if that makes no sense."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, zlib.error) as error:
        raise JournalError(
            f"what is on record of run {run_id} can't be read: it is damaged, or from another version of moa-mcp; "
            "other runs are not touched by that"
        ) from error
