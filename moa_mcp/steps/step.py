"""What every step is: configuration that can run. A step sees its state and its turn, and nothing else of the world."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Protocol, Self, TypeAlias

from pydantic import BaseModel, ConfigDict

from moa_mcp.steps.forecast import Bound, ExpectedAnswer, ExpectedAnswers, Forecast
from moa_mcp.values import Answer, Request, State


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


class DefaultsOfSteps(Protocol):
    """The configuration's defaults for steps."""

    @property
    def temperature(self) -> float: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def hedge(self) -> bool: ...
    @property
    def quorum(self) -> int: ...
    @property
    def grace_s(self) -> float | None: ...


class Frozen(BaseModel):
    """A table of the configuration: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, strict=True)


Key: TypeAlias = tuple[str | int, ...]
"""Path of a value in a step's table."""


class StepBase(Frozen):
    """What engine, plan, estimate and configuration ask of every step.

    A step must state what decides calls and cost. What has a default here is right for a step that does not define it.
    """

    @property
    def models(self) -> tuple[str, ...]:
        """The model aliases that the step calls, one for each of its calls if their number is fixed."""
        return ()

    @property
    def fallback(self) -> str | None:
        """The alias that is called if the step's only model returned no answer."""
        return None

    @property
    def attempt_s(self) -> float | None:
        """Seconds for one attempt of a call; None if there is no limit."""
        return None

    def named_models(self) -> Iterator[tuple[Key, str]]:
        """Yield the aliases in the step's table, each with its key."""
        yield from ()

    @abstractmethod
    def answers_out(self, answers_in: int) -> int:
        """Return how many answers the step returns, given so many, if nothing fails."""

    @abstractmethod
    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        """Return the calls and answers of the step, given these answers, if nothing fails."""

    def lint(self, answers: int) -> Iterator[str]:
        """Yield what is probably a mistake in the step, given so many answers."""
        del answers
        yield from ()

    def required(self, calls: int) -> int:
        """Return how many of so many calls must succeed."""
        return min(1, calls)

    def completed(self, defaults: DefaultsOfSteps) -> Self:
        """Return the step with the defaults for all keys that it does not set."""
        del defaults
        return self

    def on_fallback(self) -> Self:
        """Return the step with its fallback in place of its model."""
        return self

    @classmethod
    def other_models(cls, calls: int) -> str:
        """Return the setting that gives the step other models after so many calls, as `NAME`."""
        del calls
        return "agent=NAME"

    @property
    def needs_answers(self) -> bool:
        """Whether the step can't run without previous answers."""
        return True

    @property
    def first_remedy(self) -> str:
        """What to do if it needs answers and is the first step."""
        return "start with propose"

    @property
    def reads_all_answers(self) -> bool:
        """Whether one prompt shows all answers."""
        return any(len(each.shown) > 1 for each in self.forecast((ExpectedAnswer(0),) * 2, "max").calls)

    @property
    def reads_in_windows(self) -> bool:
        """Whether answers that do not fit in one prompt are shown in several; otherwise their beginnings are shown."""
        return False

    @property
    def writes_answers(self) -> bool:
        """Whether the replies are the answers that the step returns, so that the last one can be streamed."""
        return False

    @property
    def adds_answers(self) -> bool:
        """Whether each call adds one answer, so that the step returns fewer answers if fewer calls are made."""
        return False

    @abstractmethod
    async def run(self, state: State, turn: Turn) -> State:
        """Return the state after the step.

        Raises:
            StepFailed: the step can't do its work.

        """


def numbered(numbers: Iterable[int]) -> str:
    """Return numbers as a note shows them."""
    return ", ".join(str(number) for number in numbers)


def keeps_all(n: int, answers: int) -> Iterator[str]:
    """Yield that a step which keeps `n` answers leaves none of them out, if so."""
    if n >= answers:
        yield f"n = {n} keeps all {answers} answers"
