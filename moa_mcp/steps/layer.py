"""Steps that call models (layers): one agent, or several. What they leave open comes from the configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Self, TypeAlias, TypeVar

from pydantic import AliasChoices, BeforeValidator, Field, ValidationInfo, field_validator

from moa_mcp.errors import DeadlinePassed, StepFailed
from moa_mcp.steps.forecast import (
    MAX_TOKENS,
    Bound,
    ExpectedAnswers,
    ExpectedCalls,
    Form,
    in_turn,
    reply_tokens,
)
from moa_mcp.steps.step import DefaultsOfSteps, Frozen, Key, StepBase, Turn
from moa_mcp.values import Answer, Message, Note, ReplySchema, Request

Reply = TypeVar("Reply")


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

    @property
    def attempt_s(self) -> float | None:
        return self.timeout_s

    def completed(self, defaults: DefaultsOfSteps) -> Self:
        values = self._defaults(defaults)
        return self.model_copy(update={key: value for key, value in values.items() if getattr(self, key) is None})

    def _defaults(self, defaults: DefaultsOfSteps) -> Mapping[str, object]:
        return {name: getattr(defaults, name) for name in ("temperature", "max_tokens", "timeout_s", "hedge")}

    def reply_tokens(self, bound: Bound, *, verdict: bool = False) -> int:
        """Return the tokens of one reply."""
        return reply_tokens(self.max_tokens or MAX_TOKENS, bound, verdict=verdict)

    def expected(
        self, models: tuple[str, ...], form: Form, shown: ExpectedAnswers, bound: Bound, *, verdict: bool = False
    ) -> tuple[ExpectedCalls, ...]:
        """Return one call to each of the models, all with the same prompt."""
        tokens = self.reply_tokens(bound, verdict=verdict)
        return tuple(
            ExpectedCalls(model, times, form, self.prompt, shown, tokens, verdict) for model, times in in_turn(models)
        )


class MultiAgentStep(ModelStep):
    """A layer that asks several agents."""

    per_answer: ClassVar[bool] = False
    """Whether the number of calls depends on the answers before the step."""
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
        if value is not None and agents and value > asked and not cls.per_answer:
            raise ValueError(f"{value} answers can't come of {asked} {'call' if asked == 1 else 'calls'}")
        return value

    @cached_property
    def models(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  read as one
        return tuple(agent.model for agent in self.agents for _ in range(agent.samples))

    def named_models(self) -> Iterator[tuple[Key, str]]:
        yield from ((("agents", index), agent.model) for index, agent in enumerate(self.agents))

    def required(self, calls: int) -> int:
        return min(self.quorum or 1, calls)

    def _defaults(self, defaults: DefaultsOfSteps) -> Mapping[str, object]:
        quorum = defaults.quorum if self.per_answer else min(defaults.quorum, len(self.models))
        return {**super()._defaults(defaults), "quorum": quorum, "grace_s": defaults.grace_s}

    @classmethod
    def other_models(cls, calls: int) -> str:
        return f"agents={','.join(['NAME'] * (1 if cls.per_answer else calls))}"

    def lint(self, answers: int) -> Iterator[str]:
        del answers
        if self.temperature == 0:
            for model, count in Counter(self.models).items():
                if count > 1:
                    yield f"{count} samples of {model} at temperature 0 are {count} times the same answer"

    async def ask_all(self, turn: Turn, messages: tuple[Message, ...]) -> tuple[Answer, ...]:
        """Put the same messages to every agent; equal messages let the providers' prompt caches hit."""
        requests = [self.request(model, messages) for model in self.models]
        return given(await turn.ask(requests, quorum=self.required(len(requests)), grace_s=self.grace_s))


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

    def named_models(self) -> Iterator[tuple[Key, str]]:
        yield from named(agent=self.agent, fallback_agent=self.fallback_agent)

    def on_fallback(self) -> Self:
        return self.model_copy(update={"agent": self.fallback_agent or self.agent})


def named(**models: str | None) -> Iterator[tuple[Key, str]]:
    """Yield the aliases that are set, each with its key."""
    for key, model in models.items():
        if model is not None:
            yield (key,), model


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
