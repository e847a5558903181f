"""The layers whose calls judge what others answered: rank and vote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationInfo, field_validator

from moa_mcp import prompts, tally
from moa_mcp.errors import StepFailed
from moa_mcp.steps.extracting import Ahead, Extractor, compilable, described, extract, short, stopped
from moa_mcp.steps.step import ModelStep, SoleStep, Turn, asked_of, given, numbered
from moa_mcp.steps.windows import Compose, Fit, excerpts
from moa_mcp.values import Answer, Message, Note, Request, State

Reading = TypeVar("Reading")


class Rank(SoleStep):
    """A judge ranks the answers; the best `n` go on, best first."""

    step: Literal["rank"] = "rank"
    n: Annotated[int, Field(ge=1)] = 3
    passes: Annotated[int, Field(ge=1, le=20)] = 1
    """With more than one, each pass sees the answers in another order and the rankings are merged by Borda count,
    since judges favour early places (Wang et al. 2023, arXiv 2305.17926)."""

    @property
    def models(self) -> tuple[str, ...]:
        return (self.agent,) * self.passes

    @property
    def judges(self) -> bool:
        return True

    def answers_out(self, answers_in: int) -> int:
        return min(self.n, answers_in)

    async def run(self, state: State, turn: Turn) -> State:
        answers = state.answers
        count = len(answers)
        if count == 1:
            return state.then(answers)
        keep = min(self.n, count)
        orders = [_order(count, turn, self.passes) for _ in range(self.passes)]

        def compose(shown: Sequence[Answer], again: bool = False) -> tuple[Message, ...]:
            return prompts.rank(state.question, shown, self.prompt, again=again)

        def read(reply: str) -> tuple[int, ...] | None:
            return prompts.read_ranking(reply, count, keep)

        async def consult(agent: str) -> tuple[list[tuple[int, ...] | None], list[Note]]:
            shown, cut = _shown(self, turn, agent, compose, answers)

            def conversation(index: int, again: bool) -> Request:
                return self.request(agent, compose([shown[position] for position in orders[index]], again))

            readings, said = await _consult(turn, conversation, read, times=self.passes)
            return readings, [*cut, *said]

        (readings, said), instead = await asked_of(self.agent, self.fallback_agent, consult)
        notes = [*instead, *said]
        rankings = [
            tuple(order[number - 1] for number in numbers)
            for order, numbers in zip(orders, readings, strict=True)
            if numbers is not None
        ]
        if not rankings:
            unranked = Note("the ranking could not be read; all answers go on, unranked", degrades=True)
            return state.then(answers, *notes, unranked)
        best = tally.borda(rankings, count)[:keep]
        kept = Note(f"kept {numbered(position + 1 for position in best)} of {count}, best first")
        return state.then(tuple(answers[position] for position in best), *notes, kept)


class Vote(ModelStep):
    """One of the answers is chosen, or the consensus of them stated.

    ``judge``: the agent names the most consistent answer, which goes on verbatim (universal self-consistency:
    Chen et al. 2023, arXiv 2311.17311). ``majority``: no agent; equal answers are counted. ``restate``: the agent
    writes the consensus.
    """

    step: Literal["vote"] = "vote"
    method: Literal["judge", "majority", "restate"] = "judge"
    agent: Annotated[str, Field(min_length=1)] | None = Field(default=None, validate_default=True)
    fallback_agent: Annotated[str, Field(min_length=1)] | None = None
    """Asked in its place when it gave no answer, after all its routes."""
    extract: Extractor = "text"
    """What of an answer counts, with ``majority``."""
    passes: Annotated[int, Field(ge=1, le=20)] = 1
    """How often ``judge`` asks. With more than one, each sees the answers in another order, and the answer that most
    of them name goes on."""
    stop: Ahead | None = None
    """When the passes that are left are not made any more."""

    @field_validator("agent")
    @classmethod
    def _fits_the_method(cls, value: str | None, info: ValidationInfo) -> str | None:
        method = info.data.get("method", "unknown")
        if method == "majority" and value is not None:
            raise ValueError(f'{value!r} would not be asked: method = "majority" counts; remove agent')
        if method in {"judge", "restate"} and value is None:
            raise ValueError(f'is missing; method = "{method}" asks a model')
        return value

    @field_validator("fallback_agent")
    @classmethod
    def _stands_in(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("method") == "majority":
            raise ValueError(f'{value!r} would not be asked: method = "majority" counts; remove fallback_agent')
        return value

    @field_validator("extract")
    @classmethod
    def _can_be_counted(cls, value: Extractor, info: ValidationInfo) -> Extractor:
        if value != "text" and info.data.get("method", "majority") != "majority":
            raise ValueError('says what method = "majority" counts; remove it, or choose that method')
        return compilable(value)

    @field_validator("passes")
    @classmethod
    def _are_judged(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("method", "judge") != "judge":
            raise ValueError('says how often method = "judge" asks; remove it, or choose that method')
        return value

    @field_validator("stop")
    @classmethod
    def _can_stop(cls, value: Ahead | None, info: ValidationInfo) -> Ahead | None:
        passes = info.data.get("passes")
        if value is not None and passes is not None and value.ahead_by > passes:
            raise ValueError(f"ahead_by = {value.ahead_by} can't come of passes = {passes}")
        return value

    @property
    def models(self) -> tuple[str, ...]:
        return (self.agent,) * self.passes if self.agent else ()

    @property
    def fewest(self) -> int:
        return min(self.stop.ahead_by, self.passes) if self.stop else len(self.models)

    @property
    def fallback(self) -> str | None:
        return self.fallback_agent

    @property
    def judges(self) -> bool:
        return self.method == "judge"

    def answers_out(self, answers_in: int) -> int:
        del answers_in
        return 1

    async def run(self, state: State, turn: Turn) -> State:
        if self.agent is None:
            return self._count(state)
        if self.method == "restate":
            return await self._restate(self.agent, state, turn)
        return await self._judge(self.agent, state, turn)

    async def _restate(self, agent: str, state: State, turn: Turn) -> State:
        def compose(shown: Sequence[Answer]) -> tuple[Message, ...]:
            return prompts.restate(state.question, shown, self.prompt)

        async def ask(agent: str) -> tuple[tuple[Answer, ...], list[Note]]:
            shown, cut = _shown(self, turn, agent, compose, state.answers)
            return given(await turn.ask([self.request(agent, compose(shown))])), cut

        (answers, cut), instead = await asked_of(agent, self.fallback_agent, ask)
        return state.then(answers, *instead, *cut)

    def _count(self, state: State) -> State:
        outcome = tally.majority([answer.text for answer in state.answers], extract(self.extract))
        if outcome is None:
            raise StepFailed(f"no answer holds what is to be counted ({described(self.extract)})")
        total = len(state.answers)
        notes = [Note(f"{outcome.votes} of {total} answers say {short(outcome.value)}")]
        if outcome.tied:
            others = ", ".join(short(value) for value in outcome.tied)
            notes.append(Note(f"a tie with {others}; the one given first was taken", degrades=True))
        if outcome.abstained:
            blank = numbered(position + 1 for position in outcome.abstained)
            notes.append(Note(f"answers that hold nothing to count: {blank}"))
        return state.then((state.answers[outcome.winner],), *notes)

    async def _judge(self, agent: str, state: State, turn: Turn) -> State:
        answers = state.answers
        if len(answers) == 1:
            return state.then(answers)
        orders = [_order(len(answers), turn, self.passes) for _ in range(self.passes)]

        async def consult(judge: str) -> tuple[int, list[Note]]:
            return await self._verdict(judge, state, turn, orders)

        (chosen, said), instead = await asked_of(agent, self.fallback_agent, consult)
        return state.then((answers[chosen],), *instead, *said)

    async def _verdict(
        self, judge: str, state: State, turn: Turn, orders: Sequence[tuple[int, ...]]
    ) -> tuple[int, list[Note]]:
        """Return the position of the answer that a judge names, or names most often."""

        def compose(shown: Sequence[Answer], again: bool = False) -> tuple[Message, ...]:
            return prompts.vote(state.question, shown, self.prompt, again=again)

        shown, notes = _shown(self, turn, judge, compose, state.answers)
        count = len(shown)
        named: list[int] = []
        made, size, lead = 0, self.fewest, tally.Lead("", 0)

        def read(reply: str) -> int | None:
            return prompts.read_vote(reply, count)

        while size:

            def conversation(index: int, again: bool, made: int = made) -> Request:
                return self.request(judge, compose([shown[position] for position in orders[made + index]], again))

            last = made + size == self.passes
            least = 0 if named else 1
            numbers, said = await _consult(turn, conversation, read, times=size, quorum=least, required=last)
            named += [orders[made + index][number - 1] for index, number in enumerate(numbers) if number is not None]
            notes += said
            made += size
            lead = tally.lead(str(position + 1) for position in named)
            size = self.stop.next_wave(lead, self.passes - made) if self.stop else 0
        outcome = tally.majority([str(position + 1) for position in named], lambda number: number)
        if outcome is None:  # nothing was named
            raise StepFailed(f"{judge} named no answer in a form that can be read, asked twice")
        saved = [stopped(made, self.passes, f"answer {outcome.value}", lead.by)] if made < self.passes else []
        return named[outcome.winner], [*notes, *_told(judge, outcome, made, count), *saved]


def _told(judge: str, outcome: tally.Majority, passes: int, count: int) -> Iterator[Note]:
    """Yield what a judge's verdict was."""
    if passes == 1:
        yield Note(f"{judge} chose answer {outcome.value} of {count}")
    else:
        yield Note(f"{judge} named answer {outcome.value} of {count} in {outcome.votes} of {passes} passes")
    if outcome.tied:
        yield Note(f"a tie with {', '.join(outcome.tied)}; the one named first was taken", degrades=True)


