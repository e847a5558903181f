"""What recorded runs say about pipelines, without labels: failures, costs, time, dissent, and preferred places.

Calls of one run are not independent of each other, so that intervals are by run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from moa_mcp.evaluation.advice.checks import Check
from moa_mcp.evaluation.advice.facts import BallotFact, CallFact, ChoiceFact, RunFacts
from moa_mcp.evaluation.advice.panel import measured
from moa_mcp.evaluation.advice.snippets import Snippets
from moa_mcp.evaluation.advice.values import (
    Cause,
    Measured,
    PriceEffect,
    RecordedJudge,
    RecordedMember,
    RecordedPipeline,
)
from moa_mcp.evaluation.statistics import Figure, mean_score
from moa_mcp.evaluation.statistics.ratios import share_of_sum

FAILING = 0.05
"""The share of failed calls above which a member is named."""
IDLE = 0.02
"""The share of votes below which a member that changes the result counts as one that never does."""
PLACED = 0.05
"""How much more often than at random a judge may choose the first place."""
_MOST_CAUSES = 5

Flags = list[tuple[str, float]]
"""1 or 0, each with its run."""


def by_pipeline(facts: Iterable[RunFacts]) -> dict[str, list[RunFacts]]:
    """Return runs by pipeline, that with the most runs first."""
    found: defaultdict[str, list[RunFacts]] = defaultdict(list)
    for each in facts:
        found[each.pipeline].append(each)
    return dict(sorted(found.items(), key=lambda each: -len(each[1])))


def recorded_pipeline(name: str, runs: Sequence[RunFacts]) -> RecordedPipeline:
    """Return what the runs of a pipeline say."""
    members = dict.fromkeys(call.agent for run in runs for call in run.calls)
    judges = dict.fromkeys((each.judge, each.step) for run in runs for each in run.choices)
    ballots = [(run.run_id, each) for run in runs for each in run.ballots if each.dissents is not None]
    return RecordedPipeline(
        pipeline=name,
        runs=len(runs),
        failed=_sure([(run.run_id, float(run.has_failed)) for run in runs]),
        degraded=_sure([(run.run_id, float(bool(run.causes))) for run in runs]),
        causes=tuple(_causes(runs)),
        members=tuple(_member(runs, each) for each in members),
        judges=tuple(_judge(runs, *each) for each in judges),
        agreement=dict(Counter(run.agreement for run in runs if run.agreement).most_common()),
        dissent=_share([(run_id, float(bool(each.dissents))) for run_id, each in ballots]),
    )


def usd_per_call(runs: Iterable[RunFacts]) -> dict[str, float]:
    """Return the mean known cost of a call by model."""
    costs: defaultdict[str, list[float]] = defaultdict(list)
    for call in (call for run in runs for call in run.calls):
        if call.usd is not None and not call.failure:
            costs[call.agent].append(call.usd)
    return {agent: sum(each) / len(each) for agent, each in costs.items()}


def _sure(flags: Flags) -> Measured:
    share = mean_score([flag for _, flag in flags])
    return measured(share.mean, share.questions)


def _share(flags: Flags) -> Measured | None:
    if not flags:
        return None
    figure = _figure(flags, 0.95)
    return measured(figure, len(flags))


def _figure(flags: Flags, level: float) -> Figure:
    return mean_score([flag for _, flag in flags], [run for run, _ in flags], level=level).mean


def _causes(runs: Sequence[RunFacts]) -> Iterator[Cause]:
    texts = Counter(cause for run in runs for cause in run.causes)
    for text, count in texts.most_common(_MOST_CAUSES):
        yield Cause(text=text, runs=count, example=next(run.run_id for run in runs if text in run.causes))


def _calls(runs: Sequence[RunFacts], model: str) -> list[tuple[str, CallFact]]:
    return [(run.run_id, call) for run in runs for call in run.calls if call.agent == model]


def _ballots(runs: Sequence[RunFacts], model: str) -> list[tuple[str, BallotFact]]:
    return [(run.run_id, each) for run in runs for each in run.ballots if each.member == model]


def _failed(runs: Sequence[RunFacts], model: str) -> Flags:
    return [(run, float(bool(call.failure))) for run, call in _calls(runs, model)]


def _changed(runs: Sequence[RunFacts], model: str) -> Flags:
    return [(run, float(each.changes)) for run, each in _ballots(runs, model) if each.changes is not None]


def _member(runs: Sequence[RunFacts], model: str) -> RecordedMember:
    calls, ballots = _calls(runs, model), _ballots(runs, model)
    costs = [call.usd for _, call in calls if call.usd is not None]
    took = [call.seconds for _, call in calls if call.seconds is not None]
    failed = _failed(runs, model)
    return RecordedMember(
        model=model,
        failed=measured(_figure(failed, 0.95), len(failed)),
        failures=dict(Counter(call.failure for _, call in calls if call.failure).most_common()),
        cost_share=_part(runs, model, [[(call.agent, call.usd) for call in run.calls] for run in runs]),
        usd_per_call=sum(costs) / len(costs) if costs else None,
        seconds_share=_part(runs, model, [[(call.agent, call.seconds) for call in run.calls] for run in runs]),
        seconds=sum(took) / len(took) if took else None,
        slowest=_share([(run, float(call.slowest)) for run, call in calls if call.slowest is not None]),
        dissents=_share([(run, float(each.dissents)) for run, each in ballots if each.dissents is not None]),
        changes=_share(_changed(runs, model)),
    )


def _part(
    runs: Sequence[RunFacts], model: str, amounts: Sequence[Sequence[tuple[str, float | None]]]
) -> Measured | None:
    """Return a model's share of amounts, such as of the known costs; None if they are all unknown or 0."""
    totals = [sum(amount or 0.0 for _, amount in each) for each in amounts]
    parts = [sum(amount or 0.0 for agent, amount in each if agent == model) for each in amounts]
    return measured(share_of_sum(parts, totals), len(runs)) if sum(totals) > 0 else None


