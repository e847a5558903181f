"""The generated pages of the documentation are those of the current code, and say what each key means."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from moa_mcp.config import load, shipped
from moa_mcp.planning.plan import plan
from tools.reference.__main__ import DOCS, generated, stale

GENERATED = generated()


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_file_is_up_to_date(name: str) -> None:
    path = DOCS / name
    current = path.read_text("utf-8") if path.exists() else ""
    assert current == GENERATED[name], f"docs/{name} is out of date: run python -m tools.reference"


def test_no_generated_file_is_left_over() -> None:
    assert stale() == set(), "run python -m tools.reference"


@pytest.mark.parametrize("name", [name for name in GENERATED if name.endswith(".md")])
def test_every_row_of_a_reference_says_what_it_means(name: str) -> None:
    rows = [line for line in GENERATED[name].splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.endswith("|  |")] == []


def test_a_drawing_has_a_dot_for_each_call_of_its_pipeline() -> None:
    pipelines = load(shipped()).pipelines
    drawn = {name: GENERATED[f"drawings/{name}.svg"].count('class="call"') for name in pipelines}
    assert drawn == {name: plan(each).calls for name, each in pipelines.items()}


@pytest.mark.parametrize("name", [name for name in GENERATED if name.endswith(".svg")])
def test_a_drawing_is_well_formed_and_its_dots_and_texts_are_inside(name: str) -> None:
    drawing = ET.fromstring(GENERATED[name])
    space = "{http://www.w3.org/2000/svg}"
    _, _, width, height = map(float, drawing.attrib["viewBox"].split())
    places = [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in drawing.iter(f"{space}circle")]
    places += [(float(each.attrib["x"]), float(each.attrib["y"])) for each in drawing.iter(f"{space}text")]
    assert places
    assert all(0 < x < width and 0 < y < height for x, y in places)
