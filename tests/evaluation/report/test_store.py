"""The evaluations of a user: kept privately, the newest found, superseded ones deleted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from moa_mcp.evaluation.report.json_file import read
from moa_mcp.evaluation.report.store import KEPT, EvaluationStore, default_folder
from moa_mcp.evaluation.result import Evaluation
from tests.support.evaluations import evaluation

ONE = evaluation(1, {"p": 0.5})


def at(time: str, digest: str = ONE.digest, *, complete: bool = True) -> Evaluation:
    return ONE.model_copy(update={"created_at": f"2026-11-{time}", "digest": digest, "complete": complete})


def test_the_folder_is_beside_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "moa-mcp" / "evaluations"
    assert EvaluationStore().newest() is None
    assert EvaluationStore().add(ONE).parent == default_folder()


def test_a_stored_evaluation_is_private_and_named_by_time_and_digest(tmp_path: Path) -> None:
    path = EvaluationStore(tmp_path / "evaluations").add(at("27T18:00:00+01:00"))
    assert path.name == "20261127T170000Z-5e1fd1c2b3a49586.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert read(path).digest == ONE.digest


def test_the_newest_is_found_also_by_the_start_of_its_digest(tmp_path: Path) -> None:
    store = EvaluationStore(tmp_path)
    old, new = store.add(at("20T10:00:00Z", "aa11")), store.add(at("21T10:00:00Z", "bb22"))
    (tmp_path / "notes.txt").touch()
    assert (store.newest(), store.newest("aa"), store.newest("cc")) == (new, old, None)
    assert [*store.every()] == [new, old]


def test_a_later_result_replaces_an_earlier_one_of_the_same_evaluation(tmp_path: Path) -> None:
    store = EvaluationStore(tmp_path)
    other = store.add(at("19T10:00:00Z", "bb22"))
    store.add(at("20T10:00:00Z", complete=False))
    second = store.add(at("21T10:00:00Z"))
    assert [*store.every()] == [second, other]


def test_an_incomplete_result_does_not_replace_a_complete_one(tmp_path: Path) -> None:
    store = EvaluationStore(tmp_path)
    first = store.add(at("20T10:00:00Z"))
    store.add(at("21T10:00:00Z", complete=False))
    third = store.add(at("22T10:00:00Z", complete=False))
    assert [*store.every()] == [third, first]


def test_of_two_in_the_same_second_the_last_one_is_the_newest(tmp_path: Path) -> None:
    store = EvaluationStore(tmp_path)
    first = store.add(at("20T10:00:00Z", "bb"))
    second = store.add(at("20T10:00:00Z", "aa"))
    os.utime(first, (1, 1))
    assert store.newest() == second


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    store = EvaluationStore(tmp_path)
    for number in range(KEPT + 2):
        store.add(at(f"20T{10 + number // 60}:{number % 60:02}:00Z", f"{number:08x}"))
    kept = [*store.every()]
    assert len(kept) == KEPT
    assert kept[-1].name.endswith("-00000002.json")


def test_a_digest_is_no_path(tmp_path: Path) -> None:
    assert EvaluationStore(tmp_path).add(at("20T10:00:00Z", "../../etc")).name == "20261120T100000Z-etc.json"
    assert EvaluationStore(tmp_path).add(at("20T11:00:00Z", "/")).name == "20261120T110000Z-0.json"
