"""``moa-mcp check``: validates the configuration and shows which models are available. Only --ping calls models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import anyio
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from moa_mcp.cli import completing, costs, draw
from moa_mcp.cli.checked import Checked, Finding, checked_in, route, safe, with_warnings
from moa_mcp.cli.key_sources import KeySources
from moa_mcp.cli.options import FAILED, Refused, add_keys, config_option, loaded, named, offline_option, show_notes
from moa_mcp.cli.text import counted, json_text, line
from moa_mcp.config import Config
from moa_mcp.planning.estimate import data
from moa_mcp.planning.forecast import ASSUMED_TOKENS
from moa_mcp.planning.plan import Lint
from moa_mcp.providers.simulated import provider as simulation
from moa_mcp.routing.keychain import Keychain
from moa_mcp.routing.routes import Route


@click.command(
    "check",
    epilog="Exit codes: 0 no problem; 1 warnings with --strict, or a named pipeline with unavailable models; "
    "2 wrong usage or an error in the configuration.",
)
@click.argument("names", metavar="[PIPELINE]...", nargs=-1, shell_complete=completing.pipelines)
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@click.option("--cost", is_flag=True, help=f"Show the estimated cost of a question of {ASSUMED_TOKENS} tokens.")
@click.option("--live", is_flag=True, help="Ask providers whether they still list the models. Costs nothing.")
@click.option("--ping", is_flag=True, help="Make one small call per model and show its cost. Asks before it calls.")
@click.option("-y", "--yes", is_flag=True, help="Skip the confirmation of --ping.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@offline_option
@config_option
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    strict: bool,
    cost: bool,
    live: bool,
    ping: bool,
    yes: bool,
    as_json: bool,
    offline: bool,
    config_path: Path | None,
) -> None:
    """Check the configuration and which models are available.

    Missing API keys and servers are errors only for pipelines that you name.
    """
    if offline and (live or ping):
        option = "--live" if live else "--ping"
        raise Refused(f"{option} can't be used with --offline: it sends requests", f"Leave out {option} or --offline.")
    config = loaded(config_path)
    show_notes(config)
    keys = None if offline else KeySources(add_keys(config), Keychain())
    chosen = [named(config, name) for name in dict.fromkeys(names)] or list(config.pipelines.values())
    checked = anyio.run(checked_in, config, chosen, keys, cost)
    findings = _findings(config, checked, live=live, ping=ping, yes=yes)
    checked = with_warnings(checked, findings)
    warned = strict and any(each.plan.lint for each in checked)
    lacking = bool(names) and any(each.missing for each in checked)
    if as_json:
        click.echo(json_text(_data(config, checked, keys, findings, fine=not (warned or lacking))))
    else:
        _show(config, checked, keys, findings, detailed=bool(names))
    ctx.exit(FAILED if warned or lacking else 0)


def _findings(config: Config, checked: Sequence[Checked], *, live: bool, ping: bool, yes: bool) -> Sequence[Finding]:
    """Send the requests of --live and --ping. Their modules load the clients, which no other check needs."""
    findings: list[Finding] = []
    if live:
        from moa_mcp.cli.listed import listed  # noqa: PLC0415

        findings.append(listed(checked))
    if ping:
        from moa_mcp.cli.pinged import asked  # noqa: PLC0415

        findings.append(asked(config, checked, yes=yes))
    return findings


def _data(
    config: Config, checked: Sequence[Checked], keys: KeySources | None, findings: Iterable[Finding], *, fine: bool
) -> dict[str, object]:
    return {
        "fine": fine,
        "source": config.source,
        **({"keys": keys.data(_routes(checked))} if keys else {}),
        "pipelines": [_pipeline(each) for each in checked],
        **{key: value for finding in findings for key, value in finding.data().items()},
    }


def _routes(checked: Iterable[Checked]) -> Iterator[Route]:
    return (state.route for one in checked for each in one.reached for state in each.routes)


def _pipeline(checked: Checked) -> dict[str, object]:
    stand_ins = {each.alias: each.model for each in checked.resolved.stand_ins}
    return {
        "name": checked.pipeline.name,
        "ready": not checked.missing,
        "runs": checked.runs,
        "layers": checked.plan.layers,
        "calls": checked.plan.calls,
        "steps": [
            {"kind": step.kind, "models": list(step.models), "calls": step.calls, "answers": step.answers}
            for step in checked.plan.steps
        ],
        "models": [
            {
                "model": each.alias,
                "stand_in": stand_ins.get(each.alias),
                "route": None if each.route is None else route(each.route),
                "missing": safe(each.missing),
                "routes": [
                    {"route": route(state), "transport": state.route.transport, "missing": safe(state.missing)}
                    for state in each.routes
                ],
            }
            for each in checked.reached
        ],
        "warnings": [{"place": lint.place, "message": lint.message} for lint in checked.plan.lint],
        **({"estimate": data(checked.estimate)} if checked.estimate else {}),
    }


def _show(
    config: Config,
    checked: Sequence[Checked],
    keys: KeySources | None,
    findings: Iterable[Finding],
    *,
    detailed: bool,
) -> None:
    out = draw.console()
    out.print(Text.assemble(("Configuration  ", "bold"), line(config.source)))
    if keys:
        keys.show(out, _routes(checked))
    tables = [_overview(checked), *map(_steps, checked if detailed else ())]
    for table in (*tables, _models(checked)):
        out.print()
        out.print(table)
    for finding in findings:
        out.print()
        finding.show(out)
    out.print()
    _conclude(out, checked)


def _overview(checked: Sequence[Checked]) -> Table:
    table = draw.table()
    table.add_column("pipeline", no_wrap=True)
    table.add_column("layers", justify="right")
    table.add_column("calls", justify="right")
    estimated = [each.estimate for each in checked if each.estimate]
    for title in ("cost", "max cost") if estimated else ():
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("status")
    for each in checked:
        cost = costs.dollars(each.estimate.cost_usd) if each.estimate else ()
        table.add_row(each.pipeline.name, str(each.plan.layers), str(each.plan.calls), *cost, _readiness(each))
    return table


def _readiness(checked: Checked) -> Text:
    total, missing = len(checked.reached), len(checked.missing)
    if not missing and checked.unreached:
        return Text("ready, but a fallback is unavailable", style="yellow")
    if not missing:
        return Text("ready", style="green")
    reason = f"{missing} of {counted(total, 'model')} unavailable"
    return Text(f"degraded: {reason}", style="yellow") if checked.runs else Text(f"can't run: {reason}", style="red")


def _steps(checked: Checked) -> Table:
    table = draw.table()
    table.add_column(checked.pipeline.name, no_wrap=True)
    table.add_column("models", ratio=1)
    table.add_column("calls", justify="right")
    table.add_column("answers", justify="right")
    for number, step in enumerate(checked.plan.steps, 1):
        table.add_row(f"{number} {step.kind}", draw.names(step.models), str(step.calls), str(step.answers))
    return table


def _models(checked: Sequence[Checked]) -> Table:
    reached = {each.alias: each for one in checked for each in one.reached}
    stand_ins = {each.alias: each.model for one in checked for each in one.resolved.stand_ins}
    table = draw.table()
    table.add_column("model", no_wrap=True)
    if stand_ins:
        table.add_column("stand-in", no_wrap=True)
    table.add_column("route", overflow="fold")
    table.add_column("client", no_wrap=True)
    for each in reached.values():
        names = [line(each.alias), *([line(stand_ins.get(each.alias, ""))] if stand_ins else [])]
        if each.route is None:
            table.add_row(*names, Text(f"none; {safe(each.missing)}", style="yellow"))
        else:
            target = each.route.target
            client = "" if target is None or target.provider == simulation.PROVIDER else target.transport
            table.add_row(*names, Text(route(each.route)), client)
    return table


def _conclude(out: Console, checked: Sequence[Checked]) -> None:
    warnings: list[Lint] = list(dict.fromkeys(lint for each in checked for lint in each.plan.lint))
    for warning in warnings:
        out.print(Text.assemble(("warning  ", "yellow"), line(str(warning))))
    if any(each.estimate for each in checked):
        out.print(f"Costs are for a question of {ASSUMED_TOKENS} tokens.")
        out.print("Run moa-mcp ask PIPELINE QUESTION --estimate to estimate a specific question.")
    total, ready = len(checked), sum(not each.missing for each in checked)
    out.print(f"No errors, {counted(len(warnings), 'warning')}; {ready} of {counted(total, 'pipeline')} ready.")
