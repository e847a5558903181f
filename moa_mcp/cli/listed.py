"""``moa-mcp check --live``: whether the providers list the models of the usable routes. Nothing is paid."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import anyio
from msgspec import Struct
from rich.console import Console
from rich.text import Text

from moa_mcp.cli import draw
from moa_mcp.cli.checked import Checked, route, safe
from moa_mcp.cli.text import counted, line
from moa_mcp.planning.liveness import ListedRoute, list_addresses, listed_routes
from moa_mcp.planning.plan import Lint
from moa_mcp.routing import addresses
from moa_mcp.routing.listings import ListAddress, ListedModels, ListFailed, Outcome, listings


class LiveRoutes(Struct, frozen=True):
    """The lists of the providers, and the routes compared with them."""

    found: Mapping[ListAddress, Outcome]
    routes: Sequence[ListedRoute]

    @property
    def warnings(self) -> Mapping[str, Sequence[Lint]]:
        """The warnings about each alias: models that are not listed, and rejected keys."""
        warnings: defaultdict[str, list[Lint]] = defaultdict(list)
        for each in self.routes:
            outcome = self.found.get(each.address) if each.address else None
            if each.lint is not None:
                warnings[each.alias].append(each.lint)
            elif isinstance(outcome, ListFailed) and outcome.rejects_key:
                warnings[each.alias].append(Lint(each.provider, f"{outcome.message}; {outcome.remedy}"))
        return warnings

    def data(self) -> Mapping[str, object]:
        """Return the lists and the routes as JSON."""
        return {
            "live": {
                "providers": [_provider(address, outcome) for address, outcome in self.found.items()],
                "routes": [_route(each) for each in self.routes],
            }
        }

    def show(self, out: Console) -> None:
        """Print a table of the providers and one of the routes."""
        if not self.routes:
            out.print("No route is usable, so there is no list to request.")
            return
        table = draw.table()
        table.add_column("provider", no_wrap=True)
        table.add_column("list of models", overflow="fold")
        for address, outcome in self.found.items():
            table.add_row(line(address.provider), _outcome(outcome))
        out.print(table)
        out.print()
        table = draw.table()
        for title in ("model", "route", "live"):
            table.add_column(title, overflow="fold")
        for each in self.routes:
            table.add_row(line(each.alias), route(each.state), _liveness(each))
        out.print(table)


def listed(checked: Iterable[Checked]) -> LiveRoutes:
    """Request the lists of the providers of all usable routes."""
    reached = [each for one in checked for each in one.reached]
    found = anyio.run(listings, list_addresses(reached, os.environ))
    return LiveRoutes(found, listed_routes(reached, os.environ, found))


def _provider(address: ListAddress, outcome: Outcome) -> Mapping[str, object]:
    failed = outcome if isinstance(outcome, ListFailed) else None
    return {
        "provider": address.provider,
        "address": safe(addresses.shown(address.url)),
        "models": len(outcome.names) if isinstance(outcome, ListedModels) else None,
        "problem": safe(failed.message) if failed else "",
        "remedy": safe(failed.remedy) if failed else "",
    }


def _route(each: ListedRoute) -> Mapping[str, object]:
    return {
        "model": each.alias,
        "route": route(each.state),
        "provider": each.provider,
        "live": each.liveness,
        "listed_as": safe(each.name) or None,
        "nearest": safe(each.nearest) if each.nearest else None,
    }


def _outcome(outcome: Outcome) -> Text:
    if isinstance(outcome, ListedModels):
        return Text(counted(len(outcome.names), "model"), style="green")
    return Text(safe(f"{outcome.message}; {outcome.remedy}"), style="yellow")


def _liveness(each: ListedRoute) -> Text:
    if each.liveness == "listed":
        return Text("listed", style="green")
    if each.liveness == "not listed":
        near = f"; nearest: {safe(each.nearest)}" if each.nearest else ""
        return Text(f"not listed by {each.provider}{near}", style="yellow")
    return Text(each.liveness, style="dim")
