"""The members of a panel: how right each is, who is beaten, who is the only one to be right, and who are one voice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations

import numpy as np
from msgspec import Struct

from moa_mcp.evaluation.advice.checks import Check, Decided
from moa_mcp.evaluation.advice.gains import usd_per_1000
from moa_mcp.evaluation.advice.panel import Panel, measured
from moa_mcp.evaluation.advice.snippets import Snippets
from moa_mcp.evaluation.advice.values import ErrorPair, Measured, MemberQuality, PriceEffect
from moa_mcp.evaluation.statistics import Figure, Floats, JointErrors, PairedGain, joint_errors, mean_score, paired_gain
from moa_mcp.panels.makers import known_maker

SAME_VOICE = 0.6
"""The overlap of errors above which two members are nearly one voice."""
APART = 0.15
"""How much more their errors must overlap than those of the other pairs: hard questions make all members wrong."""
_PAIR = 2


class Pair(Struct, frozen=True):
    """Two members, with the questions that tell about both."""

    first: str
    second: str
    joint: JointErrors
    overlapping: Floats
    """1 or 0 for both wrong, NaN where neither is."""
    same_value: Floats
    """1 or 0 for the same value where both are wrong, else NaN."""

    @property
    def overlap(self) -> float:
        """The share of the errors of either that both make; NaN without errors."""
        return _share(self.overlapping)


def pairs_of(panel: Panel) -> tuple[Pair, ...]:
    """Return the pairs of different members; empty if scores are not 0 or 1."""
    if not panel.is_binary:
        return ()
    scores = {model: panel.first_sample(model) for model in panel.members}
    joint = {(each.first, each.second): each for each in joint_errors(scores, panel.clusters)}
    pairs = (joint[names] for names in combinations(panel.members, 2))
    return tuple(_pair(panel, scores, each) for each in pairs if each.questions)


def _pair(panel: Panel, scores: dict[str, Floats], joint: JointErrors) -> Pair:
    one, two = scores[joint.first], scores[joint.second]
    both = (1 - one) * (1 - two)
    overlapping = np.where(one + two < _PAIR, both, np.nan)
    values = zip(panel.first_values(joint.first), panel.first_values(joint.second), strict=True)
    same = np.array([np.nan if a is None or b is None else float(a == b) for a, b in values])
    return Pair(joint.first, joint.second, joint, overlapping, np.where(both == 1, same, np.nan))


def qualities(panel: Panel, found: Sequence[Decided]) -> tuple[MemberQuality, ...]:
    """Return each member, the best first."""
    made = (_quality(panel, model, found) for model in panel.members)
    return tuple(sorted(made, key=lambda each: -each.score.value))


def _quality(panel: Panel, model: str, found: Sequence[Decided]) -> MemberQuality:
    score = mean_score(panel.member(model), panel.clusters)
    usd = panel.usd_per_call(model)
    given = sum(one.model == model for each in panel.samples for one in each)
    beaten = [each for each in found if each.check.kind == "weak_member" and each.check.pipeline == panel.name]
    return MemberQuality(
        model=model,
        maker=known_maker(model),
        score=measured(score.mean, score.questions),
        unique=_measured_share(panel, _unique(panel, model)),
        samples=given / score.questions,
        usd_per_1000=None if usd is None else 1000 * usd,
        beaten_by=tuple(
            each.check.subjects[1] for each in beaten if each.check.subjects[0] == model and _is_beaten(panel, each)
        ),
    )


def _is_beaten(panel: Panel, each: Decided) -> bool:
    weaker, better = each.check.subjects
    return each.is_found and _affordable(panel, weaker, better)


def _unique(panel: Panel, model: str) -> Floats:
    """Return 1 where a member is right and all others are wrong; empty if that can't be told."""
    others = [panel.member(each) for each in panel.members if each != model]
    if not others or not panel.is_binary:
        return np.empty(0)
    own = panel.member(model)
    missing = np.isnan(own) | np.isnan(others).any(axis=0)
    alone = (own > 0) & (np.nan_to_num(others).max(axis=0) == 0)
    return np.where(missing, np.nan, alone.astype(float))


def error_pairs(panel: Panel, pairs: Sequence[Pair]) -> tuple[ErrorPair, ...]:
    """Return how errors go together, the pairs that overlap most first."""
    return tuple(_error_pair(panel, each) for each in sorted(pairs, key=lambda each: -np.nan_to_num(each.overlap)))


