"""Judges: models that compare several answers in one prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from moa_mcp.errors import PromptTooLong
from moa_mcp.steps.layer import ModelStep
from moa_mcp.steps.members import Member
from moa_mcp.steps.step import Turn, numbered
from moa_mcp.steps.windows import Fit, excerpts, halved
from moa_mcp.values import Answer, Grace, Message, Note, ReplySchema, Request

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
        self,
        agent: Member,
        step: ModelStep,
        turn: Turn,
        answers: tuple[Answer, ...],
        pose: Pose[Reading],
        *,
        name: str = "the judge",
        numbers: Sequence[int] | None = None,
    ) -> None:
        """`name` is what notes call it; `numbers` are those of the answers, if they do not count from 1."""
        self._agent = agent
        self._step = step
        self._turn = turn
        self._answers = answers
        self._pose = pose
        self._name = name
        self._numbers = numbers or range(1, len(answers) + 1)
        self._window = turn.window(agent.model)
        self._shown = answers if self._window is None else self._fitting(self._window - (step.max_tokens or 0))
        self._halvings = 0
        self._unread: list[Note] = []

    @property
    def notes(self) -> tuple[Note, ...]:
        """Notes for the trace."""
        cut = numbered(
            number
            for number, shown, whole in zip(self._numbers, self._shown, self._answers, strict=True)
            if shown is not whole
        )
        window = f"the context window of {self._agent.model}" + (f" ({self._window} tokens)" if self._window else "")
        shortened = [Note(f"cut to fit {window}: answers {cut}", degrades=True)] if cut else []
        return (*shortened, *self._unread)

    async def ask(
        self, orders: Sequence[tuple[int, ...]], *, quorum: int = 1, required: bool = True
    ) -> list[Reading | None]:
        """Return one reading for each order, as `consult` does."""
        return await consult([(self, order) for order in orders], self._turn, quorum=quorum, required=required)

    @property
    def can_show_less(self) -> bool:
        """Whether a shorter prompt may help if this one is too long."""
        return self._halvings < _MOST_HALVINGS

    def show_half(self) -> None:
        """Show half as much of the answers from now on."""
        self._halvings += 1
        self._shown = halved(self._shown)

    def posed(self, order: tuple[int, ...], *, again: bool) -> tuple[Request, Callable[[Answer], Reading | None]]:
        """Return the request with the answers in this order, and the parser of the reply."""
        posed = self._pose(tuple(self._shown[at] for at in order), again=again)
        return self._step.request(self._agent, posed.messages, posed.reply_schema), posed.read

    def note_invalid(self, *, again: bool) -> None:
        """Add a note about an invalid reply."""
        what = "was invalid again" if again else f"was invalid, so {self._name} was called again"
        self._unread.append(Note(f"{self._name}'s reply {what}", degrades=again))

    def _fitting(self, room: int) -> tuple[Answer, ...]:
        def compose(answers: tuple[Answer, ...]) -> tuple[Message, ...]:
            return self._pose(answers, again=False).messages

        return excerpts(Fit(compose, room), self._answers)


async def consult(
    seats: Sequence[tuple[Judge[Reading], tuple[int, ...]]],
    turn: Turn,
    *,
    quorum: int = 1,
    required: bool = True,
    grace_s: Grace | None = None,
) -> list[Reading | None]:
    """Call judges, each with an order of its answers, and return a reading for each; None if the call failed.

    An invalid reply is requested once more, which adds a note to those of the judge; None if it is invalid twice.

    Raises:
        StepFailed: fewer than `quorum` calls succeeded, and `required` is true.

    """
    readings: list[Reading | None] = [None] * len(seats)
    pending = list(range(len(seats)))
    for again in (False, True):
        wanted, wait = (0, None) if again else (quorum, grace_s)
        asked = [seats[at] for at in pending]
        heard = await _heard(asked, turn, again, wanted, required=required, grace_s=wait)
        for at, replies in zip(pending, heard, strict=True):
            readings[at] = next(iter(replies), None)
        pending = [at for at, replies in zip(pending, heard, strict=True) if replies == (None,)]
        for at in pending:
            seats[at][0].note_invalid(again=again)
        if not pending:
            break
    return readings


async def _heard(
    seats: Sequence[tuple[Judge[Reading], tuple[int, ...]]],
    turn: Turn,
    again: bool,
    quorum: int,
    *,
    required: bool,
    grace_s: Grace | None,
) -> list[tuple[Reading | None, ...]]:
    """Return the reading of each reply, or an empty tuple if the call failed. A prompt that is too long is cut."""
    heard: list[tuple[Reading | None, ...]] = [()] * len(seats)
    waiting = list(range(len(seats)))
    while waiting:
        asked = [seats[at] for at in waiting]
        posed = [judge.posed(order, again=again) for judge, order in asked]
        requests = [request for request, _ in posed]
        can_show_less = all(judge.can_show_less for judge, _ in asked)
        try:
            replies = await turn.ask(
                requests, quorum=quorum, grace_s=grace_s, required=required, tells_too_long=can_show_less
            )
            too_long: frozenset[int] = frozenset()
        except PromptTooLong as error:
            replies, too_long = error.replies, error.too_long
            for judge in {id(asked[at][0]): asked[at][0] for at in too_long}.values():
                judge.show_half()
        for at, (_, read), reply in zip(waiting, posed, replies, strict=True):
            heard[at] = () if reply is None else (read(reply),)
        quorum = max(0, quorum - sum(reply is not None for reply in replies))
        waiting = [waiting[at] for at in sorted(too_long)]
    return heard
