"""The known words that a misspelled word probably means."""

from __future__ import annotations

from collections.abc import Iterable

SIMILARITY = 0.6
"""How similar a word must be to be suggested, 0 to 1 (the ratio of `difflib.SequenceMatcher`)."""


def similar(word: str, known: Iterable[str], *, most: int = 3, at_least: float = SIMILARITY) -> list[str]:
    """Return the most similar known words, the best first."""
    from difflib import get_close_matches  # noqa: PLC0415  only errors need it

    return get_close_matches(word, list(known), n=most, cutoff=at_least)


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the most similar known word; None if none is similar."""
    return next(iter(similar(word, known, most=1)), None)
