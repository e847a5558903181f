"""The backend of a run: real models through their routes, or simulated models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from anyio.lowlevel import checkpoint
from msgspec import Struct

from moa_mcp.config import Config, PanelSettings
from moa_mcp.model import Model, Usable, targets_by_alias
from moa_mcp.panels import Candidate, Candidates, Environment, Resolver, all_known
from moa_mcp.providers.simulated import provider
from moa_mcp.providers.transports import Real
from moa_mcp.routing.keychain import Keychain
from moa_mcp.routing.routes import Route, Routes
from moa_mcp.values import Target, Transport

Models = Mapping[str, Sequence[Route]]


async def _nothing_to_load(aliases: Iterable[str], usable: Usable) -> None:
    del aliases, usable
    await checkpoint()


async def _no_panel(settings: PanelSettings) -> Sequence[Candidate]:
    del settings
    return ()


class Backend(Struct, frozen=True):
    """A provider, with the functions that resolve and prepare the models of a run."""

    provider: Model
    usable: Callable[[Models], Usable]
    simulated: bool = False
    ready: Callable[[Iterable[str], Usable], Awaitable[None]] = _nothing_to_load
    """Loads the transports that these aliases need, so that the first calls don't wait for imports."""
    candidates: Candidates = _no_panel
    """Returns the models that may be members of panels."""
    close: Callable[[], Awaitable[None]] = checkpoint
    """Closes all connections; a later call opens new ones."""

    def resolver(self, config: Config) -> Resolver:
        """Return what chooses the models that answer for the pipelines of a configuration."""
        return Resolver(config, self.usable, self.candidates)


def real(
    models: Models, environ: Mapping[str, str], keychain: Keychain | None = None, provider: Real | None = None
) -> tuple[Backend, Routes]:
    """Return the backend that calls real models, and the routes of the configured models.

    A `provider` that another backend uses keeps its connections; programs that it starts from now on get `environ`.
    """
    provider = provider or Real()
    provider.use(environ)
    routes = Routes(models, environ, keychain=keychain)

    async def ready(aliases: Iterable[str], usable: Usable) -> None:
        first, later = await _transports(aliases, usable)
        await provider.ready(first, later)

    backend = Backend(
        provider,
        lambda of_run: routes.of(of_run).usable,
        ready=ready,
        candidates=Environment(routes),
        close=provider.close,
    )
    return backend, routes


async def _transports(aliases: Iterable[str], usable: Usable) -> tuple[set[Transport], set[Transport]]:
    """Return the transports of the first targets, and those of the fallback targets."""
    first: set[Transport] = set()
    later: set[Transport] = set()
    for targets in (await targets_by_alias(usable, aliases)).values():
        first.update(target.transport for target in targets[:1])
        later.update(target.transport for target in targets[1:])
    return first, later


def simulated(delay_s: float = 0.15) -> Backend:
    """Return the backend that simulates all models; `delay_s` is the mean seconds of an answer."""

    async def usable(alias: str) -> tuple[Target, ...]:
        return (provider.target(alias),)

    async def known(settings: PanelSettings) -> Sequence[Candidate]:
        return all_known(settings.exclude)

    return Backend(provider.Offline(delay_s), lambda _: usable, simulated=True, candidates=known)
