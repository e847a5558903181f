"""Leaves out the oldest images of a conversation, of which a prompt can't have any number: providers refuse it then."""

from __future__ import annotations

from dataclasses import replace

from moa_mcp.images import MOST_IMAGES, MOST_TOTAL_BYTES, Image
from moa_mcp.values import Message, Question, images_of


def with_newest_images(question: Question) -> tuple[Question, str]:
    """Return the question with as many images of earlier turns as one question may have, and a note on the others."""
    every = (*images_of(question.turns), *question.images)
    missing = len(every) - _fitting(every)
    if not missing:
        return question, ""
    left, turns = missing, list[Message]()
    for turn in question.turns:
        turns.append(turn._replace(images=turn.images[left:]))
        left = max(0, left - len(turn.images))
    limit = f"{MOST_IMAGES} images and {MOST_TOTAL_BYTES // 2**20} MiB"
    note = f"of {len(every)} images of the conversation, the oldest {missing} left out: models get at most {limit}"
    return replace(question, turns=tuple(turns)), note


def _fitting(images: tuple[Image, ...]) -> int:
    """Return how many of the newest images a question may have."""
    size = 0
    for count, image in enumerate(reversed(images[-MOST_IMAGES:])):
        size += image.size
        if size > MOST_TOTAL_BYTES:
            return count
    return min(len(images), MOST_IMAGES)
