"""When a reply that does not end is read no further: a stated multiple of what was asked for, and a size in bytes."""

from __future__ import annotations

from dataclasses import dataclass

from moa_mcp.text.tokens import EXPECTED
from moa_mcp.values import Call, token_limit

TIMES = 8
"""So many times `max_tokens` an answer may have, thoughts not counted: some providers do not count those."""
MOST_CHARACTERS = 2**22
"""Of one answer, or of its thoughts, whatever was asked for."""
MOST_BYTES = 2**26
"""Of one reply as it comes over the line; a stream takes some hundred bytes for each token."""


class TooLong(Exception):
    """A reply has more bytes than any is read of."""


@dataclass(slots=True)
class ReplyLimits:
    """How long a reply may be."""

    limit: int | None
    """The token limit that was sent, if one was."""
    _bytes: int = 0

    @classmethod
    def of(cls, call: Call) -> ReplyLimits:
        """Return the limits of the reply to a call."""
        return cls(token_limit(call.parameters))

    def count(self, received: int) -> None:
        """Count bytes that came. Raises `TooLong`."""
        self._bytes += received
        if self._bytes > MOST_BYTES:
            raise TooLong(f"sent more than {MOST_BYTES // 2**20} MB in reply to one request")

    def exceeded(self, answer: int, thought: int) -> str:
        """Return what is to be noted of a reply of so many characters that is not read on; empty if it may go on."""
        if self.limit is not None and answer > EXPECTED.characters(TIMES * self.limit):
            return f"the answer was cut: the provider went on beyond {TIMES} times max_tokens = {self.limit}"
        if max(answer, thought) > MOST_CHARACTERS:
            return f"the answer was cut: the provider went on beyond {MOST_CHARACTERS:,} characters"
        return ""
