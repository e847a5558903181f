"""Checks before the first call that each image is seen by a model of the first layer."""

from __future__ import annotations

from msgspec import Struct

from moa_mcp.config import Pipeline
from moa_mcp.model import Usable, targets_by_alias
from moa_mcp.routing.images import takes, takes_images
from moa_mcp.values import Question


class Unseen(Struct, frozen=True):
    """An image that no model of the first layer takes."""

    models: tuple[str, ...]
    """The aliases of that layer."""
    message: str


async def unseen(pipeline: Pipeline, question: Question, usable: Usable) -> Unseen | None:
    """Return the first image that no model of the first layer takes; None if each is taken, as far as is known.

    Images of earlier turns do not count: a conversation may continue with models that take none.
    """
    first = next((step for step in pipeline.steps if step.models), None)
    if not question.images or first is None:
        return None
    models = tuple(dict.fromkeys((*first.models, *((first.fallback,) if first.fallback else ()))))
    found = await targets_by_alias(usable, models)
    targets = [target for model in models for target in found[model]]
    for number, image in enumerate(question.images, 1):
        if targets and not any(takes(target, image) for target in targets):
            wants_file = image.is_address and any(takes_images(target) for target in targets)
            return Unseen(models, _message(number, models, wants_file=wants_file))
    return None


def _message(number: int, models: tuple[str, ...], *, wants_file: bool) -> str:
    who = ", ".join(models)
    if wants_file:
        return f"image {number} is an address, and none of {who} takes addresses; give the file instead"
    return (
        f"no model that answers first takes images ({who}); choose one that does, or set images = true for its route "
        "if it does"
    )
