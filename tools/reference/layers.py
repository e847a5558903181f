"""The rows of a drawing for the steps of a pipeline, and the same in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from moa_mcp.config import Pipeline
from moa_mcp.planning.plan import StepPlan, plan
from moa_mcp.steps import Critique, Dropout, Propose, Rank, Refine, Sample, Shuffle, Step, Take, Vote
from moa_mcp.steps.panel import panel_member
from tools.reference.drawing import Dot, Row

_TIMES = "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}"


def rows(pipeline: Pipeline) -> tuple[Row, ...]:
    """Return a row for each step of a pipeline."""
    before, shown = 0, 1
    found: list[Row] = []
    for step, planned in zip(pipeline.steps, plan(pipeline).steps, strict=True):
        dots = _dots(step, planned.calls, before, shown)
        found.append(Row(step.step, tuple(_details(step, planned, before)), dots))
        before, shown = planned.answers, len(dots)
    return tuple(found)


def in_words(rows: Sequence[Row]) -> str:
    """Return the rows as one line, for those who can't see the drawing."""
    return ", then ".join(f"{row.kind}: {'; '.join(row.details)}" for row in rows)


def _dots(step: Step, calls: int, before: int, shown: int) -> tuple[Dot, ...]:
    """Return the dots of a step after `before` answers, of which the row above shows `shown`."""
    each = [(index,) for index in range(before)]
    whole = tuple(range(shown))
    match step:
        case Propose():
            reads = () if before else whole
            return (Dot("call", reads),) * calls + (Dot("copy", (0,)),) * (step.keep if before else 0)
        case Refine() | Critique() | Dropout():
            return tuple(Dot("maybe" if isinstance(step, Dropout) else "call", read) for read in each)
        case Shuffle():
            return tuple(Dot("kept", read) for read in (*each[1::2], *each[::2]))
        case Sample() | Take():
            return tuple(Dot("kept", read) for read in (each if isinstance(step, Take) else each[::-1])[: step.n])
        case _:
            return (Dot("call", whole),) * calls or (Dot("kept", whole),)


def _details(step: Step, planned: StepPlan, before: int) -> Iterator[str]:
    if planned.calls:
        yield ", ".join(_models(planned))
        yield f"{_count(planned.calls, 'call')}"
    match step:
        case Propose() if before and step.keep:
            yield f"keeps the previous answer {step.keep} times"
        case Rank():
            yield f"keeps the best {step.n} of {before}"
        case Vote():
            yield {"judge": "chooses one", "majority": "counts equal answers", "restate": "writes the consensus"}[
                step.method
            ]
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
