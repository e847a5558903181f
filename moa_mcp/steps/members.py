"""The members of a step: models with settings of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from typing import Annotated, Self, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer
from pydantic_core import PydanticCustomError

from moa_mcp.parameters import Effort, Extra, ThinkingTokens
from moa_mcp.steps.panel import single
from moa_mcp.steps.step import Frozen
from moa_mcp.values import NO_SETTINGS, CallSettings, Question


class Settable(Frozen):
    """The parameters that a step sets for all of its members, and a member for itself."""

    reasoning_effort: Effort | None = None
    """How much a reasoning model reasons."""
    thinking_tokens: ThinkingTokens | None = None
    """Tokens for reasoning, where the provider counts them. They are a part of `max_tokens`."""
    extra: Extra | None = None
    """Further parameters of the provider."""

    @property
    def settings(self) -> CallSettings:
        """The parameters as one hashable value."""
        if self.reasoning_effort is None and self.thinking_tokens is None and self.extra is None:
            return NO_SETTINGS
        return CallSettings(self.reasoning_effort, self.thinking_tokens, self.extra)


class Member(Settable):
    """A model that a step calls, with what differs from the settings of the step."""

    model: Annotated[str, Field(min_length=1)]
    """Name of a model, or a route."""
    system: Annotated[str, Field(min_length=1)] | None = None
    """A system prompt for this member alone, before that of the question."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Sampling temperature, in place of that of the step."""

    def renamed(self, names: Mapping[str, str]) -> Self:
        """Return the member with another name for its model, if there is one."""
        return self.model_copy(update={"model": names.get(self.model, self.model)})

    def asked(self, question: Question) -> Question:
        """Return the question as the member gets it."""
        return addressed(question, self.system)


def addressed(question: Question, system: str | None) -> Question:
    """Return a question with a member's system prompt before its own."""
    if system is None:
        return question
    own = f"\n\n{question.system}" if question.system else ""
    return replace(question, system=f"{system}{own}")


@lru_cache
def in_turn(members: tuple[Member, ...]) -> tuple[tuple[Member, int], ...]:
    """Return the members in order, each with the number of consecutive calls."""
    return tuple((member, len(tuple(same))) for member, same in groupby(members))


def fallback_of(member: Member | None, model: str | None) -> Member | None:
    """Return a fallback with another model; None for no fallback or no model."""
    return None if member is None or model is None else member.model_copy(update={"model": model})


def _named(value: object) -> object:
    if value == "":
        raise PydanticCustomError("string_too_short", "is empty")
    return {"model": value} if isinstance(value, str) else single(value)


def _as_written(member: Member | None) -> object:
    if member is None or member == Member(model=member.model):
        return member and member.model
    return member.model_dump(exclude_none=True)


OneMember: TypeAlias = Annotated[Member, BeforeValidator(_named), PlainSerializer(_as_written, return_type=object)]
"""The member of a step that calls one: a name, or a table."""
