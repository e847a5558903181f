"""The base of all steps: configuration that can run. A step reads only the state and the turn that `run` gets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import ClassVar, Literal, NamedTuple, Protocol, Self, TypeAlias

from pydantic import BaseModel, ConfigDict

from moa_mcp.steps.forecast import Bound, ExpectedAnswer, ExpectedAnswers, Forecast
from moa_mcp.values import Answer, Grace, Hedge, Request, State


class Turn(Protocol):
    """The interface of a running step to the engine: models and randomness."""

    @property
    def rng(self) -> Random:
        """The random generator: the same numbers in every run with the same seed."""
        ...

    async def ask(
        self,
        requests: Sequence[Request],
        *,
        quorum: int = 1,
        grace_s: Grace | None = None,
        required: bool = True,
        tells_too_long: bool = False,
    ) -> tuple[Answer | None, ...]:
        """Send all requests concurrently and return the answers in the order of the requests; None for failed calls.

        With `grace_s`, calls that have not returned `grace_s` seconds after the quorum was reached are cancelled. With
        "auto", the last third of the calls is cancelled if it takes many times as long as the others.

        Raises:
            PromptTooLong: with `tells_too_long`, some prompts exceed the context windows of their models.
            StepFailed: fewer than `quorum` calls succeeded, and `required` is true.

        """
        ...

    def window(self, agent: str) -> int | None:
        """Return the context window of an agent in tokens, for prompt and answer together; None if it is unknown."""
        ...

    def maker(self, agent: str) -> str | None:
        """Return who trained the model of an agent; None if that is unknown."""
        ...


class DefaultsOfSteps(Protocol):
    """The defaults for steps in the configuration."""

    @property
    def temperature(self) -> float: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def hedge(self) -> Hedge: ...
    @property
    def quorum(self) -> int: ...
    @property
    def grace_s(self) -> Grace | None: ...
    @property
    def reasoning_effort(self) -> str | None: ...
    @property
    def thinking_tokens(self) -> int | None: ...


class Frozen(BaseModel):
    """A table of the configuration. It is immutable and rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, strict=True)


Key: TypeAlias = tuple[str | int, ...]
"""Path of a value in the table of a step."""


class SingleCalls(NamedTuple):
    """The calls of a first step that are single calls of models: each asks the bare question, in every run."""

    requests: Mapping[int, Request]
    """By the number of the call, from 1; without messages."""
    obstacle: str = ""
    """Why there are none."""


Shown: TypeAlias = Literal["in_order", "in_random_order"]
"""How a judge sees the answers. `in_order`: as the previous step returned them, unless there are several passes."""


