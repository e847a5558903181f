"""The base class of layers that call one agent for some of their settings, and none for the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Self

from moa_mcp.steps.layer import ModelStep, named, one_called
from moa_mcp.steps.members import Member, Settable, fallback_of
from moa_mcp.steps.step import Key


class OptionalAgentStep(ModelStep):
    """A layer that calls one agent, if it has one."""

    if TYPE_CHECKING:  # the fields of a step are in the order in which they are validated
        agent: Member | None
        fallback_agent: Member | None

    @property
    def members(self) -> tuple[Member, ...]:
        return (self.agent,) if self.agent else ()

    @property
    def fallback(self) -> str | None:
        return None if self.fallback_agent is None else self.fallback_agent.model

    def named_models(self) -> Iterator[tuple[Key, str]]:
        for key, member in named(agent=self.agent, fallback_agent=self.fallback_agent):
            yield key, member.model

    def _settable(self) -> Iterator[tuple[Key, Settable]]:
        yield from super()._settable()
        yield from named(agent=self.agent, fallback_agent=self.fallback_agent)

    def renamed(self, names: Mapping[str, str], fallback: str | None) -> Self:
        agent, instead = self.agent and self.agent.renamed(names), fallback_of(self.fallback_agent, fallback)
        return self.model_copy(update={"agent": agent, "fallback_agent": instead})

    def on_fallback(self) -> Self:
        return self.model_copy(update={"agent": self.fallback_agent or self.agent})

    @property
    def calls_one_agent(self) -> bool:
        return self.agent is not None

    def calling(self, *models: str) -> Self:
        return self if self.agent is None else self.model_copy(update=one_called(models[0], self.fallback_agent))
