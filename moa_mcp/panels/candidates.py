"""The models that may be members of a panel here: known models with a usable route, and those of local servers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import cache

from msgspec import Struct

from moa_mcp.config.tables import PanelSettings
from moa_mcp.panels.makers import BY_NAME, maker_of
from moa_mcp.panels.table import KnownModel, known_models
from moa_mcp.routing.local import Listing
from moa_mcp.routing.routes import Route, Routes
from moa_mcp.steps.panel import Tier

_NO_CHAT = re.compile(
    r"embed|rerank|minilm|whisper|guard|(^|[-_/])(bge|gte|e5|tts|stt|clip|asr|ocr)([-_:]|$)", re.IGNORECASE
)
"""Models that do not chat: for embeddings, ranking, speech, images and filters."""
_BILLIONS = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)

PROVIDERS = (
    "anthropic",
    "azure",
    "bedrock",
    "deepseek",
    "fireworks_ai",
    "gemini",
    "groq",
    "mistral",
    "novita",
    "openai",
    "openrouter",
    "together_ai",
    "vercel_ai_gateway",
    "xai",
)
"""Providers of which the table has models for every panel: one key is enough to run all shipped pipelines."""


class Candidate(Struct, frozen=True, eq=False):
    """A model that can be called here. Compared by identity: comparing all routes would take most of a choice."""

    name: str
    maker: str
    tier: Tier | None
    """None for a model of a local server: it counts for every tier."""
    routes: tuple[Route, ...]


@cache
def all_known(exclude: tuple[str, ...]) -> tuple[Candidate, ...]:
    """Return the models of the table without those to exclude, by name or maker."""
    known = (each for each in known_models().values() if not _excluded(each.name, each.maker, exclude))
    return tuple(_candidate(each) for each in known)


class Environment:
    """What one environment can call. Every run asks it, so it finds hosted models once a day: models end."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._hosted: tuple[Candidate, ...] = ()
        self._found_for: tuple[date, tuple[str, ...]] | None = None

    async def __call__(self, settings: PanelSettings) -> tuple[Candidate, ...]:
        """Return the models that can be called, in the order of the table, local ones last."""
        hosted = await self._usable(settings.exclude)
        if settings.local == "never" or (hosted and settings.local == "alone"):
            return hosted
        local = _local(await self._routes.local_models())
        return (*hosted, *(each for each in local if not _excluded(each.name, each.maker, settings.exclude)))

    async def _usable(self, exclude: tuple[str, ...]) -> tuple[Candidate, ...]:
        if not self._routes.may_have_key:  # reading the table takes time
            return ()
        wanted = (datetime.now(UTC).date(), exclude)
        if self._found_for != wanted:
            known = all_known(exclude)
            states = self._routes.of({each.name: each.routes for each in known})
            usable = [each for each in known if any(state.target for state in await states.states(each.name))]
            self._hosted, self._found_for = tuple(usable), wanted
        return self._hosted


def _candidate(known: KnownModel) -> Candidate:
    return Candidate(known.name, known.maker, known.tier, known.routes)


def _excluded(name: str, maker: str, exclude: Iterable[str]) -> bool:
    return not {name.lower(), maker.lower()}.isdisjoint(each.lower() for each in exclude)


def excludable(listings: Mapping[str, Listing]) -> tuple[str, ...]:
    """Return the names and makers that can be excluded: those of known models and of models of local servers."""
    known = [word for each in known_models().values() for word in (each.name, each.maker)]
    local = [word for each in _local(listings) for word in (each.name, each.maker)]
    return tuple(dict.fromkeys((*known, *local, *BY_NAME.values())))


def _local(listings: Mapping[str, Listing]) -> Iterator[Candidate]:
    """Yield the chat models of local servers, the largest first."""
    found = [(provider, name) for provider, names in listings.items() for name in names if not _NO_CHAT.search(name)]
    for provider, name in sorted(found, key=lambda each: (-_billions(each[1]), each[1], each[0])):
        yield Candidate(name, maker_of(name), None, (Route(model=f"{provider}/{name}"),))


def _billions(name: str) -> float:
    """Return the size of a model in billions of parameters, from its name; 0 if it has none."""
    return max((float(each) for each in _BILLIONS.findall(name)), default=0.0)
