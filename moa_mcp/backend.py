"""Where calls go: real models through their routes, or simulated ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from anyio.lowlevel import checkpoint

from moa_mcp.model import Model, Usable
from moa_mcp.providers import offline
from moa_mcp.providers.litellm import LiteLLM
from moa_mcp.routes import Route, Routes
from moa_mcp.values import Target

Models = Mapping[str, Sequence[Route]]


@dataclass(frozen=True, slots=True)
class Backend:
    """A provider, and how the models of a run find their place at it."""

    provider: Model
    usable: Callable[[Models], Usable]
    simulated: bool = False
    ready: Callable[[], Awaitable[None]] = checkpoint
    """Returns when the provider can be asked without its first calls paying for its loading."""


def real(models: Models, environ: Mapping[str, str]) -> tuple[Backend, LiteLLM, Routes]:
    """Return the backend that asks real models, with its provider and the routes of the configured models."""
    provider = LiteLLM()
    routes = Routes(models, environ)
    return Backend(provider, lambda of_run: routes.of(of_run).usable, ready=provider.ready), provider, routes


def simulated(delay_s: float = 0.15) -> Backend:
    """Return the backend that asks no model."""

    async def usable(alias: str) -> tuple[Target, ...]:
        return (offline.target(alias),)

    return Backend(offline.Offline(delay_s), lambda _: usable, simulated=True)
