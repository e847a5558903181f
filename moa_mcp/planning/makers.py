"""Checks whether the answers of a pipeline can come from as many makers as its steps need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from moa_mcp.config import Pipeline
from moa_mcp.config.problems import within
from moa_mcp.planning.plan import Lint
from moa_mcp.steps.forecast import ExpectedAnswers


def too_few_makers(pipeline: Pipeline, makers: Mapping[str, str]) -> Iterator[Lint]:
    """Yield the steps for which the models before them are of too few of these `makers`, by alias."""
    answers: ExpectedAnswers = ()
    for index, step in enumerate(pipeline.steps):
        place = within(f"pipelines.{pipeline.name}", "steps", index)
        yield from (Lint(place, message) for message in step.lint_makers(answers, makers))
        answers = step.forecast(answers, "max").answers
