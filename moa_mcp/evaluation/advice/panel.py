"""A pipeline with the scored samples of its first step, from one or several evaluations, as arrays by question.

A question that several evaluations asked counts once, with its newest outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from math import isfinite

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from moa_mcp.evaluation.advice.values import Measured
from moa_mcp.evaluation.analysis.scores import is_failed
from moa_mcp.evaluation.result import AskedQuestion, Contestant, Evaluation, Interval, MemberSample, Outcome
from moa_mcp.evaluation.statistics import Figure, Floats, SampleBaselines, sample_baselines

_LEAST_AGREEING = 2
"""Samples that can agree."""


class PanelQuestion(Struct, frozen=True):
    """A question of an evaluation with what its contestants made of it."""

    question: AskedQuestion
    cluster: str | None
    outcomes: dict[str, Outcome]
    """By contestant."""


class Panel(Struct, frozen=True, dict=True):
    """A pipeline on its questions; all arrays have the shape (questions,), NaN where there is no score."""

    contestant: Contestant
    scoring: str
    asked: tuple[PanelQuestion, ...]
    others: tuple[Contestant, ...] = ()
    """Other contestants of the same evaluations."""
    member_costs: dict[str, float] = field(default_factory=dict[str, float])
    """US dollars of a call by member, from recorded runs, where the samples have no cost."""

    @property
    def name(self) -> str:
        """The name of the pipeline."""
        return self.contestant.name

    @property
    def way(self) -> str:
        """How the values of all questions were compared; `auto` if their right answers are of several kinds."""
        questions = [each.question for each in self.asked]
        if self.scoring != "auto":
            return self.scoring
        if all(each.choices for each in questions):
            return "choice"
        return "number" if all(_is_number(each.answer) and not each.choices for each in questions) else "auto"

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Those of the pipeline."""
        return tuple(each.outcomes[self.name] for each in self.asked)

    @cached_property
    def clusters(self) -> list[str] | None:
        """The labels of the questions; None if none has one."""
        if not any(each.cluster for each in self.asked):
            return None
        return [each.cluster or f"question {number}" for number, each in enumerate(self.asked)]

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The models with scored samples, in the order of the first step."""
        return tuple(dict.fromkeys(sample.model for each in self.samples for sample in each))

    @cached_property
    def result(self) -> Floats:
        """The scores of the pipeline."""
        return scores(self.outcomes)

    @cached_property
    def samples(self) -> tuple[tuple[MemberSample, ...], ...]:
        """The scored samples of each question."""
        return tuple(tuple(one for one in each.samples if one.score is not None) for each in self.outcomes)

    @cached_property
    def baselines(self) -> SampleBaselines:
        """Single samples, majorities and the best of the samples."""
        return baselines(self.samples)

    def member(self, model: str) -> Floats:
        """Return the mean score of a member's samples."""
        return np.array([_mean([one.score for one in each if one.model == model]) for each in self.samples])

    def member_instead(self, model: str) -> Floats:
        """Return the same for a member that is to be used instead: where it alone gave no answer, it is wrong."""
        own = self.member(model)
        return np.where(np.isnan(own) & np.array([bool(each) for each in self.samples]), 0.0, own)

    def first_sample(self, model: str) -> Floats:
        """Return the score of a member's first sample."""
        firsts = ([one.score for one in each if one.model == model][:1] for each in self.samples)
        return np.array([_mean(each) for each in firsts])

    def first_values(self, model: str) -> list[str | None]:
        """Return the value of a member's first sample."""
        firsts = ([one.extracted for one in each if one.model == model][:1] for each in self.samples)
        return [next(iter(each), None) for each in firsts]

    @cached_property
    def majority(self) -> Floats:
        """The score of the majority of all samples of a question, where ties share."""
        return last_column(self.baselines.majority)

    @cached_property
    def oracle(self) -> Floats:
        """The score of the best sample."""
        return last_column(self.baselines.best)

    @cached_property
    def agreement(self) -> Floats:
        """The share of the most frequent value among all answers of the first step; NaN without values."""
        return np.array([_agreement(each) for each in self.samples])

    @cached_property
    def is_tied(self) -> NDArray[np.bool_]:
        """Whether several values are the most frequent ones."""
        return np.array([_is_tied(each) for each in self.samples])

    @property
    def has_values(self) -> bool:
        """Whether samples have values that can be counted."""
        return any(one.extracted is not None for each in self.samples for one in each)

    @property
    def is_binary(self) -> bool:
        """Whether all samples are right or wrong."""
        return all(one.score in {0, 1} for each in self.samples for one in each)

    @cached_property
    def calls(self) -> Floats:
        """The calls of the pipeline."""
        return np.array([each.calls for each in self.outcomes])

    @cached_property
    def first_calls(self) -> Floats:
        """The calls of its first step, as far as they were answered."""
        return np.array([float(len(each.samples)) for each in self.outcomes])

    def other(self, name: str) -> tuple[Outcome | None, ...]:
        """Return the outcomes of another contestant on these questions."""
        return tuple(each.outcomes.get(name) for each in self.asked)

    def usd_per_call(self, model: str) -> float | None:
        """Return the mean cost of a member's samples; None if it is unknown."""
        costs = [one.cost_usd for each in self.outcomes for one in each.samples if one.model == model]
        known = [float(each) for each in costs if each is not None]
        return sum(known) / len(known) if known else self.member_costs.get(model)

    def usd_alone(self, model: str) -> float | None:
        """Return the mean cost of a call of a member that shares its prompt with no other; None if it is unknown.

        It is that of a baseline. A member that is none has its share.
        """
        singles = [each.name for each in self.others if each.kind == "model" and each.name == f"one:{model}"]
        found = [each for name in singles for each in self.other(name) if each is not None and each.score is not None]
        known = [float(each.cost_usd) for each in found if each.cost_usd is not None and not each.unknown_costs]
        return sum(known) / len(known) if known else self.usd_per_call(model)

    @property
    def usd_of_first_step(self) -> float | None:
        """Mean US dollars per question; None if the cost of a member is unknown."""
        counts = Counter(one.model for each in self.outcomes for one in each.samples)
        total = 0.0
        for model, count in counts.items():
            cost = self.usd_per_call(model)
            if cost is None:
                return None
            total += count * cost
        return total / len(self.outcomes)


