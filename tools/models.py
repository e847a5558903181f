"""Checks models.toml and the routes of pipelines.toml against litellm's table: `python tools/models.py`.

Prints the models that ended or end soon, the routes and prices that changed, and newer models. Only `--strict` makes it
fail.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from moa_mcp.config import load, shipped
from moa_mcp.panels.table import TABLE, KnownModel, read
from moa_mcp.routing import catalog

WARNED_DAYS = 60
MOST_NEWER = 20
GATEWAYS = frozenset({"openrouter", "vercel_ai_gateway"})
"""Their names of models are not checked: litellm's table does not have them, or only old ones."""
COPIES = frozenset({"azure", "azure_ai", "bedrock", "vertex_ai"})
"""Providers that serve what the makers serve, in many regions. They are not searched for newer models."""
MILLION = 1_000_000
NO_VERSION = re.compile(r"[-@](\d{8}|\d{4}-\d\d-\d\d|\d{4})(?!\d)|\b[ae]?\d+(\.\d+)?[bt]\b")
"""Dates, such as -20260416 and -0813, and sizes, such as 120b and a12b."""


@dataclass(frozen=True)
class Table:
    """What is checked, and the day for which."""

    models: Mapping[str, KnownModel]
    pipelines: Path
    today: date


class Version(NamedTuple):
    """What the name of a model says."""

    words: tuple[str, ...]
    """All but numbers: ``("gpt", "sol")``."""
    number: Decimal
    """The first number, 0 if there is none: 4.5 for ``claude-haiku-4-5``."""


def main() -> int:
    """Print what was found, and return the exit code."""
    options = parsed()
    table = Table(read(options.table), options.pipelines, options.today)
    sections = {
        "Ended": list(ended(table)),
        f"End within {WARNED_DAYS} days": list(ending(table)),
        "Ends that differ from litellm's table": list(ends_changed(table)),
        "Not in litellm's table": list(vanished(table)),
        "Without a price": list(unpriced(table)),
        "Prices that differ from litellm's table": list(repriced(table)),
    }
    routes = sum(len(model.routes) for model in table.models.values())
    print(f"{len(table.models)} models, {routes} routes; {catalog.source()}; {table.today}")
    for title, found in sections.items():
        show(title, found)
    show("Newer than the table (no warning)", list(newer(table))[:MOST_NEWER])
    warnings = sum(map(len, sections.values()))
    print(f"\n{warnings} warning{'' if warnings == 1 else 's'}")
    return 1 if options.strict and warnings else 0


def parsed() -> argparse.Namespace:
    """Return the options of the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--today", type=date.fromisoformat, default=datetime.now(UTC).date(), help="YYYY-MM-DD")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if there are warnings")
    parser.add_argument("--table", type=Path, default=TABLE, help="another models.toml")
    parser.add_argument("--pipelines", type=Path, default=shipped(), help="another pipelines.toml")
    return parser.parse_args()


def show(title: str, found: list[str]) -> None:
    """Print a section; nothing if it is empty."""
    if found:
        print(f"\n{title}:", *found, sep="\n  ")


def dated(table: Table) -> Iterator[tuple[str, date, str]]:
    """Yield each route that has an end: its place with its name, the date, and a remark about its successor."""
    for name, model in table.models.items():
        remark = f"; successor {model.successor}" if model.successor else ""
        for index, route in enumerate(model.routes):
            ends = catalog.end_date(route.model) or (model.ends if index == 0 else None)
            if ends is not None:
                yield f"{name}: {route.model}", ends, remark
    for alias, routes in load(table.pipelines).models.items():
        for route in routes:
            ends = catalog.end_date(route.model)
            if ends is not None:
                yield f"{table.pipelines.name}, {alias}: {route.model}", ends, ""


def ended(table: Table) -> Iterator[str]:
    """Yield the routes that ended."""
    for place, ends, remark in dated(table):
        if ends <= table.today:
            yield f"{place} ended on {ends}{remark}"


def ending(table: Table) -> Iterator[str]:
    """Yield the routes that end soon, the first to end first."""
    for place, ends, remark in sorted(dated(table), key=lambda each: each[1]):
        left = (ends - table.today).days
        if 0 < left <= WARNED_DAYS:
            yield f"{place} ends on {ends}, in {left} day{'' if left == 1 else 's'}{remark}"


def ends_changed(table: Table) -> Iterator[str]:
    """Yield the models whose end is not that of their first route in litellm's table."""
    for name, model in table.models.items():
        listed = catalog.end_date(model.routes[0].model)
        if listed is not None and listed != model.ends:
            yield f"{name}: {model.routes[0].model} ends on {listed}, models.toml has {model.ends or 'none'}"


