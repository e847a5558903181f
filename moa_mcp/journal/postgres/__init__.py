"""The journal in PostgreSQL, shared by any number of processes of any number of machines."""

from __future__ import annotations

from moa_mcp.journal.postgres.journal import LEASE_S, PostgresJournal

__all__ = ["LEASE_S", "PostgresJournal"]
