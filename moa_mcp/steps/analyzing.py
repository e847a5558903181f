"""The layer in which one agent compares the answers: analyze."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from moa_mcp.errors import DeadlinePassed, StepFailed
from moa_mcp.findings import Analysis
from moa_mcp.steps import prompts
from moa_mcp.steps.comparisons import analysis_schema
from moa_mcp.steps.consulting import Judge, Posed, orders
from moa_mcp.steps.forecast import Bound, ExpectedAnswers, Forecast
from moa_mcp.steps.layer import SingleAgentStep, asked_of
from moa_mcp.steps.members import Member
from moa_mcp.steps.step import Turn, counted
from moa_mcp.values import Answer, Note, State
from moa_mcp.verdicts import Asked, read_analysis

_LEAST = 2
"""Fewest answers that can be compared."""
_NAMED = 3
"""Most topics in a note."""
_LONGEST = 60
"""Most characters of a topic in a note."""


class Analyze(SingleAgentStep):
    """Compare the answers, without a change to them.

    An agent lists consensus, contradictions, partial coverage, unique insights and blind spots. The analysis is in the
    result. An ``aggregate`` or ``synthesize`` step after it is shown it beside the answers. A reply that can't be read
    is requested once more; without an analysis, the answers alone are passed on.
    """

    step: Literal["analyze"] = "analyze"

    def answers_out(self, answers_in: int) -> int:
        return answers_in

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        if len(answers) == 1:
            return Forecast((), answers)
        calls = self.expected(self.members, prompts.analyze, answers, bound)
        tokens = 0 if bound == "min" else self.reply_tokens(bound)
        return Forecast(
            tuple(call._replace(reply_schema=analysis_schema()) for call in calls),
            tuple(answer._replace(analysis=tokens) for answer in answers),
        )

    def lint(self, answers: int) -> Iterator[str]:
        if answers == 1:
            yield "analyze has only one answer, and compares at least two"

    async def run(self, state: State, turn: Turn) -> State:
        answers = state.answers
        if len(answers) < _LEAST:
            return state.then(answers, Note("not analysed: there is only one answer"))
        analysts: list[Judge[Analysis]] = []

        async def consult(agent: Member) -> Analysis:
            analysts.append(self._analyst(agent, state, turn))
            (analysis,) = await analysts[-1].ask(orders(len(answers), 1, turn))
            if analysis is None:
                raise StepFailed(f"{agent.model} returned no valid analysis in 2 attempts")
            return analysis

        try:
            analysis, instead = await asked_of(self.agent, self.fallback_agent, consult)
        except DeadlinePassed:
            raise
        except StepFailed as error:
            notes = [note for analyst in analysts for note in analyst.notes]
            return state.then(answers, *notes, Note(f"{error}; the answers were not analysed", degrades=True))
        return state.then(answers, *instead, *analysts[-1].notes, Note(_summary(analysis)), analysis=analysis)

    def _analyst(self, agent: Member, state: State, turn: Turn) -> Judge[Analysis]:
        question = agent.asked(state.question)
        of = tuple(answer.place for answer in state.answers)

        def pose(shown: tuple[Answer, ...], *, again: bool) -> Posed[Analysis]:
            messages = prompts.analyze(question, shown, self.prompt, again=again)
            asked = Asked.of(len(shown), prompts.key(question, shown, self.prompt), messages)

            def read(answer: Answer) -> Analysis | None:
                return read_analysis(answer.text, asked, of)

            return Posed(messages, analysis_schema(), read)

        return Judge(agent, self, turn, state.answers, pose, name=agent.model)


def _summary(analysis: Analysis) -> str:
    """Return an analysis in one line."""
    parts = [
        f"{counted(len(analysis.consensus), 'point')} of consensus",
        _topics(analysis),
        f"{counted(len(analysis.partial_coverage), 'point')} treated by some only",
        counted(len(analysis.unique_insights), "unique insight"),
        counted(len(analysis.blind_spots), "blind spot"),
    ]
    return ", ".join(parts)


def _topics(analysis: Analysis) -> str:
    topics = [each.topic for each in analysis.contradictions if each.topic]
    shown = [topic if len(topic) <= _LONGEST else f"{topic[: _LONGEST - 1]}…" for topic in topics[:_NAMED]]
    named = f" ({'; '.join([*shown, *(['…'] if len(topics) > _NAMED else [])])})" if shown else ""
    return counted(len(analysis.contradictions), "contradiction") + named
