"""The layer that ends a run early if the answers so far agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

from msgspec.structs import replace
from pydantic import Field, ValidationInfo, field_validator

from moa_mcp.errors import DeadlinePassed, StepFailed
from moa_mcp.extraction.numerals import DecimalMark
from moa_mcp.steps import prompts, tally
from moa_mcp.steps.consulting import Judge, Posed, orders
from moa_mcp.steps.extracting import Extractor, compilable, described, extract, of_numbers, short
from moa_mcp.steps.forecast import Bound, ExpectedAnswers, Forecast, drawn
from moa_mcp.steps.judged import OptionalAgentStep
from moa_mcp.steps.layer import asked_of
from moa_mcp.steps.members import Member, OneMember
from moa_mcp.steps.step import Turn
from moa_mcp.values import Answer, Note, State
from moa_mcp.verdicts import Asked, read_equivalence


class Agree(OptionalAgentStep):
    """End the run with the first answer if the answers agree; otherwise they stay, and the run goes on.

    They agree if the values that `extract` finds are equal, or if the agent judges that they are equivalent. Answers of
    one maker's models are not enough by default: models with the same training make the same mistakes.
    """

    compares_makers: ClassVar[bool] = True
    may_be_final: ClassVar[bool] = True

    step: Literal["agree"] = "agree"
    extract: Extractor | None = None
    """The value of an answer that is compared, without a model."""
    decimal: DecimalMark | None = None
    """The decimal mark of ambiguous numbers, with ``last_number``. By default the point: ``1,234`` is 1234."""
    agent: OneMember | None = Field(default=None, validate_default=True)
    """The model that judges whether all answers are equivalent; required without `extract`."""
    fallback_agent: OneMember | None = None
    """Called if all routes of the agent failed."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of the answers that must have the same value, with `extract`."""
    makers: Annotated[int, Field(ge=1, le=20)] = 2
    """How many makers the models must have whose answers agree. Unknown makers do not count."""

    @field_validator("extract")
    @classmethod
    def _can_be_compared(cls, value: Extractor | None) -> Extractor | None:
        return None if value is None else compilable(value)

    @field_validator("decimal")
    @classmethod
    def _reads_numbers(cls, value: DecimalMark | None, info: ValidationInfo) -> DecimalMark | None:
        return of_numbers(value, info.data.get("extract") or "text")

    @field_validator("agent")
    @classmethod
    def _judges_or_not(cls, value: Member | None, info: ValidationInfo) -> Member | None:
        extractor = info.data.get("extract", "unknown")
        if value is not None and extractor not in {None, "unknown"}:
            raise ValueError(f"{value.model!r} would not be called: extract compares values; remove one of them")
        if value is None and extractor is None:
            raise ValueError("is missing; name the model that judges, or set extract to compare values")
        return value

    @field_validator("fallback_agent")
    @classmethod
    def _stands_in(cls, value: Member | None, info: ValidationInfo) -> Member | None:
        if value is not None and info.data.get("extract") is not None:
            raise ValueError(f"{value.model!r} would not be called: extract compares values; remove fallback_agent")
        return value

    @field_validator("share")
    @classmethod
    def _is_counted(cls, value: float, info: ValidationInfo) -> float:
        if value < 1 and info.data.get("extract", "unknown") is None:
            raise ValueError("is only used with extract: the agent judges all answers; remove it, or set extract")
        return value

    def required(self, calls: int) -> int:
        del calls  # without the judge, the run goes on
        return 0

    def answers_out(self, answers_in: int) -> int:
        return answers_in

    def forecast(self, answers: ExpectedAnswers, bound: Bound) -> Forecast:
        if not self._comparable(len(answers)):
            return Forecast((), answers)
        if bound == "min":  # the answers may have too few makers to ask the agent, or agree
            return Forecast((), drawn(answers, 1, bound), final=True)
        schema = prompts.equivalence_schema()
        return Forecast(self.expected(self.members, prompts.agree, answers, bound, schema), answers)

    def _comparable(self, answers: int) -> bool:
        return answers >= max(2, self.makers)

    def lint(self, answers: int) -> Iterator[str]:
        if not self._comparable(answers):
            count = "1 answer" if answers == 1 else f"{answers} answers"
            needed = "another one to compare" if answers == 1 else f"makers = {self.makers}"
            yield f"has {count}, which never agree: that takes {needed}"

    def lint_makers(self, answers: ExpectedAnswers, makers: Mapping[str, str]) -> Iterator[str]:
        authors = {answer.agent: None for answer in answers if answer.agent is not None}
        known = [*dict.fromkeys(makers[author] for author in authors if author in makers)]
        if not self._comparable(len(answers)) or not all(answer.agent for answer in answers):
            return
        if len(known) < self.makers > 1:
            whose = _whose(known, sum(author not in makers for author in authors))
            yield (
                f"never ends the run: the models before it are {whose}, and makers = {self.makers} must agree; "
                "use models of other makers, or set makers = 1"
            )

    async def run(self, state: State, turn: Turn) -> State:
        if len(state.answers) < 2:  # noqa: PLR2004  two answers are the least that can agree
            return _goes_on(state, "there is only one answer to compare")
        if self.agent is None:
            return await self._compare(self.extract or "text", state, turn)
        if few := self._too_few(state.answers, turn):
            return _goes_on(state, f"{few}, so the judge was not called")
        return await self._judge(self.agent, state, turn)

    async def _compare(self, extractor: Extractor, state: State, turn: Turn) -> State:
        """Decide by the most frequent value."""
        answers = state.answers
        extracted = await extract(_Compared(extractor, self.decimal), answers)
        outcome = tally.majority(extracted.values)
        if outcome is None:
            return _goes_on(state, f"no answer has a value to compare ({described(extractor)})", *extracted.notes)
        text = f"{outcome.votes} of {len(answers)} answers say {short(outcome.value)}"
        group = [answer for answer, value in zip(answers, extracted.values, strict=True) if value == outcome.value]
        if outcome.tied or outcome.votes < self.share * len(answers) - _ROUNDING:
            after = _goes_on(state, f"{text}{_besides(outcome)}", *extracted.notes)
        elif few := self._too_few(group, turn):
            after = _goes_on(state, f"{text}, but {few}", *extracted.notes)
        else:
            after = _ends(state, group, f"{text}{_by(group, turn)}", *extracted.notes)
        return replace(after, tally=outcome.tally)

    async def _judge(self, agent: Member, state: State, turn: Turn) -> State:
        """Decide by the verdict of the agent. Without a verdict, the run goes on."""

        async def ask(judge: Member) -> tuple[bool | None, tuple[Note, ...]]:
            return await self._verdict(judge, state, turn)

        try:
            (equivalent, notes), instead = await asked_of(agent, self.fallback_agent, ask)
        except DeadlinePassed:
            raise
        except StepFailed as error:
            if error.reason == "journal":
                raise
            return _goes_on(state, f"the answers were not compared: {error}", degrades=True)
        notes = (*instead, *notes)
        if equivalent is None:
            return _goes_on(state, f"{agent.model} gave no valid verdict in 2 attempts", *notes)
        count = len(state.answers)
        if not equivalent:
            after = _goes_on(state, f"{agent.model} finds that the {count} answers are not equivalent", *notes)
            return replace(after, verdict="not equivalent")
        text = f"{agent.model} finds that all {count} answers are equivalent{_by(state.answers, turn)}"
        return replace(_ends(state, state.answers, text, *notes), verdict="equivalent")

    async def _verdict(self, agent: Member, state: State, turn: Turn) -> tuple[bool | None, tuple[Note, ...]]:
        question, count = agent.asked(state.question), len(state.answers)

        def pose(shown: tuple[Answer, ...], *, again: bool) -> Posed[bool]:
            messages = prompts.agree(question, shown, self.prompt, again=again)
            asked = Asked.of(count, prompts.key(question, shown, self.prompt), messages)

            def read(answer: Answer) -> bool | None:
                return read_equivalence(answer.text, asked)

            return Posed(messages, prompts.equivalence_schema(), read)

        judge = Judge(agent, self, turn, state.answers, pose)
        (equivalent,) = await judge.ask(orders(count, 1, turn))
        return equivalent, judge.notes

    def _too_few(self, answers: Sequence[Answer], turn: Turn) -> str:
        """Return why it would not be enough that these answers agree; empty if it is."""
        if len({answer.place for answer in answers}) == 1:
            return "that is one answer and copies of it"
        known = _makers(answers, turn)
        if self.makers == 1 or len(known) >= self.makers:
            return ""
        unknown = {answer.agent for answer in answers if turn.maker(answer.agent) is None}
        return f"their models are {_whose(known, len(unknown))}, and makers = {self.makers} must agree"


