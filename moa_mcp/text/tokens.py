"""Counts of tokens without a tokenizer. All of moa-mcp counts with one of the bounds here.

Tokenizers differ from model to model, and loading one costs more than most estimates are worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


def size(text: str) -> int:
    """Return the length of a text in bytes of UTF-8. A lone surrogate counts as a whole character."""
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
    """Characters or bytes per token of an answer that does not exist yet."""
    rounds_up: bool = True

    def text(self, text: str) -> int:
        """Return the tokens of a text."""
        length = self.length(text)
        return -(-length // self.per_token) if self.rounds_up else length // self.per_token

    def messages(self, texts: Iterable[str], unwritten: int = 0) -> int:
        """Return the tokens of a conversation that will also have `unwritten` tokens of answers."""
        written = sum([self.text(text) + self.per_message for text in texts])
        return written + unwritten * self.per_unwritten // self.per_token

    def unwritten(self, text: str) -> int:
        """Return the tokens of an answer, for a count that treats it like one that does not exist yet."""
        return -(-self.length(text) // self.per_unwritten)

    def characters(self, tokens: int) -> int:
        """Return the characters or bytes of some tokens of text."""
        return tokens * self.per_token


LOWER = Bound(size, 4, 0, 4, rounds_up=False)
"""For rejecting a prompt before it is sent: real prompts have more tokens, so none that fits is rejected."""
EXPECTED = Bound(len, 4, 4, 4)
"""For estimates, rate limits and simulations: the tokens of English text."""
CAUTIOUS = Bound(size, 3, 4, 3)
"""For prompts that have to fit a context window: a third above the count of English text. Where that is still too low,
the provider rejects the prompt, and a shorter one is sent."""
UPPER = Bound(size, 1, 16, 6)
"""For budgets. A token stands for at least one byte, whatever the tokenizer: no prompt has more tokens than bytes."""
