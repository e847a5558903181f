"""What to do with a new configuration: the commands to try it, and to add the server to MCP clients."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from moa_mcp import config as configuration
from moa_mcp.cli.available import Available
from moa_mcp.cli.starter import COUNCIL
from moa_mcp.cli.text import line

_QUESTION = "Should a small team use microservices, and why?"


def show_next(out: Console, path: Path, found: Available) -> None:
    """Print the commands to try the configuration and to install the server."""
    named = ["--config", str(path)] if path != configuration.preferred() else []
    own = ["--config", str(path.absolute())] if path != configuration.users_file() else []
    server = {"command": "moa-mcp", **({"args": own} if own else {})}
    _show_commands(out, "Try it", [shlex.join(["moa-mcp", "ask", COUNCIL, *named, _QUESTION])])
    _show_commands(out, "Add it to Claude Code", [shlex.join(["claude", "mcp", "add", "moa", "--", "moa-mcp", *own])])
    _show_commands(
        out,
        "Or to Claude Desktop, Cursor and others",
        [json.dumps({"mcpServers": {"moa": server}}, ensure_ascii=False)],
    )
    if found.members and found.variables:
        title = "They start servers without your shell's environment, so store these once"
        _show_commands(out, title, [f"moa-mcp keys set {name}" for name in found.variables])


def _show_commands(out: Console, title: str, commands: Iterable[str]) -> None:
    out.print()
    out.print(Text(f"{title}:"))
    for each in commands:
        out.print(Text(f"  {line(each)}"), soft_wrap=True)
