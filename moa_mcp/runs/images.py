"""Keeps images out of the records of runs, which are read as a whole to list runs: a record refers to them by hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from moa_mcp.journal.codec import CODEC
from moa_mcp.values import Image, Question

_REF = "sha256:"


def detached(question: Question) -> tuple[Question, Mapping[str, str]]:
    """Return the question with references instead of images, and what they refer to, by hash."""
    texts = dict[str, str]()

    def refer(image: Image) -> Image:
        if image.is_address:
            return image
        digest = hashlib.sha256(image.url.encode(*CODEC)).hexdigest()
        texts[digest] = image.url
        return replace(image, url=f"{_REF}{digest}")

    return _with(question, refer), texts


def references(question: Question) -> frozenset[str]:
    """Return the hashes of the images that a question refers to."""
    every = (*question.images, *(image for turn in question.turns for image in turn.images))
    return frozenset(image.url.removeprefix(_REF) for image in every if image.url.startswith(_REF))


def attached(question: Question, texts: Mapping[str, str]) -> Question:
    """Return the question with its images instead of references."""

    def resolve(image: Image) -> Image:
        found = texts.get(image.url.removeprefix(_REF))
        return image if found is None else replace(image, url=found)

    return _with(question, resolve)


def _with(question: Question, change: Callable[[Image], Image]) -> Question:
    turns = tuple(turn._replace(images=tuple(map(change, turn.images))) for turn in question.turns)
    return replace(question, images=tuple(map(change, question.images)), turns=turns)
