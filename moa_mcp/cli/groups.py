"""Groups of commands with a default command, and suggestions for mistyped names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from moa_mcp.cli.arguments import no_such_option
from moa_mcp.text.suggest import closest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Group(click.Group):
    """Commands by name. Options without a name belong to the default command."""

    default = ""
    """The name of the command that runs if none is named."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name.startswith("-"):
            if not ctx.resilient_parsing:
                self._check_default(ctx, args)
            return super().resolve_command(ctx, [self.default, *args])
        if name not in known and ctx.resilient_parsing:
            return None, None, []
        if name not in known:
            near = closest(name, known)
            hint = f"; did you mean {near!r}?" if near else "."
            raise click.UsageError(f"there is no command {name!r}{hint} Commands: {', '.join(known)}", ctx)
        return super().resolve_command(ctx, args)

    def _check_default(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse an option that the default command does not have, if another command is named after it."""
        option = args[0].partition("=")[0]
        named = next((word for word in args[1:] if word in self.list_commands(ctx)), None)
        if named is None or option in _options(self.get_command(ctx, self.default), ctx):
            return
        if option in _options(self.get_command(ctx, named), ctx):
            path = f"{ctx.command_path} {named}"
            raise click.NoSuchOption(option, f"{option} belongs to {path}: write it after {named}.", ctx=ctx)
        raise no_such_option(option, ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands, and the options of the default command beside its own."""
        if not incomplete.startswith("-"):
            return self.named(ctx, incomplete)
        found = click.Command.shell_complete(self, ctx, incomplete)
        default = self.get_command(ctx, self.default)
        if default is None:
            return found
        own = {each.value for each in found}
        with default.make_context(self.default, [], parent=ctx, resilient_parsing=True) as inner:
            more = default.shell_complete(inner, incomplete)
        return [*found, *(each for each in more if each.value not in own)]

    def named(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands whose names begin so, with their descriptions."""
        return super().shell_complete(ctx, incomplete)

    def invoke_default(self, ctx: click.Context) -> None:
        """Run the default command."""
        command = self.get_command(ctx, self.default)
        if command is not None:
            with command.make_context(self.default, [], parent=ctx) as own:
                command.invoke(own)


def _options(command: click.Command | None, ctx: click.Context) -> set[str]:
    return {option for each in command.get_params(ctx) for option in each.opts} if command else set()
