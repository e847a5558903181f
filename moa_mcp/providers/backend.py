"""Where calls go: real models through their routes, or simulated ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from anyio.lowlevel import checkpoint

from moa_mcp.errors import MissingKey
from moa_mcp.model import Model, Usable
from moa_mcp.providers.simulated import provider
from moa_mcp.providers.transports import Real
from moa_mcp.routing.routes import Route, Routes
from moa_mcp.values import Target, Transport

Models = Mapping[str, Sequence[Route]]


async def _nothing_to_load(aliases: Iterable[str], usable: Usable) -> None:
    del aliases, usable
    await checkpoint()


@dataclass(frozen=True, slots=True)
class Backend:
    """A provider, and how the models of a run find their place at it."""

    provider: Model
    usable: Callable[[Models], Usable]
    simulated: bool = False
    ready: Callable[[Iterable[str], Usable], Awaitable[None]] = _nothing_to_load
    """Returns when these aliases can be asked, where they are usable, without the first calls paying for what must be
    loaded."""
    close: Callable[[], Awaitable[None]] = checkpoint
    """Closes the connections; a later call opens new ones."""


def real(models: Models, environ: Mapping[str, str]) -> tuple[Backend, Routes]:
    """Return the backend that asks real models, with the routes of the configured models."""
    provider = Real()
    routes = Routes(models, environ)

    async def ready(aliases: Iterable[str], usable: Usable) -> None:
        first, later = await _transports(aliases, usable)
        await provider.ready(first, later)

    return Backend(provider, lambda of_run: routes.of(of_run).usable, ready=ready, close=provider.close), routes


async def _transports(aliases: Iterable[str], usable: Usable) -> tuple[set[Transport], set[Transport]]:
    """Return how models are asked where they are asked first, and where they may be asked when that fails."""
    first: set[Transport] = set()
    later: set[Transport] = set()
    for alias in aliases:
        try:
            best, *others = await usable(alias)
        except MissingKey:
            continue
        first.add(best.transport)
        later.update(other.transport for other in others)
    return first, later


def simulated(delay_s: float = 0.15) -> Backend:
    """Return the backend that asks no model."""

    async def usable(alias: str) -> tuple[Target, ...]:
        return (provider.target(alias),)

    return Backend(provider.Offline(delay_s), lambda _: usable, simulated=True)