def _shown(
    step: ModelStep, turn: Turn, judge: str, compose: Compose, answers: tuple[Answer, ...]
) -> tuple[tuple[Answer, ...], list[Note]]:
    """Return the answers as a judge is shown them, who compares all at once, and what is to be noted of that."""
    window = turn.window(judge)
    if window is None:
        return answers, []
    shown = excerpts(Fit(compose, window - (step.max_tokens or 0)), answers)
    cut = numbered(at for at, (one, whole) in enumerate(zip(shown, answers, strict=True), 1) if one is not whole)
    note = Note(f"cut to fit the window of {judge} ({window} tokens): answers {cut}", degrades=True)
    return shown, [note] if cut else []


def _order(count: int, turn: Turn, passes: int) -> tuple[int, ...]:
    return tuple(turn.rng.sample(range(count), count)) if passes > 1 else tuple(range(count))


async def _consult(
    turn: Turn,
    conversation: Callable[[int, bool], Request],
    read: Callable[[str], Reading | None],
    *,
    times: int,
    quorum: int = 1,
    required: bool = True,
) -> tuple[list[Reading | None], list[Note]]:
    """Ask a judge `times` times; a reply that can't be read is asked for once more, and noted."""
    readings: list[Reading | None] = [None] * times
    notes: list[Note] = []
    pending = list(range(times))
    for again in (False, True):
        requests = [conversation(index, again) for index in pending]
        asked = await turn.ask(requests, quorum=0 if again else quorum, required=required)
        replies = dict(zip(pending, asked, strict=True))
        readings = [read(reply.text) if (reply := replies.get(i)) else was for i, was in enumerate(readings)]
        pending = [index for index in pending if replies[index] is not None and readings[index] is None]
        what = "could not be read a second time" if again else "could not be read and was asked for again"
        notes += [Note(f"the judge's reply {what}", degrades=again)] * len(pending)
        if not pending:
            break
    return readings, notes
