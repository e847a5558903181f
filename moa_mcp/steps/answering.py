"""The layers that write answers: propose, synthesize, aggregate, refine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Annotated, ClassVar, Literal, TypeVar

from msgspec.structs import replace
from pydantic import Field, ValidationInfo, field_validator

from moa_mcp.extraction.confidence import stated
from moa_mcp.steps import prompts, tally
from moa_mcp.steps.extracting import Stop, extract, short, stopped
from moa_mcp.steps.fan_in import expected_fan_in, fan_in
from moa_mcp.steps.forecast import Bound, ExpectedAnswer, ExpectedAnswers, Forecast
from moa_mcp.steps.layer import Agent, MultiAgentStep, SingleAgentStep, asked_of, given
from moa_mcp.steps.members import Member
from moa_mcp.steps.step import SingleCalls, Turn
from moa_mcp.values import Answer, Message, Note, Question, Request, State

Kept = TypeVar("Kept")


class Propose(MultiAgentStep):
    """Each agent answers the question independently."""

    step: Literal["propose"] = "propose"
    adds_answers: ClassVar[bool] = True
    keep: Annotated[int, Field(ge=0, le=100)] | Literal["all"] = 0
    """How many copies of the previous answer are added to the new ones, to give it weight in the next step
    (the sliding window of Self-MoA-Seq: Li et al. 2025, arXiv 2502.00674). 0 discards it. "all" adds all previous
    answers once."""

    stop: Stop | None = None
    """When to stop early. With it, the agents are called in order, in batches."""
    confidence: bool = False
    """Whether the agents state their confidence from 0 to 100 in a last line, which is removed from their answers. A
    `vote` step reads it."""

    @field_validator("stop")
    @classmethod
    def _can_stop(cls, value: Stop | None, info: ValidationInfo) -> Stop | None:
        agents: tuple[Agent, ...] = info.data.get("agents", ())
        asked = sum(agent.samples for agent in agents)
        if value is not None and agents and (fault := value.fault(asked, f"{asked} calls")):
            raise ValueError(fault)
        return value

    def _met_by(self, models: Sequence[str]) -> Mapping[str, object]:
        stop = self.stop
        if stop is not None and stop.ahead_by is not None:
            stop = stop.model_copy(update={"ahead_by": min(stop.ahead_by, len(models))})
        return {**super()._met_by(models), "stop": stop}

    @property
    def _first_wave(self) -> int:
        calls = len(self.models)
        return self.stop.next_wave((), calls, self.quorum or 1) if self.stop else calls

    def _kept(self, before: tuple[Kept, ...]) -> tuple[Kept, ...]:
        """Return what remains of the previous answers."""
        return before if self.keep == "all" else before[:1] * self.keep

    @property
    def needs_answers(self) -> bool:
        return self.keep != 0

    @property
    def single_calls(self) -> SingleCalls:
        for setting, changes in (("prompt", self.prompt is not None), ("confidence", self.confidence)):
            if changes:
                return SingleCalls({}, f"{setting} of its first step changes what the models are asked")
        always = enumerate(self.members[: self._first_wave], 1)  # later calls depend on the answers to these
        bare = {number: self.request(member, ()) for number, member in always if member.system is None}
        return SingleCalls(bare, "" if bare else "all members of its first step have a system prompt")

    @property
    def asks_for_confidence(self) -> bool:
        return self.confidence

    @property
    def first_remedy(self) -> str:
        return "remove keep"

    @property
    def writes_answers(self) -> bool:
        return True

    @property
    def keeps_answers(self) -> bool:
        return self.needs_answers

    def answers_out(self, answers_in: int) -> int:
        return len(self.models) + len(self._kept((None,) * answers_in))

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        members = self.members[: self._first_wave] if bound == "min" else self.members
        form = _ask_with_confidence if self.confidence else _ask
        fresh = tuple(ExpectedAnswer(self.reply_tokens(bound), member.model) for member in members)
        return Forecast(self.expected(members, form, (), bound), self._kept(answers) + fresh)

    def lint(self, answers: int) -> Iterator[str]:
        if answers and not self.keep:
            yield f"discards the {answers} answers before it, which cost money; keep = 1 keeps the first one"
        if answers > 1 and self.keep not in {0, "all"}:
            others = 'aggregate them first, or set keep = "all"'
            yield f"keep repeats the first of {answers} answers and discards the others; {others}"
        yield from super().lint(answers)

    async def run(self, state: State, turn: Turn) -> State:
        write = prompts.ask_with_confidence if self.confidence else prompts.ask
        requests = self.requests(state.question, lambda question: write(question, self.prompt))
        notes: list[Note] = []
        if self.stop is None:
            replies = await turn.ask(requests, quorum=self.required(len(requests)), grace_s=self.grace_s)
            fresh = self._stated(given(replies))
        else:
            fresh, notes = await self._in_waves(turn, requests, self.stop)
        return state.then(self._kept(state.answers) + fresh, *notes)

    def _stated(self, answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
        """Return the answers with the confidences that they state, and without the lines that state them."""
        if not self.confidence:
            return answers
        found = ((answer, stated(answer.text)) for answer in answers)
        return tuple(
            replace(
                answer, text=each.text, confidence=answer.confidence if each.confidence is None else each.confidence
            )
            for answer, each in found
        )

    async def _in_waves(self, turn: Turn, requests: list[Request], stop: Stop) -> tuple[tuple[Answer, ...], list[Note]]:
        """Call the agents in batches. Each batch is the smallest that can produce the required lead."""
        quorum = self.required(len(requests))
        answers: tuple[Answer, ...] = ()
        values: list[str | None] = []
        notes: list[Note] = []
        asked, size = 0, self._first_wave
        while size:
            wave, asked = requests[asked : asked + size], asked + size
            needed = max(0, quorum - len(answers))
            last = asked == len(requests)
            replies = given(
                await turn.ask(
                    wave,
                    quorum=needed if last else min(needed, size),
                    grace_s=self.grace_s if needed else None,  # after the quorum, the count needs whole batches
                    required=last,
                )
            )
            fresh = self._stated(replies)
            extracted = await extract(stop, fresh, counted=len(answers))
            answers += fresh
            values += extracted.values
            notes += extracted.notes
            size = stop.next_wave(values, len(requests) - asked, quorum - len(answers))
        if asked < len(requests):
            notes.append(stopped(asked, len(requests), short(tally.lead(values).value), stop, values))
        return answers, notes


class Synthesize(MultiAgentStep):
    """Each agent writes one answer from all previous answers (Wang et al. 2024, arXiv 2406.04692)."""

    step: Literal["synthesize"] = "synthesize"
    reads_in_windows: ClassVar[bool] = True
    adds_answers: ClassVar[bool] = True

    @property
    def writes_answers(self) -> bool:
        return True

    def answers_out(self, answers_in: int) -> int:
        del answers_in
        return len(self.models)

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        made = tuple(ExpectedAnswer(self.reply_tokens(bound), model) for model in self.models)
        return Forecast(expected_fan_in(self, answers, bound), made)

    async def run(self, state: State, turn: Turn) -> State:
        quorum = self.required(len(self.models))
        answers, notes = await fan_in(self, self.members, state, turn, quorum=quorum, grace_s=self.grace_s)
        return state.then(answers, *notes)


class Aggregate(SingleAgentStep):
    """One agent writes one answer from all previous answers."""

    step: Literal["aggregate"] = "aggregate"
    reads_in_windows: ClassVar[bool] = True

    @property
    def writes_answers(self) -> bool:
        return True

    def answers_out(self, answers_in: int) -> int:
        del answers_in
        return 1

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        made = ExpectedAnswer(self.reply_tokens(bound), self.agent.model)
        return Forecast(expected_fan_in(self, answers, bound), (made,))

    async def run(self, state: State, turn: Turn) -> State:
        async def ask(agent: Member) -> tuple[tuple[Answer, ...], tuple[Note, ...]]:
            return await fan_in(self, [agent], state, turn)

        (answers, notes), instead = await asked_of(self.agent, self.fallback_agent, ask)
        return state.then(answers, *notes, *instead)


class Refine(MultiAgentStep):
    """The agents take turns to improve each answer separately. If a call fails, its answer remains unchanged."""

    step: Literal["refine"] = "refine"
    per_answer: ClassVar[bool] = True

    @property
    def writes_answers(self) -> bool:
        return True

    def answers_out(self, answers_in: int) -> int:
        return answers_in

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        turns = list(zip(cycle(self.members), answers, strict=False))
        calls = [call for member, answer in turns for call in self.expected((member,), _refine, (answer,), bound)]
        made = tuple(ExpectedAnswer(self.reply_tokens(bound), member.model) for member, _ in turns)
        return Forecast(tuple(calls), made)

    def lint(self, answers: int) -> Iterator[str]:
        if len(self.models) > answers:
            left = len(self.models) - answers
            yield f"{len(self.models)} agents for {answers} answers: {left} of them will never be called"

    async def run(self, state: State, turn: Turn) -> State:
        requests = [
            self.request(member, prompts.refine(member.asked(state.question), answer, self.prompt))
            for member, answer in zip(cycle(self.members), state.answers, strict=False)
        ]
        refined = await turn.ask(requests, quorum=self.required(len(requests)), grace_s=self.grace_s)
        notes = [
            Note(f"answer {number} was not refined", degrades=True)
            for number, answer in enumerate(refined, 1)
            if answer is None
        ]
        pairs = zip(refined, state.answers, strict=True)
        return state.then(tuple(better or before for better, before in pairs), *notes)


def _ask(question: Question, answers: Sequence[Answer], instruction: str | None) -> tuple[Message, ...]:
    del answers
    return prompts.ask(question, instruction)


def _ask_with_confidence(question: Question, answers: Sequence[Answer], instruction: str | None) -> tuple[Message, ...]:
    del answers
    return prompts.ask_with_confidence(question, instruction)


def _refine(question: Question, answers: Sequence[Answer], instruction: str | None) -> tuple[Message, ...]:
    return prompts.refine(question, answers[0], instruction)
