"""The step types: configuration that can run. A step sees its state and its turn, and nothing else of the world.

A new step is one class here and one word in the union at the end, which is the registry.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from random import Random
from typing import Annotated, Literal, Protocol, TypeAlias, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from moa_mcp import prompts, tally
from moa_mcp.errors import StepFailed
from moa_mcp.values import Answer, Message, Note, Request, State

Reading = TypeVar("Reading")


class Turn(Protocol):
    """All that a step may touch."""

    @property
    def rng(self) -> Random:
        """Chance, the same in every run with the same seed."""
        ...

    async def ask(self, requests: Sequence[Request], *, quorum: int = 1) -> tuple[Answer | None, ...]:
        """Ask all at once and return the answers in the order of the requests, None for those that failed.

        Raises:
            StepFailed: fewer than `quorum` answered.

        """
        ...


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, strict=True)


class Agent(_Frozen):
    """A model that a step asks, and how often."""

    model: Annotated[str, Field(min_length=1)]
    samples: Annotated[int, Field(ge=1, le=100)] = 1


def _agent(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


Agents: TypeAlias = Annotated[
    tuple[Annotated[Agent, BeforeValidator(_agent)], ...], BeforeValidator(_tuple), Field(min_length=1)
]


class _Step(_Frozen):
    @property
    def models(self) -> tuple[str, ...]:
        """The model aliases that the step asks, one for each of its calls if those are known beforehand."""
        return ()

    @abstractmethod
    def answers_out(self, answers_in: int) -> int:
        """Return how many answers the step hands on, if nothing fails."""

    def calls(self, answers_in: int) -> int:
        """Return how many model calls the step makes, if nothing fails."""
        del answers_in
        return len(self.models)

    @property
    def needs_answers(self) -> bool:
        """Whether the step has nothing to do without answers before it."""
        return True

    @property
    def judges(self) -> bool:
        """Whether what its calls say is read as a verdict, rather than handed on."""
        return False

    @abstractmethod
    async def run(self, state: State, turn: Turn) -> State:
        """Return the state after the step.

        Raises:
            StepFailed: the step can't do its work.

        """


class ModelStep(_Step):
    """A layer: a step that calls models. What it leaves open comes from the configuration's defaults."""

    prompt: Annotated[str, Field(min_length=1)] | None = None
    """Takes the place of the built-in instruction; question and answers are attached all the same."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None, validation_alias=AliasChoices("temperature", "temp")
    )
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    """Seconds for one attempt."""

    def request(self, agent: str, messages: tuple[Message, ...]) -> Request:
        """Return a request with the step's parameters."""
        return Request(agent, messages, self.temperature, self.max_tokens, self.timeout_s)


class PanelStep(ModelStep):
    """A layer that asks several agents."""

    agents: Agents
    quorum: Annotated[int, Field(ge=1)] | None = None
    """How many must answer, 1 by default; with fewer the step fails."""

    @field_validator("quorum")
    @classmethod
    def _can_be_met(cls, value: int | None, info: ValidationInfo) -> int | None:
        agents: tuple[Agent, ...] = info.data.get("agents", ())
        asked = sum(agent.samples for agent in agents)
        if value is not None and agents and value > asked:
            raise ValueError(f"{value} answers can't come of {asked} calls")
        return value

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(agent.model for agent in self.agents for _ in range(agent.samples))

    async def ask_all(self, turn: Turn, messages: tuple[Message, ...]) -> tuple[Answer, ...]:
        """Put the same messages to every agent; equal messages let the providers' prompt caches hit."""
        requests = [self.request(model, messages) for model in self.models]
        return _given(await turn.ask(requests, quorum=min(self.quorum or 1, len(requests))))


class SoleStep(ModelStep):
    """A layer that asks one agent."""

    agent: Annotated[str, Field(min_length=1)]

    @property
    def models(self) -> tuple[str, ...]:
        return (self.agent,)


