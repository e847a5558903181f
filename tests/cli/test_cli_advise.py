"""``moa-mcp advise`` in a terminal: what it reads, how it shows it, and how it fails."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from moa_mcp.cli.advise import sources
from moa_mcp.config import shipped
from moa_mcp.evaluation.advice.values import Advice
from moa_mcp.evaluation.report.json_file import write
from moa_mcp.evaluation.report.store import EvaluationStore
from moa_mcp.evaluation.result import Evaluation
from tests.cli.test_cli import invoke
from tests.support import planted
from tests.support.planted import EQUAL, World, evaluation

FAULTY = World(
    skills={**EQUAL, "gpt-5-mini": 0.4},
    copies={"mistral-small": "gemini-2.5-flash"},
    aggregate=planted.contrary,
)


@pytest.fixture(name="faulty")
def _faulty(tmp_path: Path) -> Path:
    """A file of an evaluation with several reasons for advice."""
    whole = planted.with_contestant(evaluation(FAULTY), "one:claude-opus-5-5", 0.9)
    write(planted.with_verdicts(whole, "one:claude-opus-5-5", first_place=0.7), tmp_path / "faulty.json")
    return tmp_path / "faulty.json"


@pytest.fixture(name="runs", scope="module")
def _runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with real runs of simulated models."""
    path = tmp_path_factory.mktemp("recorded") / "runs.sqlite"
    for pipeline in ("verdict", "vote", "council"):
        for number in (2, 3):
            done = invoke("ask", pipeline, f"Is {number} prime?", "--offline", "-q", "--journal", str(path))
            assert done.exit_code == 0, done.output
    return path


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("columns", [80, 120])
def test_all_fits_the_terminal_but_what_is_to_be_copied(faulty: Path, runs: Path, columns: int) -> None:
    simulated = Evaluation.model_validate_json(faulty.read_text("ascii"))
    settings = simulated.settings.model_copy(update={"simulated": True})
    write(simulated.model_copy(update={"settings": settings}), faulty)
    done = invoke("advise", str(faulty), "--journal", str(runs), COLUMNS=str(columns))
    assert (done.exit_code, done.stderr) == (0, "")
    rows = [row for row in done.stdout.splitlines() if not row.lstrip().startswith(("{ step", "title", "steps"))]
    assert [row for row in rows if cell_len(row.rstrip()) > columns] == []
    assert "…" not in done.stdout
    assert "simulated: no model was called" in done.stdout
    for name in ("verdict", "vote", "council"):
        assert f"{name}  2 recorded runs" in done.stdout


def test_each_recommendation_says_why_how_sure_and_what_it_costs(faulty: Path) -> None:
    done = invoke("advise", str(faulty), COLUMNS="120")
    text = words(done.stdout)
    assert "Advice from 1 evaluation with 300 questions. No model is called." in text
    assert "vote_mix: a majority vote in place of the steps after the first" in text
    assert "vote_mix: use another aggregator after the first step" in text
    assert "vote_mix: replace gpt-5-mini, such as by another sample of" in text
    assert "vote_mix: replace mistral-small, which is nearly the same voice as gemini-2.5-flash" in text
    assert "vote_mix: one call of claude-opus-5-5 in its place" in text
    assert "use another judge than panel_judge for pairwise evaluations" in text
    assert "Price: 4 instead of 5 calls per question, $4.00 instead of $5.00 per 1000 questions." in text
    assert "gemini-2.5-flash and mistral-small are nearly the same voice." in text
    assert "hold together for all 21 checks with 95 % confidence" in text
    assert "make one, then evaluate again" in text
    whole = json.loads(invoke("advise", str(faulty), "--json", "-").stdout)
    assert text.count("Price: ") == len(whole["recommendations"])


def test_nothing_to_change_is_said(tmp_path: Path) -> None:
    sound = World(skills=dict.fromkeys(EQUAL, 0.5), aggregate=planted.expert, wrong_values=1)
    write(evaluation(sound, 40), tmp_path / "e.json")
    done = invoke("advise", str(tmp_path / "e.json"))
    assert done.exit_code == 0
    assert "Nothing: in every check" in words(done.stdout)
    assert "moa-mcp eval questions.jsonl --pipelines vote_mix,self_moa" in words(done.stdout)


def test_what_more_questions_would_decide_is_said_with_their_number(tmp_path: Path) -> None:
    write(evaluation(World(aggregate=planted.contrary), 12), tmp_path / "e.json")
    done = invoke("advise", str(tmp_path / "e.json"))
    _, _, below = done.stdout.partition("Not enough data\n")
    (vote,) = [row for row in below.splitlines() if row.startswith("vote_mix: a majority vote")]
    number, unit = vote.split()[-2:]
    assert (20 <= int(number) <= 60, unit) == (True, "questions")


