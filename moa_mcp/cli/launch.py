"""How MCP clients start this installation of the server: an absolute command, its options and its variables."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from moa_mcp import config as configuration
from moa_mcp.cli.options import add_keys, loaded
from moa_mcp.clients.client import Server
from moa_mcp.config import Config
from moa_mcp.panels.table import known_models
from moa_mcp.routing import credentials, env_file
from moa_mcp.routing.hosts import host
from moa_mcp.routing.local import LOCAL

_SCRIPT = "moa-mcp"
_CACHE_OF_UV = "archive-v0"


def own_server(config_path: Path | None, journal: str | None) -> Server:
    """Return the server that a client starts, with the configuration and the journal that are used here.

    Keys are named, not included; those of the user's file and of the keychain are found by the server itself.
    """
    config = loaded(config_path)
    command, *args = _command()
    used = config_path or configuration.preferred()
    if used != configuration.users_file():
        args += ["--config", str(used.absolute())]
    if journal:
        args += ["--journal", journal if journal == "none" else str(Path(journal).expanduser().absolute())]
    named = os.environ.get(env_file.VARIABLE)
    file = named if named == "none" else str(Path(named).expanduser().absolute()) if named else None
    return Server(command, tuple(args), _variables(config), {env_file.VARIABLE: file} if file else {})


def _command() -> tuple[str, ...]:
    """Return the command: the script on the PATH if it is of this installation, else the one of its interpreter."""
    if _CACHE_OF_UV in Path(sys.prefix).parts and (uvx := shutil.which("uvx")):  # uv may delete this environment
        return (str(Path(uvx).absolute()), _SCRIPT)
    beside = shutil.which(_SCRIPT, path=str(Path(sys.executable).parent))
    if beside is None:
        return (sys.executable, "-m", "moa_mcp")
    on_path = shutil.which(_SCRIPT)
    same = on_path is not None and os.path.realpath(on_path) == os.path.realpath(beside)
    return (str(Path(on_path if same and on_path else beside).absolute()),)


def _variables(config: Config) -> tuple[str, ...]:
    """Return the variables with keys and addresses that are set in the environment alone and that routes use."""
    in_file = add_keys(config).names
    routes = [route for routes in config.models.values() for route in routes]
    routes += [route for known in known_models().values() for route in known.routes]
    found = {name for route in routes for name in credentials.given(route.key_names, os.environ)}
    for provider in {route.provider for route in routes} | LOCAL.keys():
        if provider in LOCAL:
            found.add(LOCAL[provider].variable)
        elif (known_host := host(provider)) is not None:
            found.add(known_host.variable(os.environ))
    return tuple(sorted(name for name in found - in_file if os.environ.get(name)))
