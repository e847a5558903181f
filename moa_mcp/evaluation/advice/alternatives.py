"""One model instead of a mix: a single call of it, or several samples of it, on the same questions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np

from moa_mcp.evaluation.advice.checks import Check
from moa_mcp.evaluation.advice.gains import gain_check, gain_of, whole_price
from moa_mcp.evaluation.advice.panel import Panel, baselines, last_column, measured, scores_instead
from moa_mcp.evaluation.advice.snippets import Snippets
from moa_mcp.evaluation.advice.values import Alternative, CurvePoint, PriceEffect, SelfConsistency
from moa_mcp.evaluation.result import Contestant
from moa_mcp.evaluation.statistics import Floats, mean_score

_SEVERAL = 2


def sampled(panel: Panel) -> tuple[str, ...]:
    """Return the members of a mix with several samples on each question."""
    if len(panel.members) < _SEVERAL or not panel.has_values:
        return ()
    return tuple(model for model in panel.members if np.nanmax(_counts(panel, model), initial=0) >= _SEVERAL)


def _counts(panel: Panel, model: str) -> Floats:
    return np.array([float(sum(one.model == model for one in each)) for each in panel.samples])


def selves(panel: Panel) -> tuple[SelfConsistency, ...]:
    """Return what several samples of one member score."""
    return tuple(_self(panel, model) for model in sampled(panel))


def _self(panel: Panel, model: str) -> SelfConsistency:
    table = _own(panel, model)
    points = [mean_score(column, panel.clusters) for column in table.T]
    return SelfConsistency(
        model=model,
        curve=tuple(
            CurvePoint(samples=number, score=measured(each.mean, each.questions))
            for number, each in enumerate(points, 1)
            if each.questions
        ),
        gain=gain_of(panel, last_column(table), panel.result),
    )


def _own(panel: Panel, model: str) -> Floats:
    """Return the scores of majorities of a member's samples, of shape (questions, samples)."""
    return baselines([[one for one in each if one.model == model] for each in panel.samples]).majority


def others(panel: Panel) -> tuple[tuple[Contestant, Literal["single", "self"]], ...]:
    """Return the contestants of one model that are not made of the pipeline's own samples."""
    found: list[tuple[Contestant, Literal["single", "self"]]] = []
    for each in panel.others:
        alone = len(set(each.models)) == 1 and each.derived_from != panel.name
        if alone and each.kind == "model":
            found.append((each, "single"))
        elif alone and each.kind in {"pipeline", "majority"} and len(panel.members) >= _SEVERAL:
            found.append((each, "self"))
    return tuple(found)


def alternatives(panel: Panel) -> tuple[Alternative, ...]:
    """Return the other contestants of one model, the largest gain first."""
    made = (_alternative(panel, *each) for each in others(panel))
    return tuple(sorted((each for each in made if each is not None), key=lambda each: -each.gain.value))


def _alternative(panel: Panel, other: Contestant, kind: Literal["single", "self"]) -> Alternative | None:
    gain = gain_of(panel, scores_instead(panel.other(other.name)), panel.result)
    if gain is None:
        return None
    price = _price_of(panel, other)
    return Alternative(
        contestant=other.name,
        kind=kind,
        gain=gain,
        calls=price.calls_after or 0.0,
        usd_per_1000=price.usd_per_1000_after,
    )


def _price_of(panel: Panel, other: Contestant) -> PriceEffect:
    """Return the price of another contestant; one that is derived from samples costs what these would cost alone."""
    outcomes = [each for each in panel.other(other.name) if each is not None]
    costs = [None if each.unknown_costs or each.cost_usd is None else float(each.cost_usd) for each in outcomes]
    known = [each for each in costs if each is not None]
    usd = 1000 * sum(known) / len(known) if known and len(known) == len(costs) and other.derived_from is None else None
    calls = sum(each.calls for each in outcomes) / len(outcomes) if outcomes else None
    return whole_price(panel).model_copy(update={"calls_after": calls, "usd_per_1000_after": usd})


def alternative_checks(panel: Panel, snippets: Snippets) -> Iterator[Check]:
    """Yield whether one call or several samples of one model are better than the pipeline."""
    if np.isnan(panel.result).all():
        return
    price = whole_price(panel)
    for model in panel.members:
        once, toml = _member_price(panel, model, 1, price), partial(snippets.single, panel, model)
        yield gain_check(panel, "single", (model,), panel.member_instead(model), price=once, toml=toml)
    for model in sampled(panel):
        count = int(np.nanmax(_counts(panel, model)))
        majority, toml = last_column(_own(panel, model)), partial(snippets.sampled, panel, model, count)
        yield gain_check(
            panel, "self", (model, str(count)), majority, price=_member_price(panel, model, count, price), toml=toml
        )
    for other, kind in others(panel):
        yield gain_check(
            panel, kind, (other.name,), scores_instead(panel.other(other.name)), price=_price_of(panel, other)
        )


def _member_price(panel: Panel, model: str, count: int, whole: PriceEffect) -> PriceEffect:
    usd = panel.usd_alone(model) if count == 1 else panel.usd_per_call(model)
    after = None if usd is None else 1000 * count * usd
    return whole.model_copy(update={"calls_after": float(count), "usd_per_1000_after": after})
