"""The layer that chooses one answer, by a judge or by a majority vote, or that writes the consensus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from moa_mcp.errors import DeadlinePassed, StepFailed, StepLeftOut
from moa_mcp.extraction.numerals import DecimalMark
from moa_mcp.steps import prompts, tally
from moa_mcp.steps.consulting import Judge, Posed, orders
from moa_mcp.steps.extracting import Ahead, Extractor, compilable, described, extract, of_numbers, short, stopped
from moa_mcp.steps.forecast import Bound, ExpectedAnswer, ExpectedAnswers, Forecast, drawn
from moa_mcp.steps.judged import OptionalAgentStep
from moa_mcp.steps.layer import asked_of
from moa_mcp.steps.members import Member, OneMember
from moa_mcp.steps.sides import report, report_tokens
from moa_mcp.steps.step import Shown, Turn, numbered
from moa_mcp.values import Answer, Note, State
from moa_mcp.verdicts import Asked, read_vote


class Vote(OptionalAgentStep):
    """Choose one of the answers, or write their consensus.

    ``judge``: the agent chooses the most consistent answer, which is returned unchanged (universal self-consistency:
    Chen et al. 2023, arXiv 2311.17311). ``majority``: returns the most frequent answer, without a model. ``restate``:
    the agent writes the consensus.
    """

    step: Literal["vote"] = "vote"
    shows_answers: ClassVar[Shown | None] = "in_order"
    method: Literal["judge", "majority", "restate"] = "judge"
    """How the answer is chosen."""
    agent: OneMember | None = Field(default=None, validate_default=True)
    """The model that is called; required unless the method is ``majority``."""
    fallback_agent: OneMember | None = None
    """Called if all routes of the agent failed."""
    extract: Extractor = "text"
    """The value of an answer that ``majority`` counts."""
    decimal: DecimalMark | None = None
    """The decimal mark of ambiguous numbers, with ``last_number``. By default the point: ``1,234`` is 1234."""
    confidence: bool = False
    """Whether ``majority`` weighs the votes by the confidences that the answers state. They are not calibrated
    (confidence-informed self-consistency: Taubenfeld et al. 2025, arXiv 2502.06233)."""
    confidence_temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Temperature of the softmax that makes weights of confidences: high for nearly equal weights, low for one that
    leaves the decision to the most confident."""
    report: bool = False
    """Whether the answer of ``majority`` is a report in place of the chosen answer: the value, the votes, and a line of
    reason for each value."""
    undecided: Annotated[str, Field(min_length=1)] | None = None
    """The value that a report states if none has a majority, such as ``unsure``."""
    passes: Annotated[int, Field(ge=1, le=20)] = 1
    """Number of calls of ``judge``. Each call sees the answers in another order, and the answer with the most votes
    is chosen."""
    stop: Ahead | None = None
    """When to skip the remaining passes."""

    @field_validator("agent")
    @classmethod
    def _fits_the_method(cls, value: Member | None, info: ValidationInfo) -> Member | None:
        method = info.data.get("method", "unknown")
        if method == "majority" and value is not None:
            raise ValueError(f'{value.model!r} would not be called: method = "majority" only counts; remove agent')
        if method in {"judge", "restate"} and value is None:
            raise ValueError(f'is missing; method = "{method}" calls a model')
        return value

    @field_validator("fallback_agent")
    @classmethod
    def _stands_in(cls, value: Member | None, info: ValidationInfo) -> Member | None:
        if value is not None and info.data.get("method") == "majority":
            raise ValueError(
                f'{value.model!r} would not be called: method = "majority" only counts; remove fallback_agent'
            )
        return value

    @field_validator("extract")
    @classmethod
    def _can_be_counted(cls, value: Extractor, info: ValidationInfo) -> Extractor:
        if value != "text" and info.data.get("method", "majority") != "majority":
            raise ValueError('is only used with method = "majority"; remove it, or set that method')
        return compilable(value)

    @field_validator("decimal")
    @classmethod
    def _reads_numbers(cls, value: DecimalMark | None, info: ValidationInfo) -> DecimalMark | None:
        return of_numbers(value, info.data.get("extract"))

    @field_validator("confidence", "report")
    @classmethod
    def _counts_votes(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("method", "majority") != "majority":
            raise ValueError('is only used with method = "majority"; remove it, or set that method')
        return value

    @field_validator("confidence_temperature")
    @classmethod
    def _makes_weights(cls, value: float, info: ValidationInfo) -> float:
        if value != 1 and not info.data.get("confidence", True):
            raise ValueError("is only used with confidence = true; remove it, or set confidence")
        return value

    @field_validator("undecided")
    @classmethod
    def _is_reported(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not info.data.get("report", True):
            raise ValueError("is only used with report = true; remove it, or set report")
        return value

    @field_validator("passes")
    @classmethod
    def _are_judged(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("method", "judge") != "judge":
            raise ValueError('is only used with method = "judge"; remove it, or set that method')
        return value

    @field_validator("stop")
    @classmethod
    def _can_stop(cls, value: Ahead | None, info: ValidationInfo) -> Ahead | None:
        passes = info.data.get("passes")
        if value is not None and passes is not None and (fault := value.fault(passes, f"passes = {passes}")):
            raise ValueError(fault)
        return value

    @property
    def reads_confidence(self) -> bool:
        return self.confidence

    @property
    def members(self) -> tuple[Member, ...]:
        return (self.agent,) * self.passes if self.agent else ()

    @property
    def _first_wave(self) -> int:
        return self.stop.next_wave((), self.passes) if self.stop else len(self.members)

    @property
    def writes_answers(self) -> bool:
        return self.method == "restate"

    def answers_out(self, answers_in: int) -> int:
        del answers_in
        return 1

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        if self.method == "restate":
            made = ExpectedAnswer(self.reply_tokens(bound), next(iter(self.models), None))
            return Forecast(self.expected(self.members, prompts.restate, answers, bound), (made,))
        if self.report:
            return Forecast((), (ExpectedAnswer(report_tokens(answers, self.undecided, bound)),))
        members = self.members[: self._first_wave] if bound == "min" else self.members
        schema = prompts.vote_schema(len(answers))
        calls = self.expected(members, prompts.vote, answers, bound, schema) if len(answers) != 1 else ()
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

    async def _restate(self, agent: Member, state: State, turn: Turn) -> State:
        async def ask(agent: Member) -> tuple[tuple[Answer, ...], tuple[Note, ...]]:
            def pose(shown: tuple[Answer, ...], *, again: bool) -> Posed[Answer]:
                del again  # any text is an answer
                return Posed(prompts.restate(agent.asked(state.question), shown, self.prompt), None, _as_it_is)

            judge = Judge(agent, self, turn, state.answers, pose)
            answers = await judge.ask(orders(len(state.answers), 1, turn))
            return tuple(answer for answer in answers if answer is not None), judge.notes

        (answers, notes), instead = await asked_of(agent, self.fallback_agent, ask)
        return state.then(answers, *instead, *notes)

    async def _count(self, state: State) -> State:
        extracted = await extract(self, state.answers)
        confidences = [answer.confidence for answer in state.answers]
        temperature = self.confidence_temperature
        weights = tally.confidence_weights(confidences, temperature, extracted.values) if self.confidence else None
        outcome = tally.majority(extracted.values, weights)
        if outcome is None:
            slow = "".join(f"; {note.text}" for note in extracted.notes)
            raise StepFailed(f"no answer has a value to count ({described(self.extract)}){slow}")
        notes = [*extracted.notes, *_counted(outcome), *(_unstated(confidences) if self.confidence else ())]
        chosen = state.answers[outcome.winner]
        if self.report:
            text = report(outcome.tally, state.answers, self.undecided)
            chosen = Answer(text, chosen.agent, chosen.place)
        return state.then((chosen,), *notes, tally=outcome.tally)

    async def _judge(self, agent: Member, state: State, turn: Turn) -> State:
        answers = state.answers
        if len(answers) == 1:
            return state.then(answers)
        passes = orders(len(answers), self.passes, turn)

        async def consult(judge: Member) -> tuple[tally.Majority, list[Note]]:
            return await self._verdict(judge, state, turn, passes)

        try:
            (outcome, notes), instead = await asked_of(agent, self.fallback_agent, consult)
        except (DeadlinePassed, StepLeftOut):
            raise
        except StepFailed as error:
            return await self._counted_instead(state, error)
        chosen = answers[int(outcome.value) - 1]
        counted = outcome.tally if self.passes > 1 else None
        return state.then((chosen,), *instead, *notes, tally=counted, verdict=_verdict(outcome, len(answers)))

    async def _counted_instead(self, state: State, error: StepFailed) -> State:
        """Return the most frequent answer instead. Raises `StepFailed` if there is none, or a tie."""
        extracted = await extract(self, state.answers)
        outcome = tally.majority(extracted.values)
        if outcome is None or outcome.votes == 1 or outcome.tied:
            raise StepFailed(
                f"{error}; a majority vote is not possible either: no single answer was given most often; "
                "set another fallback_agent, or fork the run with another judge"
            ) from error
        counted = f"{outcome.votes} of {len(state.answers)} answers say {short(outcome.value)}"
        instead = Note(f"{error}; used a majority vote instead: {counted}", degrades=True)
        return state.then((state.answers[outcome.winner],), instead, tally=outcome.tally)

    async def _verdict(
        self, agent: Member, state: State, turn: Turn, orders: Sequence[tuple[int, ...]]
    ) -> tuple[tally.Majority, list[Note]]:
        """Return the answer with the most votes of a judge, by its number."""
        count = len(state.answers)
        question = agent.asked(state.question)

        def pose(shown: tuple[Answer, ...], *, again: bool) -> Posed[int]:
            messages = prompts.vote(question, shown, self.prompt, again=again)
            asked = Asked.of(count, prompts.key(question, shown, self.prompt), messages)

            def read(answer: Answer) -> int | None:
                return read_vote(answer.text, asked)

            return Posed(messages, prompts.vote_schema(count), read)

        judge = Judge(agent, self, turn, state.answers, pose)
        named: list[str | None] = []
        made, size = 0, self._first_wave
        while size:
            wave = orders[made : made + size]
            made += size
            numbers = await judge.ask(wave, quorum=0 if any(named) else 1, required=made == self.passes)
            named += [
                None if number is None else str(order[number - 1] + 1)
                for order, number in zip(wave, numbers, strict=True)
            ]
            size = self.stop.next_wave(named, self.passes - made) if self.stop else 0
        outcome = tally.majority(named, of_answers=False)
        if outcome is None:  # no pass returned a valid vote
            raise StepFailed(f"{agent.model} returned no valid vote in 2 attempts")
        notes = [*judge.notes, *_chosen(agent.model, outcome, made, count)]
        if self.stop and made < self.passes:
            notes.append(stopped(made, self.passes, f"answer {outcome.value}", self.stop, named))
        return outcome, notes


def _verdict(outcome: tally.Majority, answers: int) -> str:
    """Return what a judge said, in words."""
    named = f"answer {outcome.value} of {answers} is the most consistent"
    passes = outcome.tally.of
    return named if passes == 1 else f"{named}, in {outcome.votes} of {passes} passes"


def _as_it_is(answer: Answer) -> Answer:
    return answer


def _counted(outcome: tally.Majority) -> Iterator[Note]:
    """Yield the notes of a majority vote."""
    weight = "" if outcome.weight is None else f", with {100 * outcome.weight:.0f} % of the weight by confidence"
    yield Note(f"{outcome.votes} of {outcome.tally.of} answers say {short(outcome.value)}{weight}")
    if outcome.tied:
        others = ", ".join(short(value) for value in outcome.tied)
        yield Note(f"tie with {others}; chose the value given first", degrades=True)
    elif not outcome.has_majority:
        text = f"no majority: the most frequent value has {outcome.votes} of {outcome.readable} votes"
        yield Note(text, degrades=True)
    if outcome.abstained:
        which = numbered(position + 1 for position in outcome.abstained)
        blank, most = len(outcome.abstained), 2 * len(outcome.abstained) > outcome.tally.of
        names = f"answer {which} has" if blank == 1 else f"answers {which} have"
        text = f"{names} no value to count"
        yield Note(f"{text}: more than half of the answers" if most else text, degrades=most)


def _unstated(confidences: Sequence[float | None]) -> Iterator[Note]:
    """Yield the notes on what the weights are made of."""
    missing = [number for number, each in enumerate(confidences, 1) if each is None]
    if len(missing) == len(confidences):
        yield Note("no answer states a confidence, so all have the same weight", degrades=True)
        return
    if len(missing) == 1:
        yield Note(f"answer {missing[0]} states no confidence; it has the mean of the others")
    elif missing:
        yield Note(f"answers {numbered(missing)} state no confidence; they have the mean of the others")
    yield Note("the confidences are those that the models state; they are not calibrated")


def _chosen(judge: str, outcome: tally.Majority, passes: int, count: int) -> Iterator[Note]:
    """Yield the notes of a verdict."""
    if passes == 1:
        yield Note(f"{judge} chose answer {outcome.value} of {count}")
    else:
        yield Note(f"{judge} chose answer {outcome.value} of {count} in {outcome.votes} of {passes} passes")
    if outcome.tied:
        yield Note(f"tie with {', '.join(outcome.tied)}; chose the answer named first", degrades=True)
