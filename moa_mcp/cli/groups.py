"""Groups of commands that mean one of them where none is named, and know the nearest to a name that is none."""

from __future__ import annotations

from difflib import get_close_matches

import click

from moa_mcp.cli.arguments import no_such_option


class Group(click.Group):
    """Commands by name. Options without a name belong to the one that is meant then."""

    meant = ""
    """The command that options without a command's name belong to."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name.startswith("-"):
            self._check_meant(ctx, args)
            return super().resolve_command(ctx, [self.meant, *args])
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"there is no command {name!r}{hint}; the commands are {', '.join(known)}", ctx)
        return super().resolve_command(ctx, args)

    def _check_meant(self, ctx: click.Context, args: list[str]) -> None:
        """Refuse an option that the command which is meant does not have if another one is named after it."""
        option = args[0].partition("=")[0]
        named = next((word for word in args[1:] if word in self.list_commands(ctx)), None)
        if named is None or option in _options(self.get_command(ctx, self.meant), ctx):
            return
        if option in _options(self.get_command(ctx, named), ctx):
            path = f"{ctx.command_path} {named}"
            raise click.NoSuchOption(option, f"{option} belongs to {path}: write it after {named}.", ctx=ctx)
        raise no_such_option(option, ctx)

    def invoke_meant(self, ctx: click.Context) -> None:
        """Do what is meant where nothing is named."""
        command = self.get_command(ctx, self.meant)
        if command is not None:
            with command.make_context(self.meant, [], parent=ctx) as own:
                command.invoke(own)


def _options(command: click.Command | None, ctx: click.Context) -> set[str]:
    return {option for each in command.get_params(ctx) for option in each.opts} if command else set()
