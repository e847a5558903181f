"""What a recorded run tells without labels, in a few numbers: its calls, counts, choices of judges, and problems."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from moa_mcp.config import STEP_TYPES
from moa_mcp.steps.prompts import unfenced
from moa_mcp.trace.agreement import Agreement, agreement
from moa_mcp.trace.trace import CallTrace, StepTrace, Trace
from moa_mcp.values import Answer, Votes
from moa_mcp.viewer.verdicts import verdict

_LONGEST = 100
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_COMPARED = {"equivalent", "not equivalent"}


class CallFact(NamedTuple):
    """A call."""

    agent: str
    failure: str
    """The kind of its failure; empty if it was answered."""
    usd: float | None
    seconds: float | None
    slowest: bool | None
    """Whether it ended last of its step; None if its step has one call."""


class ChoiceFact(NamedTuple):
    """What a judge chose, or ranked first."""

    judge: str
    step: str
    place: int
    """In its prompt, from 1."""
    answers: int
    random_order: bool


class PassesFact(NamedTuple):
    """The passes of a judge over the same answers."""

    judge: str
    step: str
    agreeing: float
    """The share that names the most frequent answer."""


class BallotFact(NamedTuple):
    """A member in a count of values."""

    member: str
    dissents: bool | None
    """Whether it has another value than the majority; None without a majority."""
    changes: bool | None
    """Whether the most frequent value would be another one without its answers; None for weighted votes: a weight
    can't be taken out."""


class RunFacts(Struct, frozen=True):
    """A run that has ended."""

    run_id: str
    pipeline: str
    has_failed: bool
    causes: tuple[str, ...]
    """Why it is degraded, without numbers."""
    agreement: str
    """How its last count or comparison ended; empty without one."""
    calls: tuple[CallFact, ...]
    choices: tuple[ChoiceFact, ...]
    passes: tuple[PassesFact, ...]
    ballots: tuple[BallotFact, ...]


def facts_of(trace: Trace) -> RunFacts:
    """Return the facts of a run that has ended. Steps that it inherited from another run are those of that run."""
    found = agreement(trace)
    own = range(trace.inherited, len(trace.steps))
    return RunFacts(
        trace.run_id,
        trace.pipeline,
        trace.status == "failed",
        tuple(dict.fromkeys(map(_general, trace.degradations))),
        _outcome(found),
        tuple(call for at in own for call in _calls(trace.steps[at])),
        tuple(choice for at in own for choice in _choices(trace, at)),
        tuple(each for at in own for each in _passes(trace.steps[at])),
        tuple(each for at in own for each in _ballots(trace.steps[at], _before(trace, at))),
    )


def _outcome(found: Agreement | None) -> str:
    """Return how a count or a comparison ended; empty for a judge that chose an answer."""
    compared = found is not None and (found.of == "extracted answers" or found.verdict in _COMPARED)
    return found.verdict if found is not None and compared else ""


def _general(cause: str) -> str:
    """Return a cause without what differs from run to run."""
    text = " ".join(_NUMBER.sub("N", cause).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _before(trace: Trace, at: int) -> Sequence[Answer]:
    return trace.steps[at - 1].answers if at else ()


def _calls(step: StepTrace) -> Iterator[CallFact]:
    ended = [(call.started_at + call.seconds, call) for call in step.calls if call.seconds is not None]
    last = max(ended, key=lambda each: each[0])[1] if len(ended) > 1 else None
    for call in step.calls:
        cost = call.cost_usd
        yield CallFact(
            call.agent,
            call.failure.kind if call.failure else "",
            None if cost is None else float(cost),
            call.seconds,
            None if last is None else call is last,
        )


def _choices(trace: Trace, at: int) -> Iterator[ChoiceFact]:
    step = trace.steps[at]
    shows = STEP_TYPES[step.kind].shows_answers
    if shows is None:
        return
    orders = [_shown(call) for call in step.calls]
    shuffled = any(STEP_TYPES[each.kind].shuffles for each in trace.steps[:at])
    several = step.tally is not None and step.tally.of > 1
    random_order = shows == "in_random_order" or shuffled or several or len({*orders}) > 1
    for call, shown in zip(step.calls, orders, strict=True):
        named = verdict(call)
        if named and len(shown) > 1:
            yield ChoiceFact(call.agent, step.kind, named[0], len(shown), random_order)


def _shown(call: CallTrace) -> tuple[str, ...]:
    """Return the answers of a prompt, in its order."""
    return unfenced(next((message.content for message in call.messages if message.role == "system"), ""))


def _passes(step: StepTrace) -> Iterator[PassesFact]:
    tally, judges = step.tally, STEP_TYPES[step.kind].shows_answers is not None
    if judges and tally and tally.of > 1 and step.calls and not any(each.answers for each in tally.values):
        yield PassesFact(step.calls[0].agent, step.kind, tally.values[0].votes / tally.of)


def _ballots(step: StepTrace, answers: Sequence[Answer]) -> Iterator[BallotFact]:
    """Yield the members of a count of values."""
    tally = step.tally
    if tally is None or not all(each.answers for each in tally.values):
        return
    authors = {number: answer.agent for number, answer in enumerate(answers, 1)}
    decided, first = tally.values[0].votes * 2 > tally.of, tally.values[0].value
    weighted = any(each.weight is not None for each in tally.values)
    for member in dict.fromkeys(authors.values()):
        own = {number for number, author in authors.items() if author == member}
        mine = [each.value for each in tally.values if own & {*each.answers}]
        if len(own) < len(authors):
            dissents = bool(mine) and first not in mine
            changes = None if weighted else _winner(tally.values, own) != first
            yield BallotFact(member, dissents if decided else None, changes)


def _winner(values: Sequence[Votes], left_out: set[int]) -> str:
    """Return the most frequent value without some answers; of equal ones, that given first. Empty if none is left."""
    left = {each.value: sorted({*each.answers} - left_out) for each in values}
    counts = Counter({value: len(numbers) for value, numbers in left.items() if numbers})
    if not counts:
        return ""
    most = max(counts.values())
    return min((value for value, count in counts.items() if count == most), key=lambda value: left[value][0])
