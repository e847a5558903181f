"""`moa-mcp eval` used wrongly: each message has the value and the remedy, and no model is asked."""

from __future__ import annotations

from importlib.machinery import ModuleSpec

import pytest

from moa_mcp.cli.eval import extra
from tests.cli.test_cli import invoke
from tests.support.eval_desk import TRIO, EvalDesk, sums


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--pipelines", "tria"], "there is no pipeline 'tria'; did you mean 'trio'?"),
        (["--pipelines", " , "], "--pipelines names no pipeline"),
        (["--baseline", "frist"], "--baseline frist: unknown model 'frist', did you mean 'first'?"),
        (["--baseline", "trio"], "--baseline trio: that is a pipeline"),
        (["--judge", "juge"], "--judge juge: unknown model 'juge'"),
        (["--judge", "trip"], "--judge trip: there is no such model or pipeline; did you mean 'trio'?"),
        (["--score", "texts"], "did you mean text?"),
        (["--score", "text", "--extract", "choice"], "--score text and --extract name two ways of scoring"),
        (["--score", "judge"], "needs a judge"),
        (["--rubric", "nowhere.txt"], "can't read nowhere.txt"),
        (["--fail-under", "nan"], "'nan' is not a number of points, such as 0 or 2.5"),
        (["--fail-under", "x"], "'x' is not a number of points"),
        (["--json", "."], "--json . is a folder"),
        (["--html", "-"], "--html can't be printed"),
        (["--html", "r.html", "--png", "r.html"], "--png r.html is also --html"),
        (["--budget", "0"], "'0' is not an amount in US dollars above 0"),
        (["--bugdet", "1"], "--budget"),
    ],
)
def test_wrong_options_are_told_before_a_model_is_asked(eval_desk: EvalDesk, args: list[str], told: str) -> None:
    done = eval_desk.start(eval_desk.ask(sums(1)), *args)
    assert (done.exit_code, told in done.stderr) == (2, True), done.stderr
    assert eval_desk.asked.total() == 0


def test_files_must_not_replace_the_questions(eval_desk: EvalDesk) -> None:
    file = eval_desk.ask(sums(1))
    done = eval_desk.start(file, "--html", file)
    assert (done.exit_code, f"--html {file} is also the question file" in done.stderr) == (2, True)


def test_open_questions_need_a_judge(eval_desk: EvalDesk) -> None:
    done = eval_desk.start(eval_desk.ask(["Why?"]))
    assert done.exit_code == 2
    assert "name a model or a pipeline with --judge" in done.stderr


def test_an_answer_that_a_way_can_not_score_is_told_with_its_line(eval_desk: EvalDesk) -> None:
    done = eval_desk.start(eval_desk.ask([{"question": "Why?", "answer": "so"}]), "--score", "number")
    assert done.exit_code == 2
    assert "  line 1: its" in done.stderr
    assert "choose another way with --score" in done.stderr


def test_the_default_pipeline_is_evaluated_if_none_is_named(eval_desk: EvalDesk) -> None:
    file = eval_desk.ask(sums(1))
    missing = invoke("eval", file, *eval_desk.options)
    assert missing.exit_code == 2
    assert "the pipelines are missing" in missing.stderr
    assert "--pipelines trio" in missing.stderr
    eval_desk.configure(settings='defaults.pipeline = "trio"', trio=TRIO)
    assert "trio" in invoke("eval", file, "--estimate", *eval_desk.options).stdout


def test_models_without_a_key_end_with_the_code_of_missing_keys(eval_desk: EvalDesk) -> None:
    routes = 'models.other.routes = ["groq/some-model"]'
    eval_desk.configure(settings=routes, trio=TRIO.replace('agent = "last"', 'agent = "other"'))
    done = eval_desk.start(eval_desk.ask(sums(1)))
    assert done.exit_code == 3
    assert "trio can't run: no usable provider for other" in done.stderr
    assert "GROQ_API_KEY" in done.stderr
    asked = invoke("ask", "trio", "Why?", *eval_desk.options)
    assert asked.exit_code == 3
    assert asked.stderr == done.stderr
    eval_desk.configure()
    judged = eval_desk.start(eval_desk.ask(["Why?"]), "--judge", "groq/some-model")
    assert (judged.exit_code, "GROQ_API_KEY" in judged.stderr) == (3, True)
    single = eval_desk.start(eval_desk.ask(sums(1)), "--baseline", "groq/some-model")
    assert (single.exit_code, "one:groq/some-model can't run" in single.stderr) == (3, True)


def test_a_missing_extra_is_told_with_its_remedy_before_anything_else(
    eval_desk: EvalDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(name: str) -> ModuleSpec | None:
        return None if name in {"scipy", "matplotlib"} else ModuleSpec(name, None)

    monkeypatch.setattr(extra, "find_spec", found)
    done = eval_desk.start("nowhere.jsonl")
    assert done.exit_code == 2
    assert done.stderr == (
        "Error: moa-mcp eval needs scipy, matplotlib, which are not installed\n"
        'Install what it needs: pip install "moa-mcp[eval]"\n'
    )


def test_a_journal_without_texts_is_refused(eval_desk: EvalDesk) -> None:
    eval_desk.configure(settings='journal.record = "hashes"')
    done = eval_desk.start(eval_desk.ask(sums(1)))
    assert done.exit_code == 2
    assert 'Set record = "calls" in [journal], or add --journal none' in done.stderr
    assert eval_desk.done(eval_desk.ask(sums(1)), "--journal", "none").complete


def test_a_question_that_is_too_long_fails_alone(eval_desk: EvalDesk) -> None:
    eval_desk.configure(price=", window = 1500")
    long = {"question": f"What is 1 + 1? {'x ' * 9000}", "answer": 2}
    done = eval_desk.start(eval_desk.ask([*sums(2), long]))
    assert done.exit_code == 1
    assert [each.status for each in eval_desk.result.outcomes if each.contestant == "trio"] == [
        "complete",
        "complete",
        "failed",
    ]


def test_an_image_that_is_gone_fails_its_question(eval_desk: EvalDesk) -> None:
    gone = eval_desk.ask([{**sums(1)[0], "images": ["nowhere.png"]}])
    done = eval_desk.start(gone)
    assert (done.exit_code, "line 1" in done.stderr) == (2, True)
