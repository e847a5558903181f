"""Each agent writes one answer from many, in several calls if its context window is too small for one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from msgspec.structs import replace

from moa_mcp.errors import PromptTooLong, StepFailed
from moa_mcp.steps import prompts
from moa_mcp.steps.forecast import Bound, ExpectedAnswers, ExpectedCalls, analysis_of
from moa_mcp.steps.layer import ModelStep, given
from moa_mcp.steps.members import Member
from moa_mcp.steps.step import Turn
from moa_mcp.steps.windows import Fit, Part, part, tokens
from moa_mcp.values import Analysis, Answer, Grace, Message, Note, Question, Request, State, Window


def expected_fan_in(step: ModelStep, answers: ExpectedAnswers, bound: Bound) -> tuple[ExpectedCalls, ...]:
    """Return the calls of `fan_in` to all members of a step, if all answers fit in one prompt."""
    analysis = analysis_of(answers)
    form = prompts.synthesize_compared if analysis else prompts.synthesize
    return step.expected(step.members, form, answers, bound, analysis=analysis)


async def fan_in(
    step: ModelStep,
    agents: Sequence[Member],
    state: State,
    turn: Turn,
    *,
    quorum: int = 1,
    grace_s: Grace | None = None,
) -> tuple[tuple[Answer, ...], tuple[Note, ...]]:
    """Return one answer of each agent, written from all answers; in several calls if they exceed its context window.

    The first calls of all agents run concurrently, then the second calls of those that need one, and so on. So a
    resumed run makes the same calls in the same order. If a provider rejects the first prompt as too long, the next
    prompts contain half as many answers. The analysis of the answers is shown only with all of them in one prompt.

    Raises:
        StepFailed: fewer than `quorum` agents returned an answer.

    """
    written = _Written(step, state)
    ways = [_Way(agent, step, state, written, turn) for agent in agents]
    can_show_less = len(state.answers) > 1
    while True:
        asked = [way for way in ways if not way.ended and way.prepare()]
        needed = quorum - sum([way.ended for way in ways])
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


class _Written:
    """The prompts of a step. Agents with the same system prompt share them."""

    def __init__(self, step: ModelStep, state: State) -> None:
        self._step = step
        self._state = state
        self._prompts: dict[tuple[str | None, bool], _Prompts] = {}

    def of(self, agent: Member, *, analysed: bool) -> _Prompts:
        """Return the prompts of an agent; `analysed` is whether those with all answers show the analysis of them."""
        key = agent.system, analysed
        if key not in self._prompts:
            analysis = self._state.analysis if analysed else None
            self._prompts[key] = _Prompts(self._step, agent.asked(self._state.question), self._state.answers, analysis)
        return self._prompts[key]


class _Prompts:
    """The prompts with all of the answers or some of them, each written and counted once."""

    def __init__(
        self, step: ModelStep, question: Question, answers: tuple[Answer, ...], analysis: Analysis | None
    ) -> None:
        self._question = question
        self._instruction = step.prompt
        self._answers = answers
        self._whole = prompts.synthesize(question, answers, step.prompt, analysis)
        self._of_some: dict[tuple[Answer, ...], tuple[Message, ...]] = {}

    def compose(self, answers: tuple[Answer, ...]) -> tuple[Message, ...]:
        """Return the prompt with these answers."""
        if answers is self._answers:
            return self._whole
        if answers not in self._of_some:
            self._of_some[answers] = prompts.synthesize(self._question, answers, self._instruction)
        return self._of_some[answers]

    def count(self, messages: Sequence[Message]) -> int:
        """Return the tokens of a prompt."""
        return self._tokens if messages is self._whole else tokens(messages)

    @cached_property
    def _tokens(self) -> int:
        return tokens(self._whole)


class _Way:
    """The sequence of calls of one agent."""

    def __init__(self, agent: Member, step: ModelStep, state: State, written: _Written, turn: Turn) -> None:
        self.so_far: Answer | None = None
        """The last reply, which combines all answers that the agent was shown."""
        self.obstacle = ""
        """Why the agent can't be called; empty if it can."""
        self.ended = not state.answers
        """Whether the agent has combined all answers."""
        self._agent = agent
        self._step = step
        self._all = len(state.answers)
        self._rest = state.answers
        self._window = turn.window(agent.model)
        self._reserved = step.max_tokens or 0
        room = None if self._window is None else self._window - self._reserved
        shown = written.of(agent, analysed=True)
        self._fit = Fit(shown.compose, room, count=shown.count)
        self._analysed = state.analysis is not None
        self._without_analysis = self._analysed and not self._fit(state.answers)
        if self._without_analysis:
            shown = written.of(agent, analysed=False)
            self._fit = Fit(shown.compose, room, count=shown.count)
        self._next = Part((), state.answers)
        self._asked = 0
        self._failed = False
        self._cut: list[str] = []

    def prepare(self) -> bool:
        """Choose the answers for the next prompt; return whether there is one."""
        if self._failed:
            return False
        chosen = part(self._fit, self.so_far, self._rest)
        if chosen is None:
            self._failed = True
            self.obstacle = (
                f"no answer fits the context window of {self._agent.model} ({self._window} tokens): the rest of the "
                f"prompt and max_tokens = {self._reserved} fill it"
            )
            return False
        self._next = chosen
        return True

    def request(self) -> Request:
        """Return the next request."""
        request = self._step.request(self._agent, self._fit.compose(self._next.shown))
        return request._replace(window=self._window_shown()) if self._asked or self._next.rest else request

    def _window_shown(self) -> Window:
        first = self._all - len(self._rest) + 1
        return Window(self._asked + 1, first, self._all - len(self._next.rest), self._all)

    def show_half(self) -> None:
        """Show half as many answers in each of the next prompts."""
        self._fit = replace(self._fit, most=-(-self._all // 2))
        self._without_analysis = self._analysed

    def take(self, reply: Answer | None) -> None:
        """Record the reply to the last prompt; None if the call failed."""
        if reply is None:
            self._failed = True
            return
        carried = 1 if self.so_far else 0
        before = self._all - len(self._rest) - carried
        for number, answer in enumerate(self._next.shown, 1):
            if answer.shortened:
                self._cut += [f"answer {before + number}" if number > carried else "the combined answer"]
        self.so_far, self._rest = reply, self._next.rest
        self.ended = not self._rest
        self._asked += 1

    def notes(self) -> Iterator[Note]:
        """Yield the notes for the trace."""
        window = f"the context window of {self._agent.model}" + (f" ({self._window} tokens)" if self._window else "")
        if self.obstacle:
            yield Note(self.obstacle, degrades=True)
        if self._without_analysis:
            yield Note(f"the analysis was left out: it did not fit {window} beside the answers", degrades=True)
        if self._asked > 1:
            yield Note(f"the {self._all} answers did not fit {window}: combined in {self._asked} calls")
        if self._cut:
            yield Note(f"cut to fit {window}: {', '.join(self._cut)}", degrades=True)
