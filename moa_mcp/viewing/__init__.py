"""The web page of ``moa-mcp view``: runs of the journal in a browser on this machine, live. It only reads.

`viewer` has the page itself. Here are its server, its guards, and the data that it asks for.
"""

from __future__ import annotations

from moa_mcp.viewing.server import CannotView, Viewing

__all__ = ["CannotView", "Viewing"]
