from __future__ import annotations

import json
import re
from pathlib import Path

import moa_mcp
from moa_mcp.config import STEP_TYPES, load, parse, shipped
from moa_mcp.plan import plan

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def table_after(heading: str) -> dict[str, list[str]]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in README.partition(heading)[2].partition("\n## ")[0].splitlines()
        if line.startswith("| `")
    ]
    return {cells[0]: cells[1:] for cells in rows}


PIPELINE = '[pipelines.p]\ndescription = "For tests."\nsteps = [{ step = "propose", agents = ["openai/x"] }]'


def test_the_examples_of_configurations_are_configurations() -> None:
    for example in blocks("toml"):
        whole = example if "[pipelines." in example else f"{example}\n{PIPELINE}"
        assert [lint for each in parse(whole).pipelines.values() for lint in plan(each).lint] == []


def test_the_claude_desktop_snippet_starts_the_console_script() -> None:
    (snippet,) = blocks("json")
    assert json.loads(snippet)["mcpServers"]["moa"]["command"] == "moa-mcp"


def test_the_table_of_pipelines_states_their_calls() -> None:
    pipelines = load(shipped()).pipelines
    stated = {name.strip("`"): int(cells[1]) for name, cells in table_after("## Pipelines").items()}
    assert stated == {name: plan(each).calls for name, each in pipelines.items() if not name.endswith("_paper")}


def test_the_table_of_steps_names_every_step() -> None:
    named = set(re.findall(r"`(\w+)`", " ".join(table_after("## Configuration"))))
    assert named == set(STEP_TYPES)


def test_what_the_package_exports_is_there_and_sorted() -> None:
    assert moa_mcp.__all__ == sorted(moa_mcp.__all__)
    assert all(hasattr(moa_mcp, name) for name in moa_mcp.__all__)
