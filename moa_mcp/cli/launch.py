"""How MCP clients start this installation of the server: an absolute command, its options and its variables."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from moa_mcp import config as configuration
from moa_mcp.cli.options import Refused, add_keys, loaded
from moa_mcp.clients.client import Client, Server
from moa_mcp.config import Config
from moa_mcp.journal import address
from moa_mcp.panels.table import known_models
from moa_mcp.routing import credentials, env_file
from moa_mcp.routing.hosts import host
from moa_mcp.routing.local import LOCAL

_SCRIPT = "moa-mcp"
CACHE_OF_UV = "archive-v0"
_FOLDER = "XDG_CONFIG_HOME"
"""The variable with the folder of configurations. Clients do not pass it, so the server would look elsewhere."""


def own_server(config_path: Path | None, journal: str | None) -> Server:
    """Return the server that a client starts, with the configuration and the journal that are used here.

    Keys are named, not included; those of the user's file and of the keychain are found by the server itself.
    """
    config = loaded(config_path)
    command, *args = own_command(config_path or configuration.preferred(), journal)
    named = os.environ.get(env_file.VARIABLE)
    file = named if named == "none" else str(Path(named).expanduser().absolute()) if named else None
    return Server(
        command, tuple(args), variables(config, add_keys(config).names), {env_file.VARIABLE: file} if file else {}
    )


def own_command(config_path: Path, journal: str | None) -> tuple[str, ...]:
    """Return the words of the command that starts the server with this configuration and this journal."""
    words = [*_command()]
    if config_path != configuration.users_file() or (_FOLDER in os.environ and config_path.exists()):
        words += ["--config", str(config_path.absolute())]
    if journal:
        words += ["--journal", _journal(journal)]
    return tuple(words)


def _journal(journal: str) -> str:
    """Return the journal as a client's file names it. Raises `Refused` for a password, which the file would show."""
    if address.is_database(journal):
        if address.shown(journal) != journal:
            raise Refused(
                f"the address {address.shown(journal)} has a password, which the client's file would show",
                "Leave the password out of the address and put it into ~/.pgpass.",
            )
        return journal
    return journal if journal == "none" else str(Path(journal).expanduser().absolute())


def by_name(client: Client, server: Server) -> Server:
    """Return the server with its variables by name, or without them where a client can't read names."""
    return server if client.takes_names else replace(server, names=())


def shown(*arguments: str) -> str:
    """Return a command of moa-mcp that works in this shell."""
    words = _command()
    on_path = shutil.which(_SCRIPT)
    is_on_path = on_path is not None and str(Path(on_path).absolute()) == words[0]
    return shlex.join([*((_SCRIPT,) if is_on_path else words), *arguments])


def _command() -> tuple[str, ...]:
    """Return the command: the script on the PATH if it is of this installation, else the one of its interpreter."""
    if CACHE_OF_UV in Path(sys.prefix).parts and (uvx := shutil.which("uvx")):  # uv may delete this environment
        return (str(Path(uvx).absolute()), _SCRIPT)
    beside = shutil.which(_SCRIPT, path=str(Path(sys.executable).parent))
    if beside is None:
        return (sys.executable, "-m", "moa_mcp")
    on_path = shutil.which(_SCRIPT)
    same = on_path is not None and os.path.realpath(on_path) == os.path.realpath(beside)
    return (str(Path(on_path if same and on_path else beside).absolute()),)


def variables(config: Config, in_file: Collection[str]) -> tuple[str, ...]:
    """Return the variables with keys and addresses that routes use and that are set in the environment alone."""
    routes = [route for routes in config.models.values() for route in routes]
    routes += [route for known in known_models().values() for route in known.routes]
    found = {name for route in routes for name in credentials.given(route.key_names, os.environ)}
    for provider in {route.provider for route in routes} | LOCAL.keys():
        if provider in LOCAL:
            found.add(LOCAL[provider].variable)
        elif (known_host := host(provider)) is not None:
            found.add(known_host.variable(os.environ))
    return tuple(sorted(name for name in found if name not in in_file and os.environ.get(name)))
