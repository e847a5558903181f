"""The rows of a drawing for the steps of a pipeline, and the same in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from moa_mcp.config import Pipeline
from moa_mcp.planning.plan import StepPlan, plan
from moa_mcp.steps import (
    Agree,
    Analyze,
    Critique,
    Dropout,
    Propose,
    Rank,
    Refine,
    Review,
    Sample,
    Shuffle,
    Step,
    Take,
    Vote,
)
from moa_mcp.steps.panel import panel_member
from tools.reference.drawing import Dot, Row

_TIMES = "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}"


Makers: TypeAlias = Sequence[tuple[int, ...]]
"""For each answer, the dots of the last row that made it."""


def rows(pipeline: Pipeline) -> tuple[Row, ...]:
    """Return a row for each step of a pipeline."""
    answers: Makers = ()
    found: list[Row] = []
    for step, planned in zip(pipeline.steps, plan(pipeline).steps, strict=True):
        dots = _dots(step, planned.calls, answers)
        found.append(Row(step.step, tuple(_details(step, planned, len(answers))), dots))
        answers = _makers(step, planned.answers, len(dots))
    return tuple(found)


def in_words(rows: Sequence[Row]) -> str:
    """Return the rows as one line, for those who can't see the drawing."""
    return ", then ".join(f"{row.kind}: {'; '.join(row.details)}" for row in rows)


def _dots(step: Step, calls: int, answers: Makers) -> tuple[Dot, ...]:
    """Return the dots of a step, given the answers before it."""
    whole = tuple(dict.fromkeys(dot for made in answers for dot in made)) or (0,)
    match step:
        case Propose():
            reads = () if answers else whole
            return (Dot("call", reads),) * calls + tuple(Dot("copy", kept) for kept in _kept(step, answers))
        case Refine() | Critique():
            return tuple(Dot("call", made) for made in answers for _ in range(calls // len(answers)))
        case Review() if calls == len(answers):
            return tuple(Dot("call", tuple(dot for dot in whole if dot not in own)) for own in answers)
        case Dropout():
            return tuple(Dot("maybe", made) for made in answers)
        case Shuffle() | Sample() | Take():
            return tuple(Dot("kept", made) for made in _selected(step, answers))
        case _:
            return (Dot("call", whole),) * calls or (Dot("kept", whole),)


def _selected(step: Shuffle | Sample | Take, answers: Makers) -> Makers:
    match step:
        case Shuffle():
            return (*answers[1::2], *answers[::2])
        case Sample():
            return answers[::-1][: step.n]
        case Take():
            return answers[: step.n]


def _kept(step: Propose, answers: Makers) -> Iterator[tuple[int, ...]]:
    """Yield the dots of the answers that a step keeps."""
    if step.keep == "all":
        yield from answers
    elif answers:
        yield from ((0,),) * step.keep


def _makers(step: Step, answers: int, dots: int) -> Makers:
    """Return the makers of a step's answers: equal parts of its dots, or all dots of a judge."""
    if isinstance(step, Agree | Analyze | Review | Rank | Vote):
        return (tuple(range(dots)),) * answers
    part = dots // answers
    return tuple(tuple(range(index * part, (index + 1) * part)) for index in range(answers))


def _details(step: Step, planned: StepPlan, before: int) -> Iterator[str]:
    if planned.calls:
        yield ", ".join(_models(planned))
        yield f"{_count(planned.calls, 'call')}"
    yield from _chosen(step, before)


def _chosen(step: Step, before: int) -> Iterator[str]:
    """Yield what a step does with the answers before it."""
    match step:
        case Propose() if before and step.keep == "all":
            yield f"keeps the {before} previous answers"
        case Propose() if before and step.keep:
            yield f"keeps the previous answer {step.keep} times"
        case Analyze():
            yield f"compares {before} answers and keeps them"
        case Review():
            yield "each ranks the answers of the others"
            yield f"keeps the best {step.n} of {before}" if step.n else f"{before} answers, best first"
        case Rank():
            yield f"keeps the best {step.n} of {before}"
        case Vote():
            yield {"judge": "chooses one", "majority": "counts equal answers", "restate": "writes the consensus"}[
                step.method
            ]
        case Agree():
            yield f"ends the run if all {before} answers are equivalent"
        case _:
            yield from _selection(step, before)


def _selection(step: Step, before: int) -> Iterator[str]:
    match step:
        case Shuffle():
            yield f"{before} answers in another order"
        case Dropout():
            yield f"drops each answer with probability {step.rate:g}"
        case Sample():
            yield f"keeps {step.n} of {before} answers, at random"
        case Take():
            yield f"keeps the first {step.n} of {before} answers"
        case _:
            pass


def _models(planned: StepPlan) -> Iterator[str]:
    members = [panel_member(model) for model in planned.models]
    names = [f"panel {member.tier}" if member else model for member, model in zip(members, planned.models, strict=True)]
    for name, count in Counter(names).items():
        yield f"{name}{_TIMES}{count}" if count > 1 else name


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"
