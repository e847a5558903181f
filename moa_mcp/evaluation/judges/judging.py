"""Asks a judge for a verdict, and once more if its reply has none that can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from moa_mcp.config import Pipeline
from moa_mcp.evaluation.asking import Ask, EvalRun
from moa_mcp.evaluation.judges.prompts import VERSION, JudgePrompt
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.evaluation.scoring.comparing import digest_of
from moa_mcp.files.images import images_of
from moa_mcp.files.refused import FileRefused
from moa_mcp.images import Image
from moa_mcp.verdicts import Asked as Prompted
from moa_mcp.verdicts.objects import objects

Verdict = TypeVar("Verdict")
Read = Callable[[str, Prompted], Verdict | None]

MOST_RUNS = 2
"""Of a judge for one verdict: a reply without one is asked for once more. One is expected."""
_LONGEST = 600
_UNREADABLE = "the judge's reply has no verdict that can be read"


class PromptWriter(Protocol):
    """Writes the prompt of a judge."""

    def __call__(self, *, images: tuple[Image, ...], again: bool) -> JudgePrompt: ...


class Heard(NamedTuple, Generic[Verdict]):
    """What a judge said."""

    verdict: Verdict | None
    why: str
    """Its reason, or why there is no verdict."""
    problem: str
    """Why it did not reply; empty if it did."""
    asked: tuple[EvalRun, ...]
    """Its runs, in order."""


class EvalJudge(Struct, frozen=True):
    """A pipeline that judges answers."""

    pipeline: Pipeline
    ask: Ask

    async def hear(self, question: EvalQuestion, pose: PromptWriter, read: Read[Verdict]) -> Heard[Verdict]:
        """Return the verdict of the judge."""
        try:
            images = images_of(question.item.images)
        except FileRefused as error:
            return Heard(None, "", f"the judge was not asked: {error}", ())
        asked: list[EvalRun] = []
        for again in (False, True)[:MOST_RUNS]:
            prompt = pose(images=images, again=again)
            asked.append(await self.ask(self.pipeline, prompt.question))
            reply = asked[-1].answer
            if reply is None:
                why = asked[-1].problem or "its run has no answer"
                return Heard(None, "", f"the judge did not reply: {why}", tuple(asked))
            verdict = read(reply, prompt.asked)
            if verdict is not None:
                return Heard(verdict, reason_in(reply), "", tuple(asked))
        return Heard(None, f"{_UNREADABLE}: {shortened(asked[-1].answer or '')}", "", tuple(asked))


def digest_of_judge(judge: Pipeline, criteria: str | None) -> str:
    """Return a hash of all that determines verdicts besides questions and answers."""
    return digest_of(VERSION, judge.model_dump_json(), criteria)


def at_temperature_0(pipeline: Pipeline) -> Pipeline:
    """Return a judge that is one call of a model at temperature 0; other pipelines as they are.

    The members of a panel differ on purpose, so that a pipeline keeps its temperatures.
    """
    match pipeline.steps:
        case [step] if len(step.models) == 1 and "temperature" in type(step).model_fields:
            return pipeline.model_copy(update={"steps": (step.model_copy(update={"temperature": 0.0}),)})
        case _:
            return pipeline


def reason_in(reply: str) -> str:
    """Return the reason that a reply states, else the whole reply, shortened."""
    for found in reversed(objects(reply) or ()):
        for name, held in found.fields:
            if name.casefold() in {"reason", "reasoning", "explanation", "why"} and isinstance(held, str):
                return shortened(held)
    return shortened(reply)


def shortened(text: str) -> str:
    """Return a text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
