"""Many answers become one at each agent, in as many prompts as its context window takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from moa_mcp.errors import PromptTooLong, StepFailed
from moa_mcp.steps import prompts
from moa_mcp.steps.layer import ModelStep, given
from moa_mcp.steps.step import Turn
from moa_mcp.steps.windows import Compose, Fit, Part, part
from moa_mcp.values import Answer, Message, Note, Request, State, Window


async def fan_in(
    step: ModelStep, agents: Sequence[str], state: State, turn: Turn, *, quorum: int = 1, grace_s: float | None = None
) -> tuple[tuple[Answer, ...], tuple[Note, ...]]:
    """Ask each agent for one answer made of all answers, several times where its window is too small for them.

    All agents are asked for their first prompt at once, then those that need it for their second, and so on: so a
    resumed run asks the same in the same order. Where a provider finds the first too long, half as many answers are
    shown at once.

    Raises:
        StepFailed: fewer than `quorum` gave one.

    """
    whole = prompts.synthesize(state.question, state.answers, step.prompt)

    @cache
    def of_some(answers: tuple[Answer, ...]) -> tuple[Message, ...]:
        return prompts.synthesize(state.question, answers, step.prompt)

    def compose(answers: tuple[Answer, ...]) -> tuple[Message, ...]:
        return whole if answers is state.answers else of_some(answers)

    ways = [_Way(agent, step, state.answers, compose, turn.window(agent)) for agent in agents]
    can_show_less = len(state.answers) > 1
    while True:
        asked = [way for way in ways if way.prepare()]
        needed = quorum - sum(way.ended for way in ways)
        if needed > len(asked):
            raise StepFailed("; ".join(dict.fromkeys(way.obstacle for way in ways if way.obstacle)))
        if not asked:
            break
        requests = [way.request() for way in asked]
        try:
            replies = await turn.ask(requests, quorum=max(0, needed), grace_s=grace_s, tells_too_long=can_show_less)
            too_long: frozenset[int] = frozenset()
        except PromptTooLong as error:
            replies, too_long = error.replies, error.too_long
        for position, (way, reply) in enumerate(zip(asked, replies, strict=True)):
            if position in too_long:
                way.show_half()
            else:
                way.take(reply)
        can_show_less = False
    notes = dict.fromkeys(note for way in ways for note in way.notes())
    return given([way.so_far for way in ways if way.ended]), tuple(notes)


class _Way:
    """How one agent comes to its answer."""

    def __init__(
        self, agent: str, step: ModelStep, answers: tuple[Answer, ...], compose: Compose, window: int | None
    ) -> None:
        self.so_far: Answer | None = None
        """What came of the answers that it has been shown."""
        self.obstacle = ""
        """Why it can't be asked."""
        self._agent = agent
        self._step = step
        self._all = len(answers)
        self._rest = answers
        self._window = window
        self._kept = step.max_tokens or 0
        self._fit = Fit(compose, None if window is None else window - self._kept)
        self._next = Part((), answers)
        self._asked = 0
        self._failed = False
        self._cut: list[str] = []

    @property
    def ended(self) -> bool:
        """Whether it has come to its answer."""
        return not self._rest and not self._failed

    def prepare(self) -> bool:
        """Choose what the next prompt shows; return whether there is to be one."""
        if self._failed or not self._rest:
            return False
        chosen = part(self._fit, self.so_far, self._rest)
        if chosen is None:
            self._failed = True
            self.obstacle = (
                f"{self._agent} can't be shown an answer: the rest of the prompt fills its window of {self._window} "
                f"tokens, of which {self._kept} are kept for what it says (max_tokens)"
            )
            return False
        self._next = chosen
        return True

    def request(self) -> Request:
        """Return what to ask next."""
        request = self._step.request(self._agent, self._fit.compose(self._next.shown))
        return replace(request, window=self._window_shown()) if self._asked or self._next.rest else request

    def _window_shown(self) -> Window:
        first = self._all - len(self._rest) + 1
        return Window(self._asked + 1, first, self._all - len(self._next.rest), self._all)

    def show_half(self) -> None:
        """Show half as many answers at once from now on."""
        self._fit = replace(self._fit, most=-(-self._all // 2))

    def take(self, reply: Answer | None) -> None:
        """Take what came of the prompt."""
        if reply is None:
            self._failed = True
            return
        number = self._all - len(self._rest) + 1
        names = [
            *(["the answer so far"] if self.so_far else []),
            *(f"answer {each}" for each in range(number, self._all + 1)),
        ]
        self._cut += [name for name, answer in zip(names, self._next.shown, strict=False) if answer.shortened]
        self.so_far, self._rest = reply, self._next.rest
        self._asked += 1

    def notes(self) -> Iterator[Note]:
        """Yield what a reader of the trace should know."""
        window = f"the window of {self._agent}" + (f" ({self._window} tokens)" if self._window else "")
        if self.obstacle:
            yield Note(self.obstacle, degrades=True)
        if self._asked > 1:
            yield Note(f"the {self._all} answers did not fit {window}: aggregated in {self._asked} windows")
        if self._cut:
            yield Note(f"cut to fit {window}: {', '.join(self._cut)}", degrades=True)
