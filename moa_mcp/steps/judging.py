"""The layers whose calls judge what others answered: rank and vote."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import Field, ValidationInfo, field_validator

from moa_mcp import prompts, tally
from moa_mcp.errors import StepFailed
from moa_mcp.steps.step import Frozen, ModelStep, SoleStep, Turn, asked_of, given, numbered
from moa_mcp.values import Answer, Note, Request, State

Reading = TypeVar("Reading")


class Rank(SoleStep):
    """A judge ranks the answers; the best `n` go on, best first."""

    step: Literal["rank"] = "rank"
    n: Annotated[int, Field(ge=1)] = 3
    passes: Annotated[int, Field(ge=1, le=20)] = 1
    """With more than one, each pass sees the answers in another order and the rankings are merged by Borda count,
    since judges favour early places (Wang et al. 2023, arXiv 2305.17926)."""

    @property
    def models(self) -> tuple[str, ...]:
        return (self.agent,) * self.passes

    @property
    def judges(self) -> bool:
        return True

    def answers_out(self, answers_in: int) -> int:
        return min(self.n, answers_in)

    async def run(self, state: State, turn: Turn) -> State:
        answers = state.answers
        count = len(answers)
        if count == 1:
            return state.then(answers)
        keep = min(self.n, count)
        orders = [self._order(count, turn) for _ in range(self.passes)]

        def conversation(agent: str, index: int, again: bool) -> Request:
            shown = [answers[position] for position in orders[index]]
            return self.request(agent, prompts.rank(state.question, shown, self.prompt, again=again))

        def read(reply: str) -> tuple[int, ...] | None:
            return prompts.read_ranking(reply, count, keep)

        async def consult(agent: str) -> tuple[list[tuple[int, ...] | None], list[Note]]:
            return await _consult(turn, partial(conversation, agent), read, times=self.passes)

        (readings, said), instead = await asked_of(self.agent, self.fallback_agent, consult)
        notes = [*instead, *said]
        rankings = [
            tuple(order[number - 1] for number in numbers)
            for order, numbers in zip(orders, readings, strict=True)
            if numbers is not None
        ]
        if not rankings:
            unranked = Note("the ranking could not be read; all answers go on, unranked", degrades=True)
            return state.then(answers, *notes, unranked)
        best = tally.borda(rankings, count)[:keep]
        kept = Note(f"kept {numbered(position + 1 for position in best)} of {count}, best first")
        return state.then(tuple(answers[position] for position in best), *notes, kept)

    def _order(self, count: int, turn: Turn) -> tuple[int, ...]:
        return tuple(turn.rng.sample(range(count), count)) if self.passes > 1 else tuple(range(count))


class JsonField(Frozen):
    """Extract the value of a field of the JSON object in an answer."""

    json_name: Annotated[str, Field(min_length=1)] = Field(alias="json")


class Pattern(Frozen):
    """Extract what a regular expression matches last: its first group, or all of it."""

    regex: Annotated[str, Field(min_length=1)]


Extractor: TypeAlias = Literal["text", "last_number", "choice"] | JsonField | Pattern


def _extract(extractor: Extractor) -> tally.Extract:
    if isinstance(extractor, JsonField):
        return tally.json_field(extractor.json_name)
    if isinstance(extractor, Pattern):
        return tally.pattern(extractor.regex)
    named = {"text": tally.whole_text, "last_number": tally.last_number, "choice": tally.choice_letter}
    return named[extractor]


class Vote(ModelStep):
    """One of the answers is chosen, or the consensus of them stated.

    ``judge``: the agent names the most consistent answer, which goes on verbatim (universal self-consistency:
    Chen et al. 2023, arXiv 2311.17311). ``majority``: no agent; equal answers are counted. ``restate``: the agent
    writes the consensus.
    """

    step: Literal["vote"] = "vote"
    method: Literal["judge", "majority", "restate"] = "judge"
    agent: Annotated[str, Field(min_length=1)] | None = Field(default=None, validate_default=True)
    fallback_agent: Annotated[str, Field(min_length=1)] | None = None
    """Asked in its place when it gave no answer, after all its routes."""
    extract: Extractor = "text"
    """What of an answer counts, with ``majority``."""

    @field_validator("agent")
    @classmethod
    def _fits_the_method(cls, value: str | None, info: ValidationInfo) -> str | None:
        method = info.data.get("method", "unknown")
        if method == "majority" and value is not None:
            raise ValueError(f'{value!r} would not be asked: method = "majority" counts; remove agent')
        if method in {"judge", "restate"} and value is None:
            raise ValueError(f'is missing; method = "{method}" asks a model')
        return value

    @field_validator("fallback_agent")
    @classmethod
    def _stands_in(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("method") == "majority":
            raise ValueError(f'{value!r} would not be asked: method = "majority" counts; remove fallback_agent')
        return value

    @field_validator("extract")
    @classmethod
    def _can_be_counted(cls, value: Extractor, info: ValidationInfo) -> Extractor:
        if value != "text" and info.data.get("method", "majority") != "majority":
            raise ValueError('says what method = "majority" counts; remove it, or choose that method')
        if isinstance(value, Pattern):
            try:
                re.compile(value.regex)
            except re.error as error:
                raise ValueError(f"{value.regex!r} is not a regular expression: {error}") from error
        return value

    @property
    def models(self) -> tuple[str, ...]:
        return (self.agent,) if self.agent else ()

    @property
    def fallback(self) -> str | None:
        return self.fallback_agent

    @property
    def judges(self) -> bool:
        return self.method == "judge"

    def answers_out(self, answers_in: int) -> int:
        del answers_in
        return 1

    async def run(self, state: State, turn: Turn) -> State:
        if self.agent is None:
            return self._count(state)
        if self.method == "restate":
            messages = prompts.restate(state.question, state.answers, self.prompt)

            async def ask(agent: str) -> tuple[Answer, ...]:
                return given(await turn.ask([self.request(agent, messages)]))

            answers, notes = await asked_of(self.agent, self.fallback_agent, ask)
            return state.then(answers, *notes)
        return await self._judge(self.agent, state, turn)

    def _count(self, state: State) -> State:
        outcome = tally.majority([answer.text for answer in state.answers], _extract(self.extract))
        if outcome is None:
            raise StepFailed(f"no answer holds what is to be counted ({_described(self.extract)})")
        total = len(state.answers)
        notes = [Note(f"{outcome.votes} of {total} answers say {_short(outcome.value)}")]
        if outcome.tied:
            others = ", ".join(_short(value) for value in outcome.tied)
            notes.append(Note(f"a tie with {others}; the one given first was taken", degrades=True))
        if outcome.abstained:
            blank = numbered(position + 1 for position in outcome.abstained)
            notes.append(Note(f"answers that hold nothing to count: {blank}"))
        return state.then((state.answers[outcome.winner],), *notes)

    async def _judge(self, agent: str, state: State, turn: Turn) -> State:
        answers = state.answers
        if len(answers) == 1:
            return state.then(answers)

        def read(reply: str) -> int | None:
            return prompts.read_vote(reply, len(answers))

        async def consult(judge: str) -> tuple[int, list[Note]]:
            def conversation(_: int, again: bool) -> Request:
                return self.request(judge, prompts.vote(state.question, answers, self.prompt, again=again))

            (chosen,), notes = await _consult(turn, conversation, read)
            if chosen is None:
                raise StepFailed(f"{judge} named no answer in a form that can be read, asked twice")
            return chosen, [*notes, Note(f"{judge} chose answer {chosen} of {len(answers)}")]

        (chosen, said), instead = await asked_of(agent, self.fallback_agent, consult)
        return state.then((answers[chosen - 1],), *instead, *said)


async def _consult(
    turn: Turn,
    conversation: Callable[[int, bool], Request],
    read: Callable[[str], Reading | None],
    *,
    times: int = 1,
) -> tuple[list[Reading | None], list[Note]]:
    """Ask a judge `times` times; a reply that can't be read is asked for once more, and noted."""
    readings: list[Reading | None] = [None] * times
    notes: list[Note] = []
    pending = list(range(times))
    for again in (False, True):
        requests = [conversation(index, again) for index in pending]
        replies = dict(zip(pending, await turn.ask(requests, quorum=0 if again else 1), strict=True))
        readings = [read(reply.text) if (reply := replies.get(i)) else was for i, was in enumerate(readings)]
        pending = [index for index in pending if replies[index] is not None and readings[index] is None]
        what = "could not be read a second time" if again else "could not be read and was asked for again"
        notes += [Note(f"the judge's reply {what}", degrades=again)] * len(pending)
        if not pending:
            break
    return readings, notes


def _short(value: str, limit: int = 60) -> str:
    return repr(value if len(value) <= limit else value[: limit - 1] + "…")


def _described(extractor: Extractor) -> str:
    if isinstance(extractor, JsonField):
        return f'extract = {{ json = "{extractor.json_name}" }}'
    if isinstance(extractor, Pattern):
        return f"extract = {{ regex = '{extractor.regex}' }}"
    return f'extract = "{extractor}"'
