"""Question files: JSON Lines and CSV with their quirks, and files with problems, of which nothing is started."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moa_mcp.batch.items import Item, restored
from moa_mcp.batch.reading import read
from moa_mcp.batch.rows import MOST_PROBLEMS, Format
from moa_mcp.cli.batch.source import STDIN
from tests.cli.test_cli import invoke
from tests.support.batches import Desk

QUESTION = {"question": "Why?"}


def items(content: str | bytes, form: Format) -> list[Item]:
    """Return the items of a file without problems."""
    found: list[Item] = []
    result = read(lines(content), form, found.append)
    assert result.problems == []
    assert result.items == len(found)
    return found


def problems(content: str | bytes, form: Format = "jsonl") -> list[tuple[int, str]]:
    return [(each.line, each.message) for each in read(lines(content), form, lambda _: None).problems]


def lines(content: str | bytes) -> list[bytes]:
    return BytesIO(content if isinstance(content, bytes) else content.encode()).readlines()


def test_json_lines_have_texts_and_objects_and_empty_lines_between_them() -> None:
    two = '{"id": 7, "question": "two?", "context": "", "seed": null, "note": 1}'
    content = f'\ufeff"one?"\r\n\n  {two}\n"\\ud83d\\ude00 \\ud800"'
    assert items(content, "jsonl") == [
        Item(1, "one?"),
        Item(3, "two?", id=7),
        Item(4, "\U0001f600 \ufffd"),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_has_quotes_and_lines_inside_of_cells_and_any_usual_separator(separator: str, end: str) -> None:
    rows = [
        ["Question", " id ", "seed", "max_cost_usd", "", "note"],
        [f'"a{separator} ""b""{end}c"', "1", "", "0.5", "", "x"],
        [],
        ['"d"', "", "3", "", "0", ""],
    ]
    content = "\ufeff" + end.join(separator.join(row) for row in rows)
    first, second = items(content, "csv")
    assert first == Item(2, f'a{separator} "b"{end}c', id="1", max_cost_usd="0.5")
    assert second == Item(5, "d", seed=3)


def test_a_cell_may_be_longer_than_128_kilobytes() -> None:
    (item,) = items(f'question,context\nWhy?,"{"x" * 300_000}"\n', "csv")
    assert len(item.context or "") == 300_000


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("", 0, "it has no questions"),
        ("\n \n", 0, "it has no questions"),
        ('{"question": \n', 1, "it is not JSON: the line ends early, at column 13; if its value goes over several"),
        ('{"question": "Why?",\r\n', 1, "it is not JSON: the line ends early, at column 21"),
        ('"a"\n{"question": "Wh\n', 2, "the line ends early, at column 17: the text that begins at column 14 is not"),
        ('{"question": Why?}\n', 1, "it is not JSON: Expecting value at column 14"),
        (b"PK\x03\x04\x14\x00\n\xff", 1, "a spreadsheet or a zip file; save it as CSV (UTF-8)"),
        ("[1]", 1, "it is a list; write one object on each line"),
        ('[\n{"question": "Why?"}\n]', 1, "a JSON value goes over several lines"),
        ("3", 1, 'it is neither an object, {"question": "…"}, nor a text'),
        ("[" * 10_000, 1, "it is not JSON that can be read"),
        ('{"question": ' + "9" * 5000 + "}", 1, "it is not JSON that can be read"),
        (b'"a"\n"\xff"', 2, "it is not UTF-8: byte 0xff"),
        (b"\xff\xfe\x22\x00", 1, "it is UTF-16; save the file as UTF-8"),
        ('{"prompt": "Why?"}', 1, "it has no \"question\"; its fields: 'prompt'"),
        ("{}", 1, 'it has no "question"; its fields: none'),
        ('{"question": " "}', 1, "its question is empty"),
        ('{"question": 3}', 1, "its question is a number; write it as a text"),
        ('{"question": null}', 1, "its question is empty"),
        ('{"question": "Why?", "contxt": "x"}', 1, "there is no field 'contxt'; did you mean context?"),
        ('{"question": "Why?", "context": ["x"]}', 1, "its context is a list; write it as a text"),
        ('{"question": "Why?", "id": 1.5}', 1, "its id is a number; write it as a text or a whole number"),
        ('{"question": "Why?", "id": true}', 1, "its id is true or false"),
        (json.dumps({**QUESTION, "id": "x" * 501}), 1, "its id has 501 characters; use at most 500"),
        ('{"question": "Why?", "seed": -1}', 1, "its seed is -1; write a whole number from 0"),
        ('{"question": "Why?", "seed": 1.5}', 1, "its seed is 1.5; write a whole number from 0"),
        ('{"question": "Why?", "seed": "\\u001b' + "x" * 50 + '"}', 1, "its seed is '\\x1bxxx"),
        ('{"question": "Why?", "max_cost_usd": 0}', 1, "its max_cost_usd is 0; write US dollars above 0"),
        ('{"question": "Why?", "max_cost_usd": [1]}', 1, "its max_cost_usd is a list; write US dollars above 0"),
        ('{"question": "Why?", "deadline_s": "1e999"}', 1, "its deadline_s is '1e999'; write seconds above 0"),
        ('{"question": "Why?", "deadline_s": true}', 1, "its deadline_s is true or false; write seconds above 0"),
        ('{"question": "a", "id": 1}\n"b"\n{"question": "c", "id": "1"}', 3, "its id '1' is that of line 1"),
    ],
)
def test_a_problem_of_a_file_has_its_line_and_its_remedy(content: str | bytes, line: int, message: str) -> None:
    ((found_line, found),) = problems(content)
    assert (found_line, message in found) == (line, True), found


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("", 0, "it has no questions"),
        ("question", 0, "it has no questions"),
        ("prompt;id\nWhy?;1", 1, "the first line names no column \"question\"; its columns: 'prompt;id'"),
        ("question,id,ID\nWhy?,1,1", 1, "the first line names a column twice"),
        ("question,id\nWhy, oh why?,1", 2, "it has 3 cells, and the first line 2; quote cells that contain ','"),
        ("question,id\nWhy?", 2, "it has 1 cells, and the first line 2"),
        ('question,id\na,1\n"b\nc,2\n', 3, 'a quote (") that opens here is not closed'),
        ('question\n"a" b', 2, "it is not CSV: ',' expected after '\"'; write a quote inside quotes twice"),
        ("question\rWhy?\r", 1, "its lines end with CR alone; save the file with LF or CRLF"),
        (b"PK\x03\x04\x14\x00\n\xff", 1, "a spreadsheet or a zip file; save it as CSV (UTF-8)"),
        (b'question,id\n"a\xff\nb",1', 2, "it is not UTF-8: byte 0xff"),
        ("question,seed\nWhy?,x", 2, "its seed is 'x'; write a whole number from 0"),
    ],
)
def test_a_problem_of_a_csv_file_has_its_line_and_its_remedy(content: str | bytes, line: int, message: str) -> None:
    found_line, found = problems(content, "csv")[0]
    assert (found_line, message in found) == (line, True), found


def test_a_spreadsheet_is_to_be_saved_as_csv_unless_its_format_is_named(desk: Desk) -> None:
    file = desk.write("question\nWhy?\n", "q.XLSX")
    done = desk.start(file)
    assert (done.exit_code, "is a spreadsheet" in done.stderr, "Save it as CSV (UTF-8)." in done.stderr) == (2, 1, 1)
    assert desk.asked.total() == 0
    assert desk.start(file, "--format", "csv").exit_code == 0


def test_all_problems_of_a_file_are_shown_before_anything_is_asked(desk: Desk) -> None:
    done = desk.start(
        desk.write('"Why?"\n{"question": "\u001b[31m"}\n{"id": "\\u001b[31m"}\n{"id": 1\n', "q\x1b.jsonl")
    )
    head, *shown, remedy = done.stderr.splitlines()
    assert done.exit_code == 2
    assert head.endswith("has 3 problems; nothing was started:")
    assert [each.split(":")[0] for each in shown] == ["  line 2", "  line 3", "  line 4"]
    assert remedy.startswith("Each line is a text in quotes, or an object")
    assert "\x1b" not in done.output
    assert desk.asked.total() == 0


def test_reading_stops_at_some_number_of_problems(desk: Desk) -> None:
    done = desk.start(desk.write("x\n" * 1000, "q.csv"), "--format", "jsonl")
    assert f"has {MOST_PROBLEMS} problems" in done.stderr
    assert "The rest of the file was not read." in done.stderr
    assert "The first line names the columns" in desk.start(desk.write("x\n", "q.csv")).stderr


def test_fields_that_are_not_used_are_named_once(desk: Desk) -> None:
    done = desk.start(desk.ask({**QUESTION, "answer": 1}, {**QUESTION, "level": 2, "answer": 3}))
    assert "these fields are not used: answer, level\n" in done.stderr
    many = desk.start(desk.ask({**QUESTION, **{f"x{number}": 0 for number in range(9)}}, {**QUESTION, "y": 0}))
    assert "these fields are not used: x0, x1, x2, x3, x4, x5, x6, x7, x8\n" in many.stderr


def test_the_same_questions_in_csv_are_the_same_items(desk: Desk) -> None:
    first = desk.done(desk.ask({"id": 1, **QUESTION}, "two?"))
    second = desk.done(desk.write("id;question\n1;Why?\n;two?\n", "q.csv"))
    assert [line["run_id"] for line in second] == [line["run_id"] for line in first]
    assert desk.asked.total() == 2


@pytest.mark.parametrize("file", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read_is_refused(desk: Desk, file: str) -> None:
    done = desk.start(str(desk.folder / file))
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: can't read ")


def test_an_empty_stdin_has_no_questions() -> None:
    done = invoke("batch", "vote", STDIN, "--offline")
    assert (done.exit_code, "stdin has 1 problem" in done.stderr) == (2, True)


ANY: st.SearchStrategy[Any] = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just([1]))


@given(st.dictionaries(st.sampled_from([*QUESTION, "id", "context", "seed", "max_cost_usd", "deadline_s", "x"]), ANY))
def test_any_object_is_an_item_that_can_be_stored_or_has_one_problem(value: dict[str, Any]) -> None:
    found: list[Item] = []
    result = read([json.dumps(value).encode()], "jsonl", found.append)
    assert len(found) + len(result.problems) == 1
    for each in found:
        assert restored(each.dumped()) == each


@given(st.binary(), st.sampled_from(["jsonl", "csv"]))
def test_any_bytes_are_items_or_problems(content: bytes, form: Format) -> None:
    result = read(lines(content), form, lambda _: None)
    assert bool(result.items) or bool(result.problems)
