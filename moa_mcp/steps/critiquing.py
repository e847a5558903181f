"""The layer whose agents comment on answers: critique."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, Self

from msgspec.structs import replace

from moa_mcp.steps import prompts
from moa_mcp.steps.forecast import Bound, ExpectedAnswer, ExpectedAnswers, Forecast
from moa_mcp.steps.layer import MultiAgentStep
from moa_mcp.steps.members import Member
from moa_mcp.steps.step import Turn, numbered
from moa_mcp.values import Answer, Comment, Message, Note, Question, State


class Critique(MultiAgentStep):
    """Every agent criticises every answer. The next step sees the criticism beside the answer.

    With ``own``, each agent criticises only the answers that it wrote (Madaan et al. 2023, arXiv 2303.17651). An answer
    whose criticism fails is returned without it.
    """

    step: Literal["critique"] = "critique"
    per_answer: ClassVar[bool] = True
    own: bool = False
    """Whether an agent criticises only its own answers."""

    @property
    def calls_proposers(self) -> bool:
        return self.own

    def calling(self, *models: str) -> Self:
        return super().calling(*(dict.fromkeys(models) if self.own else models))

    def answers_out(self, answers_in: int) -> int:
        return answers_in

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        critics = [self._expected_critics(answer, number, bound) for number, answer in enumerate(answers)]
        pairs = list(zip(answers, critics, strict=True))
        calls = [call for answer, members in pairs for call in self.expected(members, _critique, (answer,), bound)]
        tokens = self.reply_tokens(bound)
        commented = [
            answer._replace(tokens=answer.tokens + tokens * len(members), comments=answer.comments + len(members))
            for answer, members in pairs
        ]
        return Forecast(tuple(calls), tuple(commented))

    def _expected_critics(self, answer: ExpectedAnswer, number: int, bound: Bound) -> tuple[Member, ...]:
        """Return the agents that criticise an answer; if its author is not known, each of them may be it."""
        if answer.agent is not None or not self.own:
            return self._critics(answer.agent)
        match bound:
            case "min":
                return ()
            case "expected":
                return (self.members[number % len(self.members)],)
            case "max":  # exhaustive
                return self.members

    def _critics(self, author: str | None) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.model == author) if self.own else self.members

    async def run(self, state: State, turn: Turn) -> State:
        critics = [self._critics(answer.agent) for answer in state.answers]
        requests = [
            self.request(member, prompts.critique(member.asked(state.question), answer, self.prompt))
            for answer, members in zip(state.answers, critics, strict=True)
            for member in members
        ]
        quorum = self.required(len(requests))
        replies = await turn.ask(requests, quorum=quorum, grace_s=self.grace_s) if requests else ()
        rest = iter(replies)
        comments = [tuple(_comments(next(rest) for _ in members)) for members in critics]
        pairs = zip(state.answers, comments, strict=True)
        answers = tuple(replace(answer, comments=(*answer.comments, *new)) for answer, new in pairs)
        return state.then(answers, *_missing(critics, comments))


def _comments(replies: Iterator[Answer | None]) -> Iterator[Comment]:
    for reply in replies:
        if reply is not None:
            yield Comment(reply.text, reply.agent, reply.place, reply.cut)


def _missing(critics: Sequence[Sequence[Member]], comments: Sequence[Sequence[Comment]]) -> Iterator[Note]:
    """Yield which answers got no criticism."""
    foreign = [number for number, members in enumerate(critics, 1) if not members]
    if foreign:
        yield Note(f"not criticised, since no agent of the step wrote them: {numbered(foreign)}")
    pairs = enumerate(zip(critics, comments, strict=True), 1)
    failed = [number for number, (members, new) in pairs if members and not new]
    if failed:
        yield Note(f"without criticism: {numbered(failed)}", degrades=True)


def _critique(question: Question, answers: Sequence[Answer], instruction: str | None) -> tuple[Message, ...]:
    return prompts.critique(question, answers[0], instruction)
