"""The samples of runs as answers of baselines: what one call scored, what most samples said, and the best of them.

A majority of k shares the score of tied values equally, as its expectation over random choices among them would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from statistics import fmean
from typing import NamedTuple

from moa_mcp.evaluation.contestants import Asking, Entrant, FreeBaseline
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.result import MemberSample, Outcome, OutcomeStatus
from moa_mcp.evaluation.scoring.score import AnswerScore, Scorer
from moa_mcp.evaluation.single_costs import SingleCost, mean_usd, single_cost
from moa_mcp.planning.estimate import Prices
from moa_mcp.trace.costs import known_cost
from moa_mcp.trace.trace import CallTrace, Trace


class SampleCall(NamedTuple):
    """A sample that came, with its score if scores are free."""

    number: int
    """Of its call in the first step, from 1."""
    call: CallTrace
    text: str
    cut: bool
    """Whether its token limit ended it."""
    cost_usd: Decimal | None = None
    """Its share of what the equal calls of its step cost, which may share requests; None if that is unknown."""
    single: SingleCost = SingleCost(None)
    """What such a call costs alone."""
    score: AnswerScore | None = None

    @property
    def sample(self) -> MemberSample:
        """The sample as the result has it."""
        score = self.score or AnswerScore(None)
        return MemberSample(
            number=self.number,
            model=self.call.agent,
            text=self.text,
            extracted=score.extracted,
            score=score.value,
            cost_usd=self.cost_usd,
        )


def samples_of(entrant: Entrant, trace: Trace, prices: Prices) -> list[SampleCall]:
    """Return the samples of a run that are single calls; those that failed or were not awaited are missing.

    `prices` are those of its models.
    """
    askings, first = entrant.bare.askings, trace.steps[:1]
    calls = {call.place.number: call for step in first for call in step.calls}
    found = {number: call for number in askings if (call := calls.get(number)) and call.agent == askings[number].model}
    equal = {number: _equal(number, found, askings) for number in found}
    return [
        SampleCall(
            number,
            call,
            call.completion.text,
            call.completion.cut,
            _share(equal[number]),
            single_cost(equal[number], prices),
        )
        for number, call in found.items()
        if call.completion is not None
    ]


def _equal(number: int, calls: Mapping[int, CallTrace], askings: Mapping[int, Asking]) -> list[CallTrace]:
    """Return the calls that ask the same as one of them."""
    return [call for other, call in calls.items() if askings[other] == askings[number]]


def _share(equal: Sequence[CallTrace]) -> Decimal | None:
    cost = known_cost(equal)
    return None if cost.unknown else mean_usd(cost.usd, len(equal))


async def scored(samples: Sequence[SampleCall], question: EvalQuestion, scorer: Scorer) -> list[SampleCall]:
    """Return samples with their scores. Equal texts are scored once."""
    by_text = {each.text: await scorer(question, each.text) for each in {each.text: each for each in samples}.values()}
    return [each._replace(score=by_text[each.text]) for each in samples]


def agreement(samples: Sequence[SampleCall]) -> float | None:
    """Return the share of the most frequent value among samples, of those without a value too; None if none has one."""
    values = Counter(each.score.extracted for each in samples if each.score and each.score.extracted is not None)
    return max(values.values()) / len(samples) if values else None


def chosen(free: FreeBaseline, samples: Sequence[SampleCall]) -> list[SampleCall]:
    """Return the samples that a baseline consists of."""
    return [each for each in samples if each.number in free.numbers]


def derived(
    free: FreeBaseline, question: EvalQuestion, own: Sequence[SampleCall], status: OutcomeStatus, problem: str
) -> Outcome:
    """Return the outcome of a baseline from its samples of a run; `status` and `problem` are those of the run."""
    if not own:
        ended = "failed" if status in {"complete", "degraded"} else status
        why = problem or f"no sample of {free.entrant.name} came"
        return Outcome(question=question.id, contestant=free.name, status=ended, problem=why)
    score, why = _score(free, own)
    cost = known_cost(each.call for each in own)
    calls = 1.0 if free.kind == "model" else float(len(own))
    return Outcome(
        question=question.id,
        contestant=free.name,
        status="degraded" if any(each.cut for each in own) else "complete",
        answer=own[0].text if free.kind == "model" else None,
        score=score,
        extracted=_extracted(free, own),
        why=why,
        problem=_unscored(own) if score is None else "",
        cost_usd=_cost_usd(free, own),
        unknown_costs=cost.unknown,
        calls=calls,
        seconds=_seconds(free, own),
        agreement=agreement(own),
    )


def _cost_usd(free: FreeBaseline, own: Sequence[SampleCall]) -> Decimal:
    """Return the known cost of one call alone, or of all samples together."""
    known = known_cost(each.call for each in own).usd
    if free.kind != "model":
        return known
    single = own[0].single.usd
    return mean_usd(known, len(own)) if single is None else single


def about_costs(free: FreeBaseline, own: Sequence[SampleCall]) -> str:
    """Return what a reader must know about the cost of a baseline; empty if it is exact."""
    if free.kind != "model" or not any(each.single.is_least for each in own):
        return ""
    return (
        f"{free.name}: its samples shared requests, and what a prompt costs is not known, so that its cost is a lower "
        "bound, with its share of each request."
    )


def _score(free: FreeBaseline, own: Sequence[SampleCall]) -> tuple[float | None, str]:
    """Return the score and why. Samples that could not be scored have no part in it."""
    found = [each.score for each in own if each.score is not None and each.score.value is not None]
    scores = [each.value for each in found if each.value is not None]
    if not scores:
        return None, next((each.score.why for each in own if each.score), "")
    if len(scores) == 1:
        return scores[0], found[0].why
    if free.kind == "best_of":
        return max(scores), f"the best of {_counted(scores)}"
    if free.kind == "model":
        return fmean(scores), f"the mean of {_counted(scores)}"
    votes = Counter(each.extracted for each in found)
    if len(votes) > 1:
        votes.pop(None, None)  # no vote, unless there is nothing else
    most = max(votes.values())
    tied = [value for value, count in votes.items() if count == most]
    by_value = {value: fmean(_values(found, value)) for value in tied}
    shown = " and ".join("no value" if value is None else repr(value) for value in tied)
    return fmean(by_value.values()), f"{shown}: {most} of {_samples(len(found))}{' each' if len(tied) > 1 else ''}"


def _values(scores: Sequence[AnswerScore], value: str | None) -> list[float]:
    return [each.value for each in scores if each.extracted == value and each.value is not None]


def _extracted(free: FreeBaseline, own: Sequence[SampleCall]) -> str | None:
    """Return the value of a single sample, or the most frequent value."""
    if free.kind != "majority":
        return own[0].score.extracted if len(own) == 1 and own[0].score else None
    values = Counter(each.score.extracted for each in own if each.score and each.score.extracted is not None)
    return values.most_common(1)[0][0] if values else None


def _unscored(own: Sequence[SampleCall]) -> str:
    """Return why samples have no score; empty if they are not scored but compared."""
    scores = [each.score for each in own if each.score is not None]
    problems = (text for each in scores for text in (each.problem, each.why) if text)
    return next(problems, "no sample could be scored") if scores else ""


def _seconds(free: FreeBaseline, own: Sequence[SampleCall]) -> float | None:
    """Return the seconds of one call on average, or of all samples, which are asked at the same time."""
    seconds = [each.call.seconds for each in own if each.call.seconds is not None]
    if not seconds:
        return None
    return fmean(seconds) if free.kind == "model" else max(seconds)


def _counted(scores: Sequence[float]) -> str:
    return f"{_samples(len(scores))}: {', '.join(f'{each:g}' for each in scores)}"


def _samples(count: int) -> str:
    return "1 sample" if count == 1 else f"{count} samples"


def missing(free: FreeBaseline, outcomes: Iterable[Outcome]) -> int:
    """Return how many samples of a baseline did not come, over the questions for which its pipeline has any of them."""
    of_pipeline = (each.samples for each in outcomes if each.contestant == free.entrant.name)
    came = [sum(one.number in free.numbers for one in samples) for samples in of_pipeline]
    return sum(len(free.numbers) - count for count in came if count)
