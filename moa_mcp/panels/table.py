from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

from moa_mcp.routing.routes import Route
from moa_mcp.steps.panel import Tier


class KnownModel(NamedTuple):
    name: str
    maker: str
    tier: Tier
    routes: tuple[Route, ...]
    lacks: tuple[str, ...] = ()
    window: int | None = None
    ends: date | None = None
    successor: str | None = None
    source: str = ""
    checked: date | None = None


@cache
def known_models() -> dict[str, KnownModel]:
    raw = tomllib.loads((Path(__file__).parent.parent / "models.toml").read_text())
    return {n: KnownModel(n, t["maker"], t["tier"], tuple(Route(model=r) for r in t["routes"])) for n, t in raw.items()}
