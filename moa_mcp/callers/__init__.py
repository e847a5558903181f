"""Who may use a shared server: callers, what each is permitted, and the file that names them.

Knows nothing about HTTP, MCP or runs.
"""

from __future__ import annotations

from moa_mcp.callers.caller import LOCAL, Caller
from moa_mcp.callers.document import Callers
from moa_mcp.callers.file import CallersFile
from moa_mcp.callers.tables import OAuthSettings, Permissions

__all__ = ["LOCAL", "Caller", "Callers", "CallersFile", "OAuthSettings", "Permissions"]
