"""All items of a batch with what they share: the pipeline, the settings, and the IDs that follow from them."""

from __future__ import annotations

from dataclasses import replace

from msgspec import Struct

from moa_mcp.batch.identity import BatchSettings, Identity
from moa_mcp.batch.items import Item, restored
from moa_mcp.batch.spool import Spool
from moa_mcp.config import Config, Pipeline
from moa_mcp.values import Question


class Questions(Struct, frozen=True):
    """The items of a batch by position, from 0."""

    pipeline: Pipeline
    settings: BatchSettings
    identity: Identity
    stored: Spool
    simulated: bool

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, position: int) -> Item:
        return restored(self.stored[position])

    def asked(self, item: Item) -> Question:
        """Return the question of an item, with the context, system prompt and answer schema of the batch."""
        asked = item.asked(self.settings.context, self.settings.system)
        return self.pipeline.asked(replace(asked, answer_schema=self.settings.answer_schema))

    def asked_at(self, position: int) -> Question:
        """Return the question of the item at a position."""
        return self.asked(self[position])


def questions(
    config: Config, pipeline: Pipeline, settings: BatchSettings, stored: Spool, *, simulated: bool
) -> Questions:
    """Return the items of a batch."""
    identity = Identity(config, pipeline, settings, simulated=simulated)
    return Questions(pipeline, settings, identity, stored, simulated)
