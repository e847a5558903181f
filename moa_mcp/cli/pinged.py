"""``moa-mcp check --ping``: one small call of each route that would answer, after the user confirmed the cost."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

import anyio
import click
from msgspec import Struct
from rich.console import Console

from moa_mcp import errors
from moa_mcp.cli import draw
from moa_mcp.cli.checked import Checked, safe
from moa_mcp.cli.options import Refused, RunFailed
from moa_mcp.cli.text import counted, line, say, shortened
from moa_mcp.config import Config
from moa_mcp.config.problems import as_key
from moa_mcp.planning.plan import Lint
from moa_mcp.providers.transports import Real
from moa_mcp.runs.executor import limits_of
from moa_mcp.runs.ping import Ping, Pinged, pinged, pings
from moa_mcp.text.money import dollars

_NOTHING_SPENT = "No model was called and nothing was spent."
_REMEDIES: Mapping[type[errors.CallError], str] = {
    errors.AuthFailed: "set a valid key with access to the model",
    errors.QuotaExceeded: "add credit to the account",
    errors.ModelNotFound: "moa-mcp check --live shows the nearest model",
    errors.RateLimited: "try again later",
    errors.ServerFailed: "try again later",
    errors.TimedOut: "try again later",
    errors.ConnectionFailed: "check the network and the address",
}


class Pings(Struct, frozen=True):
    """The outcomes of the calls."""

    calls: Sequence[Pinged]

    @property
    def cost_usd(self) -> Decimal:
        """The known cost of all calls, in US dollars."""
        return sum((each.cost_usd for each in self.calls if each.cost_usd is not None), Decimal(0))

    @property
    def unknown(self) -> int:
        """The number of calls whose cost is unknown."""
        return sum(each.cost_usd is None for each in self.calls)

    @property
    def warnings(self) -> Mapping[str, Sequence[Lint]]:
        """The warnings about each alias whose route does not answer."""
        warnings: defaultdict[str, list[Lint]] = defaultdict(list)
        for each in self.calls:
            for alias in each.ping.aliases if each.error else ():
                warnings[alias].append(Lint(f"models.{as_key(alias)}", f"does not answer: {_reason(each)}"))
        return warnings

    def data(self) -> Mapping[str, object]:
        """Return the calls as JSON."""
        known = not self.unknown
        return {
            "ping": {
                "calls": len(self.calls),
                "cost_usd": float(self.cost_usd) if known else None,
                "known_cost_usd": float(self.cost_usd),
                "routes": [_call(each) for each in self.calls],
            }
        }

    def show(self, out: Console) -> None:
        """Print a table of the calls, and their total cost."""
        if not self.calls:
            out.print("No route is usable, so there is no call to make.")
            return
        table = draw.table()
        for title in ("model", "route"):
            table.add_column(title, overflow="fold")
        for title in ("seconds", "in", "out", "cost"):
            table.add_column(title, justify="right", no_wrap=True)
        for each in self.calls:
            table.add_row(draw.names(each.ping.aliases), safe(each.ping.target.model), *_cells(each))
        out.print(table)
        unknown = f"; the cost of {counted(self.unknown, 'call')} is unknown" if self.unknown else ""
        out.print(f"{counted(len(self.calls), 'call')} for {dollars(self.cost_usd)} in all{unknown}.")


def asked(config: Config, checked: Iterable[Checked], *, yes: bool) -> Pings:
    """Call the first usable route of each model once.

    Raises:
        Refused: there is no terminal to confirm the cost at.
        RunFailed: the user declines.

    """
    wanted = pings(each for one in checked for each in one.reached)
    if wanted and not yes:
        _confirm(_announcement(wanted))
    return Pings(anyio.run(_calls, config, wanted))


async def _calls(config: Config, wanted: Sequence[Ping]) -> tuple[Pinged, ...]:
    provider = Real(dict(os.environ))
    try:
        await provider.ready({each.target.transport for each in wanted})
        return await pinged(provider, wanted, limits_of(config.limits))
    finally:
        await provider.close()


def _announcement(wanted: Sequence[Ping]) -> str:
    known = [each.most_usd for each in wanted if each.most_usd is not None]
    unpriced = [line(each.target.model) for each in wanted if each.most_usd is None]
    unknown = f"; no price is known for {', '.join(unpriced)}" if unpriced else ""
    return f"{counted(len(wanted), 'call')}, at most {dollars(sum(known, Decimal(0)))} in all{unknown}"


def _confirm(announcement: str) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused(f"not started, confirmation required: {announcement}", "Add --yes to make these calls.")
    say(f"--ping makes {announcement}.")
    if not click.confirm("Make these calls?", err=True):
        raise RunFailed("not started: you did not confirm the cost", _NOTHING_SPENT)


def _reason(each: Pinged) -> str:
    error = each.error
    remedy = next((text for kind, text in _REMEDIES.items() if isinstance(error, kind)), "")
    message = shortened(safe(str(error)), 300)
    return f"{message}; {remedy}" if remedy else message


def _cells(each: Pinged) -> Iterator[str]:
    usage = each.outcome.usage
    yield draw.seconds(each.seconds) if each.error is None else "failed"
    yield f"{usage.prompt_tokens:,}" if usage else "-"
    yield f"{usage.completion_tokens:,}" if usage else "-"
    yield dollars(each.cost_usd)


def _call(each: Pinged) -> Mapping[str, object]:
    usage = each.outcome.usage
    return {
        "models": list(each.ping.aliases),
        "route": safe(each.ping.target.model),
        "answered": each.error is None,
        "seconds": round(each.seconds, 3),
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "cost_usd": None if each.cost_usd is None else float(each.cost_usd),
        "error": {"kind": each.error.kind, "message": _reason(each)} if each.error else None,
    }