def _error_pair(panel: Panel, pair: Pair) -> ErrorPair:
    joint = pair.joint
    makers = {known_maker(pair.first), known_maker(pair.second)}
    return ErrorPair(
        first=pair.first,
        second=pair.second,
        both_wrong=measured(joint.both_wrong, joint.questions),
        if_independent=joint.if_independent,
        overlap=_measured_share(panel, pair.overlapping),
        same_answer=_measured_share(panel, pair.same_value),
        association=None if joint.association is None else measured(joint.association, joint.questions),
        maker=makers.pop() if len(makers) == 1 else None,
    )


def _measured_share(panel: Panel, flags: Floats) -> Measured | None:
    """Return the mean of flags with its interval; None if there are none."""
    if not flags.size or np.isnan(flags).all():
        return None
    share = mean_score(flags, panel.clusters)
    return measured(share.mean, share.questions)


def member_checks(panel: Panel, pairs: Sequence[Pair], snippets: Snippets) -> Iterator[Check]:
    """Yield what the members give reason to check: two by two, who is weaker, and whether they are one voice."""
    for first, second in combinations(panel.members, 2):
        yield _weaker(panel, first, second, snippets)
    for pair in pairs:
        yield _one_voice(panel, pair, [each for each in pairs if each is not pair])


def _weaker(panel: Panel, first: str, second: str, snippets: Snippets) -> Check:
    if np.nansum(panel.member(first) - panel.member(second)) > 0:
        first, second = second, first
    weaker, better = panel.member(first), panel.member_instead(second)

    def measure(level: float) -> PairedGain:
        return paired_gain(better, weaker, panel.clusters, level=level)

    known = better[~np.isnan(better - weaker)] - weaker[~np.isnan(better - weaker)]
    unique = _measured_share(panel, _unique(panel, first))
    dispensable = unique is None or (len(known) > 0 and unique.interval.high < known.mean())
    return Check(
        "weak_member",
        panel.name,
        (first, second),
        len(known),
        measure,
        price=_replaced(panel, first, second),
        eligible=dispensable and _affordable(panel, first, second),
        toml=partial(snippets.replaced, panel, first, second),
    )


def _affordable(panel: Panel, weaker: str, better: str) -> bool:
    """Whether the better one is not dearer, as far as prices are known."""
    one, two = panel.usd_per_call(weaker), panel.usd_per_call(better)
    return one is None or two is None or two <= one


def _replaced(panel: Panel, weaker: str, better: str) -> PriceEffect:
    calls, before = float(panel.calls.mean()), usd_per_1000(panel)
    one, two = panel.usd_per_call(weaker), panel.usd_per_call(better)
    shares = sum(sample.model == weaker for each in panel.outcomes for sample in each.samples) / len(panel.outcomes)
    after = None if before is None or one is None or two is None else before + 1000 * shares * (two - one)
    return PriceEffect(calls_before=calls, calls_after=calls, usd_per_1000_before=before, usd_per_1000_after=after)


def _one_voice(panel: Panel, pair: Pair, others: Sequence[Pair]) -> Check:
    def measure(level: float) -> Figure:
        return mean_score(pair.overlapping, panel.clusters, level=level).mean

    usual = np.array([each.overlap for each in others])
    apart = not others or np.isnan(usual).all() or pair.overlap > np.nanmean(usual) + APART
    return Check(
        "same_voice",
        panel.name,
        (pair.second, pair.first),
        int((~np.isnan(pair.overlapping)).sum()),
        measure,
        threshold=SAME_VOICE,
        matters=0.1,
        price=without_call(panel, pair.second),
        eligible=bool(apart),
    )


def without_call(panel: Panel, model: str) -> PriceEffect:
    """Return the price without the samples of a member."""
    count = sum(sample.model == model for each in panel.outcomes for sample in each.samples) / len(panel.outcomes)
    calls, before, usd = float(panel.calls.mean()), usd_per_1000(panel), panel.usd_per_call(model)
    after = None if before is None or usd is None else before - 1000 * count * usd
    return PriceEffect(
        calls_before=calls, calls_after=calls - count, usd_per_1000_before=before, usd_per_1000_after=after
    )


def _share(flags: Floats) -> float:
    known = flags[~np.isnan(flags)]
    return float(known.mean()) if known.size else float("nan")
