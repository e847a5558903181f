"""The steps that call no model: they reorder the answers, or remove some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from moa_mcp.steps.forecast import Bound, ExpectedAnswers, Forecast, drawn
from moa_mcp.steps.step import StepBase, Turn, keeps_all, numbered
from moa_mcp.values import Note, State


class Shuffle(StepBase):
    """Shuffle the answers, so that none benefits from its position."""

    step: Literal["shuffle"] = "shuffle"
    shuffles: ClassVar[bool] = True

    def answers_out(self, answers_in: int) -> int:
        return answers_in

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        return Forecast((), drawn(answers, len(answers), bound))

    async def run(self, state: State, turn: Turn) -> State:
        order = turn.rng.sample(range(len(state.answers)), len(state.answers))
        note = Note(f"new order: {numbered(position + 1 for position in order)}")
        return state.then(tuple(state.answers[position] for position in order), note)


class Dropout(StepBase):
    """Remove each answer with probability `rate`, but keep at least one."""

    step: Literal["dropout"] = "dropout"
    rate: Annotated[float, Field(ge=0, lt=1)]
    """Probability that an answer is removed."""

    def answers_out(self, answers_in: int) -> int:
        return answers_in

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        return Forecast((), drawn(answers, self._kept(len(answers), bound), bound))

    def _kept(self, count: int, bound: Bound) -> int:
        match bound:
            case "min":
                return 1 if self.rate else count
            case "expected":
                return max(1, round((1 - self.rate) * count))
            case "max":  # exhaustive
                return count

    async def run(self, state: State, turn: Turn) -> State:
        kept = [position for position in range(len(state.answers)) if turn.rng.random() >= self.rate]
        return _selected(state, kept or [turn.rng.randrange(len(state.answers))])


class Sample(StepBase):
    """Keep `n` random answers, in their order."""

    step: Literal["sample"] = "sample"
    n: Annotated[int, Field(ge=1)]
    """How many answers it keeps."""

    def answers_out(self, answers_in: int) -> int:
        return min(self.n, answers_in)

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        return Forecast((), drawn(answers, self.answers_out(len(answers)), bound))

    def lint(self, answers: int) -> Iterator[str]:
        yield from keeps_all(self.n, answers)

    async def run(self, state: State, turn: Turn) -> State:
        total = len(state.answers)
        return _selected(state, sorted(turn.rng.sample(range(total), min(self.n, total))))


class Take(StepBase):
    """Keep the first `n` answers."""

    step: Literal["take"] = "take"
    n: Annotated[int, Field(ge=1)]
    """How many answers it keeps."""

    def answers_out(self, answers_in: int) -> int:
        return min(self.n, answers_in)

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        del bound
        return Forecast((), answers[: self.n])

    def lint(self, answers: int) -> Iterator[str]:
        yield from keeps_all(self.n, answers)

    async def run(self, state: State, turn: Turn) -> State:
        del turn
        return _selected(state, range(min(self.n, len(state.answers))))


def _selected(state: State, positions: Sequence[int]) -> State:
    removed = sorted(set(range(len(state.answers))) - set(positions))
    notes = [Note(f"removed: {numbered(position + 1 for position in removed)}")] if removed else []
    return state.then(tuple(state.answers[position] for position in positions), *notes)