class Propose(PanelStep):
    """Every agent answers the question on its own."""

    step: Literal["propose"] = "propose"
    keep: Annotated[int, Field(ge=0, le=100)] = 0
    """How often the answer so far stands beside the new ones, so that it weighs on what follows
    (the sliding window of Self-MoA-Seq: Li et al. 2025, arXiv 2502.00674). 0 discards it."""

    @property
    def needs_answers(self) -> bool:
        return self.keep > 0

    def answers_out(self, answers_in: int) -> int:
        return len(self.models) + (self.keep if answers_in else 0)

    async def run(self, state: State, turn: Turn) -> State:
        fresh = await self.ask_all(turn, prompts.ask(state.question, self.prompt))
        return state.then(state.answers[:1] * self.keep + fresh)


class Synthesize(PanelStep):
    """Every agent makes one answer of all answers before it (Wang et al. 2024, arXiv 2406.04692)."""

    step: Literal["synthesize"] = "synthesize"

    def answers_out(self, answers_in: int) -> int:
        del answers_in
        return len(self.models)

    async def run(self, state: State, turn: Turn) -> State:
        messages = prompts.synthesize(state.question, state.answers, self.prompt)
        return state.then(await self.ask_all(turn, messages))


class Aggregate(SoleStep):
    """One agent makes the answer of all answers before it."""

    step: Literal["aggregate"] = "aggregate"

    def answers_out(self, answers_in: int) -> int:
        del answers_in
        return 1

    async def run(self, state: State, turn: Turn) -> State:
        messages = prompts.synthesize(state.question, state.answers, self.prompt)
        return state.then(_given(await turn.ask([self.request(self.agent, messages)])))


class Refine(PanelStep):
    """Each answer is improved on its own; the agents take turns. An answer whose refinement fails stays as it was."""

    step: Literal["refine"] = "refine"

    @field_validator("quorum")
    @classmethod
    def _can_be_met(cls, value: int | None, info: ValidationInfo) -> int | None:
        del info
        return value  # there are as many calls as answers, however many agents take turns

    def answers_out(self, answers_in: int) -> int:
        return answers_in

    def calls(self, answers_in: int) -> int:
        return answers_in

    async def run(self, state: State, turn: Turn) -> State:
        requests = [
            self.request(model, prompts.refine(state.question, answer, self.prompt))
            for model, answer in zip(cycle(self.models), state.answers, strict=False)
        ]
        refined = await turn.ask(requests, quorum=min(self.quorum or 1, len(requests)))
        notes = [
            Note(f"answer {number} stays unrefined", degrades=True)
            for number, answer in enumerate(refined, 1)
            if answer is None
        ]
        pairs = zip(refined, state.answers, strict=True)
        return state.then(tuple(better or before for better, before in pairs), *notes)


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

        def conversation(index: int, again: bool) -> Request:
            shown = [answers[position] for position in orders[index]]
            return self.request(self.agent, prompts.rank(state.question, shown, self.prompt, again=again))

        def read(reply: str) -> tuple[int, ...] | None:
            return prompts.read_ranking(reply, count, keep)

        readings, notes = await _consult(turn, conversation, read, times=self.passes)
        rankings = [
            tuple(order[number - 1] for number in numbers)
            for order, numbers in zip(orders, readings, strict=True)
            if numbers is not None
        ]
        if not rankings:
            unranked = Note("the ranking could not be read; all answers go on, unranked", degrades=True)
            return state.then(answers, *notes, unranked)
        best = tally.borda(rankings, count)[:keep]
        kept = Note(f"kept {_numbers(position + 1 for position in best)} of {count}, best first")
        return state.then(tuple(answers[position] for position in best), *notes, kept)

    def _order(self, count: int, turn: Turn) -> tuple[int, ...]:
        return tuple(turn.rng.sample(range(count), count)) if self.passes > 1 else tuple(range(count))


class JsonField(_Frozen):
    """Extract the value of a field of the JSON object in an answer."""

    json_name: Annotated[str, Field(min_length=1)] = Field(alias="json")