def panels(evaluations: Iterable[Evaluation]) -> Iterator[Panel]:
    """Yield the pipelines of evaluations, which come newest first, each as its newest version has it."""
    known: dict[str, list[tuple[Evaluation, Contestant]]] = {}
    for evaluation in evaluations:
        for each in evaluation.contestants:
            if each.kind == "pipeline":
                known.setdefault(each.name, []).append((evaluation, each))
    for versions in known.values():
        newest, contestant = versions[0]
        same = [
            evaluation
            for evaluation, each in versions
            if each.digest == contestant.digest and evaluation.settings.scoring == newest.settings.scoring
        ]
        asked = tuple(_asked(same, contestant.name))
        if asked:
            yield Panel(contestant, newest.settings.scoring, asked, tuple(_others(same, contestant.name)))


def _asked(evaluations: Sequence[Evaluation], name: str) -> Iterator[PanelQuestion]:
    seen: set[tuple[str, str | None]] = set()
    for evaluation in evaluations:
        by_question = {
            question: {each.contestant: each for each in outcomes}
            for question, outcomes in groupby(
                sorted(evaluation.outcomes, key=lambda each: each.question), key=lambda each: each.question
            )
        }
        for question in evaluation.questions:
            identity, outcomes = (question.question, question.answer), by_question.get(question.id, {})
            if name in outcomes and outcomes[name].status != "not_started" and identity not in seen:
                seen.add(identity)
                cluster = None if question.cluster is None else f"{evaluation.source}: {question.cluster}"
                yield PanelQuestion(question, cluster, outcomes)


def _others(evaluations: Sequence[Evaluation], name: str) -> Iterator[Contestant]:
    yield from {each.name: each for every in evaluations for each in every.contestants if each.name != name}.values()


def baselines(samples: Sequence[Sequence[MemberSample]]) -> SampleBaselines:
    """Return what single samples, majorities and the best of them score, by question."""
    return sample_baselines(
        [[one.score for one in each if one.score is not None] for each in samples],
        [[one.extracted for one in each] for each in samples],
    )


def scores(outcomes: Iterable[Outcome | None]) -> Floats:
    """Return the scores of outcomes, NaN where there is none."""
    return np.array([np.nan if each is None or each.score is None else each.score for each in outcomes])


def scores_instead(outcomes: Iterable[Outcome | None]) -> Floats:
    """Return the same for a contestant that is to be used instead: a failure is wrong."""
    return np.array(
        [
            np.nan if each is None else 0.0 if is_failed(each) else np.nan if each.score is None else each.score
            for each in outcomes
        ]
    )


def last_column(table: Floats) -> Floats:
    """Return the last known value of each row: that of all samples of a question."""
    known = [row[~np.isnan(row)] for row in table]
    return np.array([row[-1] if row.size else np.nan for row in known])


def measured(figure: Figure, n: int) -> Measured:
    """Return a figure with its number of questions."""
    return Measured(value=figure.value, interval=Interval(figure.low, figure.high), n=n)


def _is_number(answer: str | None) -> bool:
    try:
        return answer is not None and isfinite(float(answer.replace(",", "")))
    except ValueError:
        return False


def _mean(values: Sequence[float | None]) -> float:
    known = [each for each in values if each is not None]
    return sum(known) / len(known) if known else float("nan")


def _agreement(samples: Sequence[MemberSample]) -> float:
    values = [one.extracted for one in samples if one.extracted is not None]
    if not values or len(samples) < _LEAST_AGREEING:
        return float("nan")
    return max(values.count(each) for each in values) / len(samples)


def _is_tied(samples: Sequence[MemberSample]) -> bool:
    counts = Counter(one.extracted for one in samples if one.extracted is not None).most_common(2)
    return len(counts) > 1 and counts[0][1] == counts[1][1]
