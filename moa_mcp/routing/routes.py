"""The routes of model aliases, and which of them are usable in this environment.

A route is usable if its key is set, its local server answers, or its program is installed. Nothing here calls a model,
and no message contains a key.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Literal, NamedTuple

from moa_mcp.errors import MissingKey
from moa_mcp.routing import addresses, catalog, commands, credentials, proxies
from moa_mcp.routing.address_variables import wrong_address
from moa_mcp.routing.capabilities import samples_at
from moa_mcp.routing.hosts import HOSTS, Host, host, wire_name
from moa_mcp.routing.keychain import Keychain, is_installed
from moa_mcp.routing.local import LOCAL, NO_KEY, Listing, Local, Probe, Unlisted, base_of, models_at
from moa_mcp.routing.route import PROVIDERS, Route, RouteEntry, full_base, is_route
from moa_mcp.values import CallSettings, Program, Target

__all__ = ["PROVIDERS", "Route", "RouteEntry", "is_route"]
"""What is defined in `route`, and is also imported from here."""

_OPENAI_HOST = "https://api.openai.com"
ANY_KEY = "set an API key, such as OPENROUTER_API_KEY or OPENAI_API_KEY, or start a local server, such as Ollama"
"""What a panel needs, unless an address is wrong."""


Remedy = Literal["set", "start", "run", "install", "replace"]


class RouteState(NamedTuple):
    """Whether a route is usable now."""

    route: Route
    target: Target | None
    """None if the route is not usable."""
    missing: str
    """What would make the route usable; empty if it is."""
    remedy: Remedy = "set"
    """What to do with that: set a variable, start a server, run a command, install a program, or replace a route that
    has ended."""

    @property
    def ended(self) -> bool:
        """Whether its provider has shut the model down."""
        return self.remedy == "replace"


class Routes:
    """The routes of every alias, and their states in this environment."""

    FRESH_S = 15.0
    """Seconds before a local server is probed again."""

    def __init__(
        self,
        models: Mapping[str, Sequence[Route]],
        environ: Mapping[str, str],
        probe: Probe = models_at,
        keychain: Keychain | None = None,
    ) -> None:
        self._models = models
        self._environ = {
            name: value.strip() for name, value in environ.items()
        }  # values from files often end with a newline
        self._probe = probe
        self._keychain = keychain
        self._seen: dict[tuple[str, str | None], tuple[float, Listing | Unlisted | None]] = {}
        """By address and key: when a local server was last probed, and its models; None if it did not answer."""
        self._remarks: dict[str, str] = {}
        """By address of a local server: the remark about the proxy before it."""
        self._settled: dict[Route, RouteState] = {}
        """The states that depend on the environment alone, not on a local server or program."""

    def has_key(self, providers: Iterable[str] = credentials.KEYS) -> bool:
        """Whether the environment gives access to one of these providers."""
        return any(not credentials.missing(provider, self._environ) for provider in providers)

    @property
    def may_have_key(self) -> bool:
        """Whether the environment gives access to a hosted provider, or the keychain may."""
        return self.has_key() or (self._keychain is not None and is_installed())

    def of(self, models: Mapping[str, Sequence[Route]]) -> Routes:
        """Return the routes of other models in the same environment."""
        others = copy(self)
        others._models = models  # noqa: SLF001  same class
        return others

    async def usable(self, alias: str) -> tuple[Target, ...]:
        """Return the targets that can serve an alias now, best first.

        Raises:
            MissingKey: no route is usable; the message says how to change that.

        """
        states = await self.states(alias)
        targets = tuple(state.target for state in states if state.target is not None)
        if not targets:
            way = remedy(states) if states else self.any_key
            raise MissingKey(f"no route can be used here; {way}", remedy=way)
        return targets

    async def states(self, alias: str) -> tuple[RouteState, ...]:
        """Return the state of every route of an alias, in order."""
        return tuple([await self._state(route) for route in self._models.get(alias, ())])

    async def _state(self, route: Route) -> RouteState:
        state = self._settled.get(route)
        if state is None:
            await self._look_in_keychain(route)
            state = self._described(route, await self._found(route))
            if route.api_base is not None or route.provider not in {*LOCAL, commands.PROVIDER}:
                self._settled[route] = state
        return state

    async def _look_in_keychain(self, route: Route) -> None:
        """Add the keys of a route that are not set, if the keychain has them."""
        sets = route.key_names
        if self._keychain is not None and sets and not credentials.given(sets, self._environ):
            self._environ.update(await self._keychain.find(sets, self._environ))

    def _described(self, route: Route, state: RouteState) -> RouteState:
        """Return the state with price, context window and answers per request added to its target."""
        if state.target is None:
            return state
        price = route.usd_per_million.price if route.usd_per_million else None
        samples = route.n or samples_at(route.provider, route.model, own_server=self._is_elsewhere(route))
        settings = CallSettings(route.reasoning_effort, route.thinking_tokens, route.extra)
        target = replace(
            state.target,
            price=price,
            window=route.window,
            samples=samples,
            settings=settings,
            lacks=frozenset(route.lacks),
            images=route.images,
        )
        return state._replace(target=target)

    def _is_elsewhere(self, route: Route) -> bool:
        """Whether a route leads to a server other than the provider's own."""
        known = host(route.provider)
        return route.api_base is not None or (known is not None and self._base(known) != known.base)

    async def _found(self, route: Route) -> RouteState:
        if route.command is not None:
            return self._installed(route, route.command)
        if route.api_base is None and (wrong := wrong_address(route.provider, self._environ)):
            return RouteState(route, None, wrong)
        if route.api_key_env is not None and not self._environ.get(route.api_key_env):
            return RouteState(route, None, route.api_key_env)
        key = self._environ.get(route.api_key_env) if route.api_key_env else None
        if route.api_base is not None:
            return RouteState(route, _own_server(route, route.api_base, key), "")
        if route.provider in LOCAL:
            local = LOCAL[route.provider]
            return await self._local(route, local, key or self._environ.get(local.key))
        return self._of_provider(route, key)

    @property
    def wrong_addresses(self) -> tuple[str, ...]:
        """The variables of providers that could be used here, but for their address, and what they should be."""
        reachable = [*LOCAL, *(name for name in credentials.KEYS if not credentials.missing(name, self._environ))]
        return tuple(dict.fromkeys(wrong for each in reachable if (wrong := wrong_address(each, self._environ))))

    @property
    def any_key(self) -> str:
        """What would make a model usable for a panel."""
        wrong = self.wrong_addresses
        return f"set {' and '.join(wrong)}" if wrong else ANY_KEY

    def _of_provider(self, route: Route, key: str | None) -> RouteState:
        elsewhere = route.provider == "openai" and self._openai_is_elsewhere()
        lacking = "" if key or elsewhere else credentials.missing(route.provider, self._environ)
        if lacking:
            return RouteState(route, None, lacking)
        if not self._is_elsewhere(route) and (ended := catalog.ended(route.model)):
            return RouteState(route, None, f"{route.model}, which ended on {ended}", "replace")
        known = host(route.provider)
        if known is None:
            return RouteState(route, Target(route.model, route.provider, None, key), "")
        return self._hosted(route, known, key or credentials.key(route.provider, self._environ) or NO_KEY)

    def _installed(self, route: Route, words: tuple[str, ...]) -> RouteState:
        path = commands.found(words[0], self._environ)
        if path is None:
            return RouteState(route, None, commands.missing(words), "install")
        preset = "" if route.output is not None else commands.preset(words)
        paths = route.output.paths if isinstance(route.output, commands.JsonOutput) else ()
        program = Program((path, *words[1:]), preset, route.env, paths)
        return RouteState(route, Target(route.model, commands.PROVIDER, program=program), "")

    def _hosted(self, route: Route, known: Host, key: str) -> RouteState:
        base = self._base(known)
        if base is None:
            return RouteState(route, None, known.variables[0])
        name = wire_name(route.provider, route.model)
        return RouteState(route, Target(route.model, route.provider, base, key, wire_model=name), "")

    async def _local(self, route: Route, local: Local, key: str | None) -> RouteState:
        base = base_of(local, self._environ)
        place = f"{local.title} at {addresses.shown(base)}"
        models = await self._models_at(base, key)
        if models is None:
            return RouteState(route, None, f"{place}{self._remark(base)}", "start")
        if isinstance(models, Unlisted) and models.rejects_key:
            name = route.api_key_env or local.key
            return RouteState(route, None, f"{name} to a key that {place} accepts (it {models.problem})")
        if isinstance(models, Unlisted):
            return RouteState(route, None, f"{place} (what is there {models.problem})", "start")
        target = _own_server(route, base, key)
        if not local.has(models, target.wire_model or ""):
            return RouteState(route, None, local.loading(target.wire_model or ""), "run")
        return RouteState(route, target, "")

    def _remark(self, base: str) -> str:
        if base not in self._remarks:  # looking for a proxy takes longer than all else here
            self._remarks[base] = _through_proxy(base)
        return self._remarks[base]

    async def local_models(self) -> Mapping[str, Listing]:
        """Return the models of the local servers that list them now, by provider."""
        return {name: models for name, models in (await self.local_servers()).items() if isinstance(models, tuple)}

    async def local_servers(self) -> Mapping[str, Listing | Unlisted]:
        """Return what the local servers that answer now list, by provider."""
        right = {name: local for name, local in LOCAL.items() if not wrong_address(name, self._environ)}
        bases = {name: base_of(local, self._environ) for name, local in right.items()}
        keys = {name: self._environ.get(LOCAL[name].key) for name in bases}
        found = {name: await self._models_at(base, keys[name]) for name, base in bases.items()}
        return {name: models for name, models in found.items() if models is not None}

    async def _models_at(self, base: str, key: str | None) -> Listing | Unlisted | None:
        seen = self._seen.get((base, key))
        if seen is None or time.monotonic() - seen[0] > self.FRESH_S:
            seen = self._seen[base, key] = (time.monotonic(), await self._probe(base, key))
        return seen[1]

    def _base(self, known: Host) -> str | None:
        """Return a provider's address: from the environment, else the default."""
        named = self._environ.get(known.variable(self._environ))
        return (named if addresses.problem(named) else full_base(named)) if named else known.base

    def _openai_is_elsewhere(self) -> bool:
        """Whether the environment overrides OpenAI's address. The server there may not need a key."""
        return not (self._base(HOSTS["openai"]) or "").startswith(_OPENAI_HOST)


def remedy(states: Sequence[RouteState]) -> str:
    """Return how to make one of the routes usable."""
    missing: dict[Remedy, dict[str, None]] = {"set": {}, "start": {}, "run": {}, "install": {}, "replace": {}}
    for state in states:
        if state.missing:
            missing[state.remedy][state.missing] = None
    ways = [f"{verb} {' or '.join(each)}" for verb, each in missing.items() if each]
    return ", or ".join(ways) or ANY_KEY


def _own_server(route: Route, base: str, key: str | None) -> Target:
    """Return the target of a server at `base`. As in litellm, the prefix openai/ means an OpenAI-compatible API."""
    prefix, slash, name = route.model.partition("/")
    named = name if slash and prefix in {*LOCAL, "openai"} else route.model
    return Target(f"openai/{named}", route.provider, base, key or NO_KEY, wire_model=named)


def _through_proxy(base: str) -> str:
    """Return a remark about the proxy in front of a local server; empty without a proxy."""
    proxy = proxies.proxy_for(base)
    return f" (requested through the proxy {addresses.shown(proxy)}; {proxies.remedy(base)})" if proxy else ""
