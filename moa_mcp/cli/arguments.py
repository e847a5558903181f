"""Tells options from a question that begins with a dash, such as "-5 + 3 = ?".

A word in the form of an option is an option, and an error if the command does not have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import click

from moa_mcp.text.suggest import similar

_LONG = re.compile(r"--[A-Za-z][A-Za-z-]*(=.*)?", re.DOTALL)
_WORD = re.compile(r"-[A-Za-z][A-Za-z-]*")
_NEAR = 0.7
_SHORTEST_TYPO = 3
"""A word of at least this length after a single dash may be a mistyped long option."""


class QuestionCommand(click.Command):
    """A command whose last argument is a question, which may begin with a dash."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        takes_value = {name: not each.is_flag for each in options for name in each.opts}
        given, others, doubtful = _sorted_out(args, takes_value)
        most = sum(isinstance(each, click.Argument) for each in self.params)
        for at in () if ctx.resilient_parsing else doubtful:
            alone = 0 < at < most == len(others)  # nothing else could be the question, nor it the pipeline
            if _reads_as_option(others[at], takes_value, alone=alone):
                raise no_such_option(
                    others[at].partition("=")[0], ctx, "Put -- before a question that begins with a dash."
                )
        return super().parse_args(ctx, [*given, "--", *others])


def no_such_option(name: str, ctx: click.Context, otherwise: str = "") -> click.NoSuchOption:
    """Return the error for an unknown option. It suggests similar options of the command, or else gives `otherwise`."""
    known = [option for each in ctx.command.get_params(ctx) for option in each.opts if option.startswith("--")]
    close = near(name, known)
    message = f"No such option {name!r}." if close else f"No such option {name!r}. {otherwise}".rstrip()
    return click.NoSuchOption(name, message, close, ctx)


def near(name: str, known: Iterable[str]) -> list[str]:
    """Return similar options, the most similar first. Leading dashes are ignored: all options have them."""
    bare = {each.lstrip("-"): each for each in known}
    return [bare[each] for each in similar(name.lstrip("-"), bare, at_least=_NEAR)]


def _sorted_out(args: Sequence[str], takes_value: Mapping[str, bool]) -> tuple[list[str], list[str], list[int]]:
    """Return the known options with their values, the other words, and where those with a dash are."""
    given: list[str] = []
    others: list[str] = []
    doubtful: list[int] = []
    left = list(args)
    while left:
        word = left.pop(0)
        if word == "--":
            return given, [*others, *left], doubtful
        if _is_known(word, takes_value):
            given += [word, *(left[:1] if takes_value.get(word) else [])]
            left = left[1:] if takes_value.get(word) else left
            continue
        if word.startswith("-") and word != "-":
            doubtful.append(len(others))
        others.append(word)
    return given, others, doubtful


def _is_known(word: str, takes_value: Mapping[str, bool]) -> bool:
    """Whether it is an option, an option with its value, or several one-letter flags."""
    if word.partition("=")[0] in takes_value:
        return True
    letters = word[1:] if word[:1] == "-" else ""
    return bool(letters) and all(takes_value.get(f"-{letter}") is False for letter in letters)


def _reads_as_option(word: str, takes_value: Mapping[str, bool], *, alone: bool) -> bool:
    if _LONG.fullmatch(word):
        return True
    if not _WORD.fullmatch(word):
        return False
    return not alone or (len(word) > _SHORTEST_TYPO and bool(near(word, takes_value)))
