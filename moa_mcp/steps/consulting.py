"""A judge: a model that compares several answers in one prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from moa_mcp.errors import PromptTooLong
from moa_mcp.steps.layer import ModelStep
from moa_mcp.steps.members import Member
from moa_mcp.steps.step import Turn, numbered
from moa_mcp.steps.windows import Fit, excerpts, halved
from moa_mcp.values import Answer, Message, Note, ReplySchema

Reading = TypeVar("Reading")

_MOST_HALVINGS = 5
"""How often the answers are halved. If 1/32 of them is still too long, the length is not the problem."""


class Posed(NamedTuple, Generic[Reading]):
    """A prompt for a judge, and the parser of the reply."""

    messages: tuple[Message, ...]
    reply_schema: ReplySchema | None
    read: Callable[[Answer], Reading | None]
    """Returns None if the reply is invalid."""


class Pose(Protocol[Reading]):
    """Writes the prompt for a judge."""

    def __call__(self, shown: tuple[Answer, ...], *, again: bool) -> Posed[Reading]:
        """Return the prompt with these answers; `again` after an invalid reply."""
        ...


def orders(count: int, passes: int, turn: Turn) -> list[tuple[int, ...]]:
    """Return the order of the answers in each pass, as positions from 0. A single pass keeps the given order."""
    return [tuple(turn.rng.sample(range(count), count)) for _ in range(passes)] if passes > 1 else [tuple(range(count))]


class Judge(Generic[Reading]):
    """A model that compares answers. If they exceed its context window, each one is cut to fit."""

    def __init__(
        self, agent: Member, step: ModelStep, turn: Turn, answers: tuple[Answer, ...], pose: Pose[Reading]
    ) -> None:
        self._agent = agent
        self._step = step
        self._turn = turn
        self._answers = answers
        self._pose = pose
        self._window = turn.window(agent.model)
        self._shown = answers if self._window is None else self._fitting(self._window - (step.max_tokens or 0))
        self._halvings = 0
        self._unread: list[Note] = []

    @property
    def notes(self) -> tuple[Note, ...]:
        """Notes for the trace."""
        pairs = enumerate(zip(self._shown, self._answers, strict=True), 1)
        cut = numbered(number for number, (shown, whole) in pairs if shown is not whole)
        window = f"the context window of {self._agent.model}" + (f" ({self._window} tokens)" if self._window else "")
        shortened = [Note(f"cut to fit {window}: answers {cut}", degrades=True)] if cut else []
        return (*shortened, *self._unread)

    async def ask(
        self, orders: Sequence[tuple[int, ...]], *, quorum: int = 1, required: bool = True
    ) -> list[Reading | None]:
        """Return one reading for each order; None if the call failed or the reply was invalid twice.

        An invalid reply is requested once more, which adds a note.

        Raises:
            StepFailed: fewer than `quorum` calls succeeded, and `required` is true.

        """
        readings: list[Reading | None] = [None] * len(orders)
        pending = list(range(len(orders)))
        for again in (False, True):
            heard = await self._heard([orders[at] for at in pending], again, 0 if again else quorum, required=required)
            for at, replies in zip(pending, heard, strict=True):
                readings[at] = next(iter(replies), None)
            pending = [at for at, replies in zip(pending, heard, strict=True) if replies == (None,)]
            what = "was invalid again" if again else "was invalid, so the judge was called again"
            self._unread += [Note(f"the judge's reply {what}", degrades=again)] * len(pending)
            if not pending:
                break
        return readings

    async def _heard(
        self, orders: Sequence[tuple[int, ...]], again: bool, quorum: int, *, required: bool
    ) -> list[tuple[Reading | None, ...]]:
        """Return the reading of each reply, or an empty tuple if the call failed. A prompt that is too long is cut."""
        heard: list[tuple[Reading | None, ...]] = [()] * len(orders)
        waiting: Iterable[int] = range(len(orders))
        while waiting:
            places = list(waiting)
            posed = [self._pose(tuple(self._shown[at] for at in orders[place]), again=again) for place in places]
            requests = [self._step.request(self._agent, each.messages, each.reply_schema) for each in posed]
            can_show_less = self._halvings < _MOST_HALVINGS
            try:
                replies = await self._turn.ask(requests, quorum=quorum, required=required, tells_too_long=can_show_less)
                too_long: frozenset[int] = frozenset()
            except PromptTooLong as error:
                replies, too_long = error.replies, error.too_long
                self._halvings += 1
                self._shown = halved(self._shown)
            for place, each, reply in zip(places, posed, replies, strict=True):
                heard[place] = () if reply is None else (each.read(reply),)
            quorum = max(0, quorum - sum(reply is not None for reply in replies))
            waiting = [places[at] for at in sorted(too_long)]
        return heard

    def _fitting(self, room: int) -> tuple[Answer, ...]:
        def compose(answers: tuple[Answer, ...]) -> tuple[Message, ...]:
            return self._pose(answers, again=False).messages

        return excerpts(Fit(compose, room), self._answers)
