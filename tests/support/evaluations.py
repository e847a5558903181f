"""Evaluations with invented outcomes, whose scores depend on a common difficulty of each question."""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import Decimal
from zlib import crc32

from moa_mcp.evaluation.result import (
    AskedQuestion,
    Contestant,
    ContestantKind,
    EvalSettings,
    Evaluation,
    Outcome,
    Verdict,
)

PIPELINE, BASELINE = "self_moa", "one:gpt-5"
SKILLS: Mapping[str, float] = {
    BASELINE: 0.7,
    PIPELINE: 0.85,
    "moa_lite": 0.72,
    "majority:self_moa:6": 0.78,
    "best_of:self_moa:6": 0.93,
}
CALLS: Mapping[str, float] = {BASELINE: 1, PIPELINE: 7, "moa_lite": 10, "majority:self_moa:6": 6}
USD_PER_CALL = 0.0017


def evaluation(
    questions: int = 60,
    skills: Mapping[str, float] = SKILLS,
    *,
    seed: int = 1,
    clusters: int = 0,
    settings: EvalSettings | None = None,
) -> Evaluation:
    """Return an evaluation that is not analysed. `skills` has the probability of a right answer by contestant.

    Those whose names begin with ``one:`` are baselines.
    """
    rng = random.Random(seed)
    contestants = tuple(map(contestant, skills))
    asked = tuple(_question(number, clusters) for number in range(1, questions + 1))
    outcomes = [_outcome(each, one, rng.random(), skills, rng) for each in asked for one in contestants]
    return Evaluation(
        digest="5e1fd1c2b3a49586",
        created_at="2026-11-27T17:00:00+00:00",
        source="questions.jsonl",
        versions={"moa-mcp": "0.1.0", "python": "3.11.9", "numpy": "2.1.0"},
        settings=settings or EvalSettings(scoring="number", seed=7),
        questions=asked,
        contestants=contestants,
        outcomes=tuple(outcomes),
        cost_usd=sum((each.cost_usd or Decimal(0) for each in outcomes), Decimal(0)),
    )


def contestant(name: str) -> Contestant:
    """Return a contestant with this name."""
    start, _, rest = name.partition(":")
    kinds: Mapping[str, ContestantKind] = {"one": "model", "majority": "majority", "best_of": "best_of"}
    kind = kinds.get(start, "pipeline")
    derived = rest.partition(":")[0] if kind in {"majority", "best_of"} else PIPELINE if name == BASELINE else None
    return Contestant(name=name, kind=kind, models=("openai/gpt-5",), baseline=kind == "model", derived_from=derived)


def changed(whole: Evaluation, contestant_name: str, first: int, **fields: object) -> Evaluation:
    """Return an evaluation in which the first outcomes of a contestant have other values."""
    left, outcomes = first, []
    for each in whole.outcomes:
        found = each.contestant == contestant_name and left > 0
        left -= found
        outcomes.append(each.model_copy(update=fields) if found else each)
    return whole.model_copy(update={"outcomes": tuple(outcomes)})


def failed(whole: Evaluation, contestant_name: str, first: int) -> Evaluation:
    """Return an evaluation in which the first runs of a contestant failed."""
    problem = "step 1: too few answers"
    return changed(whole, contestant_name, first, status="failed", answer=None, score=None, why="", problem=problem)


def judged(
    whole: Evaluation,
    *,
    skill: float = 0.6,
    bias: float = 0.0,
    unreadable: int = 0,
    names: tuple[str, str] = (PIPELINE, BASELINE),
) -> Evaluation:
    """Return an evaluation without scores, with the verdicts of a judge.

    It prefers the contestant with the probability `skill`, plus `bias` if it is first, minus `bias` if it is second.
    """
    rng = random.Random(whole.settings.seed)
    verdicts: list[Verdict] = []
    for number, each in enumerate(whole.questions):
        shared, longer = rng.random(), rng.randint(-400, 600)
        for first, sign in (("contestant", 1), ("against", -1)):
            wins = 0.7 * shared + 0.3 * rng.random() < skill + sign * bias
            preferred = None if number < unreadable else 1.0 if wins else 0.0
            verdicts.append(
                Verdict.model_validate(
                    {
                        "question": each.id,
                        "contestant": names[0],
                        "against": names[1],
                        "first": first,
                        "preferred": preferred,
                        "longer_by": longer,
                        "why": "It is complete.",
                        "run_id": f"{number:08x}{first[0]}",
                    }
                )
            )
    outcomes = tuple(each.model_copy(update={"score": None, "extracted": None, "why": ""}) for each in whole.outcomes)
    return whole.model_copy(update={"outcomes": outcomes, "verdicts": tuple(verdicts)})


def _question(number: int, clusters: int) -> AskedQuestion:
    return AskedQuestion(
        id=f"q{number}",
        line=number,
        question=f"What is {number} times {number + 3}?",
        answer=str(number * (number + 3)),
        cluster=f"text {number % clusters}" if clusters else None,
    )


def _outcome(
    asked: AskedQuestion, one: Contestant, difficulty: float, skills: Mapping[str, float], rng: random.Random
) -> Outcome:
    right = 0.75 * difficulty + 0.25 * rng.random() < skills[one.name]
    value = asked.answer if right else str(rng.randint(1, 999))
    calls = CALLS.get(one.name, 6)
    return Outcome(
        question=asked.id,
        contestant=one.name,
        status="complete",
        run_id=None if one.derived_from else f"{crc32(f'{asked.id} {one.name}'.encode('utf-8', 'surrogatepass')):016x}",
        answer=f"I multiply step by step.\n\nThe result is **{value}**.",
        score=1.0 if right else 0.0,
        extracted=value,
        why=f"{value} is {'' if right else 'not '}the number {asked.answer}",
        cost_usd=Decimal(str(round(calls * USD_PER_CALL * (0.8 + 0.4 * rng.random()), 6))),
        calls=calls,
        seconds=round(2 + calls * rng.random(), 2),
    )
