"""The address of a database, as users give it and as messages show it. It loads no driver."""

from __future__ import annotations

import re
from typing import TypeGuard

_SCHEMES = ("postgresql://", "postgres://")
_USER = re.compile(r"(?<=://)([^:@/?]*):.*@")
_NO_PORT = re.compile(r"(?<=://)([^:@/?]*):(?![\d,]*(?:[/?]|$))[^@/?]*(?=[/?]|$)")
"""What is in the place of a port: a password, if the rest of the address is missing."""
_SECRETS = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)


def is_database(journal: str | None) -> TypeGuard[str]:
    """Whether a journal is a PostgreSQL database and not a file."""
    return journal is not None and journal.startswith(_SCHEMES)


def shown(address: str) -> str:
    """Return an address without its passwords. A password that was not encoded is masked in full."""
    return _SECRETS.sub(r"\1***", _NO_PORT.sub(r"\1:***", _USER.sub(r"\1:***@", address)))
