"""``moa-mcp keys``: lists, sets and removes API keys in the user's file or the keychain. No value is shown."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import anyio
import click

from moa_mcp.cli import completing
from moa_mcp.cli.groups import Group
from moa_mcp.cli.key_sources import KeySources
from moa_mcp.cli.options import Refused, add_keys, config_option, loaded, nearest
from moa_mcp.cli.text import say
from moa_mcp.config import Config
from moa_mcp.routing import credentials, env_file, keychain
from moa_mcp.routing.environment import is_used
from moa_mcp.routing.keychain import Keychain, KeychainFailed

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_BYTES = 100_000


class _Commands(Group):
    default = "list"


@click.group("keys", cls=_Commands, invoke_without_command=True, context_settings={"ignore_unknown_options": True})
@config_option
@click.pass_context
def command(ctx: click.Context, config_path: Path | None) -> None:
    """List, set and remove API keys, for servers that are started without your shell's environment.

    A key is read from the environment, else from the file, else from the keychain.
    """
    del config_path  # the commands take it from the context
    if ctx.invoked_subcommand is None:
        command.invoke_default(ctx)


_in_keychain = click.option(
    "--keychain", "in_keychain", is_flag=True, help="Use the system's keychain; requires moa-mcp[keyring]."
)


@command.command("list")
@config_option
def list_command(config_path: Path | None) -> None:
    """List the keys that routes of the configuration use, and where each is set."""
    config = loaded(config_path)
    file = add_keys(config)
    found = Keychain()
    routes = [route for routes in config.models.values() for route in routes]

    async def look() -> None:
        for route in routes:
            if not credentials.given(route.key_names, os.environ):
                await found.find(route.key_names, os.environ)

    anyio.run(look)
    for name, source in KeySources(file, found).of(routes).items():
        click.echo(f"{name}  {source}")


@command.command("set", context_settings={"allow_extra_args": True})
@click.argument("name", shell_complete=completing.keys)
@_in_keychain
@config_option
@click.pass_context
def set_command(ctx: click.Context, name: str, in_keychain: bool, config_path: Path | None) -> None:
    """Store the key NAME, such as OPENAI_API_KEY, in your file.

    The key is read from the terminal without an echo, or from stdin.
    """
    if ctx.args:
        raise Refused(
            "a key must not be an argument, which the shell stores in its history",
            "Leave out the key and enter it when asked, or write it to stdin.",
        )
    _check(name, loaded(config_path))
    value = (click.prompt(name, hide_input=True, err=True) if sys.stdin.isatty() else _piped(name)).strip()
    if not value or not value.isprintable():
        raise Refused(f"the value of {name} is empty or has control characters", "Write the key as one line.")
    say(f"{name} is stored in {_written(name, value, in_keychain=in_keychain)}.")
    if os.environ.get(name):
        say(f"{name} is also set in the environment, which has precedence.")


@command.command("remove")
@click.argument("name", shell_complete=completing.keys)
@_in_keychain
def remove_command(name: str, in_keychain: bool) -> None:
    """Remove the key NAME from your file."""
    file = env_file.read()
    if not in_keychain and name not in file.values:
        why = "; ".join(file.problems) or f"{env_file.find()} has no key of that name{nearest(name, file.values)}"
        raise Refused(why, "Run moa-mcp keys list to see where keys are set.")
    say(f"{name} is removed from {_written(name, None, in_keychain=in_keychain)}.")


def _piped(name: str) -> str:
    """Return the only line of stdin. A file of variables would otherwise be stored as a key in part."""
    try:
        lines = [each for each in sys.stdin.buffer.read(_MOST_BYTES).decode("utf-8-sig").splitlines() if each.strip()]
    except UnicodeDecodeError as error:
        raise Refused(f"the value of {name} is not UTF-8 at byte {error.start}", "Write the key as UTF-8.") from error
    if len(lines) > 1:
        raise Refused(
            f"stdin has {len(lines)} lines, and the value of {name} is one line",
            f"Write only the key to stdin, or copy the lines of a file with several keys into {env_file.find()}.",
        )
    return lines[0] if lines else ""


def _check(name: str, config: Config) -> None:
    """Refuse the name of a variable that would not be used."""
    if not _NAME.fullmatch(name):
        raise Refused("the name is not that of an environment variable", "Write a name such as OPENAI_API_KEY.")
    if not is_used(name, config.models):
        known = {each for sets in credentials.KEYS.values() for names in sets for each in names}
        raise Refused(
            f"the name is not a variable of a provider or route{nearest(name, known)}",
            "Run moa-mcp check to see the names, or set api_key_env of a route.",
        )


def _written(name: str, value: str | None, *, in_keychain: bool) -> str:
    """Set or remove a variable, and return where."""
    try:
        if in_keychain:
            keychain.write(name, value)
            return "the keychain"
        path = env_file.write(name, value)
    except KeychainFailed as error:
        raise Refused(f"the keychain can't be used: {error}", "Leave out --keychain to use the file.") from error
    except ValueError as error:
        raise Refused(str(error), "Then run this command again.") from error
    except OSError as error:
        raise Refused(f"{env_file.find()} can't be written: {error.strerror}", f"Set {env_file.VARIABLE}.") from error
    if path is None:
        raise Refused(f"{env_file.VARIABLE} is none", "Set it to a path, or remove it.")
    return str(path)
