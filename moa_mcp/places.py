"""Words of the configuration, and the positions of calls in a run: what `findings` and `values` have in common."""

from __future__ import annotations

from typing import Annotated, NamedTuple

PLAIN = "plain"
Word = Annotated[str, PLAIN]
"""A name, an id or another word of the configuration or of moa-mcp.

Every other `str` in an event may hold texts of users and models: with `record = "hashes"` only its hash is stored.
"""


class Place(NamedTuple):
    """The position of a call in a run. All three numbers count from 1."""

    step: int
    number: int
    """Number of the call in its step."""
    sample: int = 1
    """Number among the equal calls of the step: six samples of one model have samples 1 to 6."""

    def __str__(self) -> str:
        return f"{self.step}.{self.number}"
