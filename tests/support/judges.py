"""Judges of answers in tests: questions to score, and runs of scripted models, or of real ones over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from moa_mcp.batch.items import Item
from moa_mcp.config import Pipeline, parse
from moa_mcp.evaluation.asking import Ask, EvalRun
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.providers.backend import real
from moa_mcp.runs import Runs
from moa_mcp.steps.prompts import asked_form
from moa_mcp.testing import Reply, ScriptedModel, pipeline, run_pipeline
from moa_mcp.values import COMPLETE, Call, Question
from tests.support.starting import start_run

JUDGE = pipeline('steps = [{ step = "propose", agents = ["judge"], temperature = 0.9 }]')


def question_of(
    answer: str | None = None, *choices: str, text: str = "Why?", line: int = 1, **more: Any
) -> EvalQuestion:
    """Return a question of an evaluation; `more` are fields of its item, and its metadata."""
    metadata = more.pop("metadata", {})
    return EvalQuestion(str(line), Item(line, text, **more), answer, choices, metadata=metadata)


class ScriptedJudge:
    """Asks a judge whose model has scripted replies. Each entry of `asked` is the question of a run."""

    def __init__(self, *replies: Reply) -> None:
        self.model = ScriptedModel({"judge": [*replies]})
        self.asked: list[Question] = []

    async def __call__(self, pipeline: Pipeline, question: Question, *, repetition: int = 0) -> EvalRun:
        assert repetition == 0
        self.asked.append(question)
        run_id = f"r{len(self.asked)}"
        trace = await run_pipeline(pipeline, question, self.model)
        return EvalRun(run_id, trace, "" if trace.status in COMPLETE else trace.error or "")


def saying(field: str, *values: Any) -> Reply:
    """Return replies by the form of the prompt, which repeat the last of the values."""
    left = [*values]

    def reply(call: Call) -> str:
        form = asked_form(call.messages[0].content)
        assert form is not None
        assert form.field == field
        value = left.pop(0) if len(left) > 1 else left[0]
        said = f'"{value}"' if isinstance(value, str) else value
        return f'{{"key": "{form.key}", "reason": "It says so.", "{field}": {said}}}'

    return reply


@asynccontextmanager
async def asking_over_http(url: str) -> AsyncIterator[tuple[Ask, Callable[[str], Pipeline]]]:
    """Yield what asks real runs, and a function that returns the pipeline of steps."""
    models = f'[models.judge]\nroutes = [{{ model = "openai/judge", api_base = "{url}", api_key_env = "KEY" }}]\n'
    settings = "[limits]\nattempts = 1\n"

    def of(steps: str) -> Pipeline:
        return parse(f"{settings}{models}[pipelines.p]\nsteps = [{steps}]").pipelines["p"]

    config = parse(f'{settings}{models}[pipelines.p]\nsteps = [{{ step = "propose", agents = ["judge"] }}]')
    backend, _ = real(config.models, {"KEY": "sk-test"})
    runs = Runs(config, backend)

    async def ask(pipeline: Pipeline, question: Question, *, repetition: int = 0) -> EvalRun:
        run = await start_run(runs, pipeline, question, seed=repetition)
        await run.ended.wait()
        return EvalRun(run.run_id, run.trace, "" if run.trace.status in COMPLETE else run.trace.error or "")

    async with runs.open():
        yield ask, of
    await backend.close()