def _chosen(runs: Sequence[RunFacts], judge: str, step: str) -> list[tuple[str, ChoiceFact]]:
    """Return the choices of a judge: those in a random order if there are any, since only these tell a preference."""
    found = [(run.run_id, each) for run in runs for each in run.choices if (each.judge, each.step) == (judge, step)]
    return [(run, each) for run, each in found if each.random_order] or found


def _judge(runs: Sequence[RunFacts], judge: str, step: str) -> RecordedJudge:
    chosen = _chosen(runs, judge, step)
    passes = [
        (run.run_id, each.agreeing) for run in runs for each in run.passes if (each.judge, each.step) == (judge, step)
    ]
    return RecordedJudge(
        judge=judge,
        step=step,
        first_place=_sure_of(chosen),
        expected=float(np.mean([1 / each.answers for _, each in chosen])),
        random_order=all(each.random_order for _, each in chosen),
        consistency=_share(passes),
    )


def _sure_of(chosen: Sequence[tuple[str, ChoiceFact]]) -> Measured:
    return measured(_figure([(run, float(each.place == 1)) for run, each in chosen], 0.95), len(chosen))


def recorded_checks(name: str, runs: Sequence[RunFacts], snippets: Snippets) -> Iterator[Check]:
    """Yield what runs without labels give reason to check."""
    for model in dict.fromkeys(call.agent for run in runs for call in run.calls):
        failed, changed = _failed(runs, model), _changed(runs, model)
        yield Check("failing_member", name, (model,), len(failed), partial(_figure, failed), threshold=FAILING)
        if changed:
            yield _idle(name, model, changed, runs, snippets)
    for judge, step in dict.fromkeys((each.judge, each.step) for run in runs for each in run.choices):
        chosen = _chosen(runs, judge, step)
        if all(each.random_order for _, each in chosen):
            yield _placed(name, judge, step, chosen, snippets)


def _idle(name: str, model: str, changed: Flags, runs: Sequence[RunFacts], snippets: Snippets) -> Check:
    def measure(level: float) -> Figure:
        return _figure(changed, level).mapped(scale=-1.0)

    calls = sum(len(run.calls) for run in runs) / len(runs)
    own = len(_calls(runs, model)) / len(runs)
    known = usd_per_call(runs)
    total = _mean_cost(runs)
    after = None if total is None or model not in known else 1000 * (total - own * known[model])
    return Check(
        "idle_member",
        name,
        (model,),
        len(changed),
        measure,
        threshold=-IDLE,
        matters=IDLE,
        price=PriceEffect(
            calls_before=calls,
            calls_after=calls - own,
            usd_per_1000_before=None if total is None else 1000 * total,
            usd_per_1000_after=after,
        ),
        toml=partial(snippets.without, name, model),
        reverse=True,
    )


def _mean_cost(runs: Sequence[RunFacts]) -> float | None:
    costs = [[call.usd for call in run.calls] for run in runs]
    if any(usd is None for each in costs for usd in each):
        return None
    return sum(usd or 0.0 for each in costs for usd in each) / len(runs)


def _placed(name: str, judge: str, step: str, chosen: Sequence[tuple[str, ChoiceFact]], snippets: Snippets) -> Check:
    first = [(run, float(each.place == 1)) for run, each in chosen]
    expected = sum(1 / each.answers for _, each in chosen) / len(chosen)

    def measure(level: float) -> Figure:
        return _figure(first, level).mapped(shift=-expected)

    return Check(
        "more_passes",
        name,
        (judge, step),
        len(chosen),
        measure,
        threshold=PLACED,
        toml=partial(snippets.passes, name, step),
    )
