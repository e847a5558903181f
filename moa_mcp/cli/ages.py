"""Reads amounts with a unit, such as ages and sizes, and moments of the past."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime

from moa_mcp.cli.options import Refused

SECONDS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def measured(option: str, given: str, units: Mapping[str, int], examples: str) -> float:
    """Return an amount in the smallest unit. Raises `Refused`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", given.strip().lower())
    if match is None or match[2] not in units:
        raise Refused(f"{option} {given} is not a number with a unit", f"Use a value such as {examples}.")
    return float(match[1]) * units[match[2]]


def moment(option: str, given: str | None) -> float:
    """Return seconds since the epoch for an age or a date; 0 for None. Raises `Refused`."""
    if given is None:
        return 0.0
    if re.match(r"\d{4}-", given):
        try:
            return datetime.fromisoformat(given).timestamp()
        except ValueError as error:
            raise Refused(
                f"{option} {given} is not a date ({error})", "Use a date such as 2026-11-01, or an age such as 30d."
            ) from error
    return time.time() - measured(option, given, SECONDS, "30d, 12h or 2w, or a date such as 2026-11-01")