class StepBase(Frozen):
    """The interface of a step for the engine, the plan, the estimate and the configuration.

    A step must define its calls and answers, since they decide the cost. The other members have defaults.
    """

    reads_in_windows: ClassVar[bool] = False
    """Whether answers that do not fit in one prompt are spread over several; otherwise each answer is cut."""
    adds_answers: ClassVar[bool] = False
    """Whether each call adds one answer, so that fewer calls mean fewer answers."""
    compares_makers: ClassVar[bool] = False
    """Whether the step needs to know who trained the models."""
    may_be_final: ClassVar[bool] = False
    """Whether the step may end the run before its last step."""
    shows_answers: ClassVar[Shown | None] = None
    """How judges that choose among the answers, or rank them, see them; None if the step has no such judge."""
    shuffles: ClassVar[bool] = False
    """Whether the step puts the answers in a random order."""

    @property
    def models(self) -> tuple[str, ...]:
        """The model aliases that the step calls. One for each call, if the number of calls is fixed."""
        return ()

    @property
    def fallback(self) -> str | None:
        """The alias to call if the only model of the step returns no answer."""
        return None

    @property
    def attempt_s(self) -> float | None:
        """Timeout of one attempt of a call, in seconds; None for no timeout."""
        return None

    def named_models(self) -> Iterator[tuple[Key, str]]:
        """Yield the aliases in the table of the step, each with its key."""
        yield from ()

    def renamed(self, names: Mapping[str, str], fallback: str | None) -> Self:
        """Return the step with other names for its aliases, and with this fallback."""
        del names, fallback
        return self

    def faults(self) -> Iterator[tuple[Key, str]]:
        """Yield the settings that contradict each other once all defaults are set, each with its key."""
        yield from ()

    @abstractmethod
    def answers_out(self, answers_in: int) -> int:
        """Return the number of answers after the step, given the number before it, if no call fails."""

    @abstractmethod
    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        """Return the calls and answers of the step, given the answers before it, if no call fails."""

    def lint(self, answers: int) -> Iterator[str]:
        """Yield probable mistakes in the step, given the number of answers before it."""
        del answers
        yield from ()

    def lint_makers(self, answers: ExpectedAnswers, makers: Mapping[str, str]) -> Iterator[str]:
        """Yield what the step can't do since the models of the answers before it are of too few makers, by alias."""
        del answers, makers
        yield from ()

    def required(self, calls: int) -> int:
        """Return how many of `calls` calls must succeed."""
        return min(1, calls)

    def completed(self, defaults: DefaultsOfSteps) -> Self:
        """Return the step with defaults for all keys that are not set."""
        del defaults
        return self

    def on_fallback(self) -> Self:
        """Return the step with its fallback as its model."""
        return self

    @property
    def calls_proposers(self) -> bool:
        """Whether the agents of the step are those that propose: another choice of proposers also replaces them."""
        return self.adds_answers

    @property
    def calls_one_agent(self) -> bool:
        """Whether the step calls one agent, which merges or judges answers, however often it does."""
        return False

    def calling(self, *models: str) -> Self:
        """Return the step with other models, one for each call; of a step that calls one agent, with the first.

        Settings of the former members are lost; those of the step stay, as far as the new models can meet them.
        """
        del models
        return self

    @classmethod
    def other_models(cls, calls: int) -> str:
        """Return the setting that replaces the models of a step with `calls` calls; `NAME` stands for each alias."""
        del calls
        return "agent=NAME"

    @property
    def asks_for_confidence(self) -> bool:
        """Whether the authors of its answers state how confident they are."""
        return False

    def states_confidence(self, *, before: bool) -> bool:
        """Whether its answers have stated confidences, given whether those before it have."""
        return self.asks_for_confidence or (before and self.keeps_answers)

    @property
    def reads_confidence(self) -> bool:
        """Whether the step uses the confidences that the authors of answers stated."""
        return False

    @property
    def single_calls(self) -> SingleCalls:
        """Its calls that are single calls of their models, if it is the first step."""
        return SingleCalls({}, "its first step does not ask the question itself")

    @property
    def needs_answers(self) -> bool:
        """Whether the step needs answers from earlier steps."""
        return True

    @property
    def first_remedy(self) -> str:
        """How to fix a pipeline in which this step is the first and needs answers."""
        return "start with propose"

    @property
    def reads_all_answers(self) -> bool:
        """Whether one prompt contains all answers."""
        return any(len(each.shown) > 1 for each in self.forecast((ExpectedAnswer(0),) * 2, "max").calls)

    @property
    def keeps_answers(self) -> bool:
        """Whether the step returns some of the answers before it as they are."""
        return not self.writes_answers

    @property
    def writes_answers(self) -> bool:
        """Whether the step returns the replies as answers, so that the last one can be streamed."""
        return False

    @abstractmethod
    async def run(self, state: State, turn: Turn) -> State:
        """Return the state after the step.

        Raises:
            StepFailed: the step has no result.

        """


def numbered(numbers: Iterable[int]) -> str:
    """Return numbers as a list for a note."""
    return ", ".join(str(number) for number in numbers)


def counted(count: int, noun: str) -> str:
    """Return a count with its noun for a note: ``1 review``, ``3 reviews``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def keeps_all(n: int, answers: int) -> Iterator[str]:
    """Yield a lint message if a step that keeps `n` answers removes none."""
    if n >= answers:
        yield f"n = {n} keeps all {answers} answers"
