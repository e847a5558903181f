"""The output of a batch: in order, whole or a valid beginning, and never in place of another file."""

from __future__ import annotations

import errno
import fcntl
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.batch.output import SUFFIX, OrderedOutput, opened
from moa_mcp.batch.spool import spool
from tests.cli.test_cli import invoke
from tests.support.batches import Desk
from tests.support.model_server import Reply

HOSTILE = '\x1b]0;x\x07\u2028"\\\n\u202e{"item": 9}\n'


@given(st.permutations(range(9)))
def test_lines_that_come_in_any_order_are_written_in_that_of_the_items(order: Sequence[int]) -> None:
    file = io.BytesIO()
    with spool() as waiting:
        output = OrderedOutput(file, waiting)
        for position in order:
            output.add(position, b"%d\n" % position)
            written = file.getvalue().splitlines()
            assert written == [b"%d" % each for each in range(output.written)]
    assert output.written == 9


def test_hostile_text_is_one_line_of_ascii_and_nothing_of_it_reaches_the_terminal(desk: Desk) -> None:
    desk.models.script("first", Reply(HOSTILE))
    done = desk.start(desk.ask({"id": HOSTILE, "question": HOSTILE}), "--name", HOSTILE)
    (line,) = desk.lines
    assert (line["id"], line["answer"]) == (HOSTILE, HOSTILE)
    assert desk.out.read_bytes().count(b"\n") == 1
    assert "\x1b" not in done.output


def test_a_file_of_something_else_is_replaced_only_by_force(desk: Desk) -> None:
    file = desk.ask("Why?")
    for content in ("my notes\n", '{"batch": "0123456789abcdef"}\n', "[1]\n", '"x"\n'):
        for path in (desk.out, Path(f"{desk.out}{SUFFIX}")):
            path.write_text(content)
            done = desk.start(file)
            assert done.exit_code == 2
            assert f"{path} exists and is not the output of this batch" in done.stderr
            assert path.read_text() == content
            path.unlink()
    assert desk.asked.total() == 0
    desk.out.write_text("my notes\n")
    assert desk.done(file, "--force")[0]["status"] == "complete"
    desk.out.write_text("")
    assert desk.done(file)[0]["status"] == "complete"


def test_the_question_file_is_never_the_output(desk: Desk) -> None:
    file = desk.ask("Why?", name="out.jsonl")
    assert "is the question file" in desk.start(file, "--force").stderr
    assert desk.out.read_text() == '"Why?"\n'


def test_another_process_that_writes_the_output_is_not_disturbed(desk: Desk) -> None:
    partial = Path(f"{desk.out}{SUFFIX}")
    with partial.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = desk.start(desk.ask("Why?"))
    assert done.exit_code == 2
    assert f"{partial} is written by another process" in done.stderr


def test_an_output_that_another_process_has_just_finished_is_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, partial = tmp_path / "out", tmp_path / f"out{SUFFIX}"
    partial.write_bytes(b"whole\n")
    lock = fcntl.flock

    def finished_first(file: IO[bytes], operation: int) -> None:
        if partial.read_bytes() == b"whole\n":
            partial.rename(path)
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", finished_first)
    with opened(path, "b", force=True) as file:
        assert path.read_bytes() == b"whole\n"
        file.write(b"mine\n")
    assert path.read_bytes() == b"mine\n"


def test_a_file_system_without_locks_is_written_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(file: IO[bytes], operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with opened(tmp_path / "out", "b", force=False) as file:
        file.write(b"1\n")
    assert (tmp_path / "out").read_bytes() == b"1\n"


def test_a_device_is_written_as_it_is(desk: Desk) -> None:
    file = desk.ask("Why?")
    assert invoke("batch", "one", file, "-o", os.devnull, *desk.options).exit_code == 0
    full = invoke("batch", "one", file, "-o", "/dev/full", *desk.options)
    assert full.exit_code == 1
    assert "Error: can't write /dev/full: No space left on device" in full.stderr
    assert "Run the same command again to continue" in full.stderr


def test_an_output_in_a_folder_that_is_missing_is_refused_before_anything_is_asked(desk: Desk) -> None:
    done = invoke("batch", "one", desk.ask("Why?"), "-o", str(desk.folder / "no" / "out"), *desk.options)
    assert (done.exit_code, "No such file or directory" in done.stderr) == (2, True)
    assert desk.asked.total() == 0
