"""`ask --schema` and `batch --schema`: JSON alone on stdout, and what its user learns without a valid answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moa_mcp.config import shipped
from tests.cli.test_cli import POSIX, Terminal, environ, invoke
from tests.support.batches import Desk
from tests.support.model_server import Reply
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE

__all__ = ["environ"]

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
OFFLINE = ("--offline", "--config", str(shipped()))


@pytest.fixture
def schema(tmp_path: Path) -> str:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA, indent=2), "utf-8")
    return str(path)


def test_json_alone_is_on_stdout(schema: str) -> None:
    for more in ((), ("--quiet",)):
        done = invoke("ask", "vote", "How many?", "--schema", schema, *OFFLINE, *more)
        assert (done.exit_code, json.loads(done.stdout)) == (0, {"n": 0})
    whole = json.loads(invoke("ask", "vote", "How many?", "--schema", schema, *OFFLINE, "--json").stdout)
    assert (whole["answer_json"], whole["question"]["answer_schema"]) == ({"n": 0}, SCHEMA)


@POSIX
def test_a_terminal_gets_a_line_for_each_value(schema: str, environ: dict[str, str], nursery: Nursery) -> None:
    terminal = Terminal(
        environ, "ask", "refine", "How many?", "--schema", schema, *OFFLINE, nursery=nursery, prelude=AT_ONCE
    )
    assert terminal.until_end() == 0
    assert '{\r\n  "n": 0\r\n}\r\n' in terminal.shown


def test_without_a_valid_answer_the_command_prints_it_and_fails(desk: Desk, schema: str) -> None:
    desk.models.script("first", Reply('{"n": "3"}'))
    done = invoke("ask", "one", "How many?", "--schema", schema, *desk.options)
    assert (done.exit_code, done.stdout) == (1, '{"n": "3"}\n')
    assert "Error: the answer is not JSON that the schema accepts\nRun moa-mcp runs show " in done.stderr
    assert "at /n: '3' is not of type 'integer'" in done.stderr


def test_what_could_deceive_a_reader_is_escaped_in_json(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "any.json"
    path.write_text('{"type": "array"}', "utf-8")
    desk.models.script("first", Reply('["a\u202eb", "é"]'))
    done = invoke("ask", "one", "How many?", "--schema", str(path), *desk.options)
    assert "\\u202e" in done.stdout
    assert json.loads(done.stdout) == ["a\u202eb", "é"]


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ("{'type'", "is not JSON: Expecting property name"),
        ('{"type": "objekt"}', "is invalid at #/type: 'objekt' is not valid under any of the given schemas"),
        (None, "can't read"),
    ],
)
@pytest.mark.parametrize("command", ["ask", "batch"])
def test_a_schema_that_can_not_be_used_is_refused_with_its_file(
    tmp_path: Path, command: str, held: str | None, told: str
) -> None:
    path = tmp_path / "s.json"
    if held is not None:
        path.write_text(held, "utf-8")
    questions = tmp_path / "q.jsonl"
    questions.write_text('"Why?"\n', "utf-8")
    asked = ("Why?",) if command == "ask" else (str(questions), "-o", str(tmp_path / "out"))
    done = invoke(command, "vote", *asked, "--schema", str(path), *OFFLINE)
    assert (done.exit_code, done.stdout) == (2, "")
    assert str(path) in done.stderr
    assert told in done.stderr


def test_lines_of_a_batch_have_the_json_and_its_ids_follow_from_the_schema(desk: Desk, schema: str) -> None:
    file = desk.ask({"id": 1, "question": "one?"}, {"id": 2, "question": "two?"})
    desk.models.script("first", Reply(numbered))
    lines = desk.done(file, "--schema", schema)
    assert [line["answer_json"] for line in lines] == [{"n": 3}, {"n": 3}]
    asked = len(desk.models.requests)
    assert desk.done(file, "--schema", schema) == lines
    assert len(desk.models.requests) == asked
    plain = desk.done(file, "--force")
    assert [line["answer_json"] for line in plain] == [None, None]
    assert {line["run_id"] for line in plain}.isdisjoint(line["run_id"] for line in lines)


def numbered(body: dict[str, Any]) -> str:
    return '{"n": 3}' if "JSON Schema" in str(body["messages"]) else "Three."
