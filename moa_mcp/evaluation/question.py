"""A question of an evaluation: what is asked, and what the right answer is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from moa_mcp.batch.items import Item


@dataclass(frozen=True, slots=True)
class EvalQuestion:
    """One question with what is known about its answer."""

    id: str
    """No other question of the evaluation has it: that of the file, or the number of its line."""
    item: Item
    """What is asked: the question with its choices, context, system prompt and images."""
    answer: str | None = None
    """The right answer, as the file has it; None for an open question."""
    choices: tuple[str, ...] = ()
    """The options of a multiple-choice question, which the text of the question shows as A), B) …; `answer` is a
    letter then."""
    cluster: str | None = None
    """Questions of one cluster, such as those about one text, are not independent of each other."""
    metadata: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue], compare=False)
    """The other fields of its line, which only a scoring function of the user reads."""

    @property
    def text(self) -> str:
        """The question as the models get it, without context."""
        return self.item.question
