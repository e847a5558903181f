"""The worked example of the docs is what the command prints for the JSON beside it."""

from __future__ import annotations

from moa_mcp.evaluation.report.json_file import read
from tools.evaluation_example import BLOCK, MEMBERS, PAGE, QUESTIONS, RESULT, written


def test_the_figures_of_the_page_are_those_of_its_json() -> None:
    page = PAGE.read_text("utf-8")
    assert BLOCK.search(page)
    assert written(page, read(RESULT)) == page, "run python -m tools.evaluation_example"


def test_the_example_has_the_members_and_questions_that_its_script_states() -> None:
    result = read(RESULT)
    assert result.complete
    assert len(result.questions) == QUESTIONS
    models = {model for each in result.contestants for model in each.models}
    assert models == {f"openai/{each.name}" for each in MEMBERS}
