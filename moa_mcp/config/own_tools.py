"""The names of the server's own tools, which no pipeline can have. `server.listing` describes them."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

OwnTool: TypeAlias = Literal[
    "moa_wait", "moa_resume", "moa_fork", "moa_cancel", "moa_trace", "moa_estimate", "moa_view"
]
OWN_TOOL_NAMES: frozenset[str] = frozenset(get_args(OwnTool))
