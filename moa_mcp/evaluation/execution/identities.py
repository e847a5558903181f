"""The IDs of the runs of evaluations: of what is asked alone, so that evaluations share runs.

The same pipeline, question and repetition is the same run under one name, in whichever evaluation, file and line.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import NamedTuple

from msgspec.structs import replace

from moa_mcp.batch.identity import BatchSettings, Identity
from moa_mcp.batch.items import Item
from moa_mcp.config import Config, Pipeline, models_of, routed
from moa_mcp.values import Question

_NAME = "eval"
"""Part of the IDs: a batch does not share its runs with an evaluation."""


class RunIdentity(NamedTuple):
    """The ID of a run and its seed, which follow from the same content."""

    run_id: str
    seed: int


class RunIdentities:
    """The IDs of the runs under one name."""

    def __init__(self, config: Config, name: str, *, simulated: bool) -> None:
        self._config = config
        self._name = f"{_NAME}:{name}"
        self._simulated = simulated
        self._known: dict[tuple[Pipeline, str | None], Identity] = {}
        """By pipeline and schema of the answer."""

    def of_item(self, pipeline: Pipeline, item: Item, repetition: int = 0) -> RunIdentity:
        """Return the identity of the run of an item."""
        return _identity(self._of(pipeline, pipeline.answer_schema), replace(item, line=0, copy=repetition))

    def of_question(self, pipeline: Pipeline, question: Question, repetition: int = 0) -> RunIdentity:
        """Return the identity of the run of any question, such as that to a judge."""
        hashes = tuple(each.content_sha256 or sha256(each.url.encode()).hexdigest() for each in question.images)
        turns = json.dumps([turn[:2] for turn in question.turns]) if question.turns else None
        asked = Item(
            0,
            question.text,
            turns,
            question.context,
            question.system,
            copy=repetition,
            images=hashes,
            image_hashes=hashes,
        )
        return _identity(self._of(pipeline, question.answer_schema or pipeline.answer_schema), asked)

    def digest(self, pipeline: Pipeline) -> str:
        """Return a hash of what determines the answers of a pipeline."""
        return self._of(pipeline, pipeline.answer_schema).batch

    def _of(self, pipeline: Pipeline, schema: str | None) -> Identity:
        key = pipeline, schema
        if key not in self._known:
            config = routed(self._config, models_of(pipeline))  # others may have configured them, too
            settings = BatchSettings(self._name, answer_schema=schema)
            self._known[key] = Identity(config, pipeline, settings, simulated=self._simulated)
        return self._known[key]


def _identity(identity: Identity, item: Item) -> RunIdentity:
    return RunIdentity(identity.run_id(item), identity.seed(item))
