"""Counts tokens without a tokenizer. All parts of moa-mcp use one of the bounds defined here.

Tokenizers differ between models, and loading one takes longer than an estimate is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


def size(text: str) -> int:
    """Return the length of a text in UTF-8 bytes. A lone surrogate counts as 3 bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class Bound(NamedTuple):
    """A way to count the tokens of texts."""

    length: Callable[[str], int]
    """Returns the length of a text, in characters or bytes."""
    per_token: int
    """Characters or bytes per token."""
    per_message: int
    """Tokens of a message besides its text."""
    per_unwritten: int
    """Characters or bytes per token of an answer that is not written yet."""
    rounds_up: bool = True

    def text(self, text: str) -> int:
        """Return the tokens of a text."""
        return self.messages((text,)) - self.per_message

    def messages(self, texts: Iterable[str], unwritten: int = 0) -> int:
        """Return the tokens of a conversation that will also have `unwritten` tokens of answers."""
        length, per_token, more = self.length, self.per_token, self.per_token - 1 if self.rounds_up else 0
        tokens = unwritten * self.per_unwritten // per_token
        for text in texts:
            tokens += (length(text) + more) // per_token + self.per_message
        return tokens

    def unwritten(self, text: str) -> int:
        """Return the tokens of an answer at the rate of answers that are not written yet."""
        return -(-self.length(text) // self.per_unwritten)

    def characters(self, tokens: int) -> int:
        """Return the characters or bytes of a number of tokens."""
        return tokens * self.per_token


LOWER = Bound(size, 6, 0, 6, rounds_up=False)
"""For rejecting long prompts before they are sent. English prose has up to five bytes per token, so actual counts are
higher, and no prompt of ordinary text that fits is rejected."""
EXPECTED = Bound(len, 4, 4, 4)
"""For estimates, rate limits and simulations: the tokens of English text."""
CAUTIOUS = Bound(size, 3, 4, 3)
"""For prompts that must fit a context window: a third more than for English text. If that is too low, the provider
rejects the prompt, and a shorter one is sent."""
UPPER = Bound(size, 1, 16, 6)
"""For budgets. With every tokenizer, a token is at least one byte, so no prompt has more tokens than bytes."""