def test_the_json_has_all_numbers_and_reads_back(faulty: Path, tmp_path: Path) -> None:
    out = tmp_path / "advice.json"
    done = invoke("advise", str(faulty), "--json", str(out))
    assert done.exit_code == 0
    advice = Advice.model_validate_json(out.read_text("ascii"))
    assert advice.recommendations
    assert advice.evaluations[0].file == str(faulty)
    assert "What to change" in done.stdout


def test_a_json_file_that_cannot_be_written_is_refused(faulty: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "folder"
    blocked.mkdir()
    done = invoke("advise", str(faulty), "--json", str(blocked))
    assert done.exit_code == 2
    assert f"can't write {blocked}" in done.stderr


def test_without_files_the_stored_evaluations_are_read(tmp_path: Path) -> None:
    store = EvaluationStore(tmp_path / "moa-mcp" / "evaluations")
    store.add(evaluation(FAULTY, 60))
    damaged = store.add(evaluation(FAULTY, 60, seed=2))
    damaged.write_text("{", "utf-8")
    done = invoke("advise", XDG_DATA_HOME=str(tmp_path))
    assert done.exit_code == 0
    assert "Advice from 1 evaluation with 60 questions." in words(done.stdout)
    assert "Note: a stored evaluation was not read:" in done.stderr
    later = invoke("advise", "--since", "2999-01-01", XDG_DATA_HOME=str(tmp_path))
    assert later.exit_code == 1


def test_nothing_to_advise_on_gives_the_command_that_makes_an_evaluation(tmp_path: Path) -> None:
    done = invoke("advise", "--pipelines", "vote, cascade", XDG_DATA_HOME=str(tmp_path))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "Error: there is nothing to advise on: no evaluation and no recorded run of vote, cascade\n"
        "Make an evaluation with: moa-mcp eval questions.jsonl --pipelines vote,cascade\n"
    )
    missing = invoke("advise", "--journal", str(tmp_path / "none.sqlite"), XDG_DATA_HOME=str(tmp_path))
    assert missing.exit_code == 1


@pytest.mark.parametrize(
    ("args", "message", "remedy"),
    [
        (["no.json"], "can't read no.json: No such file", "Give files that moa-mcp eval"),
        (["--pipelines", "vot"], "there is no pipeline 'vot' in --pipelines; did you mean 'vote'?", "Pipelines: "),
        (["--since", "soon"], "--since soon is not a number with a unit", "Use a value such as 30d, 12h or 2w"),
        (["--since", "2026-13-01"], "--since 2026-13-01 is not a date", "Use a date such as 2026-11-01"),
        (["--config", "no.toml"], "no.toml", "Fix the file"),
    ],
)
def test_wrong_usage_names_the_value_and_the_remedy(args: list[str], message: str, remedy: str) -> None:
    done = invoke("advise", *args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in words(done.stderr)
    assert remedy in words(done.stderr)


def test_real_and_simulated_models_are_not_mixed(faulty: Path, runs: Path) -> None:
    done = invoke("advise", str(faulty), "--journal", str(runs))
    assert "simulated" not in done.stdout
    assert "Note: left out: 6 with simulated models" in done.stderr


def test_runs_beyond_the_newest_and_damaged_ones_are_noted(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MOST_RUNS", 4)
    done = invoke("advise", "--journal", str(runs), XDG_DATA_HOME=str(tmp_path))
    assert done.exit_code == 0
    assert "Advice from 4 recorded runs." in words(done.stdout)
    assert "Note: only the newest 4 runs of the journal were read" in done.stderr


def test_without_the_packages_of_evaluations_the_remedy_is_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda _: None)
    done = invoke("advise")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        'Error: advice needs numpy, scipy, statsmodels, which are not installed\nRun pip install "moa-mcp[eval]".\n'
    )


def test_what_a_file_says_cannot_command_the_terminal(tmp_path: Path) -> None:
    names: dict[str, Any] = {"\x1b[31mred\u202e": 0.3, "[bold]claude[/bold]": 0.8, "gemini": 0.8}
    write(evaluation(World(skills=names, aggregate=planted.contrary)), tmp_path / "e.json")
    done = invoke("advise", str(tmp_path / "e.json"))
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "[bold]claude[/bold]" in done.stdout


def test_what_to_write_is_shown_for_pipelines_of_the_configuration(faulty: Path, tmp_path: Path) -> None:
    done = invoke("advise", str(faulty), "--config", str(shipped()))
    assert "[pipelines." not in done.stdout  # vote_mix is not in the configuration
    skills = {"gpt-5-nano-2025-08-07": 0.8, "claude-sonnet-4-5": 0.8, "llama-3.3-70b": 0.8}
    write(evaluation(World(skills=skills, aggregate=planted.contrary), name="vote"), tmp_path / "vote.json")
    done = invoke("advise", str(tmp_path / "vote.json"), "--config", str(shipped()))
    assert "   In pipelines.toml:\n   [pipelines.vote_majority]\n" in done.stdout
    trial = "Evaluate both: moa-mcp eval questions.jsonl --pipelines vote,vote_3_"
    assert trial in words(done.stdout)
    assert "with this in pipelines.toml: [pipelines.vote_3_" in words(done.stdout)


