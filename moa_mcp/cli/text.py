"""Text that others wrote, made fit for a terminal or a pipe. It knows no run and draws nothing."""

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
    """Return the text on one line, with nothing in it that acts unseen."""
    return " ".join(visible(text).split())


def shortened(text: str, limit: int = 400) -> str:
    """Return the text on one line of so many characters at most."""
    whole = line(text)
    return whole if len(whole) <= limit else f"{whole[: limit - 1]}…"


def say(*lines: str) -> None:
    """Say something on stderr, broken at words where that is a terminal."""
    width = shutil.get_terminal_size().columns - 1 if sys.stderr.isatty() else sys.maxsize
    wrapper = textwrap.TextWrapper(width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    for said in visible("\n".join(lines)).split("\n"):
        click.echo(wrapper.fill(said), err=True)


def written(text: str) -> str:
    """Write to stdout; return why that failed. It has not if nobody reads it any more, as after ``| head``."""
    try:
        click.echo(text)
    except OSError as error:
        abandon_stdout()
        return "" if error.errno == errno.EPIPE else error.strerror or "unknown fault"
    return ""


def abandon_stdout() -> None:
    """Write nothing more to stdout: what it still holds would fail again when the process ends."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 call``, ``3 calls``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def json_text(value: object) -> str:
    """Return JSON for programs: in ASCII, so that neither the encoding nor a control character can break it."""
    return json.dumps(value, indent=2)
