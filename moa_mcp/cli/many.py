"""Options of the commands that ask many questions."""

from __future__ import annotations

from collections.abc import Callable

import click

from moa_mcp.cli.options import Decorated

_MOST = 1000


def retry_failed_option(command: Decorated) -> Decorated:
    """Add --retry-failed."""
    text = "Try runs again that failed or were cancelled in earlier starts."
    return click.option("--retry-failed", is_flag=True, help=text)(command)


def concurrency_option(text: str) -> Callable[[Decorated], Decorated]:
    """Return what adds --concurrency, with this help."""
    return click.option(
        "--concurrency", type=click.IntRange(min=1, max=_MOST), default=16, show_default=True, metavar="N", help=text
    )
