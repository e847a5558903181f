"""Evaluations with planted truth: members of known competence whose samples are scored, and what is made of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from moa_mcp.evaluation.result import (
    AskedQuestion,
    Contestant,
    EvalSettings,
    Evaluation,
    MemberSample,
    Outcome,
    Verdict,
)

MIX = "vote_mix"
EQUAL: Mapping[str, float] = {"gpt-5-mini": 0.7, "claude-haiku-4": 0.7, "gemini-2.5-flash": 0.7, "mistral-small": 0.7}

Aggregate = Callable[[Sequence[MemberSample], str, random.Random], str]
"""Returns the result from the samples, and the right answer."""


def skilled(samples: Sequence[MemberSample], right: str, rng: random.Random) -> str:
    """Recognize a right answer nine times of ten, also that of a minority; else take a random one."""
    values = [one.extracted or "" for one in samples]
    return right if right in values and rng.random() < 0.95 else rng.choice(values)


def expert(samples: Sequence[MemberSample], right: str, rng: random.Random) -> str:
    """Solve the question itself, nine times of ten, whatever the samples are."""
    return right if rng.random() < 0.9 else "0"


def knowing(samples: Sequence[MemberSample], right: str, rng: random.Random) -> str:
    """Know every answer."""
    return right


def contrary(samples: Sequence[MemberSample], right: str, rng: random.Random) -> str:
    """Prefer a wrong answer where there is one."""
    wrong = [one.extracted or "" for one in samples if one.extracted != right]
    return rng.choice(wrong) if wrong and rng.random() < 0.6 else samples[0].extracted or ""


def first(samples: Sequence[MemberSample], right: str, rng: random.Random) -> str:
    """Take the first answer, whatever the others say."""
    return samples[0].extracted or ""


def any_of(samples: Sequence[MemberSample], right: str, rng: random.Random) -> str:
    """Take a random answer."""
    return rng.choice(samples).extracted or ""


def majority(samples: Sequence[MemberSample], right: str, rng: random.Random) -> str:
    """Take the most frequent answer."""
    return Counter(one.extracted or "" for one in samples).most_common(1)[0][0]


@dataclass(frozen=True)
class World:
    """What is true of the models."""

    skills: Mapping[str, float] = field(default_factory=lambda: EQUAL)
    """The probability of a right answer, by member."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """By member: another one whose answers it repeats, with `likeness` as probability."""
    likeness: float = 0.95
    difficulty: float = 0.0
    """How much the questions differ: 0 for equal ones, 1 for questions that all members know or none."""
    aggregate: Aggregate = skilled
    prices: Mapping[str, float] = field(default_factory=dict)
    """US dollars of a call by member; 0.001 by default."""
    samples: int = 1
    """Of each member."""
    wrong_values: int = 1000
    """How many different wrong answers there are."""


def evaluation(world: World, questions: int = 300, *, seed: int = 1, clusters: int = 0, name: str = MIX) -> Evaluation:
    """Return an evaluation of one pipeline in a world, without an analysis."""
    rng = random.Random(seed)
    asked = tuple(_question(number, clusters) for number in range(1, questions + 1))
    outcomes = tuple(_outcome(world, each, name, rng) for each in asked)
    contestant = Contestant(name=name, kind="pipeline", models=tuple(world.skills), digest="d1")
    return Evaluation(
        digest=f"{seed:016x}",
        created_at="2026-11-27T17:00:00+00:00",
        source="questions.jsonl",
        versions={"moa-mcp": "0.1.0"},
        settings=EvalSettings(scoring="number"),
        questions=asked,
        contestants=(contestant,),
        outcomes=outcomes,
        cost_usd=sum((each.cost_usd or Decimal(0) for each in outcomes), Decimal(0)),
    )


def with_contestant(
    whole: Evaluation, name: str, skill: float, *, calls: int = 1, model: str = "claude-opus-5-5", seed: int = 9
) -> Evaluation:
    """Return the evaluation with another contestant of one model: ``one:MODEL``, or a pipeline of that model."""
    rng = random.Random(seed)
    kind = "model" if name.startswith("one:") else "pipeline"
    one = Contestant.model_validate({"name": name, "kind": kind, "models": (model,), "digest": "d2"})
    more = [_scored(each, name, float(rng.random() < skill), calls) for each in whole.questions]
    return whole.model_copy(update={"contestants": (*whole.contestants, one), "outcomes": (*whole.outcomes, *more)})


def with_verdicts(whole: Evaluation, against: str, *, first_place: float, seed: int = 3) -> Evaluation:
    """Return the evaluation with verdicts of a judge that prefers the first place with this probability."""
    rng = random.Random(seed)
    verdicts = [
        Verdict.model_validate(
            {
                "question": each.id,
                "contestant": MIX,
                "against": against,
                "first": place,
                "preferred": float((rng.random() < first_place) == (place == "contestant")),
                "longer_by": 0,
                "run_id": f"{number:08x}{place[0]}",
            }
        )
        for number, each in enumerate(whole.questions)
        for place in ("contestant", "against")
    ]
    settings = whole.settings.model_copy(update={"judge": "panel_judge"})
    return whole.model_copy(update={"verdicts": tuple(verdicts), "settings": settings})


def _question(number: int, clusters: int) -> AskedQuestion:
    cluster = f"text {number % clusters}" if clusters else None
    return AskedQuestion(
        id=f"q{number}", line=number, question=f"What is {number} + 1?", answer=str(number + 1), cluster=cluster
    )


def _outcome(world: World, asked: AskedQuestion, name: str, rng: random.Random) -> Outcome:
    right, ease = asked.answer or "", rng.random()
    given: dict[str, str] = {}
    samples: list[MemberSample] = []
    for model, skill in world.skills.items():
        for _ in range(world.samples):
            value = _answer(world, model, skill, right, ease, given, rng)
            given.setdefault(model, value)
            usd = Decimal(str(world.prices.get(model, 0.001)))
            score = float(value == right)
            samples.append(
                MemberSample(model=model, text=f"It is {value}.", extracted=value, score=score, cost_usd=usd)
            )
    result = world.aggregate(samples, right, rng)
    calls = len(samples) + (world.aggregate is not majority)
    return _scored(asked, name, float(result == right), calls).model_copy(
        update={
            "extracted": result,
            "samples": tuple(samples),
            "cost_usd": sum((one.cost_usd or Decimal(0) for one in samples), Decimal("0.001")),
        }
    )


def _answer(
    world: World, model: str, skill: float, right: str, ease: float, given: Mapping[str, str], rng: random.Random
) -> str:
    other = given.get(world.copies.get(model, ""))
    if other is not None and rng.random() < world.likeness:
        return other
    level = (1 - world.difficulty) * rng.random() + world.difficulty * ease
    return right if level < skill else str(-rng.randint(1, world.wrong_values))


def _scored(asked: AskedQuestion, name: str, score: float, calls: int) -> Outcome:
    return Outcome(
        question=asked.id,
        contestant=name,
        status="complete",
        run_id=f"{asked.line:08x}",
        answer=f"It is {asked.answer if score else 0}.",
        score=score,
        cost_usd=Decimal("0.001") * calls,
        calls=calls,
        seconds=1.0,
    )
