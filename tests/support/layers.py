"""One call through all layers around a scripted provider, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from moa_mcp.errors import CallError
from moa_mcp.events import AttemptFailed, AttemptFinished, AttemptStarted, CallWaits, Event
from moa_mcp.middleware import Limits, Model, Shared, Usable, stack
from moa_mcp.values import Call, Completion, Message, Parameters, Place, Target

PARAMETERS: Parameters = {"temperature": 0.7, "max_tokens": 100}


def call_of(agent: str = "a", number: int = 1, timeout_s: float | None = None) -> Call:
    return Call("r", Place(1, number), agent, (Message("user", "Why?"),), PARAMETERS, seed=0, timeout_s=timeout_s)


def at(*models: str) -> Usable:
    """Serve every alias at these models, which have their providers as prefixes."""

    async def usable(_: str) -> tuple[Target, ...]:
        return tuple(Target(model, model.partition("/")[0]) for model in models)

    return usable


Told: TypeAlias = tuple[str, int, str]
"""Model, attempt and outcome."""


@dataclass
class Layers:
    """The layers of one run."""

    provider: Model
    usable: Usable = field(default_factory=lambda: at("p/a"))
    shared: Shared = field(default_factory=lambda: Shared(Limits(attempts=3)))
    events: list[Event] = field(default_factory=list)

    async def ask(self, call: Call) -> Completion:
        return await stack(self.provider, self.usable, self.shared, self.events.append)(call)

    async def failure(self, call: Call) -> CallError:
        try:
            completion = await self.ask(call)
        except CallError as error:
            return error
        message = f"it was answered: {completion}"
        raise AssertionError(message)

    @property
    def waits(self) -> list[tuple[int, str, float | None]]:
        """Every wait: the number of its call, its reason, and how many seconds it will take, if that is known."""
        waits = (event for event in self.events if isinstance(event, CallWaits))
        return [(each.place.number, each.reason, each.until and round(each.until - each.at, 1)) for each in waits]

    @property
    def attempts(self) -> list[Told]:
        """Every attempt with its end, which must follow its start before the next one starts."""
        told: list[Told] = []
        events = (event for event in self.events if not isinstance(event, CallWaits))
        for started in events:
            assert isinstance(started, AttemptStarted)
            ended = next(events)
            assert isinstance(ended, AttemptFinished | AttemptFailed)
            assert (ended.place, ended.attempt) == (started.place, started.attempt)
            outcome = "answered" if isinstance(ended, AttemptFinished) else ended.failure.kind
            told.append((started.model, started.attempt, outcome))
        return told
