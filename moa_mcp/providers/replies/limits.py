"""Limits on the length of a reply: a multiple of the requested tokens, and a size in bytes."""

from __future__ import annotations

from msgspec import Struct

from moa_mcp.text.tokens import EXPECTED
from moa_mcp.values import Call, token_limit

TIMES = 8
"""Maximum length of an answer as a multiple of `max_tokens`, not counting reasoning, which some providers exclude."""
_CHARACTERS = EXPECTED.characters(TIMES)
"""The same in characters, for each token."""
MOST_CHARACTERS = 2**22
"""Maximum characters of one answer, or of its reasoning, for any `max_tokens`."""
MOST_BYTES = 2**26
"""Maximum bytes of one reply; a stream takes some hundred bytes per token."""


class TooLong(Exception):
    """A reply is longer than `MOST_BYTES`."""


class ReplyLimits(Struct):
    """The limits of one reply."""

    limit: int | None
    """The `max_tokens` of the request; None if it had none."""
    _bytes: int = 0

    @classmethod
    def of(cls, call: Call) -> ReplyLimits:
        """Return the limits of the reply to a call."""
        return cls(token_limit(call.parameters))

    def count(self, received: int) -> None:
        """Count received bytes. Raises `TooLong`."""
        self._bytes += received
        if self._bytes > MOST_BYTES:
            raise TooLong(f"sent more than {MOST_BYTES // 2**20} MB in reply to one request")

    def exceeded(self, answer: int, thought: int) -> str:
        """Return the note on a reply of this many characters that exceeds a limit; empty if it does not."""
        return excess(self.limit, answer, thought)


def excess(max_tokens: int | None, answer: int, thought: int) -> str:
    """Return the note on an answer and its reasoning of this many characters; empty if they exceed no limit."""
    if max_tokens is not None and answer > max_tokens * _CHARACTERS:
        return f"the answer was cut: the provider sent more than {TIMES} times max_tokens ({max_tokens})"
    if answer > MOST_CHARACTERS or thought > MOST_CHARACTERS:
        return f"the answer was cut: the provider sent more than {MOST_CHARACTERS:,} characters"
    return ""
