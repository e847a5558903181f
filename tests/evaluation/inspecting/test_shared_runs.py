"""The runs that models of Inspect share: their arguments, budget, journal and end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from inspect_ai import Task, eval_async
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

from moa_mcp.evaluation.inspecting import hub
from moa_mcp.evaluation.inspecting.arguments import ModelArguments
from moa_mcp.evaluation.inspecting.failures import RunUnanswered
from moa_mcp.evaluation.inspecting.private import prerequisite
from tests.cli.test_cli import invoke
from tests.support.inspecting import Bench, restored, samples_of
from tests.support.model_server import Hang, Reply

_REFUSED = type(prerequisite(""))
"""What Inspect prints without a stack trace."""


def questions(count: int, **options: Any) -> Task:
    samples = [Sample(id=number, input=f"What is {number} + 1?", target="4") for number in range(count)]
    return Task(dataset=samples, solver=generate(), scorer=includes(), **options)


def refused(bench: Bench, name: str, **arguments: Any) -> str:
    with restored(), pytest.raises(_REFUSED) as error:
        bench.model(name, **arguments)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("mixx", {}, "has no pipeline 'mixx'; did you mean moa/mix? Pipelines: mix, pair. One call of a model is"),
        ("one:tiny", {}, "unknown model 'tiny'"),
        ("mix", {"budgett": 1}, "moa models have no argument 'budgett'; did you mean budget? The arguments are"),
        ("mix", {"budget": "much"}, "the argument budget of moa models is 'much'; write US dollars above 0"),
        ("mix", {"budget": True}, "write US dollars above 0, such as 0.25"),
        ("mix", {"offline": "maybe"}, "the argument offline of moa models is 'maybe'; write true or false"),
        ("mix", {"pipelines": 3}, "the argument pipelines of moa models is '3'; write a path"),
        ("mix", {"pipelines": "/nowhere.toml"}, "choose another with -M pipelines=PATH"),
        ("mix", {"base_url": "http://x"}, "moa/mix has neither a base URL nor a key"),
    ],
)
def test_wrong_arguments_are_told_with_the_remedy(
    bench: Bench, name: str, arguments: Mapping[str, Any], message: str
) -> None:
    assert message in refused(bench, name, **arguments)


def test_a_message_of_ours_is_no_style_for_inspect(bench: Bench) -> None:
    assert r"'\[/red]x'" in refused(bench, "[/red]x")


def asked(bench: Bench, name: str, **arguments: Any) -> str:
    async def ask() -> str:
        model = bench.model(name, **arguments)
        try:
            return str((await model.generate("Why?")).completion)
        finally:
            await model.api.aclose()

    with restored():
        return asyncio.run(ask())


def test_models_are_simulated_with_offline(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No model was called" in asked(bench, "mix", offline=True)
    monkeypatch.setenv("MOA_MCP_OFFLINE", "1")
    assert "No model was called" in asked(bench, "mix")
    assert not bench.models.requests


def test_without_a_journal_nothing_is_remembered(bench: Bench) -> None:
    for _ in range(2):
        asked(bench, "one:small", journal="none")
    assert bench.asked == {"small": 2}


def test_a_journal_that_stores_no_texts_is_refused(bench: Bench) -> None:
    bench.configure(settings='[journal]\nrecord = "hashes"')
    with pytest.raises(_REFUSED) as error:
        asked(bench, "mix")
    assert 'record = "hashes" does not store them; set record = "calls"' in str(error.value)


def test_a_journal_that_can_t_be_opened_is_named_with_the_remedy(bench: Bench, tmp_path: Path) -> None:
    path = _text_file(tmp_path)
    with pytest.raises(_REFUSED) as error:
        asked(bench, "one:small", journal=str(path))
    assert str(path) in str(error.value)
    assert "Choose another file with -M journal=PATH" in str(error.value)


def test_a_database_needs_its_driver(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moa_mcp.evaluation.inspecting.opening.find_spec", lambda _: None)
    with pytest.raises(_REFUSED) as error:
        asked(bench, "one:small", journal="postgresql://localhost/x")
    assert "install it with: pip install 'moa-mcp\\[team]'" in str(error.value)


def test_another_event_loop_is_refused() -> None:
    async def ask() -> None:
        try:
            await hub.answering(ModelArguments())
        finally:
            await hub.close()

    with pytest.raises(_REFUSED) as error:
        anyio.run(ask, backend="trio")
    assert "moa models need asyncio; unset INSPECT_ASYNC_BACKEND" in str(error.value)


def _text_file(folder: Path) -> Path:
    path = folder / "notes.txt"
    path.write_text("not a journal, but long enough to have a header\n" * 40, "utf-8")
    return path


def test_the_budget_of_a_start_ends_further_runs_before_they_begin(bench: Bench) -> None:
    bench.configure(settings="[defaults]\nmax_tokens = 100")  # at most about $0.1 for a call
    bench.models.script("small", Reply("word " * 20))  # $0.02
    log = bench.evaluated(questions(2), "one:small", arguments={"budget": 0.11})["one:small"]

    errors = [each.error.message for each in samples_of(log) if each.error]
    assert len(errors) == 1
    assert "not started" in errors[0]
    assert "raise the budget and start again" in errors[0]
    again = bench.samples(questions(2), "one:small", arguments={"budget": 5})
    assert [each.error for each in again] == [None, None]
    assert bench.asked == {"small": 2}


def test_a_cancelled_sample_stops_its_run_which_continues_later(bench: Bench) -> None:
    bench.models.script("large", Hang())
    (sample,) = bench.samples(questions(1, time_limit=1), "mix")

    assert sample.limit is not None
    bench.models.wait_for(lambda seen: any(each.model == "large" and each.disconnected for each in seen))
    bench.models.script("large", Reply("4"))
    (again,) = bench.samples(questions(1), "mix")
    assert again.output.completion == "4"
    assert bench.asked == {"small": 3, "large": 2}


def test_the_journal_is_closed_when_an_evaluation_ends(bench: Bench) -> None:
    async def evaluate() -> list[str]:
        await eval_async(
            questions(1), model=bench.model("one:small"), log_dir=str(bench.folder / "logs"), ctl_server=False
        )
        return [each.name for each in bench.folder.glob("runs.sqlite*")]

    with restored():
        assert asyncio.run(evaluate()) == ["runs.sqlite"]


def test_what_moa_mcp_eval_paid_for_is_not_paid_again(bench: Bench) -> None:
    file = bench.folder / "q.jsonl"
    file.write_text('{"question": "What is 0 + 1?", "answer": "1"}\n', "utf-8")
    options = ("--config", str(bench.config), "--journal", str(bench.folder / "runs.sqlite"), "--yes")
    result = invoke("eval", str(file), "--pipelines", "mix", *options, OPENAI_API_KEY="sk-x")
    assert result.exit_code == 0, result.output
    assert bench.asked == {"small": 3, "large": 1}

    (sample,) = bench.samples(questions(1), "mix")

    assert bench.asked == {"small": 3, "large": 1}
    assert sample.output.metadata is not None
    assert sample.output.metadata["recorded"]


def test_a_run_that_can_t_start_says_why(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    bench.configure(settings='[models.cloud]\nroutes = ["openai/gpt-5-nano"]')
    with pytest.raises(RunUnanswered, match=r"one:cloud was not started: no usable provider: cloud: .*OPENAI_API_KEY"):
        asked(bench, "one:cloud")
    assert not bench.models.requests
