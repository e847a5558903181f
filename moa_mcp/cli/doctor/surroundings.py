"""What the server finds in the environment that a client gives it: configuration, keys, models and local servers."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import anyio
from msgspec import Struct

from moa_mcp import config as configuration
from moa_mcp.cli.available import Available, available
from moa_mcp.cli.checked import Checked, checked_in
from moa_mcp.cli.doctor.diagnosis import Diagnosis
from moa_mcp.cli.doctor.hosts import HostEntry, as_host
from moa_mcp.cli.key_sources import KeySources
from moa_mcp.cli.launch import shown, variables
from moa_mcp.cli.options import journal_name
from moa_mcp.config import Config
from moa_mcp.config.lines import line_of
from moa_mcp.errors import ConfigError
from moa_mcp.routing import env_file
from moa_mcp.routing.environment import FileKeys, add_from_file
from moa_mcp.routing.keychain import Keychain


class Surroundings(Struct, frozen=True):
    """The facts about one host, found inside its environment."""

    config: Config
    file: FileKeys
    keys: Mapping[str, str]
    """The source of each variable that gives access to a provider or a route, by name."""
    checked: tuple[Checked, ...]
    available: Available
    lacking: tuple[str, ...]
    """Variables of routes that the user's shell has and the server does not find."""

    @property
    def is_ready(self) -> bool:
        """Whether any pipeline can run."""
        return any(each.runs for each in self.checked)


class Shell(Struct, frozen=True):
    """What a command finds in the user's shell."""

    config: Path
    journal: str
    """As messages name it, without a password."""
    env_file: Path | None

    @classmethod
    def here(cls) -> Shell:
        """Return that of this process."""
        named = os.environ.get("MOA_MCP_JOURNAL")
        return cls(configuration.find(), journal_name(None if named == "none" else named), env_file.find())


def surroundings(host: HostEntry, config: Config, in_shell: Iterable[str]) -> Surroundings:
    """Look around. Call it inside `as_host`; the keys that are found in the user's file are then in the environment.

    Args:
        host: The client.
        config: The configuration of its server.
        in_shell: The variables that are set in the user's shell.

    """
    file = add_from_file(config.models)
    sources = KeySources(file, Keychain())
    checked, found = anyio.run(_looked, host, config, sources)
    routes = (state.route for one in checked for each in one.reached for state in each.routes)
    keys = {**found.keys, **sources.of(routes)}
    lacking = tuple(name for name in in_shell if not os.environ.get(name))
    return Surroundings(config, file, keys, checked, found, lacking)


async def _looked(host: HostEntry, config: Config, sources: KeySources) -> tuple[tuple[Checked, ...], Available]:
    pipelines = config.pipelines.values()
    checked = await checked_in(config, pipelines, None if host.is_offline else sources, cost=False)
    return checked, await available(sources)


def in_shell(config: Config, environ: dict[str, str]) -> tuple[str, ...]:
    """Return the variables of routes that are set in the user's shell alone."""
    with as_host(environ):
        return variables(config, add_from_file(config.models).names)


def of_configuration(host: HostEntry, shell: Shell) -> tuple[Config | None, list[Diagnosis]]:
    """Return the configuration of the server, and what is wrong with it."""
    path = host.config or configuration.find()
    try:
        config = configuration.load(path)
    except ConfigError as error:
        return None, [_invalid(path, error)]
    found = [Diagnosis("warning", "configuration", note, str(path), remedy="Edit the file.") for note in config.notes]
    if host.config is None and path != shell.config:
        message = f"the server uses {path}; in your shell, moa-mcp uses {shell.config}"
        command = f"{host.installing} --config {shlex.quote(str(shell.config))}"
        found.append(Diagnosis("warning", "configuration", message, str(host.file or ""), commands=(command,)))
    return config, found or [Diagnosis("ok", "configuration", str(path))]


def _invalid(path: Path, error: ConfigError) -> Diagnosis:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        text = ""
    lines = [line_of(text, each.place) for each in error.problems]
    details = [f"line {at}: {each}" if at else str(each) for at, each in zip(lines, error.problems, strict=True)]
    first = next((at for at in lines if at), None)
    where = f"{path}:{first}" if first else str(path)
    message = details[0] if len(details) == 1 else f"{len(details)} problems"
    command = shown("check", "--config", str(path))
    rest = tuple(details) if len(details) > 1 else ()
    return Diagnosis("problem", "configuration", message, where, rest, "Fix the file. To check it again:", (command,))


def of_keys(host: HostEntry, found: Surroundings, shell: Shell) -> Iterator[Diagnosis]:
    """Yield which keys the server finds, and which of the shell's it does not."""
    entry = host.entry
    names = {name: {"environment": "entry"}.get(source, source) for name, source in found.keys.items()}
    for problem in found.file.problems:
        yield Diagnosis("warning", "keys", problem)
    for name in entry.literal:
        message = f"{entry.client.title} does not replace the reference to {name} in its file, so it is not set"
        yield Diagnosis("warning", "keys", message, str(host.file or ""), commands=(setting(host, name, shell),))
    unset = [name for name in entry.unset if not os.environ.get(name)]
    if unset:
        message = f"the entry refers to {', '.join(unset)}, which is not set here"
        commands = tuple(setting(host, name, shell) for name in unset)
        yield Diagnosis("warning", "keys", message, str(host.file or ""), commands=commands)
    if found.lacking:
        what = ", ".join(found.lacking)
        message = f"set in your shell, but {entry.client.title} does not pass it to the server: {what}"
        commands = tuple(setting(host, name, shell) for name in found.lacking)
        yield Diagnosis("warning", "keys", message, str(host.file or ""), commands=commands)
    if names or not (found.lacking or unset or entry.literal):
        listed = ", ".join(f"{name} ({source})" for name, source in names.items())
        yield Diagnosis("ok", "keys", listed or "none found")


def setting(host: HostEntry, name: str, shell: Shell) -> str:
    """Return the command that stores a key where the server of a host finds it."""
    config = host.config or configuration.find()
    named = ["--config", str(config)] if config != shell.config else []
    with_file = (
        f"{env_file.VARIABLE}={shlex.quote(str(env_file.find()))} "
        if env_file.find() not in {None, shell.env_file}
        else ""
    )
    return f"{with_file}{shown('keys', 'set', name, *named)}"


def names_of(checked: Iterable[Checked]) -> str:
    """Return the names of pipelines."""
    return ", ".join(each.pipeline.name for each in checked)
