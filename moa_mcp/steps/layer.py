"""The base classes of layers: steps that call one agent or several. The configuration has defaults for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Self, TypeAlias, TypeVar, cast

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
from moa_mcp.steps.panel import expanded, is_panel, single
from moa_mcp.steps.step import DefaultsOfSteps, Frozen, Key, StepBase, Turn
from moa_mcp.values import Answer, Message, Note, ReplySchema, Request

Reply = TypeVar("Reply")


class Agent(Frozen):
    """A model that a step calls, and the number of calls."""

    model: Annotated[str, Field(min_length=1)]
    samples: Annotated[int, Field(ge=1, le=100)] = 1


def _agent(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


def _tuple(value: object) -> object:
    entries: object = [value] if is_panel(value) else value
    return expanded(cast("Sequence[object]", entries)) if isinstance(entries, list | tuple) else entries


AgentName: TypeAlias = Annotated[str, BeforeValidator(single), Field(min_length=1)]
"""A model that a step calls, or ``{ panel = TIER }``."""

Agents: TypeAlias = Annotated[
    tuple[Annotated[Agent, BeforeValidator(_agent)], ...], BeforeValidator(_tuple), Field(min_length=1)
]


class ModelStep(StepBase):
    """A layer: a step that calls models. Keys that are None get the defaults of the configuration."""

    prompt: Annotated[str, Field(min_length=1)] | None = None
    """Replaces the built-in instruction. The question and the answers are still added."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None, validation_alias=AliasChoices("temperature", "temp")
    )
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    """Timeout of one attempt of a call, in seconds."""
    hedge: bool | None = None
    """Whether a call that takes much longer than the others of the step is hedged: sent again, at additional cost."""

    def request(self, agent: str, messages: tuple[Message, ...], reply_schema: ReplySchema | None = None) -> Request:
        """Return a request with the parameters of the step."""
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
        """Return the length of one reply in tokens."""
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
    """A layer that calls several agents."""

    per_answer: ClassVar[bool] = False
    """Whether the step makes one call for each answer before it."""
    agents: Agents
    quorum: Annotated[int, Field(ge=1)] | None = None
    """The number of calls that must succeed, or the step fails. 1 by default."""
    grace_s: Annotated[float, Field(ge=0)] | None = None
    """Seconds to wait for the other calls after the quorum is reached. None waits for all."""

    @field_validator("quorum")
    @classmethod
    def _can_be_met(cls, value: int | None, info: ValidationInfo) -> int | None:
        agents: tuple[Agent, ...] = info.data.get("agents", ())
        asked = sum(agent.samples for agent in agents)
        if value is not None and agents and value > asked and not cls.per_answer:
            raise ValueError(f"{value} can't be reached with {asked} {'call' if asked == 1 else 'calls'}")
        return value

    @cached_property
    def models(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  read like a property
        return tuple(agent.model for agent in self.agents for _ in range(agent.samples))

    def named_models(self) -> Iterator[tuple[Key, str]]:
        yield from ((("agents", index), agent.model) for index, agent in enumerate(self.agents))

    def renamed(self, names: Mapping[str, str], fallback: str | None) -> Self:
        del fallback
        agents = [each.model_copy(update={"model": names.get(each.model, each.model)}) for each in self.agents]
        values = {**dict(self), "agents": tuple(agents)}  # model_copy would also copy the cached `models`
        return self.model_construct(self.model_fields_set, **values)

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
                    yield f"{count} samples of {model} at temperature 0 will be {count} identical answers"

    async def ask_all(self, turn: Turn, messages: tuple[Message, ...]) -> tuple[Answer, ...]:
        """Send the same messages to all agents. Identical messages allow hits in the prompt caches of providers."""
        requests = [self.request(model, messages) for model in self.models]
        return given(await turn.ask(requests, quorum=self.required(len(requests)), grace_s=self.grace_s))


class SingleAgentStep(ModelStep):
    """A layer that calls one agent."""

    agent: AgentName
    fallback_agent: AgentName | None = None
    """Called if all routes of the agent failed."""

    @property
    def models(self) -> tuple[str, ...]:
        return (self.agent,)

    @property
    def fallback(self) -> str | None:
        return self.fallback_agent

    def named_models(self) -> Iterator[tuple[Key, str]]:
        yield from named(agent=self.agent, fallback_agent=self.fallback_agent)

    def renamed(self, names: Mapping[str, str], fallback: str | None) -> Self:
        return self.model_copy(update={"agent": names.get(self.agent, self.agent), "fallback_agent": fallback})

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
    """Return the reply of the agent. If the agent fails, return the reply of the fallback, with a note.

    Raises:
        StepFailed: the agent failed, and there is no fallback or it failed too.

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
    """Return the answers without the failed calls."""
    return tuple(answer for answer in answers if answer is not None)
