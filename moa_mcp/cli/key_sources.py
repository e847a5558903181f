"""Where the keys of routes were found: the environment, the user's file or the keychain. It shows names alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from msgspec import Struct
from rich.console import Console
from rich.text import Text

from moa_mcp.cli.text import line
from moa_mcp.routing import credentials
from moa_mcp.routing.environment import FileKeys
from moa_mcp.routing.keychain import Keychain, is_installed
from moa_mcp.routing.routes import Route


class KeySources(Struct, frozen=True):
    """The variables that give access to routes, each with its source."""

    file: FileKeys
    keychain: Keychain

    def of(self, routes: Iterable[Route]) -> dict[str, str]:
        """Return the source of each variable that gives access to a route, by name."""
        return self.named(name for route in routes for name in credentials.given(route.key_names, os.environ))

    def named(self, names: Iterable[str]) -> dict[str, str]:
        """Return the source of each variable, in the order of their names."""
        return {name: self._source(name) for name in sorted(set(names))}

    def _source(self, name: str) -> str:
        if name in self.file.names:
            return "file"
        return "keychain" if name in self.keychain.names else "environment"

    def data(self, routes: Iterable[Route]) -> Mapping[str, object]:
        """Return the sources as JSON."""
        path = self.file.path
        problems = [*self.file.problems, *([self.keychain.problem] if self.keychain.problem and is_installed() else [])]
        return {"found": self.of(routes), "file": None if path is None else str(path), "problems": problems}

    def show(self, out: Console, routes: Iterable[Route]) -> None:
        """Print the sources, and the path of the file if there is one."""
        found = [f"{name} ({source})" for name, source in self.of(routes).items()]
        out.print(Text.assemble(("Keys           ", "bold"), ", ".join(found) or "none found"))
        if self.file.path is not None:
            out.print(Text.assemble(("Key file       ", "bold"), line(str(self.file.path))))
