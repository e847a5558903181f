"""Which pipelines and models are available to a client, and which are about to end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from moa_mcp import config as configuration
from moa_mcp.cli.available import place
from moa_mcp.cli.checked import Checked, safe
from moa_mcp.cli.doctor.diagnosis import Diagnosis
from moa_mcp.cli.doctor.hosts import HostEntry
from moa_mcp.cli.doctor.surroundings import Shell, Surroundings, names_of, setting
from moa_mcp.cli.launch import shown
from moa_mcp.cli.text import counted, shortened
from moa_mcp.config.lines import line_of
from moa_mcp.planning.endings import WARNED_DAYS, endings
from moa_mcp.routing.local import LOCAL

_SUGGESTED_KEY = "OPENROUTER_API_KEY"
_MOST_DETAILS = 6


def of_pipelines(host: HostEntry, found: Surroundings, shell: Shell) -> Iterator[Diagnosis]:
    """Yield which pipelines can run in the client, and what the others need."""
    total = counted(len(found.checked), "pipeline")
    if host.is_offline:
        message = "the entry has --offline: models are simulated, and no answer is real"
        yield Diagnosis("warning", "pipelines", message, str(host.file or ""), commands=(host.installing,))
        return
    blocked = [each for each in found.checked if not each.runs]
    partial = [each for each in found.checked if each.runs and each.missing]
    if not found.is_ready:
        names = found.lacking or (_SUGGESTED_KEY,)
        commands = tuple(setting(host, name, shell) for name in names)
        message = f"none of {total} can run: no model is available to the server"
        remedy = "" if found.lacking else "Store a key of any provider, or start a local server, such as Ollama:"
        yield Diagnosis("problem", "pipelines", message, "", () if found.lacking else _needs(blocked), remedy, commands)
        return
    check = (shown("check", *(["--config", str(host.config)] if host.config else [])),)
    if blocked:
        message = f"{len(blocked)} of {total} can't run: {names_of(blocked)}"
        yield Diagnosis("warning", "pipelines", message, "", _needs(blocked), commands=check)
    if partial:
        message = f"{len(partial)} of {total} can run, but some of their models are not available: {names_of(partial)}"
        yield Diagnosis("warning", "pipelines", message, "", _needs(partial), commands=check)
    if not (blocked or partial):
        yield Diagnosis("ok", "pipelines", f"all {total} can run")


def _needs(checked: list[Checked]) -> tuple[str, ...]:
    """Return what models of the pipelines need, each once."""
    needs = {f"{each.alias}: {shortened(safe(each.missing), 160)}": None for one in checked for each in one.missing}
    rest = len(needs) - _MOST_DETAILS
    return (*list(needs)[:_MOST_DETAILS], *([f"and {counted(rest, 'more model')}"] if rest > 0 else []))


def of_endings(found: Surroundings) -> Iterator[Diagnosis]:
    """Yield a warning for each model that ends soon, or whose route has ended."""
    config = found.config
    reached = {each.alias: each for each in chain.from_iterable(each.reached for each in found.checked)}
    lints = list(dict.fromkeys(endings(reached.values(), config.stand_ins)))
    path = Path(config.source)
    is_own = path != configuration.shipped()
    text = path.read_text("utf-8-sig") if is_own and lints else ""
    for lint in lints:
        at = line_of(text, lint.place) if text else None
        remedy = "Change the route." if is_own else "A newer release of moa-mcp may have its successor."
        yield Diagnosis("warning", "models", str(lint), f"{path}:{at}" if at else str(path), remedy=remedy)
    if not lints:
        yield Diagnosis("ok", "models", f"none of the routes in use ends within {WARNED_DAYS} days")


def of_servers(found: Surroundings) -> Iterator[Diagnosis]:
    """Yield the local servers and programs that the server can use."""
    there = found.available
    for wrong in there.wrong_addresses:
        yield Diagnosis("warning", "local servers", f"an address can't be used: set {safe(wrong)}")
    for name, each in there.unlisted.items():
        key = LOCAL[name].key
        commands = (shown("keys", "set", key),) if each.rejects_key else ()
        remedy = "Store its key:" if commands else "Restart it, or stop it if it is another program."
        yield Diagnosis("warning", "local servers", f"{place(name)} {each.problem}", remedy=remedy, commands=commands)
    for name in there.servers:
        chat = any(each.routes[0].provider == name for each in there.local)
        load = LOCAL[name].load
        if chat or load is None:
            yield Diagnosis("ok", "local servers", there.server(name))
        else:
            commands = (LOCAL[name].loading("qwen3:8b" if name == "ollama" else "qwen/qwen3-8b"),)
            yield Diagnosis("warning", "local servers", f"{place(name)} has no chat model", commands=commands)
    if not (there.servers or there.unlisted or there.wrong_addresses):
        yield Diagnosis("ok", "local servers", "none answers")
    if there.programs:
        yield Diagnosis("ok", "programs", ", ".join(there.programs))


def of_limits(host: HostEntry, found: Surroundings) -> Iterator[Diagnosis]:
    """Yield whether a tool call returns before the client ends it."""
    limit, wait_s = host.entry.call_s, found.config.limits.wait_s
    if limit is None:
        return
    title, answer = host.entry.client.title, f"a tool call returns within {wait_s:g} s"
    if limit <= wait_s:
        remedy = f"Set wait_s in [limits] to at most {max(1, int(limit * 0.75))}, or a longer time limit in the entry."
        message = f"{answer}, but {title} ends calls after {limit:g} s"
        yield Diagnosis("warning", "time limits", message, found.config.source, remedy=remedy)
    else:
        yield Diagnosis("ok", "time limits", f"{answer}; {title} waits {limit:g} s")
