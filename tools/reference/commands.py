"""The page of all commands with their options, as their help states them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc

import click

from moa_mcp.cli import commands
from tools.reference.markdown import code, page, prose, table

_INTRODUCTION = "`moa-mcp COMMAND --help` prints the same. `moa-mcp` alone runs `serve`."
_VERBATIM = "\b\n"
"""How click marks a paragraph whose lines are kept."""


def written() -> str:
    """Return the page."""
    with click.Context(commands, info_name="moa-mcp") as context:
        parts = [part for name, each in _each(commands, context) for part in _section(name, each, context)]
    return page("Command line", _INTRODUCTION, _text(commands.epilog), *parts)


def _each(group: click.Group, context: click.Context, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield the commands of a group with their names, each group followed by its commands."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield f"{before}{name}", command
        if isinstance(command, click.Group):
            yield from _each(command, context, f"{before}{name} ")


def _section(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    with click.Context(command, info_name=name, parent=parent) as context:
        yield f"## moa-mcp {name}"
        yield f"```text\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```"
        yield _text(command.help)
        yield table(("option", "meaning"), _options(command, context))
        yield _text(command.epilog)


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for each in command.get_params(context):
        record = each.get_help_record(context)
        if record is not None and isinstance(each, click.Option) and "--help" not in each.opts:
            yield code(record[0]), record[1]


def _text(help_text: str | None) -> str:
    """Return a help text as Markdown; examples and lists as blocks of text."""
    paragraphs = re.split(r"\n\s*\n", cleandoc(help_text or ""))
    return "\n\n".join(_block(each) if each.startswith(_VERBATIM) else prose(each) for each in paragraphs)


def _block(paragraph: str) -> str:
    return f"```text\n{cleandoc(paragraph.removeprefix(_VERBATIM))}\n```"
