"""Makes text of others safe for a terminal or a pipe. It knows no runs and no layout."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import textwrap

import click

from moa_mcp.text.visible import visible


def line(text: str) -> str:
    """Return the text on one line, without invisible or control characters."""
    return " ".join(visible(text).split())


def shortened(text: str, limit: int = 400) -> str:
    """Return the text on one line of at most `limit` characters."""
    whole = line(text)
    return whole if len(whole) <= limit else f"{whole[: limit - 1]}…"


def say(*lines: str) -> None:
    """Print lines to stderr, wrapped at words if that is a terminal."""
    width = shutil.get_terminal_size().columns - 1 if sys.stderr.isatty() else sys.maxsize
    wrapper = textwrap.TextWrapper(width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    for each in visible("\n".join(lines)).split("\n") if lines else ():
        click.echo(wrapper.fill(each), err=True)


def written(text: str) -> str:
    """Write to stdout; return the error, if any. A closed pipe, as after ``| head``, is not an error."""
    try:
        click.echo(text)
    except OSError as error:
        abandon_stdout()
        return "" if error.errno == errno.EPIPE else error.strerror or "unknown error"
    return ""


def abandon_stdout() -> None:
    """Discard further output: text in the buffer of stdout would fail again when the process ends."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 call``, ``3 calls``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def json_text(value: object) -> str:
    """Return JSON in ASCII, which no encoding and no control character can break."""
    return json.dumps(value, indent=2)
