"""Links that install an entry in a client when they are opened. They have no values of keys."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from moa_mcp.clients.client import NAME


def cursor(entry: Mapping[str, Any]) -> str:
    """Return a link of Cursor (https://cursor.com/docs/mcp/install-links)."""
    return f"cursor://anysphere.cursor-deeplink/mcp/install?{_encoded(entry)}"


def lm_studio(entry: Mapping[str, Any]) -> str:
    """Return a link of LM Studio (https://lmstudio.ai/docs/app/mcp/deeplink)."""
    return f"lmstudio://add_mcp?{_encoded(entry)}"


def vscode(entry: Mapping[str, Any]) -> str:
    """Return a link of VS Code (https://code.visualstudio.com/api/extension-guides/ai/mcp)."""
    return f"vscode:mcp/install?{quote(_json({'name': NAME, **entry}), safe='')}"


def goose(entry: Mapping[str, Any]) -> str:
    """Return a link of Goose. It has no variables with keys: Goose asks for them when the extension is set up."""
    args = [("arg", each) for each in entry["args"]]
    about = [("id", NAME), ("name", NAME), ("description", entry["description"]), ("timeout", str(entry["timeout"]))]
    return f"goose://extension?{urlencode([('cmd', entry['cmd']), *args, *about], quote_via=quote)}"


def _encoded(entry: Mapping[str, Any]) -> str:
    return urlencode({"name": NAME, "config": b64encode(_json(entry).encode()).decode()}, quote_via=quote, safe="")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