def test_where_prices_or_figures_are_unknown_it_is_said(tmp_path: Path) -> None:
    world = World(skills={"gpt-5-mini": 0.3, "claude-haiku-4": 0.8, "claude-sonnet-4-5": 0.8}, aggregate=planted.first)
    whole = evaluation(world)
    free = [each.model_copy(update={"cost_usd": None}) for each in whole.outcomes]
    outcomes = [
        each.model_copy(update={"samples": tuple(one.model_copy(update={"cost_usd": None}) for one in each.samples)})
        for each in free
    ]
    write(whole.model_copy(update={"outcomes": tuple(outcomes)}), tmp_path / "e.json")
    text = words(invoke("advise", str(tmp_path / "e.json")).stdout)
    assert "Price: 3 instead of 4 calls per question." in text
    assert "$/1000" in text
    assert "unknown" in text
    assert "claude-haiku-4 and claude-sonnet-4-5 are both of Anthropic." in text
    some = [
        each.model_copy(update={"samples": before.samples}) for each, before in zip(free, whole.outcomes, strict=True)
    ]
    write(whole.model_copy(update={"outcomes": tuple(some)}), tmp_path / "e.json")
    assert "Price: 3 instead of 4 calls per question, $3.00 per 1000 questions." in words(
        invoke("advise", str(tmp_path / "e.json")).stdout
    )
    dear = [
        each.model_copy(update={"cost_usd": before.cost_usd})
        for each, before in zip(outcomes, whole.outcomes, strict=True)
    ]
    write(whole.model_copy(update={"outcomes": tuple(dear)}), tmp_path / "e.json")
    assert "3 instead of 4 calls per question, unknown instead of $4.00 per 1000 questions." in words(
        invoke("advise", str(tmp_path / "e.json")).stdout
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "Its samples have no scores: a judge scores results only."),
        ({"score": 0.5, "extracted": None}, "Its answers have no values to count"),
        (None, "Its members can't be compared: there are no samples of them alone"),
    ],
)
def test_what_an_evaluation_lacks_is_said_with_a_remedy(
    tmp_path: Path, change: dict[str, Any] | None, sentence: str
) -> None:
    whole = evaluation(World(), 30)
    less = {"score": None, **(change or {})}
    outcomes = [
        each.model_copy(
            update={"samples": () if change is None else tuple(one.model_copy(update=less) for one in each.samples)}
        )
        for each in whole.outcomes
    ]
    write(whole.model_copy(update={"outcomes": tuple(outcomes)}), tmp_path / "e.json")
    done = invoke("advise", str(tmp_path / "e.json"))
    assert done.exit_code == 0
    assert sentence in words(done.stdout)


def test_many_members_have_their_closest_pairs_shown(tmp_path: Path) -> None:
    world = World(skills=dict.fromkeys(["a", "b", "c", "d", "e"], 0.7), samples=2)
    write(evaluation(world, 60), tmp_path / "e.json")
    text = words(invoke("advise", str(tmp_path / "e.json")).stdout)
    assert "4 other pairs with less in common: see --json" in text
    assert "Samples of a and their majority (1: " in text


def test_an_early_stop_that_never_pays_is_said(tmp_path: Path) -> None:
    sure = World(skills=dict.fromkeys(EQUAL, 0.5), aggregate=planted.knowing, wrong_values=1)
    write(evaluation(sure, 100), tmp_path / "e.json")
    text = words(invoke("advise", str(tmp_path / "e.json")).stdout)
    assert "Cascade: on 50 questions, every threshold scores less than the whole pipeline." in text


def test_a_damaged_run_is_left_out(tmp_path: Path) -> None:
    journal = tmp_path / "runs.sqlite"
    for number in (2, 3):
        invoke("ask", "vote", f"Is {number} prime?", "--offline", "-q", "--journal", str(journal))
    with closing(sqlite3.connect(journal)) as db, db:
        (newest,) = db.execute("SELECT run_id FROM runs LIMIT 1").fetchone()
        db.execute("UPDATE events SET body = replace(body, '{', '[') WHERE run_id = ?", (newest,))
    done = invoke("advise", "--journal", str(journal), XDG_DATA_HOME=str(tmp_path))
    assert "Advice from 1 recorded run." in words(done.stdout)
    assert done.stderr == "Note: 1 damaged run left out\n"


def test_help_and_other_commands_load_no_statistics() -> None:
    program = (
        "import sys; from moa_mcp.cli import commands; commands(['advise', '--help'], standalone_mode=False);"
        "print([each for each in ('numpy', 'scipy', 'statsmodels') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
