"""What every step is: configuration that can run. A step sees its state and its turn, and nothing else of the world."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cached_property
from random import Random
from typing import Annotated, Protocol, TypeAlias, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from moa_mcp.errors import DeadlinePassed, StepFailed
from moa_mcp.values import Answer, Message, Note, ReplySchema, Request, State

Reply = TypeVar("Reply")


class Turn(Protocol):
    """All that a step may touch."""

    @property
    def rng(self) -> Random:
        """Chance, the same in every run with the same seed."""
        ...

    async def ask(
        self,
        requests: Sequence[Request],
        *,
        quorum: int = 1,
        grace_s: float | None = None,
        required: bool = True,
        tells_too_long: bool = False,
    ) -> tuple[Answer | None, ...]:
        """Ask all at once and return the answers in the order of the requests, None for those that failed.

        With `grace_s`, those that have not answered so many seconds after the quorum did are left behind.

        Raises:
            PromptTooLong: with `tells_too_long`, some prompts do not fit their models' windows.
            StepFailed: fewer than `quorum` answered, and they are `required`.

        """
        ...

    def window(self, agent: str) -> int | None:
        """Return how many tokens an agent's prompt and answer may have together; None if that is not known."""
        ...


class Frozen(BaseModel):
    """A table of the configuration: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, strict=True)


class Agent(Frozen):
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


class StepBase(Frozen):
    """What the engine and the plan ask of every step."""

    @property
    def models(self) -> tuple[str, ...]:
        """The model aliases that the step asks, one for each of its calls if those are known beforehand."""
        return ()

    @abstractmethod
    def answers_out(self, answers_in: int) -> int:
        """Return how many answers the step hands on, if nothing fails."""

    @property
    def fewest(self) -> int:
        """How many of its `models` the step asks at least, if nothing fails."""
        return len(self.models)

    @property
    def fallback(self) -> str | None:
        """The model that is asked when the step's only one gave no answer."""
        return None

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


class ModelStep(StepBase):
    """A layer: a step that calls models. What it leaves open comes from the configuration's defaults."""

    prompt: Annotated[str, Field(min_length=1)] | None = None
    """Takes the place of the built-in instruction; question and answers are attached all the same."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None, validation_alias=AliasChoices("temperature", "temp")
    )
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    """Seconds for one attempt."""
    hedge: bool | None = None
    """Whether a call that takes much longer than the step's others gets a spare one, which is paid for too."""

    def request(self, agent: str, messages: tuple[Message, ...], reply_schema: ReplySchema | None = None) -> Request:
        """Return a request with the step's parameters."""
        limits = self.temperature, self.max_tokens, self.timeout_s
        return Request(agent, messages, *limits, self.hedge or False, reply_schema)


class MultiAgentStep(ModelStep):
    """A layer that asks several agents."""

    agents: Agents
    quorum: Annotated[int, Field(ge=1)] | None = None
    """How many must answer, 1 by default; with fewer the step fails."""
    grace_s: Annotated[float, Field(ge=0)] | None = None
    """Seconds that the others have to answer once so many have; None waits for all."""

    @field_validator("quorum")
    @classmethod
    def _can_be_met(cls, value: int | None, info: ValidationInfo) -> int | None:
        agents: tuple[Agent, ...] = info.data.get("agents", ())
        asked = sum(agent.samples for agent in agents)
        if value is not None and agents and value > asked:
            raise ValueError(f"{value} answers can't come of {asked} {'call' if asked == 1 else 'calls'}")
        return value

    @cached_property
    def models(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  read as one
        return tuple(agent.model for agent in self.agents for _ in range(agent.samples))

    async def ask_all(self, turn: Turn, messages: tuple[Message, ...]) -> tuple[Answer, ...]:
        """Put the same messages to every agent; equal messages let the providers' prompt caches hit."""
        requests = [self.request(model, messages) for model in self.models]
        return given(await turn.ask(requests, quorum=min(self.quorum or 1, len(requests)), grace_s=self.grace_s))


class SingleAgentStep(ModelStep):
    """A layer that asks one agent."""

    agent: Annotated[str, Field(min_length=1)]
    fallback_agent: Annotated[str, Field(min_length=1)] | None = None
    """Asked in its place when it gave no answer, after all its routes."""

    @property
    def models(self) -> tuple[str, ...]:
        return (self.agent,)

    @property
    def fallback(self) -> str | None:
        return self.fallback_agent


async def asked_of(
    agent: str, fallback: str | None, ask: Callable[[str], Awaitable[Reply]]
) -> tuple[Reply, tuple[Note, ...]]:
    """Return what asking the agent brings, else what asking the fallback does, with a note of it.

    Raises:
        StepFailed: neither could be asked with success.

    """
    try:
        return await ask(agent), ()
    except DeadlinePassed:
        raise
    except StepFailed as error:
        if fallback is None:
            raise
        try:
            reply = await ask(fallback)
        except DeadlinePassed:
            raise
        except StepFailed as second:
            raise type(second)(f"{error}; then {fallback} was asked: {second}") from second
        return reply, (Note(f"asked {fallback} in place of {agent}: {error}", degrades=True),)


def given(answers: Sequence[Answer | None]) -> tuple[Answer, ...]:
    """Return the answers that came."""
    return tuple(answer for answer in answers if answer is not None)


def numbered(numbers: Iterable[int]) -> str:
    """Return numbers as a note shows them."""
    return ", ".join(str(number) for number in numbers)