class Pattern(_Frozen):
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

    @field_validator("extract")
    @classmethod
    def _can_be_counted(cls, value: Extractor, info: ValidationInfo) -> Extractor:
        if info.data.get("method", "majority") != "majority":
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
            return state.then(_given(await turn.ask([self.request(self.agent, messages)])))
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
            blank = _numbers(position + 1 for position in outcome.abstained)
            notes.append(Note(f"answers that hold nothing to count: {blank}"))
        return state.then((state.answers[outcome.winner],), *notes)

    async def _judge(self, agent: str, state: State, turn: Turn) -> State:
        answers = state.answers
        if len(answers) == 1:
            return state.then(answers)

        def conversation(_: int, again: bool) -> Request:
            return self.request(agent, prompts.vote(state.question, answers, self.prompt, again=again))

        def read(reply: str) -> int | None:
            return prompts.read_vote(reply, len(answers))

        (chosen,), notes = await _consult(turn, conversation, read)
        if chosen is None:
            raise StepFailed(f"{agent} named no answer in a form that can be read, asked twice")
        verdict = Note(f"{agent} chose answer {chosen} of {len(answers)}")
        return state.then((answers[chosen - 1],), *notes, verdict)


class Shuffle(_Step):
    """The answers go on in another order, so that none gains by its place."""

    step: Literal["shuffle"] = "shuffle"

    def answers_out(self, answers_in: int) -> int:
        return answers_in

    async def run(self, state: State, turn: Turn) -> State:
        order = turn.rng.sample(range(len(state.answers)), len(state.answers))
        note = Note(f"new order: {_numbers(position + 1 for position in order)}")
        return state.then(tuple(state.answers[position] for position in order), note)


class Dropout(_Step):
    """Each answer is left out with probability `rate`; one always stays."""

    step: Literal["dropout"] = "dropout"
    rate: Annotated[float, Field(ge=0, lt=1)]

    def answers_out(self, answers_in: int) -> int:
        return answers_in

    async def run(self, state: State, turn: Turn) -> State:
        kept = [position for position in range(len(state.answers)) if turn.rng.random() >= self.rate]
        return _selected(state, kept or [turn.rng.randrange(len(state.answers))])


class Sample(_Step):
    """`n` of the answers go on, drawn at random, in their order."""

    step: Literal["sample"] = "sample"
    n: Annotated[int, Field(ge=1)]

    def answers_out(self, answers_in: int) -> int:
        return min(self.n, answers_in)

    async def run(self, state: State, turn: Turn) -> State:
        total = len(state.answers)
        return _selected(state, sorted(turn.rng.sample(range(total), min(self.n, total))))


class Take(_Step):
    """The first `n` answers go on."""

    step: Literal["take"] = "take"
    n: Annotated[int, Field(ge=1)]

    def answers_out(self, answers_in: int) -> int:
        return min(self.n, answers_in)

    async def run(self, state: State, turn: Turn) -> State:
        del turn
        return _selected(state, range(min(self.n, len(state.answers))))


def _given(answers: Sequence[Answer | None]) -> tuple[Answer, ...]:
    return tuple(answer for answer in answers if answer is not None)


def _selected(state: State, positions: Sequence[int]) -> State:
    left_out = sorted(set(range(len(state.answers))) - set(positions))
    notes = [Note(f"left out: {_numbers(position + 1 for position in left_out)}")] if left_out else []
    return state.then(tuple(state.answers[position] for position in positions), *notes)


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


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _short(value: str, limit: int = 60) -> str:
    return repr(value if len(value) <= limit else value[: limit - 1] + "…")


def _described(extractor: Extractor) -> str:
    if isinstance(extractor, JsonField):
        return f'extract = {{ json = "{extractor.json_name}" }}'
    if isinstance(extractor, Pattern):
        return f"extract = {{ regex = '{extractor.regex}' }}"
    return f'extract = "{extractor}"'


Step: TypeAlias = Propose | Synthesize | Aggregate | Refine | Rank | Vote | Shuffle | Dropout | Sample | Take
