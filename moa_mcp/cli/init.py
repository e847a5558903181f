"""``moa-mcp init``: writes a first pipelines.toml for the keys, local servers and programs that are there."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import anyio
import click
from rich.console import Console
from rich.text import Text

from moa_mcp import config as configuration
from moa_mcp.cli import draw
from moa_mcp.cli.available import Available, available
from moa_mcp.cli.key_sources import KeySources
from moa_mcp.cli.next_steps import show_next
from moa_mcp.cli.options import KeysMissing, Refused, RunFailed, add_keys, also_before, us_dollars
from moa_mcp.cli.proposal import proposal
from moa_mcp.cli.replacing import replaced
from moa_mcp.cli.starter import Choices, Facts, document
from moa_mcp.cli.text import line, say
from moa_mcp.config import parse
from moa_mcp.panels.drawing import drawn
from moa_mcp.routing.keychain import Keychain
from moa_mcp.steps.panel import MAX_MEMBERS, TIERS, Tier

_MEMBERS = click.IntRange(2, MAX_MEMBERS)
_TIER: Tier = "balanced"
_MANY, _FEW = 4, 3
"""Proposed numbers of members: the first one if each can be of another maker."""
_NOTHING_WRITTEN = "Nothing was written."


class _Options(NamedTuple):
    """What the user decides by options; None asks, or else takes the proposal."""

    members: int | None
    tier: Tier | None
    max_cost_usd: Decimal | None


@click.command(
    "init",
    epilog="Exit codes: 0 success; 1 you declined; 2 wrong usage, or the file can't be written; "
    "3 no API key, local server or program was found.",
)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    callback=also_before,
    help=f"File to write. Default: pipelines.toml in your configuration folder.  "
    f"[env var: {configuration.ENVIRONMENT_VARIABLE}]",
)
@click.option("--panel", "tier", type=click.Choice(TIERS), help="Panel whose models answer. Default: balanced.")
@click.option("--members", type=_MEMBERS, help="Number of answers. Default: 4, or 3 if there are few models.")
@click.option(
    "--max-cost", "max_cost_usd", type=us_dollars, metavar="USD", help="Maximum cost of a run, in US dollars."
)
@click.option("-y", "--yes", is_flag=True, help="Accept the proposal without questions.")
@click.option("--force", is_flag=True, help="Replace an existing file; a backup is kept.")
@click.option("--print", "print_only", is_flag=True, help="Print the file instead of writing it.")
def command(
    config_path: Path | None,
    tier: Tier | None,
    members: int | None,
    max_cost_usd: Decimal | None,
    yes: bool,
    force: bool,
    print_only: bool,
) -> None:
    """Write a first configuration for the API keys, local servers and programs that are found.

    It calls no model and costs nothing.
    """
    path = config_path or configuration.preferred()
    asks = not (yes or print_only)
    if not print_only:
        _check_target(path, asks=asks, force=force)
    sources = KeySources(add_keys(parse(document(Choices(_TIER, 2)))), Keychain())
    found = anyio.run(available, sources)
    out = draw.console(stderr=print_only)
    draw.show(out, "Found", found.described())
    if not (found.members or found.programs):
        raise KeysMissing("no model can be called here. " + _NOTHING_WRITTEN, _remedy(found))
    text = _text(out, found, _Options(members, tier, max_cost_usd), asks=asks)
    if print_only:
        click.echo(text, nl=False)
        return
    if asks and not click.confirm(f"Write {path}?", default=True, err=True):
        raise RunFailed("you declined", _NOTHING_WRITTEN)
    backup = _written(path, text)
    old = f" The old file is now {line(str(backup))}." if backup else ""
    out.print(Text(f"Wrote {line(str(path))}.{old}"), soft_wrap=True)
    show_next(out, path, found)


def _check_target(path: Path, *, asks: bool, force: bool) -> None:
    """Refuse to ask without a terminal, and to replace a file without a confirmation."""
    if asks and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused(
            "init asks questions, which needs a terminal", "Add --yes to accept the proposal, or --print to see it."
        )
    if force or not _exists(path):
        return
    if not asks:
        raise Refused(
            f"{path} exists", "Add --force to replace it (a backup is kept), or choose another file with --config."
        )
    if not click.confirm(f"{path} exists. Replace it? A backup is kept.", err=True):
        raise RunFailed(f"{path} is unchanged", "Choose another file with --config, or see a proposal with --print.")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise _unwritable(path, error) from error


def _remedy(found: Available) -> str:
    return "\n".join(["Do one of these, then run moa-mcp init again:", *(f"- {each}" for each in found.remedies())])


def _text(out: Console, found: Available, options: _Options, *, asks: bool) -> str:
    """Return the text of the file, after questions to the user if `asks`."""
    made = anyio.run(proposal, found, _chosen(found, options, asks=asks))
    budget = made.budget(options.max_cost_usd)
    draw.show(out, "Proposal", made.described(budget))
    if asks and budget and options.max_cost_usd is None:
        cap = click.prompt(
            "Maximum cost of a run in US dollars", default=f"{budget.max_cost_usd:f}", value_proc=us_dollars, err=True
        )
        budget = made.budget(cap)
    cost = made.cost.expected if made.cost else None
    return document(made.choices, Facts(datetime.now(UTC).date(), made.resolved, cost, budget))


def _chosen(found: Available, options: _Options, *, asks: bool) -> Choices:
    """Return what the options, the answers of the user and the proposal say about the pipelines."""
    if found.programs and not found.members:
        if options.tier:
            say("Note: --panel has no effect, since only programs were found.")
        count = options.members or _asked_members(max(_FEW, len(found.programs)), asks=asks)
        return Choices(_TIER, count, found.programs, quick=False)
    tier = options.tier or (_asked_tier() if asks else _TIER)
    makers = {each.maker for each in drawn(found.members, tier, _MANY)}
    count = options.members or _asked_members(_MANY if len(makers) == _MANY else _FEW, asks=asks)
    return Choices(tier, count, quick=bool(found.hosted), local_too=bool(found.hosted and found.local))


def _asked_tier() -> Tier:
    tier: Tier = click.prompt("Panel whose models answer", type=click.Choice(TIERS), default=_TIER, err=True)
    return tier


def _asked_members(proposed_count: int, *, asks: bool) -> int:
    if not asks:
        return proposed_count
    count: int = click.prompt("Number of answers", type=_MEMBERS, default=proposed_count, err=True)
    return count


def _written(path: Path, text: str) -> Path | None:
    try:
        return replaced(path, text)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> Refused:
    return Refused(f"{path} can't be written: {error.strerror}", "Choose another file with --config.")
