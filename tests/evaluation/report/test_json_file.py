"""An evaluation as JSON: nothing is lost on the way, and what can't be read says why."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moa_mcp.evaluation.analysis import analysed
from moa_mcp.evaluation.report.json_file import EvaluationUnreadable, encoded, read, write
from moa_mcp.evaluation.result import Evaluation, MemberSample
from tests.support.evaluations import PIPELINE, changed, evaluation, judged

HOSTILE = "<script>\x1b[31m\u202e\ud800\U0001f600\x00"


@pytest.mark.parametrize("whole", [evaluation(5), judged(evaluation(30)), evaluation(0)])
def test_what_is_read_is_what_was_written(whole: Evaluation, tmp_path: Path) -> None:
    whole = analysed(whole)
    write(whole, tmp_path / "e.json")
    assert read(tmp_path / "e.json") == whole


def test_texts_that_no_encoding_has_survive(tmp_path: Path) -> None:
    whole = changed(
        evaluation(3), PIPELINE, 3, answer=HOSTILE, samples=(MemberSample(model="m", text=HOSTILE, score=0.5),)
    )
    write(whole, tmp_path / "e.json")
    assert (tmp_path / "e.json").read_bytes().isascii()
    assert read(tmp_path / "e.json") == whole


def test_the_file_has_versions_seeds_digests_and_amounts_as_they_are() -> None:
    data = json.loads(encoded(evaluation(1)))
    assert data["format"] == 1
    assert data["versions"]["moa-mcp"] == "0.1.0"
    assert data["settings"]["seed"] == 7
    assert data["digest"] == "5e1fd1c2b3a49586"
    assert data["outcomes"][0]["cost_usd"] == str(evaluation(1).outcomes[0].cost_usd)


def edited(change: Callable[[dict[str, Any]], object]) -> bytes:
    data = json.loads(encoded(analysed(evaluation(2))))
    change(data)
    return json.dumps(data).encode()


def edited_verdicts(change: Callable[[list[dict[str, Any]]], object]) -> bytes:
    data = json.loads(encoded(analysed(judged(evaluation(2)))))
    change(data["verdicts"])
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON or is cut off"),
        (encoded(evaluation(2)).encode()[:-200], "is not JSON or is cut off"),
        (b"[" * 100_000, "is not JSON or is cut off"),
        (b"\xff\xfe{", "is not JSON or is cut off"),
        (b"[]", "is not an evaluation: it has no format"),
        (b'{"format": true}', "is not an evaluation: it has no format"),
        (b'{"format": 2}', "has format 2, and this version of moa-mcp reads formats up to 1; update moa-mcp"),
        (b'{"format": 1}', "is a damaged evaluation: digest: field required"),
        (edited(lambda data: data.update(more=1)), "more: extra inputs are not permitted"),
        (
            edited(lambda data: data["outcomes"][3].update(score="high")),
            "outcomes.3.score is 'high': input should be a valid number",
        ),
        (edited(lambda data: data["outcomes"][0].update(score=float("nan"))), "outcomes.0.score"),
        (edited(lambda data: data["outcomes"][0].update(score=5)), "outcomes.0.score is '5'"),
        (edited(lambda data: data["outcomes"][0].update(cost_usd="1e400")), "outcomes.0.cost_usd is '1e400'"),
        (edited(lambda data: data.update(created_at="never")), "created_at is 'never'"),
        (edited_verdicts(lambda verdicts: verdicts[0].update(preferred=0.7)), "expected 0, 0.5 or 1"),
        (edited_verdicts(lambda verdicts: verdicts[0].update(longer_by=10**400)), "verdicts.0.longer_by"),
        (
            edited_verdicts(lambda verdicts: verdicts.append(verdicts[0])),
            "question 'q1' has two verdicts in one order",
        ),
        (edited(lambda data: data["questions"].append(data["questions"][0])), "question 'q1' occurs twice"),
        (
            edited(lambda data: data["contestants"].append(data["contestants"][0])),
            "contestant 'one:gpt-5' occurs twice",
        ),
        (edited(lambda data: data["outcomes"].append(data["outcomes"][0])), "question 'q1' has two outcomes of"),
        (edited(lambda data: data["outcomes"][0].update(question="q9")), "there is no question 'q9'"),
        (edited(lambda data: data["comparisons"][0].update(against="x")), "there is no contestant 'x'"),
    ],
)
def test_what_is_no_evaluation_says_where_it_is_wrong(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    path.write_bytes(content)
    with pytest.raises(EvaluationUnreadable) as raised:
        read(path)
    assert str(path) in str(raised.value)
    assert message in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationUnreadable, match=r"can't read .*none\.json: No such file"):
        read(tmp_path / "none.json")


def test_a_file_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    write(evaluation(1), link)
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert read(target) == evaluation(1)


def test_a_new_file_has_the_usual_mode_in_a_folder_that_is_created(tmp_path: Path) -> None:
    path = tmp_path / "new" / "e.json"
    before = os.umask(0o027)
    try:
        write(evaluation(1), path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "e.json"
    write(evaluation(1), path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write(evaluation(2), path)
    assert read(path) == evaluation(1)
    assert [*tmp_path.iterdir()] == [path]


def test_what_is_no_file_is_written_directly() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe:
        write(evaluation(0, {"p": 1}), Path(f"/dev/fd/{writing}"))
        os.close(writing)
        assert json.loads(pipe.read())["contestants"][0]["name"] == "p"
