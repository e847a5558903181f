"""The layer in which every agent ranks the answers of the others: review."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple, Self, TypeAlias

from msgspec.structs import replace
from pydantic import Field

from moa_mcp.findings import PeerReview, Placement, Standing
from moa_mcp.steps import borda, prompts
from moa_mcp.steps.consulting import Judge, Posed, consult
from moa_mcp.steps.forecast import Bound, ExpectedAnswers, ExpectedCalls, Forecast, drawn
from moa_mcp.steps.layer import MultiAgentStep
from moa_mcp.steps.members import Member
from moa_mcp.steps.step import Shown, Turn, counted, numbered
from moa_mcp.values import Answer, Note, State
from moa_mcp.verdicts import Asked, read_ranking

_LEAST = 2
"""Fewest answers that can be ranked."""
_NAMED = 8
"""Most answers in a note."""
_Ranking: TypeAlias = tuple[int, ...]


class _Reviewer(NamedTuple):
    """An agent, and the positions of the answers that it ranks."""

    member: Member
    positions: tuple[int, ...]


class Review(MultiAgentStep):
    """Every agent ranks the answers of the others, without the names of their authors and in an order of its own.

    An agent ranks no answer that it wrote itself, since models prefer their own text (Panickssery et al. 2024, arXiv
    2404.13076); only one that wrote all answers ranks all. The rankings are merged by Borda count: of k ranked answers,
    the one at place p gets (k - p) / (k - 1) points, and the mean over all reviews of an answer decides. The answers
    are returned best first, and an ``aggregate`` or ``synthesize`` step after it is shown their ranks.
    """

    step: Literal["review"] = "review"
    shows_answers: ClassVar[Shown | None] = "in_random_order"
    n: Annotated[int, Field(ge=1)] | None = None
    """How many answers it keeps, the best ones; by default all."""

    @property
    def calls_proposers(self) -> bool:
        return True

    def calling(self, *models: str) -> Self:
        return super().calling(*dict.fromkeys(models))

    def answers_out(self, answers_in: int) -> int:
        return answers_in if self.n is None else min(self.n, answers_in)

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        calls: list[ExpectedCalls] = []
        for member in self.members:
            shown = _expected_answers(answers, member.model, bound)
            if len(shown) >= _LEAST:
                calls += self.expected((member,), prompts.review, shown, bound, prompts.ranking_schema(len(shown)))
        left = drawn(answers, self.answers_out(len(answers)), bound)
        return Forecast(
            tuple(calls),
            tuple(answer._replace(ranked=answer.ranked or (bound != "min" and bool(calls))) for answer in left),
        )

    def lint(self, answers: int) -> Iterator[str]:
        if answers == 1:
            yield "review has only one answer to rank"
        elif answers == _LEAST and len({*self.models}) > 1:
            yield "review has two answers: an agent that wrote one of them has no two others to rank"

    async def run(self, state: State, turn: Turn) -> State:
        reviewers = [*self._reviewers(state.answers)]
        if not reviewers:
            alone = len(state.answers) == 1
            why = "there is only one answer" if alone else "no agent has two answers of others to rank"
            return state.then(state.answers, Note(f"not reviewed: {why}", degrades=not alone))
        seats = [self._seat(reviewer, state, turn) for reviewer in reviewers]
        quorum = self.required(len(seats))
        readings = await consult(seats, turn, quorum=quorum, grace_s=self.grace_s)
        ballots = [
            _ballot(reviewer.positions, order, numbers)
            for reviewer, (_, order), numbers in zip(reviewers, seats, readings, strict=True)
            if numbers is not None
        ]
        notes = [note for judge, _ in seats for note in judge.notes]
        if not ballots:
            return state.then(state.answers, *notes, Note("no valid review; the answers are unranked", degrades=True))
        return self._ranked(state, ballots, len(seats), notes)

    def _reviewers(self, answers: Sequence[Answer]) -> Iterator[_Reviewer]:
        """Yield the agents that have at least two answers to rank."""
        for member in self.members:
            others = tuple(at for at, answer in enumerate(answers) if answer.agent != member.model)
            positions = others or tuple(range(len(answers)))
            if len(positions) >= _LEAST:
                yield _Reviewer(member, positions)

    def _seat(self, reviewer: _Reviewer, state: State, turn: Turn) -> tuple[Judge[_Ranking], _Ranking]:
        """Return a reviewer as a judge of its answers, and the order in which it sees them."""
        member, positions = reviewer
        count = len(positions)
        question = member.asked(state.question)

        def pose(shown: tuple[Answer, ...], *, again: bool) -> Posed[_Ranking]:
            messages = prompts.review(question, shown, self.prompt, again=again)
            asked = Asked.of(count, prompts.key(question, shown, self.prompt or prompts.REVIEW), messages)

            def read(answer: Answer) -> _Ranking | None:
                return read_ranking(answer.text, asked, count - 1)  # the one that it leaves out is the last

            return Posed(messages, prompts.ranking_schema(count), read)

        answers = tuple(state.answers[at] for at in positions)
        numbers = [at + 1 for at in positions]
        judge = Judge(member, self, turn, answers, pose, name=member.model, numbers=numbers)
        return judge, tuple(turn.rng.sample(range(count), count))

    def _ranked(self, state: State, ballots: Sequence[borda.Ballot], asked: int, notes: Sequence[Note]) -> State:
        """Return the best answers, best first, each with its rank."""
        count = len(state.answers)
        outcome = borda.merged(ballots, count)
        kept = tuple(
            replace(state.answers[score.position], rank=Placement(place, count, score.points))
            for place, score in enumerate(outcome.scores[: self.answers_out(count)], 1)
        )
        standings = (_standing(score, state.answers[score.position]) for score in outcome.scores)
        review = PeerReview(tuple(standings), len(ballots))
        return state.then(kept, *notes, *_told(outcome, review, asked, len(kept)), review=review)


def _ballot(positions: _Ranking, order: _Ranking, numbers: _Ranking) -> borda.Ballot:
    """Return the positions of the answers that a reviewer ranked, from the numbers in its prompt."""
    named = [order[number - 1] for number in numbers]
    return tuple(positions[at] for at in (*named, *(at for at in order if at not in named)))


def _standing(score: borda.Score, answer: Answer) -> Standing:
    return Standing(answer.agent, answer.place, score.position + 1, score.points, score.ballots, score.firsts)


def _told(outcome: borda.Merged, review: PeerReview, asked: int, kept: int) -> Iterator[Note]:
    """Yield the notes of a ranking."""
    listed = [f"{each.number} of {each.agent} ({each.points:.2f})" for each in review.standings]
    more = ["…"] if len(listed) > _NAMED else []
    reviews = f"{review.ballots} of {counted(asked, 'review')}" if review.ballots < asked else counted(asked, "review")
    yield Note(f"ranked by {reviews}, best first: answers {', '.join([*listed[:_NAMED], *more])}")
    for positions in outcome.tied:
        yield Note(f"tie between answers {numbered(at + 1 for at in positions)}; they stay in their order")
    unranked = [each.number for each in review.standings if not each.ballots]
    if unranked:
        yield Note(f"not ranked by any review, so placed in the middle: answers {numbered(unranked)}", degrades=True)
    if kept < len(review.standings):
        yield Note(f"kept the best {kept} of {len(review.standings)}")


def _expected_answers(answers: ExpectedAnswers, agent: str, bound: Bound) -> ExpectedAnswers:
    """Return the answers that an agent ranks. If the author of an answer is not known, it may be this agent."""
    foreign = tuple(answer for answer in answers if answer.agent not in {agent, None})
    if all(answer.agent for answer in answers):
        return foreign or answers
    match bound:
        case "min":
            return foreign
        case "expected":
            return tuple(answer for answer in answers if answer.agent != agent)
        case "max":  # exhaustive
            return tuple(answer for answer in answers if answer.agent != agent) if foreign else answers
