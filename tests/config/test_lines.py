"""The line of a problem in pipelines.toml."""

from __future__ import annotations

import pytest

from moa_mcp.config.lines import line_of

TEXT = """# the usual
[panels]
exclude = ["x"]

[pipelines.vote]
description = "d"
steps = [
    { step = "propose", agents = ["a"], n = 1 },
    { step = "vote",
      n = 3 },
    { step = "take", n = 1 },
]

[models]
"a.b" = { routes = ["x"] }
c.routes = ["y"]

[pipelines.tables]
[[pipelines.tables.steps]]
step = "propose"
[[pipelines.tables.steps]]
step = "take"
n = 2
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("panels", 2),
        ("panels.exclude", 3),
        ("pipelines.vote.steps", 7),
        ("pipelines.vote, step 2, n", 10),
        ("pipelines.vote, step 3, n", 11),
        ("pipelines.vote, step 1, missing", 8),
        ("pipelines.vote, step 9, n", 8),
        ("pipelines.vote.missing", 5),
        ('models."a.b", route 1', 15),
        ("models.c, route 1", 16),
        ("pipelines.tables, step 2, n", 23),
        ("missing", None),
        ("", None),
    ],
)
def test_the_line_is_that_of_the_key_or_of_what_should_have_it(place: str, line: int | None) -> None:
    assert line_of(TEXT, place) == line


def test_lines_end_as_on_windows_too() -> None:
    assert line_of(TEXT.replace("\n", "\r\n"), "pipelines.vote, step 2, n") == 10
