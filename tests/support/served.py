"""The shipped pipelines with every model served by one HTTP server, as a user with a gateway would configure them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import tomlkit

from moa_mcp.config import Config, parse, shipped

if TYPE_CHECKING:
    from pathlib import Path


_SOMEWHERE = "http://somewhere.invalid"


def served_text(url: str) -> str:
    return _served_somewhere().replace(_SOMEWHERE, url)


@cache
def _served_somewhere() -> str:
    document = tomlkit.parse(shipped().read_text("utf-8"))
    models = tomlkit.table()
    for name in document["models"]:
        models[name] = {"routes": [{"model": f"openai/{name}", "api_base": _SOMEWHERE}]}
    document["models"] = models
    return tomlkit.dumps(document)


def served(url: str) -> Config:
    return parse(served_text(url))


def served_file(url: str, folder: Path) -> Path:
    path = folder / "pipelines.toml"
    path.write_text(served_text(url), "utf-8")
    return path
