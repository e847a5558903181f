"""The advice as a whole: findings of all evaluations and runs, one correction for all checks, and what follows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.evaluation.advice import checks
from moa_mcp.evaluation.advice.aggregation import aggregation, aggregation_checks
from moa_mcp.evaluation.advice.alternatives import alternative_checks, alternatives, others, sampled, selves
from moa_mcp.evaluation.advice.cascades import Divided, calibration, cascade, cascade_checks, divided
from moa_mcp.evaluation.advice.checks import LEVEL, Check, Decided, decided
from moa_mcp.evaluation.advice.facts import RunFacts
from moa_mcp.evaluation.advice.judges import judge_checks, judge_findings, judged
from moa_mcp.evaluation.advice.members import Pair, error_pairs, member_checks, pairs_of, qualities
from moa_mcp.evaluation.advice.panel import Panel, panels
from moa_mcp.evaluation.advice.recorded import by_pipeline, recorded_checks, recorded_pipeline, usd_per_call
from moa_mcp.evaluation.advice.snippets import Snippets
from moa_mcp.evaluation.advice.values import Advice, Missing, PanelFindings, UsedEvaluation
from moa_mcp.evaluation.result import Evaluation


class Examined(Struct, frozen=True):
    """A panel with what is computed once for its findings and its checks."""

    panel: Panel
    pairs: tuple[Pair, ...]
    cascade: Divided | None

    @property
    def is_scored(self) -> bool:
        """Whether its samples have scores."""
        return any(self.panel.samples)


def advise(
    evaluations: Mapping[str, Evaluation],
    runs: Sequence[RunFacts],
    *,
    pipelines: Collection[str] = (),
    snippets: Snippets | None = None,
    simulated: bool = False,
    seed: int = 0,
) -> Advice:
    """Return what to change, from evaluations by the name of their file, the newest first, and from recorded runs.

    Without names of `pipelines`, it is about all. `seed` divides the questions for the threshold of a cascade.
    """
    snippets = snippets or Snippets()
    recorded = {name: each for name, each in by_pipeline(runs).items() if not pipelines or name in pipelines}
    examined = [*_examined([*evaluations.values()], recorded, pipelines, seed)]
    pairs = [each for each in judged(evaluations.values()) if not pipelines or each.contestant in pipelines]
    every: list[Check] = [check for each in examined if each.is_scored for check in _checks(each, snippets)]
    every += judge_checks(pairs)
    every += [check for name, own in recorded.items() for check in recorded_checks(name, own, snippets)]
    found = decided(every)
    return Advice(
        simulated=simulated,
        level=LEVEL,
        checks=len(every),
        evaluations=tuple(_used(file, each) for file, each in evaluations.items()),
        runs=sum(map(len, recorded.values())),
        recommendations=checks.recommendations(found),
        undecided=checks.undecided(found),
        panels=tuple(_findings(each, found, snippets) for each in examined),
        judges=judge_findings(pairs),
        recorded=tuple(recorded_pipeline(name, own) for name, own in recorded.items()),
    )


def _examined(
    evaluations: Sequence[Evaluation],
    recorded: Mapping[str, Sequence[RunFacts]],
    pipelines: Collection[str],
    seed: int,
) -> Iterator[Examined]:
    for each in panels(evaluations):
        if not pipelines or each.name in pipelines:
            panel = replace(each, member_costs=usd_per_call(recorded.get(each.name, ())))
            yield Examined(panel, pairs_of(panel), divided(panel, seed) if panel.has_values else None)


def _checks(examined: Examined, snippets: Snippets) -> Iterator[Check]:
    panel = examined.panel
    yield from member_checks(panel, examined.pairs, snippets)
    yield from aggregation_checks(panel, snippets)
    yield from alternative_checks(panel, snippets)
    yield from cascade_checks(panel, examined.cascade, snippets)


def _findings(examined: Examined, found: Sequence[Decided], snippets: Snippets) -> PanelFindings:
    panel, missing = examined.panel, tuple(_missing(examined))
    bare = PanelFindings(
        pipeline=panel.name,
        n=sum(map(bool, panel.samples)),
        scoring=panel.scoring,
        members=(),
        pairs=(),
        aggregation=None,
        selves=(),
        alternatives=(),
        calibration=(),
        cascade=None,
        missing=missing,
    )
    if not examined.is_scored:
        return bare
    members = qualities(panel, found)
    samples = round(float(panel.first_calls.mean()))
    return bare.model_copy(
        update={
            "members": members,
            "self_toml": snippets.sampled(panel, members[0].model, samples) if "self" in missing else None,
            "pairs": error_pairs(panel, examined.pairs),
            "aggregation": aggregation(panel),
            "selves": selves(panel),
            "alternatives": alternatives(panel),
            "calibration": calibration(panel) if panel.has_values else (),
            "cascade": None if examined.cascade is None else cascade(examined.cascade),
        }
    )


def _missing(examined: Examined) -> Iterator[Missing]:
    panel = examined.panel
    if not any(each.samples for each in panel.outcomes):
        yield "samples"
    elif not examined.is_scored:
        yield "scores"
    elif not panel.has_values:
        yield "values"
    if len(panel.members) > 1 and not sampled(panel) and not any(kind == "self" for _, kind in others(panel)):
        yield "self"


def _used(file: str, evaluation: Evaluation) -> UsedEvaluation:
    return UsedEvaluation(
        source=evaluation.source,
        digest=evaluation.digest,
        created_at=evaluation.created_at,
        questions=len(evaluation.questions),
        file=file,
    )
