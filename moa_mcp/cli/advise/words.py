"""The words of the advice: what to change, why, at what price, and how sure that is."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping

from moa_mcp.evaluation.advice.values import Advice, Kind, PriceEffect, Recommendation, Undecided
from moa_mcp.evaluation.report import numbers
from moa_mcp.evaluation.report.numbers import counted, points, spread
from moa_mcp.evaluation.report.words import called

_NAMED = 3
"""Pipelines that an example names."""
_SHOWN = 8
"""Undecided changes that are shown."""


def evaluation_command(pipelines: Iterable[str]) -> str:
    """Return the command that makes an evaluation of pipelines."""
    named = ",".join([*pipelines][:_NAMED])
    return shlex.join(["moa-mcp", "eval", "questions.jsonl", *(["--pipelines", named] if named else [])])


def basis(found: Advice) -> str:
    """Return what the advice rests on."""
    questions = sum(each.questions for each in found.evaluations)
    parts = [f"{counted(len(found.evaluations), 'evaluation')} with {counted(questions, 'question')}"]
    parts = [*(parts if found.evaluations else []), *([counted(found.runs, "recorded run")] if found.runs else [])]
    return f"Advice from {' and '.join(parts)}. No model is called."


def title(each: Recommendation) -> str:
    """Return what to change."""
    where = f"{each.pipeline}: " if each.pipeline else ""
    return f"{where}{_change(each.kind, each.subjects)}"


_CHANGES: Mapping[Kind, str] = {
    "weak_member": "replace {first}, such as by another sample of {second}",
    "same_voice": "replace {first}, which is nearly the same voice as {second}",
    "other_aggregator": "use another aggregator after the first step",
    "vote": "a majority vote in place of the steps after the first",
    "single": "{one} in its place",
    "self": "{several} in its place",
    "cascade": "stop after the first step where {share} % of its answers agree",
    "other_judge": "use another judge than {first} for pairwise evaluations",
    "more_passes": "several passes of the step {second}, whose judge {first} prefers the first place",
    "failing_member": "replace {first} or give it another route",
    "idle_member": "leave {first} out of the vote",
}


def _change(kind: Kind, subjects: tuple[str, ...]) -> str:
    first, second = (*subjects, "")[:2]
    named, several = called(first), f"the majority of {second} samples of {first}"
    return _CHANGES[kind].format(
        first=first,
        second=second,
        one=f"one call of {first}" if named == first else named,
        several=several if second else named,
        share=points(float(first)) if kind == "cascade" else "",
    )


def reasons(each: Recommendation) -> Iterator[str]:
    """Yield why, and what it does to the price."""
    yield f"{_because(each)} ({spread(each.effect.interval)}; {_of(each)})."
    if each.kind in _BESIDES:
        yield _BESIDES[each.kind]
    yield f"Price: {price(each.price, each.kind)}."


_BECAUSE: Mapping[Kind, str] = {
    "weak_member": "{second} scores {value} points more on the same questions",
    "same_voice": "Where one of the two is wrong, both are wrong in {value} %",
    "other_aggregator": "A random one of its answers scores {value} points more than its result",
    "vote": "The majority of the same answers scores {value} points more than the result",
    "single": "It scores {value} points more on the same questions",
    "self": "It scores {value} points more on the same questions",
    "cascade": (
        "On the half of the questions that the threshold was not chosen on, it scores {gain} points against the whole "
        "pipeline"
    ),
    "other_judge": "The answer in the {second} place wins {value} points more often than half",
    "more_passes": "It puts the first place first {value} points more often than a random choice would",
    "failing_member": "{value} % of its calls fail",
    "idle_member": "Without it, {value} % of the results would be different",
}


def _because(each: Recommendation) -> str:
    return _BECAUSE[each.kind].format(
        second=(*each.subjects, "")[1],
        value=points(abs(each.effect.value)),
        gain=points(each.effect.value, signed=True),
    )


_BESIDES: Mapping[Kind, str] = {
    "weak_member": "It is almost never the only member that is right.",
    "same_voice": "Choose a model of another maker, whose errors differ.",
    "other_aggregator": "The right answer is often there and lost after the first step.",
    "vote": "The right answer is often there and lost after the first step.",
    "other_judge": ("Both orders of each pair balance it in the win rate, but the verdicts say less than they could."),
}


_UNITS: Mapping[Kind, str] = {
    "other_judge": "pair",
    "more_passes": "verdict",
    "failing_member": "call",
    "idle_member": "vote",
}


def _of(each: Recommendation) -> str:
    count = counted(each.effect.n, _UNITS.get(each.kind, "question"))
    return f"{count} with an error" if each.kind == "same_voice" else count


_OTHER_MODEL: frozenset[Kind] = frozenset({"same_voice", "other_aggregator", "failing_member"})
"""What another model takes over, whose price is not known."""


def price(effect: PriceEffect, kind: Kind) -> str:
    """Return what a change does to the price."""
    if kind == "other_judge":
        return "that of the other judge"
    if kind == "more_passes":
        return "two more calls of the judge per question"
    parts = [*_calls(effect), *_dollars(effect)]
    if kind not in _OTHER_MODEL:
        return ", ".join(parts) or "unknown"
    without = f"{', '.join(parts)} without it, and " if kind == "same_voice" and parts else ""
    return f"{without}that of the other model for its calls"


def _calls(effect: PriceEffect) -> Iterator[str]:
    before, after = effect.calls_before, effect.calls_after
    if before is not None and after is not None:
        old, new = numbers.calls(before), numbers.calls(after)
        yield f"{new} calls per question, as before" if old == new else f"{new} instead of {old} calls per question"


def _dollars(effect: PriceEffect) -> Iterator[str]:
    before, after = effect.usd_per_1000_before, effect.usd_per_1000_after
    if before is not None and after is not None:
        yield f"{numbers.dollars(after)} instead of {numbers.dollars(before)} per 1000 questions"
    elif after is not None:
        yield f"{numbers.dollars(after)} per 1000 questions"
    elif before is not None:
        yield f"unknown instead of {numbers.dollars(before)} per 1000 questions"


def how_sure(found: Advice) -> Iterator[str]:
    """Yield what the intervals mean, and which recommendations exclude each other."""
    if found.checks:
        yield (
            f"The intervals of recommendations hold together for all {counted(found.checks, 'check')} with "
            f"{100 * found.level:g} % confidence; those of the tables are of 95 % each."
        )
    places = [each.pipeline for each in found.recommendations if each.aim != "sounder"]
    if len(places) != len(set(places)):
        yield "Several changes of one pipeline were measured one by one: make one, then evaluate again."


def shortest(undecided: Iterable[Undecided]) -> Iterator[Undecided]:
    """Yield one undecided change of each kind and pipeline: that which the fewest questions would decide."""
    seen: set[tuple[Kind, str]] = set()
    for each in undecided:
        if (each.kind, each.pipeline) not in seen and len(seen) < _SHOWN:
            seen.add((each.kind, each.pipeline))
            yield each


def undecided_change(each: Undecided) -> str:
    """Return a change that is not decided."""
    where = f"{each.pipeline}: " if each.pipeline else ""
    return f"{where}{_change(each.kind, each.subjects)}"


def unit_of(kind: Kind) -> str:
    """Return what an undecided change is counted in, in the plural."""
    return f"{_UNITS.get(kind, 'question')}s"
