"""A file of each MCP client in the shape that its documentation gives, with a server that was there before."""

from __future__ import annotations

from typing import NamedTuple


class ClientFile(NamedTuple):
    """A file in a user's home."""

    path: str
    text: str
    kept: str
    """How the server that was there before is named."""


FILES = {
    "claude-desktop": ClientFile(
        ".config/Claude/claude_desktop_config.json",
        '{\n  "globalShortcut": "",\n  "mcpServers": {\n    "files": {\n      "command": "npx",\n'
        '      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/tmp"]\n    }\n  }\n}',
        "files",
    ),
    "claude-code": ClientFile(
        ".claude.json",
        '{\n  "numStartups": 3,\n  "projects": {"/home/u/p": {"mcpServers": {}, "allowedTools": []}},\n'
        '  "mcpServers": {\n    "files": {"type": "stdio", "command": "npx", "args": [], "env": {}}\n  },\n'
        '  "hasCompletedOnboarding": true\n}\n',
        "files",
    ),
    "cursor": ClientFile(
        ".cursor/mcp.json",
        '{\n\t"mcpServers": {\n\t\t"github": { "url": "https://api.githubcopilot.com/mcp/" }\n\t}\n}\n',
        "github",
    ),
    "vscode": ClientFile(
        ".config/Code/User/mcp.json",
        '{\n\t// asked once\n\t"inputs": [{ "type": "promptString", "id": "k", "password": true }],\n\t"servers": {\n'
        '\t\t"github": { "type": "http", "url": "https://api.githubcopilot.com/mcp/" },\n\t},\n}\n',
        "github",
    ),
    "codex": ClientFile(
        ".codex/config.toml",
        'model = "gpt-6" # the usual one\n\n[mcp_servers.docs]\ncommand = "npx"\nargs = ["-y", "docs"]\n'
        'startup_timeout_sec = 20\n\n[mcp_servers.docs.env]\nA = "b"\n\n# last\n[tui]\nnotifications = true\n',
        "docs",
    ),
    "gemini": ClientFile(
        ".gemini/settings.json",
        '{\n  "general": {"vimMode": true}, // as in vim\n'
        '  "mcpServers": {"files": {"command": "x", "timeout": 5000}}\n}\n',
        "files",
    ),
    "windsurf": ClientFile(
        ".codeium/windsurf/mcp_config.json",
        '{"mcpServers": {"web": {"serverUrl": "https://example.com/mcp", "disabled": false}}}',
        "web",
    ),
    "zed": ClientFile(
        ".config/zed/settings.json",
        "// Zed settings\n//\n// For information on how to configure Zed, see the documentation\n{\n"
        '  "theme": "One Dark",\n'
        '  "context_servers": {\n    "postgres": {\n      "source": "extension", /* of the gallery */\n'
        '      "settings": {"database_url": "postgresql://localhost"},\n    },\n  },\n  "vim_mode": true,\n}\n',
        "postgres",
    ),
    "goose": ClientFile(
        ".config/goose/config.yaml",
        "GOOSE_PROVIDER: openai\nextensions:\n  # comes with Goose\n  developer:\n    bundled: true\n"
        "    enabled: true\n    name: developer\n    timeout: 300\n    type: builtin\nGOOSE_MODEL: gpt-6 # keep\n",
        "developer",
    ),
    "cline": ClientFile(
        ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        '{\n  "mcpServers": {\n    "files": {\n      "command": "node",\n      "args": ["/srv/s.js"],\n'
        '      "alwaysAllow": ["read"],\n      "disabled": false\n    }\n  }\n}\n',
        "files",
    ),
    "opencode": ClientFile(
        ".config/opencode/opencode.json",
        '{\n  "$schema": "https://opencode.ai/config.json",\n  "mcp": {\n    "files": {\n      "type": "local",\n'
        '      "command": ["npx", "-y", "files"],\n      "enabled": true\n    }\n  }\n}\n',
        "files",
    ),
    "lm-studio": ClientFile(
        ".lmstudio/mcp.json",
        '{\n  "mcpServers": {}\n}\n',
        "",
    ),
}
"""By the name of the client."""
