"""What people and agents read is plain technical English: `words.REJECTED` lists what it must not have."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import click
import pytest

from moa_mcp.cli import commands
from moa_mcp.config import load, shipped
from moa_mcp.server.listing import own_tools, pipeline_tool
from moa_mcp.server.readiness import Readiness
from tests.project.words import PROMPTS, ROOT, Text, constants, read_in, texts


def shown() -> Iterator[Text]:
    """Yield what is shown in another form than it is written: help, and the tools as a client lists them."""
    for name, command in walked("moa-mcp", commands):
        context = click.Context(command, info_name=name)
        yield Text("moa_mcp/cli", 0, f"{name} --help: {command.get_help(context)}")
    pipelines = [
        pipeline_tool(each, Readiness(ready=True), simulated=True) for each in load(shipped()).pipelines.values()
    ]
    for tool in (*pipelines, *own_tools()):
        yield Text("moa_mcp/server", 0, f"tool {tool.name}: {tool.model_dump_json()}")


def walked(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for each, inner in command.commands.items():
            yield from walked(f"{name} {each}", inner)


def test_what_people_read_is_in_words_that_they_know() -> None:
    reports = [report for text in (*texts(), *shown()) for report in text.reports]
    assert not reports, "\n".join(reports)


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in PROMPTS.items() for name in names])
def test_a_prompt_is_exempt_only_if_it_has_a_rejected_word(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    values = [ast.literal_eval(value) for each, value in constants(tree) if each == name]
    assert [bool(Text(path, 0, value).found) for value in values] == [True]


MODULE = '''"""A module that drives runs."""
LIMIT = 3
SENT = "Nobody: one word more"
"""At its dearest."""
def _hidden():
    """Told to nobody."""
    raise ValueError(f"{LIMIT} models: for " "want of keys")
class _Hidden:
    def method(self):
        """Whoever reads this has the source."""
'''


def test_docstrings_of_what_is_public_and_all_messages_are_found_with_their_line() -> None:
    found = [(line, word) for line, text in read_in(MODULE, ["SENT"]) for word in Text("m.py", line, text).found]
    assert sorted(found) == [(1, "drives"), (4, "At its dearest"), (7, "for want of")]
