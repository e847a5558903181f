"""The layer in which a judge ranks the answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from moa_mcp.errors import DeadlinePassed, StepFailed, StepLeftOut
from moa_mcp.steps import prompts, tally
from moa_mcp.steps.consulting import Judge, Posed, orders
from moa_mcp.steps.forecast import Bound, ExpectedAnswers, Forecast, drawn
from moa_mcp.steps.layer import SingleAgentStep, asked_of
from moa_mcp.steps.members import Member
from moa_mcp.steps.step import Shown, Turn, keeps_all, numbered
from moa_mcp.values import Answer, Note, State
from moa_mcp.verdicts import Asked, read_ranking


class Rank(SingleAgentStep):
    """Rank the answers by a judge, and return the best `n`, best first."""

    step: Literal["rank"] = "rank"
    shows_answers: ClassVar[Shown | None] = "in_order"
    n: Annotated[int, Field(ge=1)] = 3
    """How many answers it keeps."""
    passes: Annotated[int, Field(ge=1, le=20)] = 1
    """Number of calls. Each call sees the answers in another order, since judges prefer early positions (Wang et al.
    2023, arXiv 2305.17926). The rankings are merged by Borda count."""

    @property
    def members(self) -> tuple[Member, ...]:
        return (self.agent,) * self.passes

    def answers_out(self, answers_in: int) -> int:
        return min(self.n, answers_in)

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        judged = len(answers) != 1
        schema = prompts.ranking_schema(len(answers))
        calls = self.expected(self.members, prompts.rank, answers, bound, schema) if judged else ()
        return Forecast(calls, drawn(answers, self.answers_out(len(answers)), bound))

    def lint(self, answers: int) -> Iterator[str]:
        if answers == 1:
            yield "rank has only one answer to choose from"
        else:
            yield from keeps_all(self.n, answers)

    async def run(self, state: State, turn: Turn) -> State:
        answers = state.answers
        count = len(answers)
        if count == 1:
            return state.then(answers)
        keep = min(self.n, count)
        passes = orders(count, self.passes, turn)
        judges: list[Judge[tuple[int, ...]]] = []

        async def consult(agent: Member) -> list[tuple[int, ...]]:
            question = agent.asked(state.question)

            def pose(shown: tuple[Answer, ...], *, again: bool) -> Posed[tuple[int, ...]]:
                messages = prompts.rank(question, shown, self.prompt, again=again)
                asked = Asked.of(count, prompts.key(question, shown, self.prompt), messages)

                def read(answer: Answer) -> tuple[int, ...] | None:
                    return read_ranking(answer.text, asked, keep)

                return Posed(messages, prompts.ranking_schema(count), read)

            judge = Judge(agent, self, turn, answers, pose)
            judges.append(judge)
            readings = await judge.ask(passes)
            rankings = [
                tuple(order[number - 1] for number in numbers)
                for order, numbers in zip(passes, readings, strict=True)
                if numbers is not None
            ]
            if not rankings:
                raise StepFailed("the judge returned no valid ranking")
            return rankings

        try:
            rankings, instead = await asked_of(self.agent, self.fallback_agent, consult)
        except (DeadlinePassed, StepLeftOut):
            raise
        except StepFailed as error:
            notes = [note for judge in judges for note in judge.notes]
            return state.then(answers, *notes, Note(f"{error}; kept all answers, unranked", degrades=True))
        best = tally.borda(rankings, count)[:keep]
        kept = Note(f"kept {numbered(position + 1 for position in best)} of {count}, best first")
        return state.then(tuple(answers[position] for position in best), *instead, *judges[-1].notes, kept)
