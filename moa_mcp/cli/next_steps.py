"""What to do with a new configuration: the commands to try it, and to add the server to MCP clients."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from moa_mcp import config as configuration
from moa_mcp.cli.available import Available
from moa_mcp.cli.text import line

_QUESTION = "Should a small team use microservices, and why?"


def show_next(out: Console, path: Path, found: Available) -> None:
    """Print the commands to try the configuration and to install the server."""
    named = ["--config", str(path)] if path != configuration.preferred() else []
    ask, chat = ["moa-mcp", "ask", *named, _QUESTION], ["moa-mcp", "chat", *named]
    _show_commands(out, "Try it", [shlex.join(ask), shlex.join(chat)])
    clients = "Add it to Claude, Cursor, VS Code and other MCP clients"
    _show_commands(out, clients, [shlex.join(["moa-mcp", "install", *named])])
    if found.members and found.variables:
        title = "Clients start servers without your shell's environment, so store these once"
        _show_commands(out, title, [f"moa-mcp keys set {name}" for name in found.variables])


def _show_commands(out: Console, title: str, commands: Iterable[str]) -> None:
    out.print()
    out.print(Text(f"{title}:"))
    for each in commands:
        out.print(Text(f"  {line(each)}"), soft_wrap=True)
