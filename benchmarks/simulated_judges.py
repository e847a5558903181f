"""A judge with planted biases compares answers in both orders, through the real duels and analysis.

The judge prefers the answer that it sees first, and longer answers, by stated logits. `benchmarks/evaluation.py` prints
what the analysis makes of its verdicts, beside what an unbiased judge would prefer.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import anyio

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from moa_mcp.batch.items import Item  # noqa: E402  the folder above is not on the path before
from moa_mcp.config import Pipeline  # noqa: E402
from moa_mcp.evaluation.analysis import analysed  # noqa: E402
from moa_mcp.evaluation.asking import EvalRun  # noqa: E402
from moa_mcp.evaluation.duels.duel import duel  # noqa: E402
from moa_mcp.evaluation.question import EvalQuestion  # noqa: E402
from moa_mcp.evaluation.result import (  # noqa: E402
    AskedQuestion,
    Contestant,
    Duel,
    EvalSettings,
    Evaluation,
    Outcome,
    Verdict,
)
from moa_mcp.testing import pipeline, run_pipeline  # noqa: E402
from moa_mcp.values import Call, Completion, Question  # noqa: E402
from tests.support.known_questions import KnownQuestion, sums  # noqa: E402
from tests.support.simulated_members import Member, World  # noqa: E402

BETTER = Member("better", competence=0.75, sentences=6)
BASELINE = Member("baseline", competence=0.6, sentences=4)
FAIR = Member("judge", discernment=2.0, ties=0.2)
"""Without a bias."""
_MANY = 4000


@dataclass(frozen=True, slots=True)
class Contest:
    """The answers of two contestants to questions, and a judge of them."""

    world: World
    judge: Member

    @classmethod
    def of(cls, judge: Member, questions: int, seed: int) -> Contest:
        return cls(World((BETTER, BASELINE, judge), sums(questions), seed), judge)

    def answer(self, member: Member, question: KnownQuestion) -> str:
        return self.world.answer(member, question, self.world.value(member, question, "0"), "0")

    async def reply(self, call: Call) -> Completion:
        """Reply as the model of the judge."""
        messages = [{"role": each.role, "content": each.content} for each in call.messages]
        return Completion(self.world.reply({"model": self.judge.name, "messages": messages}, 0).text, self.judge.name)

    async def ask(self, asked: Pipeline, question: Question, *, repetition: int = 0) -> EvalRun:
        """Ask the judge, as an evaluation does."""
        return EvalRun("run", await run_pipeline(asked, question, self.reply, seed=repetition))


class Known(NamedTuple):
    """What is known about the judge and the answers."""

    win_rate: float
    """Of an unbiased judge, over all questions."""
    plain: float
    """Of this judge, with its love of length, over both orders."""
    first: float
    """By how much more than half of the verdicts this judge prefers the first answer."""


async def duelled(judge: Member, questions: int, seed: int) -> Duel:
    """Return what the analysis finds in the verdicts of a judge."""
    known = Contest.of(judge, questions, seed)
    asked = pipeline('steps = [{ step = "propose", agents = ["judge"] }]')
    verdicts: list[Verdict] = []
    outcomes: list[Outcome] = []
    for each in known.world.questions.values():
        answers = [known.answer(member, each) for member in (BETTER, BASELINE)]
        question = EvalQuestion(each.id, Item(1, each.text))
        verdicts += await duel(known.ask, asked, question, BETTER.name, answers[0], BASELINE.name, answers[1])
        outcomes += [
            Outcome(question=each.id, contestant=member.name, status="complete", answer=answer)
            for member, answer in zip((BETTER, BASELINE), answers, strict=True)
        ]
    (found,) = analysed(_evaluation(known, tuple(outcomes), tuple(verdicts), seed)).duels
    return found


def _evaluation(known: Contest, outcomes: tuple[Outcome, ...], verdicts: tuple[Verdict, ...], seed: int) -> Evaluation:
    return Evaluation(
        digest=str(seed),
        created_at="2026-01-01T00:00:00+00:00",
        source="simulated",
        versions={},
        settings=EvalSettings(scoring="pairwise", judge="judge", seed=seed, simulated=True),
        questions=tuple(
            AskedQuestion(id=each.id, line=0, question=each.text) for each in known.world.questions.values()
        ),
        contestants=(
            Contestant(name=BETTER.name, kind="pipeline", models=(BETTER.name,)),
            Contestant(name=BASELINE.name, kind="model", models=(BASELINE.name,), baseline=True),
        ),
        outcomes=outcomes,
        verdicts=verdicts,
    )


def truth(judge: Member, seed: int = 10_000) -> Known:
    """Return what this judge and an unbiased one prefer, from the probabilities of many pairs of answers."""
    known = Contest.of(judge, _MANY, seed)
    pairs = [
        [(known.answer(member, each), known.world.right(member, each, "0")) for member in (BETTER, BASELINE)]
        for each in known.world.questions.values()
    ]
    fair = replace(judge, position=0.0, length=0.0)
    return Known(
        fmean(_preferred(fair, one, other, 0.0) for one, other in pairs),
        fmean(_preferred(judge, one, other, place) for one, other in pairs for place in (1.0, -1.0)),
        fmean(_preferred(judge, *pair, 1.0) for one, other in pairs for pair in ((one, other), (other, one))) - 0.5,
    )


def _preferred(judge: Member, one: tuple[str, bool], other: tuple[str, bool], place: float) -> float:
    """Return the probability that a judge prefers one answer; a tie counts half. `place` is 1 if it sees it first."""
    longer = math.tanh((len(one[0]) - len(other[0])) / 400)
    logit = judge.discernment * (one[1] - other[1]) + judge.position * place + judge.length * longer
    decided = 1 / (1 + math.exp(-logit))
    return judge.ties / 2 + (1 - judge.ties) * decided if one[1] == other[1] else decided


def judged(judge: Member, questions: int, seed: int = 0) -> Duel:
    """Return what the analysis finds, from synchronous code."""
    return anyio.run(duelled, judge, questions, seed)
