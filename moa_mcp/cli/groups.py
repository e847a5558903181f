"""Groups of commands that mean one of them where none is named, and know the nearest to a name that is none."""

from __future__ import annotations

from difflib import get_close_matches

import click


class Group(click.Group):
    """Commands by name. Options without a name belong to the one that is meant then."""

    meant = ""
    """The command that options without a command's name belong to."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name.startswith("-"):
            return super().resolve_command(ctx, [self.meant, *args])
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"there is no command {name!r}{hint}; the commands are {', '.join(known)}", ctx)
        return super().resolve_command(ctx, args)

    def invoke_meant(self, ctx: click.Context) -> None:
        """Do what is meant where nothing is named."""
        command = self.get_command(ctx, self.meant)
        if command is not None:
            with command.make_context(self.meant, [], parent=ctx) as own:
                command.invoke(own)
