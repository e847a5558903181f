"""The IDs of a batch and of its runs, derived from what determines the answers.

The same item in the same batch has the same run, so that a second start finds what the first one paid for. A changed
item or configuration has another one.

A run ID is 64 bits of SHA-256, as long as the random ones. Among a million runs of one journal, the probability that
any two collide is 3 in 10^8 (birthday problem: n² / 2^65).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

from msgspec import Struct

from moa_mcp.batch.items import Item
from moa_mcp.config import Config, Pipeline, models_of
from moa_mcp.routing.routes import Route
from moa_mcp.steps import Step
from moa_mcp.steps.panel import panel_member

_VERSION = 1
"""Changes when other parts of a configuration or an item determine an ID: all of them are asked again then."""
_CHARACTERS = 16
_NEUTRAL = frozenset({"timeout_s", "hedge"})
"""Settings of steps that change when an answer comes, not which."""
_OF_ROUTES = ("model", "api_base", "reasoning_effort", "thinking_tokens", "extra", "command", "input", "output")
"""Settings of routes that determine answers. Keys and prices do not."""
_SEEDS = 2**32


class BatchSettings(Struct, frozen=True):
    """What all items of a batch share, besides the pipeline."""

    name: str
    """Distinguishes batches with the same pipeline."""
    seed: int | None = None
    """None for a seed that depends on the item."""
    context: str | None = None
    system: str | None = None
    answer_schema: str | None = None
    """Instead of that of the pipeline."""


class Identity:
    """The IDs of a batch."""

    def __init__(self, config: Config, pipeline: Pipeline, settings: BatchSettings, *, simulated: bool) -> None:
        """`pipeline` has the names that its user wrote: which models answer for them may differ between two starts."""
        aliases = models_of(pipeline)
        content = {
            "version": _VERSION,
            "name": settings.name,
            "seed": settings.seed,
            "context": settings.context,
            "system": settings.system,
            "simulated": simulated,
            "steps": [_of_step(each) for each in pipeline.steps],
            "models": {alias: [_of_route(each) for each in config.models.get(alias, ())] for alias in aliases},
            "panels": config.panels.model_dump(mode="json", exclude_defaults=True)
            if any(map(panel_member, aliases))
            else None,
        }
        if schema := settings.answer_schema or pipeline.answer_schema:
            content["answer_schema"] = schema
        self._seed = settings.seed
        self._digest = sha256(_canonical(content)).hexdigest()
        self.batch = self._digest[:_CHARACTERS]
        """The ID of the batch."""

    def run_id(self, item: Item) -> str:
        """Return the ID of an item's run. An item is known by its ID and its content, not by its place in the file."""
        own_id = None if item.id is None else str(item.id)
        content: list[object] = [self._digest, own_id, item.question, item.context, item.system, item.seed, item.copy]
        content += [item.image_hashes] if item.images else []
        return sha256(_canonical(content)).hexdigest()[:_CHARACTERS]

    def seed(self, item: Item) -> int:
        """Return the seed of an item's run: its own, or that of the batch, or one that follows from its ID."""
        if item.seed is not None:
            return item.seed
        return int(self.run_id(item), 16) % _SEEDS if self._seed is None else self._seed


def _of_step(step: Step) -> list[object]:
    """Return a step without defaults: a setting that a later version adds must not change the IDs."""
    return [step.step, step.model_dump(mode="json", exclude=set(_NEUTRAL), exclude_defaults=True)]


def _of_route(route: Route) -> Mapping[str, object]:
    return route.model_dump(mode="json", include=set(_OF_ROUTES), exclude_none=True)


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
