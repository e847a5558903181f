"""Sends a call to the first route of its model that works."""

from __future__ import annotations

from collections.abc import Sequence

from moa_mcp.errors import CallError
from moa_mcp.model import Model, Usable
from moa_mcp.routing.images import takes
from moa_mcp.values import Call, Completion, Image, Target, images_of


def remembered(usable: Usable) -> Usable:
    """Return a function that remembers its routes. Reading the environment costs more than a request."""
    found: dict[str, tuple[Target, ...]] = {}

    async def known(alias: str) -> tuple[Target, ...]:
        if alias not in found:
            found[alias] = await usable(alias)
        return found[alias]

    return known


def _suited_first(targets: tuple[Target, ...], images: Sequence[Image]) -> tuple[Target, ...]:
    if not images:
        return targets
    return tuple(sorted(targets, key=lambda target: sum(not takes(target, image) for image in images)))


class Routed:
    """Tries the routes of a call's model in order, but those that take its images first. Notes the failures."""

    def __init__(self, inner: Model, usable: Usable) -> None:
        self._inner = inner
        self._usable = usable

    async def __call__(self, call: Call) -> Completion:
        failed: list[str] = []
        targets = await self._usable(call.agent)
        if targets[1:]:
            usable = _suited_first(targets, images_of(call.messages))
            targets = usable[call.spare :] or usable
        for target in targets[:-1]:
            try:
                completion = await self._inner(call.to(target))
            except CallError as error:
                if not error.elsewhere:
                    raise
                failed.append(f"{target.model} failed, so the next route was used: {error}")
            else:
                return completion.noted(*failed)
        completion = await self._inner(call.to(targets[-1]))
        return completion.noted(*failed) if failed else completion
