"""The layer that comes to one of its answers, by a judge's vote or by counting, or to their consensus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator

from moa_mcp.errors import DeadlinePassed, StepFailed, StepLeftOut
from moa_mcp.extraction.numerals import DecimalMark
from moa_mcp.steps import prompts, tally
from moa_mcp.steps.consulting import Judge, Posed, orders
from moa_mcp.steps.extracting import Ahead, Extractor, compilable, described, extract, of_numbers, short, stopped
from moa_mcp.steps.forecast import Bound, ExpectedAnswer, ExpectedAnswers, Forecast, drawn
from moa_mcp.steps.layer import ModelStep, asked_of, named
from moa_mcp.steps.step import Key, Turn, numbered
from moa_mcp.values import Answer, Note, State
from moa_mcp.verdicts import Asked, read_vote


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
    decimal: DecimalMark | None = None
    """Which mark divides where both could, with ``last_number``: the point by default, so that ``1,234`` is 1234."""
    passes: Annotated[int, Field(ge=1, le=20)] = 1
    """How often ``judge`` asks. With more than one, each sees the answers in another order, and the answer that most
    of them name goes on."""
    stop: Ahead | None = None
    """When the passes that are left are not made any more."""

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
        return compilable(value)

    @field_validator("decimal")
    @classmethod
    def _reads_numbers(cls, value: DecimalMark | None, info: ValidationInfo) -> DecimalMark | None:
        return of_numbers(value, info.data.get("extract"))

    @field_validator("passes")
    @classmethod
    def _are_judged(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("method", "judge") != "judge":
            raise ValueError('says how often method = "judge" asks; remove it, or choose that method')
        return value

    @field_validator("stop")
    @classmethod
    def _can_stop(cls, value: Ahead | None, info: ValidationInfo) -> Ahead | None:
        passes = info.data.get("passes")
        if value is not None and passes is not None and value.ahead_by > passes:
            raise ValueError(f"ahead_by = {value.ahead_by} can't come of passes = {passes}")
        return value

    @property
    def models(self) -> tuple[str, ...]:
        return (self.agent,) * self.passes if self.agent else ()

    @property
    def _first_wave(self) -> int:
        return min(self.stop.ahead_by, self.passes) if self.stop else len(self.models)

    @property
    def fallback(self) -> str | None:
        return self.fallback_agent

    def named_models(self) -> Iterator[tuple[Key, str]]:
        yield from named(agent=self.agent, fallback_agent=self.fallback_agent)

    def on_fallback(self) -> Self:
        return self.model_copy(update={"agent": self.fallback_agent or self.agent})

    @property
    def writes_answers(self) -> bool:
        return self.method == "restate"

    def answers_out(self, answers_in: int) -> int:
        del answers_in
        return 1

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        if self.method == "restate":
            made = ExpectedAnswer(self.reply_tokens(bound), self.agent)
            return Forecast(self.expected(self.models, prompts.restate, answers, bound), (made,))
        models = self.models[: self._first_wave] if bound == "min" else self.models
        calls = self.expected(models, prompts.vote, answers, bound, verdict=True) if len(answers) != 1 else ()
        return Forecast(calls, drawn(answers, 1, bound))

    def lint(self, answers: int) -> Iterator[str]:
        if answers == 1:
            yield "vote has only one answer to choose from"

    async def run(self, state: State, turn: Turn) -> State:
        if self.agent is None:
            return await self._count(state)
        if self.method == "restate":
            return await self._restate(self.agent, state, turn)
        return await self._judge(self.agent, state, turn)

    async def _restate(self, agent: str, state: State, turn: Turn) -> State:
        def pose(shown: tuple[Answer, ...], *, again: bool) -> Posed[Answer]:
            del again  # any text is an answer
            return Posed(prompts.restate(state.question, shown, self.prompt), None, _as_it_is)

        async def ask(agent: str) -> tuple[tuple[Answer, ...], tuple[Note, ...]]:
            judge = Judge(agent, self, turn, state.answers, pose)
            answers = await judge.ask(orders(len(state.answers), 1, turn))
            return tuple(answer for answer in answers if answer is not None), judge.notes

        (answers, said), instead = await asked_of(agent, self.fallback_agent, ask)
        return state.then(answers, *instead, *said)

    async def _count(self, state: State) -> State:
        extracted = await extract(self, state.answers)
        outcome = tally.majority(extracted.values)
        if outcome is None:
            slow = "".join(f"; {note.text}" for note in extracted.notes)
            raise StepFailed(f"no answer holds what is to be counted ({described(self.extract)}){slow}")
        notes = [*extracted.notes, *_counted(outcome)]
        return state.then((state.answers[outcome.winner],), *notes, tally=outcome.tally)

    async def _judge(self, agent: str, state: State, turn: Turn) -> State:
        answers = state.answers
        if len(answers) == 1:
            return state.then(answers)
        passes = orders(len(answers), self.passes, turn)

        async def consult(judge: str) -> tuple[tally.Majority, list[Note]]:
            return await self._verdict(judge, state, turn, passes)

        try:
            (outcome, said), instead = await asked_of(agent, self.fallback_agent, consult)
        except (DeadlinePassed, StepLeftOut):
            raise
        except StepFailed as error:
            return await self._counted_instead(state, error)
        chosen = answers[int(outcome.value) - 1]
        return state.then((chosen,), *instead, *said, tally=outcome.tally if self.passes > 1 else None)

    async def _counted_instead(self, state: State, error: StepFailed) -> State:
        """Return the answer that more than one gave, where no judge has named any. Raises `StepFailed` if none is."""
        extracted = await extract(self, state.answers)
        outcome = tally.majority(extracted.values)
        if outcome is None or outcome.votes == 1 or outcome.tied:
            raise StepFailed(
                f"{error}; the answers can't be counted instead: no single one was given most often; "
                "set another fallback_agent, or fork the run with another judge"
            ) from error
        counted = f"{outcome.votes} of {len(state.answers)} answers say {short(outcome.value)}"
        instead = Note(f"{error}; counted instead: {counted}", degrades=True)
        return state.then((state.answers[outcome.winner],), instead, tally=outcome.tally)

    async def _verdict(
        self, agent: str, state: State, turn: Turn, orders: Sequence[tuple[int, ...]]
    ) -> tuple[tally.Majority, list[Note]]:
        """Return the number of the answer that a judge names, or names most often."""
        count = len(state.answers)

        def pose(shown: tuple[Answer, ...], *, again: bool) -> Posed[int]:
            messages = prompts.vote(state.question, shown, self.prompt, again=again)
            asked = Asked.of(count, prompts.key(state.question, shown, self.prompt), messages)

            def read(answer: Answer) -> int | None:
                return read_vote(answer.text, asked)

            return Posed(messages, prompts.vote_schema(count), read)

        judge = Judge(agent, self, turn, state.answers, pose)
        named: list[str | None] = []
        made, size, lead = 0, self._first_wave, tally.Lead("", 0)
        while size:
            wave = orders[made : made + size]
            made += size
            numbers = await judge.ask(wave, quorum=0 if any(named) else 1, required=made == self.passes)
            named += [
                None if number is None else str(order[number - 1] + 1)
                for order, number in zip(wave, numbers, strict=True)
            ]
            lead = tally.lead(named)
            size = self.stop.next_wave(lead, self.passes - made) if self.stop else 0
        outcome = tally.majority(named)
        if outcome is None:  # nothing was named
            raise StepFailed(f"{agent} named no answer in a form that can be read, asked twice")
        saved = [stopped(made, self.passes, f"answer {outcome.value}", lead.by)] if made < self.passes else []
        return outcome, [*judge.notes, *_told(agent, outcome, made, count), *saved]


def _as_it_is(answer: Answer) -> Answer:
    return answer


def _counted(outcome: tally.Majority) -> Iterator[Note]:
    """Yield what a count came to: the value with the most votes of all answers that could be read."""
    yield Note(f"{outcome.votes} of {outcome.tally.of} answers say {short(outcome.value)}")
    if outcome.tied:
        others = ", ".join(short(value) for value in outcome.tied)
        yield Note(f"a tie with {others}; the one given first was taken", degrades=True)
    elif 2 * outcome.votes <= outcome.readable:
        text = f"no majority: {outcome.votes} of {outcome.readable} answers that could be read, the most votes"
        yield Note(text, degrades=True)
    if outcome.abstained:
        blank = numbered(position + 1 for position in outcome.abstained)
        most = 2 * len(outcome.abstained) > outcome.tally.of
        what = "more than half of the answers hold" if most else "answers that hold"
        yield Note(f"{what} nothing to count: {blank}", degrades=most)


def _told(judge: str, outcome: tally.Majority, passes: int, count: int) -> Iterator[Note]:
    """Yield what a judge's verdict was."""
    if passes == 1:
        yield Note(f"{judge} chose answer {outcome.value} of {count}")
    else:
        yield Note(f"{judge} named answer {outcome.value} of {count} in {outcome.votes} of {passes} passes")
    if outcome.tied:
        yield Note(f"a tie with {', '.join(outcome.tied)}; the one named first was taken", degrades=True)
