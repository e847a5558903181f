"""The MCP clients that `moa-mcp install` knows. A further client is one more entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from moa_mcp.clients import links
from moa_mcp.clients.client import NAME, Client, Server, TimeLimit

_Environment: TypeAlias = Callable[[Server], dict[str, str]]
_DESCRIPTION = "Asks several language models and combines their answers"
_GOOSE_TIMEOUT_S = 300
_MS = 0.001


def _usual(server: Server, environment: _Environment) -> dict[str, Any]:
    env = environment(server)
    return {"command": server.command, "args": list(server.args), **({"env": env} if env else {})}


def _typed(server: Server, environment: _Environment) -> dict[str, Any]:
    return {"type": "stdio", **_usual(server, environment)}


def _codex(server: Server, environment: _Environment) -> dict[str, Any]:
    env_vars = {"env_vars": list(server.names)} if server.names else {}
    usual = _usual(server, environment)
    return {"command": usual.pop("command"), "args": usual.pop("args"), **env_vars, **usual}


def _zed(server: Server, environment: _Environment) -> dict[str, Any]:
    return {"source": "custom", **_usual(server, environment)}


def _goose(server: Server, environment: _Environment) -> dict[str, Any]:
    env = environment(server)
    return {
        "enabled": True,
        "type": "stdio",
        "name": NAME,
        "description": _DESCRIPTION,
        "cmd": server.command,
        "args": list(server.args),
        "envs": env,
        "env_keys": list(server.names),
        "timeout": _GOOSE_TIMEOUT_S,
    }


def _opencode(server: Server, environment: _Environment) -> dict[str, Any]:
    env = environment(server)
    command = [server.command, *server.args]
    return {"type": "local", "command": command, "enabled": True, **({"environment": env} if env else {})}


_CODE = "${APP}/Code/User"

CLIENTS = (
    Client(
        "claude-desktop",
        "Claude Desktop",
        ("${APP}/Claude/claude_desktop_config.json",),
        "json",
        "mcpServers",
        _usual,
        start_limit=TimeLimit(60),
        call_limit=TimeLimit(240),
    ),
    Client(
        "claude-code",
        "Claude Code",
        ("${CLAUDE_CONFIG_DIR:-~}/.claude.json",),
        "json",
        "mcpServers",
        _typed,
        reference="${NAME:-}",
        programs=("claude",),
        start_limit=TimeLimit(30),
        call_limit=TimeLimit(None, "timeout", _MS),
        in_terminal=True,
    ),
    Client(
        "cursor",
        "Cursor",
        ("~/.cursor/mcp.json",),
        "json",
        "mcpServers",
        _usual,
        reference="${env:NAME}",
        programs=("cursor",),
        link=links.cursor,
    ),
    Client(
        "vscode",
        "VS Code",
        (f"{_CODE}/mcp.json",),
        "json",
        "servers",
        _typed,
        reference="${env:NAME}",
        programs=("code",),
        link=links.vscode,
    ),
    Client(
        "codex",
        "Codex",
        ("${CODEX_HOME:-~/.codex}/config.toml",),
        "toml",
        "mcp_servers",
        _codex,
        by_list=True,
        programs=("codex",),
        start_limit=TimeLimit(10, "startup_timeout_sec"),
        call_limit=TimeLimit(60, "tool_timeout_sec"),
        in_terminal=True,
    ),
    Client(
        "gemini",
        "Gemini CLI",
        ("~/.gemini/settings.json",),
        "json",
        "mcpServers",
        _usual,
        reference="${NAME}",
        programs=("gemini",),
        call_limit=TimeLimit(600, "timeout", _MS),
        in_terminal=True,
    ),
    Client(
        "windsurf",
        "Windsurf",
        ("~/.codeium/windsurf/mcp_config.json",),
        "json",
        "mcpServers",
        _usual,
        reference="${env:NAME}",
        programs=("windsurf",),
    ),
    Client(
        "zed",
        "Zed",
        ("${CONFIG}/zed/settings.json",),
        "json",
        "context_servers",
        _zed,
        programs=("zed", "zeditor"),
        windows_files=("${APP}/Zed/settings.json",),
    ),
    Client(
        "goose",
        "Goose",
        ("${CONFIG}/goose/config.yaml",),
        "yaml",
        "extensions",
        _goose,
        by_list=True,
        programs=("goose",),
        windows_files=("${APP}/Block/goose/config/config.yaml",),
        link=links.goose,
        call_limit=TimeLimit(_GOOSE_TIMEOUT_S, "timeout"),
        in_terminal=True,
    ),
    Client(
        "cline",
        "Cline",
        (f"{_CODE}/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",),
        "json",
        "mcpServers",
        _usual,
        call_limit=TimeLimit(60, "timeout"),
    ),
    Client(
        "opencode",
        "opencode",
        ("${CONFIG}/opencode/opencode.jsonc", "${CONFIG}/opencode/opencode.json"),
        "json",
        "mcp",
        _opencode,
        reference="{env:NAME}",
        programs=("opencode",),
        start_limit=TimeLimit(5, "timeout", _MS),
        in_terminal=True,
    ),
    Client(
        "lm-studio",
        "LM Studio",
        ("~/.lmstudio/mcp.json",),
        "json",
        "mcpServers",
        _usual,
        programs=("lms",),
        link=links.lm_studio,
    ),
)
