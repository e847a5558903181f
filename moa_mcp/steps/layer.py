"""The base classes of layers: steps that call one agent or several. The configuration has defaults for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self, TypeAlias, TypeVar, cast

from pydantic import AliasChoices, BeforeValidator, Field, ValidationInfo, field_validator

from moa_mcp.errors import DeadlinePassed, StepFailed
from moa_mcp.parameters import prevailing
from moa_mcp.steps.forecast import (
    MAX_TOKENS,
    Bound,
    ExpectedAnswers,
    ExpectedCalls,
    Form,
    reasoning_tokens,
    reply_tokens,
)
from moa_mcp.steps.members import Member, OneMember, Settable, fallback_of, in_turn
from moa_mcp.steps.panel import expanded, is_panel, panel_member
from moa_mcp.steps.step import DefaultsOfSteps, Key, StepBase
from moa_mcp.values import Answer, Hedge, Message, Note, Question, ReplySchema, Request

Reply = TypeVar("Reply")


class Agent(Member):
    """A member of a step, and the number of its calls."""

    samples: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of its calls, each with the same prompt."""


def _agent(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


def _tuple(value: object) -> object:
    entries: object = [value] if is_panel(value) else value
    return expanded(cast("Sequence[object]", entries)) if isinstance(entries, list | tuple) else entries


Agents: TypeAlias = Annotated[
    tuple[Annotated[Agent, BeforeValidator(_agent)], ...], BeforeValidator(_tuple), Field(min_length=1)
]


class ModelStep(Settable, StepBase):
    """A layer: a step that calls models. Keys that are None get the defaults of the configuration."""

    prompt: Annotated[str, Field(min_length=1)] | None = None
    """Replaces the built-in instruction. The question and the answers are still added."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None, validation_alias=AliasChoices("temperature", "temp")
    )
    """Sampling temperature."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of tokens of an answer, reasoning included."""
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    """Timeout of one attempt of a call, in seconds."""
    hedge: Hedge | None = None
    """Whether a call that takes much longer than the others of the step is hedged: sent again, at additional cost.
    "auto" limits that cost."""

    @property
    def members(self) -> tuple[Member, ...]:
        """The members that the step calls, one for each call if the number of calls is fixed."""
        return ()

    @property
    def models(self) -> tuple[str, ...]:
        return tuple([member.model for member in self.members])

    def request(
        self, member: Member, messages: tuple[Message, ...], reply_schema: ReplySchema | None = None
    ) -> Request:
        """Return a request with the parameters of the step and its member."""
        return Request(
            member.model,
            messages,
            self.temperature if member.temperature is None else member.temperature,
            self.max_tokens,
            self.timeout_s,
            self.hedge or False,
            reply_schema,
            settings=prevailing(self.settings, member.settings),
        )

    @property
    def attempt_s(self) -> float | None:
        return self.timeout_s

    def completed(self, defaults: DefaultsOfSteps) -> Self:
        values = self._defaults(defaults)
        return self.model_copy(update={key: value for key, value in values.items() if getattr(self, key) is None})

    def _defaults(self, defaults: DefaultsOfSteps) -> Mapping[str, object]:
        reasons = self.reasoning_effort or self.thinking_tokens
        reasoning = () if reasons else ("reasoning_effort", "thinking_tokens")
        return {
            name: getattr(defaults, name) for name in ("temperature", "max_tokens", "timeout_s", "hedge", *reasoning)
        }

    def faults(self) -> Iterator[tuple[Key, str]]:
        for key, settable in self._settable():
            if (fault := _no_room(settable.thinking_tokens, self.max_tokens)) is not None:
                yield (*key, "thinking_tokens"), fault

    def _settable(self) -> Iterator[tuple[Key, Settable]]:
        """Yield what sets parameters, each with its key in the table of the step."""
        yield (), self

    def reply_tokens(self, bound: Bound, *, verdict: bool = False) -> int:
        """Return the length of one reply in tokens."""
        return reply_tokens(self.max_tokens or MAX_TOKENS, bound, verdict=verdict)

    def expected(
        self,
        members: tuple[Member, ...],
        form: Form,
        shown: ExpectedAnswers,
        bound: Bound,
        verdict: ReplySchema | None = None,
        *,
        analysis: int = 0,
    ) -> tuple[ExpectedCalls, ...]:
        """Return one call to each of the members, all with the same question and answers, and their analysis.

        A reply in the form of `verdict` is short.
        """
        limit = self.max_tokens or MAX_TOKENS
        reply = self.reply_tokens(bound, verdict=verdict is not None)
        return tuple(
            ExpectedCalls(
                member.model,
                times,
                form,
                self.prompt,
                shown,
                min(limit, reply + reasoning_tokens(limit, bound, prevailing(self.settings, member.settings))),
                verdict,
                member.system,
                analysis,
            )
            for member, times in in_turn(members)
        )


class MultiAgentStep(ModelStep):
    """A layer that calls several agents."""

    per_answer: ClassVar[bool] = False
    """Whether the step makes one call for each answer before it."""
    agents: Agents
    """The models that are called, all at once."""
    quorum: Annotated[int, Field(ge=1)] | None = None
    """The number of calls that must succeed, or the step fails."""
    grace_s: Annotated[float, Field(ge=0)] | Literal["auto"] | None = None
    """Seconds to wait for the other calls after the quorum is reached; "auto" waits for the last third many times as
    long as for the others, `inf` for all."""

    @field_validator("quorum")
    @classmethod
    def _can_be_met(cls, value: int | None, info: ValidationInfo) -> int | None:
        agents: tuple[Agent, ...] = info.data.get("agents", ())
        asked = sum(agent.samples for agent in agents)
        if value is not None and agents and value > asked and not cls.per_answer:
            raise ValueError(f"{value} can't be reached with {asked} {'call' if asked == 1 else 'calls'}")
        return value

    @cached_property
    def members(self) -> tuple[Member, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]  read like a property
        return tuple(agent for agent in self.agents for _ in range(agent.samples))

    @cached_property
    def models(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().models

    def named_models(self) -> Iterator[tuple[Key, str]]:
        yield from ((("agents", index), agent.model) for index, agent in enumerate(self.agents))

    def renamed(self, names: Mapping[str, str], fallback: str | None) -> Self:
        del fallback
        agents = tuple(each.renamed(names) for each in self.agents)
        values = {**dict(self), "agents": agents}  # model_copy would also copy the cached `models`
        return self.model_construct(self.model_fields_set, **values)

    def calling(self, *models: str) -> Self:
        return self.model_construct(self.model_fields_set, **{**dict(self), **self._met_by(models)})

    def _met_by(self, models: Sequence[str]) -> Mapping[str, object]:
        """Return the values of the step with these models, with limits that their number of calls can meet."""
        quorum = self.quorum if self.quorum is None or self.per_answer else self.required(len(models))
        return {"agents": tuple(Agent(model=each) for each in models), "quorum": quorum}

    def required(self, calls: int) -> int:
        return min(self.quorum or 1, calls)

    def _defaults(self, defaults: DefaultsOfSteps) -> Mapping[str, object]:
        quorum = defaults.quorum if self.per_answer else min(defaults.quorum, len(self.models))
        # without a refinement or criticism, an answer would be left as it was
        grace_s = None if self.per_answer and defaults.grace_s == "auto" else defaults.grace_s
        return {**super()._defaults(defaults), "quorum": quorum, "grace_s": grace_s}

    @classmethod
    def other_models(cls, calls: int) -> str:
        return f"agents={','.join(['NAME'] * (1 if cls.per_answer else calls))}"

    def lint(self, answers: int) -> Iterator[str]:
        del answers
        asked = Counter((self.request(member, ()), member.system) for member in self.members)
        for (request, _), count in asked.items():
            if count > 1 and request.temperature == 0:
                yield f"{count} samples of {request.agent} at temperature 0 will be {count} identical answers"

    def _settable(self) -> Iterator[tuple[Key, Settable]]:
        yield from super()._settable()
        yield from ((("agents", index), agent) for index, agent in enumerate(self.agents))

    def requests(self, question: Question, write: Callable[[Question], tuple[Message, ...]]) -> list[Request]:
        """Return one request to each member. Members without a system prompt of their own get identical messages."""
        written: dict[str | None, tuple[Message, ...]] = {}
        for member in self.members:
            if member.system not in written:
                written[member.system] = write(member.asked(question))
        return [self.request(member, written[member.system]) for member in self.members]


class SingleAgentStep(ModelStep):
    """A layer that calls one agent."""

    agent: OneMember
    """The model that is called."""
    fallback_agent: OneMember | None = None
    """Called if all routes of the agent failed."""

    @property
    def members(self) -> tuple[Member, ...]:
        return (self.agent,)

    @property
    def models(self) -> tuple[str, ...]:
        return (self.agent.model,)

    @property
    def fallback(self) -> str | None:
        return None if self.fallback_agent is None else self.fallback_agent.model

    def _settable(self) -> Iterator[tuple[Key, Settable]]:
        yield from super()._settable()
        yield from named(agent=self.agent, fallback_agent=self.fallback_agent)

    def named_models(self) -> Iterator[tuple[Key, str]]:
        for key, member in named(agent=self.agent, fallback_agent=self.fallback_agent):
            yield key, member.model

    def renamed(self, names: Mapping[str, str], fallback: str | None) -> Self:
        instead = fallback_of(self.fallback_agent, fallback)
        return self.model_copy(update={"agent": self.agent.renamed(names), "fallback_agent": instead})

    def on_fallback(self) -> Self:
        return self.model_copy(update={"agent": self.fallback_agent or self.agent})

    @property
    def calls_one_agent(self) -> bool:
        return True

    def calling(self, *models: str) -> Self:
        return self.model_copy(update=one_called(models[0], self.fallback_agent))


def one_called(model: str, fallback: Member | None) -> Mapping[str, Member | None]:
    """Return the agents of a step that calls `model`: without the fallback, if that is the same model."""
    same = fallback is not None and fallback.model == model and panel_member(model) is None
    return {"agent": Member(model=model), "fallback_agent": None if same else fallback}


def named(**members: Member | None) -> Iterator[tuple[Key, Member]]:
    """Yield the members that are set, each with its key."""
    for key, member in members.items():
        if member is not None:
            yield (key,), member


def _no_room(thinking_tokens: int | None, max_tokens: int | None) -> str | None:
    """Return why a token limit leaves no room for an answer beside the reasoning; None if it does."""
    if thinking_tokens is None or max_tokens is None or thinking_tokens < max_tokens:
        return None
    return (
        f"{thinking_tokens} should be less than max_tokens = {max_tokens}, which covers reasoning and answer; "
        "raise max_tokens, or lower it"
    )


async def asked_of(
    agent: Member, fallback: Member | None, ask: Callable[[Member], Awaitable[Reply]]
) -> tuple[Reply, tuple[Note, ...]]:
    """Return the reply of the agent. If the agent fails, return the reply of the fallback, with a note.

    A fallback can't help if calls can't be recorded.

    Raises:
        StepFailed: the agent failed, and there is no fallback or it failed too.

    """
    try:
        return await ask(agent), ()
    except DeadlinePassed:
        raise
    except StepFailed as error:
        if fallback is None or error.reason == "journal":
            raise
        try:
            reply = await ask(fallback)
        except DeadlinePassed:
            raise
        except StepFailed as second:
            second.args = (f"{error}; then {fallback.model} was asked: {second}",)
            raise
        return reply, (Note(f"asked {fallback.model} in place of {agent.model}: {error}", degrades=True),)


def given(answers: Sequence[Answer | None]) -> tuple[Answer, ...]:
    """Return the answers without the failed calls."""
    return tuple([answer for answer in answers if answer is not None])
