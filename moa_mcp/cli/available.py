"""What a first configuration can use here: API keys (by name), local servers, and programs that need no key."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field

from moa_mcp.cli.key_sources import KeySources
from moa_mcp.cli.text import counted, line
from moa_mcp.config import PanelSettings
from moa_mcp.panels import Candidate
from moa_mcp.providers.backend import Backend, real
from moa_mcp.routing import addresses, commands, credentials
from moa_mcp.routing.hosts import host
from moa_mcp.routing.local import LOCAL, Listing, Unlisted, base_of

_KEY = "OPENROUTER_API_KEY"
_PROGRAM = "claude"
_LOCAL_MODEL = "qwen3:8b"


class Available(Struct, frozen=True):
    """The keys, servers and programs of this environment."""

    backend: Backend
    keys: Mapping[str, str]
    """The source of each API key, by name."""
    servers: Mapping[str, Listing]
    """The models of each local server that answers, by provider."""
    programs: tuple[str, ...]
    """The installed programs for which there is a preset."""
    hosted: tuple[Candidate, ...]
    """The models of panels that the keys can call."""
    local: tuple[Candidate, ...]
    """The chat models of the local servers."""
    unlisted: Mapping[str, Unlisted] = field(default_factory=dict[str, Unlisted])
    """The local servers that answer without a list of models, by provider."""
    wrong_addresses: tuple[str, ...] = ()
    """The variables of providers that could be called, but for their address, and what they should be."""

    @property
    def members(self) -> tuple[Candidate, ...]:
        """Return the models that panels would choose from; empty if there are only programs, or nothing."""
        return self.hosted or self.local

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the variables of the environment on which the members depend: keys and addresses.

        An MCP host does not pass them to its servers.
        """
        providers = {route.provider for each in self.members for route in each.routes}
        keys = {name for each in providers for name in credentials.given(credentials.alternatives(each), os.environ)}
        bases = {known.variable(os.environ) for each in providers if (known := host(each)) is not None}
        bases |= {LOCAL[each].variable for each in providers if each in LOCAL}
        own = {name for name in keys if self.keys.get(name) == "environment"}
        return tuple(sorted(own | {name for name in bases if os.environ.get(name)}))

    def described(self) -> Iterator[tuple[str, str]]:
        """Yield what was found, each with its kind. Values of keys are not in it."""
        yield "API keys", ", ".join(f"{name} ({source})" for name, source in self.keys.items()) or "none"
        yield "Local servers", "; ".join(map(self.server, self.servers)) or "none"
        yield "Programs", ", ".join(self.programs) or "none"

    def server(self, provider: str) -> str:
        """Return a local server with its address and the number of its chat models."""
        chat = sum(each.routes[0].provider == provider for each in self.local)
        return f"{place(provider)} ({counted(chat, 'chat model')})"

    def remedies(self) -> Iterator[str]:
        """Yield what would help if nothing can answer."""
        yield from (f"set {each}" for each in self.wrong_addresses)
        for provider in self.servers:
            if LOCAL[provider].load is not None:
                yield f"load a chat model into {place(provider)}: {LOCAL[provider].loading(_LOCAL_MODEL)}"
        yield f"store an API key, such as one of OpenRouter: moa-mcp keys set {_KEY}"
        if not self.servers:
            yield f"start Ollama with a model: ollama pull {_LOCAL_MODEL}"
        preset = commands.PRESETS[_PROGRAM]
        yield f"with a subscription, install {_PROGRAM}: {preset.install}, then {preset.login}"


async def available(sources: KeySources) -> Available:
    """Look for keys, local servers and programs."""
    backend, routes = real({}, dict(os.environ), sources.keychain)
    known = await backend.candidates(PanelSettings(local="always"))
    hosted, local = _parted(known)
    found = await routes.local_servers()
    servers = {name: each for name, each in found.items() if isinstance(each, tuple)}
    unlisted = {name: each for name, each in found.items() if isinstance(each, Unlisted)}
    keys = sources.named(_key_names())
    return Available(backend, keys, servers, _programs(), hosted, local, unlisted, routes.wrong_addresses)


def _key_names() -> Iterator[str]:
    """Yield the variables of all known providers to which the environment gives access."""
    for sets in credentials.KEYS.values():
        yield from credentials.given(sets, os.environ)


def _programs() -> tuple[str, ...]:
    return tuple(name for name in commands.PRESETS if commands.found(name, os.environ))


def _parted(known: Sequence[Candidate]) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
    """Return the hosted models and those of local servers."""
    return tuple(each for each in known if each.tier), tuple(each for each in known if not each.tier)


def place(provider: str) -> str:
    """Return the name and the address of a local server."""
    local = LOCAL[provider]
    return line(f"{local.title} at {addresses.shown(base_of(local, os.environ))}")
