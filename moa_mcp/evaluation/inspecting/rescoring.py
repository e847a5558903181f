"""Scores the samples of a first step as the scorers of a task would: what one call of a model would have scored.

That is sound where the answer is the reply to a single prompt and the scorer looks at its text alone. It is then the
answer that a model gives to the same prompt, and its score costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from inspect_ai import Task
from inspect_ai.log import EvalSample
from inspect_ai.model import ModelName, ModelOutput
from inspect_ai.scorer import Scorer, Target
from inspect_ai.solver import Solver, TaskState
from inspect_ai.util import registry_info

from moa_mcp.evaluation.inspecting.private import parameters_of
from moa_mcp.evaluation.inspecting.scores import score_of
from moa_mcp.evaluation.samples import SampleCall
from moa_mcp.evaluation.scoring.score import AnswerScore

_PROMPTS = ("system_message", "prompt_template", "user_message", "assistant_message", "chain_of_thought")
"""Solvers of Inspect that write a prompt and ask nothing."""
_ASKS = "generate"
_OF_TEXT = ("includes", "match", "pattern", "answer", "exact", "f1")
"""Scorers of Inspect that look at the text of the answer alone, and ask no model."""
_OF_VALUES = ("pattern", "answer")
"""Those whose score names the value of the answer. Others name its whole text."""
_MATCH = "match"


def obstacle(task: Task) -> str:
    """Return why samples can't be scored as single calls; empty if they can."""
    if not asks_alone(task):
        return f"its solver is {', '.join(map(_name, _solvers(task.solver)))}, not generate alone"
    scorer = _first(task)
    if scorer is None or _name(scorer) not in _OF_TEXT:
        return (
            f"its scorer {_name(scorer) if scorer else ''} may look at more than the text of an answer, or ask a model"
        )
    return ""


def asks_alone(task: Task) -> bool:
    """Whether the solver of a task writes a prompt, asks and does nothing else."""
    *before, last = map(_name, _solvers(task.solver))
    return task.setup is None and last == _ASKS and all(each in _PROMPTS for each in before)


def tells_values(task: Task) -> bool:
    """Whether the scorer of a task tells the value of an answer, such as a number, so that samples can vote."""
    scorer = _first(task)
    name = "" if scorer is None else _name(scorer)
    return name in _OF_VALUES or (name == _MATCH and bool(parameters_of(scorer).get("numeric")))


def _solvers(solver: Solver) -> Iterator[Solver]:
    if isinstance(solver, Sequence):  # a chain
        for each in cast("Sequence[Solver]", solver):
            yield from _solvers(each)
    else:
        yield solver


def _name(part: Solver | Scorer) -> str:
    try:
        return registry_info(part).name.removeprefix("inspect_ai/")
    except ValueError:  # it was not made by a decorator
        return type(part).__name__


def _first(task: Task) -> Scorer | None:
    return task.scorer[0] if task.scorer else None


async def rescored(task: Task, sample: EvalSample, calls: Sequence[SampleCall]) -> list[SampleCall]:
    """Return samples with the scores that the first scorer of the task gives them. Equal texts are scored once."""
    by_text = {text: await _scored(task, sample, text) for text in {each.text: None for each in calls}}
    return [each._replace(score=by_text[each.text]) for each in calls]


async def _scored(task: Task, sample: EvalSample, text: str) -> AnswerScore:
    scorer = _first(task)
    output = ModelOutput.from_content(sample.output.model, text)
    state = TaskState(
        ModelName(sample.output.model),
        sample.id,
        sample.epoch,
        sample.input,
        [*sample.messages[:-1], output.message],
        Target(sample.target),
        sample.choices,
        output,
        metadata=dict(sample.metadata),
    )
    score = None if scorer is None else await scorer(state, Target(sample.target))
    return score_of({} if scorer is None or score is None else {_name(scorer): score})
