"""What people and agents read is plain technical English: `words.REJECTED` lists what it must not have."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import click

from moa_mcp.cli import commands
from moa_mcp.config import load, shipped
from moa_mcp.server.listing import OWN_TOOLS, pipeline_tool
from tests.project.words import Text, read_in, texts

NOT_YET: tuple[str, ...] = (
    "moa_mcp/budget/worst_case.py",
    "moa_mcp/errors.py",
    "moa_mcp/events.py",
    "moa_mcp/planning/estimate.py",
    "moa_mcp/planning/forecast.py",
    "moa_mcp/planning/plan.py",
    "moa_mcp/runs",
    "moa_mcp/steps",
)
"""Paths that are still to be rewritten. One that is clean must be removed from here."""


def listed(path: str) -> str | None:
    """Return the entry of `NOT_YET` that a path belongs to."""
    return next((each for each in NOT_YET if path == each or path.startswith(f"{each}/")), None)


@cache
def rejected() -> tuple[Text, ...]:
    return tuple(text for text in (*texts(), *shown()) if text.found)


def shown() -> Iterator[Text]:
    """Yield what is shown in another form than it is written: help, and the tools as a client lists them."""
    for name, command in walked("moa-mcp", commands):
        context = click.Context(command, info_name=name)
        yield Text("moa_mcp/cli", 0, f"{name} --help: {command.get_help(context)}")
    pipelines = [pipeline_tool(each, simulated=True) for each in load(shipped()).pipelines.values()]
    for tool in (*pipelines, *OWN_TOOLS):
        yield Text("moa_mcp/server", 0, f"tool {tool.name}: {tool.model_dump_json()}")


def walked(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for each, inner in command.commands.items():
            yield from walked(f"{name} {each}", inner)


def test_what_people_read_is_in_words_that_they_know() -> None:
    reports = [report for text in rejected() if listed(text.path) is None for report in text.reports]
    assert not reports, "\n".join(reports)


def test_a_path_that_is_rewritten_is_no_longer_exempt() -> None:
    clean = {*NOT_YET} - {listed(text.path) for text in rejected()}
    assert not clean, f"remove from NOT_YET what is rewritten: {', '.join(sorted(clean))}"


MODULE = '''"""A module that drives runs."""
LIMIT = 3
"""At its dearest."""
def _hidden():
    """Told to nobody."""
    raise ValueError(f"{LIMIT} models: for " "want of keys")
class _Hidden:
    def method(self):
        """Whoever reads this has the source."""
'''


def test_docstrings_of_what_is_public_and_all_messages_are_found_with_their_line() -> None:
    found = [(line, word) for line, text in read_in(MODULE) for word in Text("m.py", line, text).found]
    assert sorted(found) == [(1, "drives"), (3, "At its dearest"), (6, "for want of")]