def vanished(table: Table) -> Iterator[str]:
    """Yield the routes that litellm's table should have but does not."""
    for name, model in table.models.items():
        for route in model.routes:
            if not catalog.is_listed(route.model) and (model.source == "litellm" or route.provider not in GATEWAYS):
                yield f"{name}: {route.model}"


def unpriced(table: Table) -> Iterator[str]:
    """Yield the routes whose price is unknown."""
    for name, model in table.models.items():
        for route in model.routes:
            if route.usd_per_million is None and catalog.price(route.model) is None:
                yield f"{name}: {route.model}; add usd_per_million"


def repriced(table: Table) -> Iterator[str]:
    """Yield the models whose price is not that of their first route that litellm's table has."""
    for name, model in table.models.items():
        written = next((route.usd_per_million for route in model.routes if route.usd_per_million), None)
        first = next((route.model for route in model.routes if catalog.price(route.model)), None)
        price = catalog.price(first) if first else None
        if written and price:
            listed = (_dollars(price.rates.prompt * MILLION), _dollars(price.rates.completion * MILLION))
            if listed != (here := (_dollars(written.prompt), _dollars(written.completion))):
                yield f"{name}: {first} costs {'/'.join(listed)}, models.toml has {'/'.join(here)}"


def _dollars(amount: Decimal) -> str:
    return f"${round(amount, 6).normalize():f}"


def newer(table: Table) -> Iterator[str]:
    """Yield the living chat models that have a higher version than all their relatives in the table, highest first.

    Relatives are the models with the same words in their names, or else with the same first word.
    """
    routes = [route for model in table.models.values() for route in model.routes]
    known, providers = {route.model for route in routes}, {route.provider for route in routes} - GATEWAYS - COPIES
    ours = [version(name) for name in {*table.models, *known}]
    found: dict[str, Decimal] = {}
    for model in chat_models(providers):
        new = version(model)
        relatives = [each for each in ours if each.words[:1] == new.words[:1]]
        closest = [each for each in relatives if each.words == new.words] or relatives
        is_new = closest and new.number > max(each.number for each in closest)
        if is_new and model not in known and (catalog.end_date(model) or date.max) > table.today:
            found[model] = new.number
    yield from sorted(found, key=lambda each: (found[each], each), reverse=True)


def chat_models(providers: Collection[str]) -> Iterator[str]:
    """Yield the chat models of these providers in litellm's table, with their provider's prefix."""
    for name, entry in catalog.entries().items():
        provider = str(entry.get("litellm_provider", ""))
        if provider in providers and entry.get("mode") == "chat":
            yield name if name.startswith(f"{provider}/") else f"{provider}/{name}"


def version(model: str) -> Version:
    """Return the words and the version number in the name of a model, without dates and sizes."""
    bare = NO_VERSION.sub("", model.rpartition("/")[2].lower())
    number = re.search(r"(\d+)(?:[.p-](\d{1,2}))?(?!\d)", bare)
    words = tuple(each for each in re.findall(r"[a-z]+", bare) if each not in {"v", "p"})
    return Version(words, Decimal(".".join(filter(None, number.groups()))) if number else Decimal(0))


if __name__ == "__main__":
    sys.exit(main())
