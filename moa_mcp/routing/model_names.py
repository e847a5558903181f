"""Finds a model's name in a provider's list, and the nearest one if it is missing. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from moa_mcp.routing.listings import ListedModels
from moa_mcp.text.suggest import similar

_DATE = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{3,4})$")
"""The date or number of a version at the end of a name: -20251001, -2025-08-07, -08-2024, -2603, -001."""
_LATEST = re.compile(r"[-:]latest$")
_CHOICES = re.compile(r":(?:nitro|floor|online|exacto)$")
"""OpenRouter's suffixes that choose among the hosts of a model. Others, such as :free, are models in its list."""
_FAMILY = re.compile(r"[a-z]+")
_LEAST_SIMILARITY = 0.4


def listed_as(name: str, models: ListedModels) -> str | None:
    """Return the name under which a provider lists a model; None if it does not.

    Case does not matter. A name without a date matches one with a date. A name with a date matches the one without if
    the list has no other date of the model. A name that ends in ``latest`` matches every model of its line.
    """
    known = {each.lower(): each for each in (*models.aliases, *models.names)}
    wanted = _CHOICES.sub("", name.lower())
    if wanted in known or f"{wanted}:latest" in known:
        return known.get(wanted) or known[f"{wanted}:latest"]
    if _LATEST.search(wanted):
        stem = _LATEST.sub("", wanted).removeprefix("~")
        return next((known[each] for each in known if each == stem or each.startswith(f"{stem}-")), None)
    undated = _DATE.sub("", wanted)
    dated = [each for each in known if each != undated and _DATE.sub("", each) == undated]
    if wanted == undated:
        return known[max(dated)] if dated else None
    return known.get(undated) if not dated else None


def nearest(name: str, models: ListedModels) -> str | None:
    """Return the most similar listed name of the same maker or family; None if none is similar."""
    wanted = name.lower()
    related = [each for each in models.names if _family(each.lower()) == _family(wanted)]
    own = [each for each in models.names if _maker(each.lower()) == _maker(wanted)] if _maker(wanted) else []
    for group in (related, own):
        found = _most_similar(wanted, group)
        if found is not None:
            return found
    return None


def _most_similar(wanted: str, names: Iterable[str]) -> str | None:
    """Return the most similar name. Dates do not count, and of equal names the first is returned."""
    undated: dict[str, str] = {}
    for each in names:
        undated.setdefault(_DATE.sub("", each.lower()), each)
    best = similar(_DATE.sub("", wanted), undated, most=1, at_least=_LEAST_SIMILARITY)
    return undated[best[0]] if best else None


def _maker(name: str) -> str:
    return name.rpartition("/")[0].removeprefix("~")


def _family(name: str) -> tuple[str, str]:
    """Return the maker, and the first word of the model's name: ``claude``, ``gpt``."""
    word = _FAMILY.search(name.rpartition("/")[2])
    return _maker(name), word[0] if word else ""