class _Compared(NamedTuple):
    """The settings of the extraction."""

    extract: Extractor
    decimal: DecimalMark | None


def _makers(answers: Sequence[Answer], turn: Turn) -> list[str]:
    """Return the known makers of the models that gave these answers, each once."""
    known = (turn.maker(answer.agent) for answer in answers)
    return list(dict.fromkeys(maker for maker in known if maker is not None))


def _whose(known: Sequence[str], unknown: int) -> str:
    """Return in words of whom models are, with the number of those whose maker is not known."""
    named = f"of {known[0]}" if len(known) == 1 else f"of {len(known)} makers"
    others = "an unknown maker" if unknown == 1 else "unknown makers"
    if not known:
        return f"of {others}"
    return f"{named} and {others}" if unknown else f"{named} alone" if len(known) == 1 else named


def _by(answers: Sequence[Answer], turn: Turn) -> str:
    known = _makers(answers, turn)
    return f" (models of {' and '.join(known)})" if len(known) > 1 else ""


def _besides(outcome: tally.Majority) -> str:
    """Return the other values, for a note."""
    others = [short(each.value) for each in outcome.tally.values[1:]]
    return f", others {', '.join(others[:_SHOWN])}{' …' if len(others) > _SHOWN else ''}" if others else ""


def _goes_on(state: State, why: str, *notes: Note, degrades: bool = False) -> State:
    """Return the state with all answers, for the next steps."""
    return state.then(state.answers, *notes, Note(f"went on: {why}", degrades=degrades))


def _ends(state: State, group: Sequence[Answer], why: str, *notes: Note) -> State:
    """Return the state with the answer of the run: the first of a group that is not cut off, if there is one."""
    first = next((answer for answer in group if not answer.cut), group[0])
    return state.then((first,), *notes, Note(f"agreed: {why}"), final=True)


_ROUNDING = 1e-9
_SHOWN = 3
