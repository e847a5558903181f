"""Whatever a client writes to a server on stdio, it is answered if an answer is due, and the next request is served."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.nursery import Nursery
from tests.support.serving import OFFLINE, ServerProcess, Wire

PARSE, INVALID, PARAMS = -32700, -32600, -32602
MARK = b"\xef\xbb\xbf"
_numbers = itertools.count(1000)


@pytest.fixture(scope="module")
def server(nursery: Nursery) -> Iterator[ServerProcess]:
    with ServerProcess(*OFFLINE, nursery=nursery) as server:
        server.initialize()
        yield server
        assert server.stderr == []


def after(server: ServerProcess, line: bytes) -> list[Wire]:
    """Write a line, then a ping; return what the line was answered with, if that came before the ping's answer."""
    number = next(_numbers)
    before = len(server.messages)
    server.write(line)
    assert server.ask(number, "ping")["result"] == {}
    return [message for message in server.messages[before:] if message.get("id") != number]


def call(question: str, *, number: str = "7", tool: str = "vote") -> bytes:
    """Return a call as a client writes it; the question is JSON."""
    arguments = f'{{"question": {question}, "seed": 1}}'
    return _call_of(tool, arguments, number)


def _call_of(tool: str, arguments: str, number: str = "7") -> bytes:
    params = f'{{"name": "{tool}", "arguments": {arguments}}}'
    return f'{{"jsonrpc": "2.0", "id": {number}, "method": "tools/call", "params": {params}}}'.encode()


@pytest.mark.parametrize(
    ("line", "identifier", "code"),
    [
        (b"this is no JSON", None, PARSE),
        (b"{", None, PARSE),
        (b"\xff\xfe{\x00}\x00", None, PARSE),
        (b'{"jsonrpc": "2.0", "method": "ping", "id": NaN}', None, PARSE),
        (b'{"jsonrpc": "2.0", "id": 3, "method": "ping", "params": {"x": Infinity}}', 3, PARSE),
        (b'{"jsonrpc": "2.0", "id": 3, "method": "ping", "params": {"x": -1e999}}', 3, PARSE),
        (b'{"jsonrpc": "2.0", "id": 3, "method": "ping", "params": {"x": ' + b"9" * 5000 + b"}}", 3, PARSE),
        (b'{"jsonrpc": "2.0", "id": 3, "method": "ping", "params": ' + b"[" * 100_000, 3, PARSE),
        (b'{"jsonrpc": "2.0", "id": "q-4", "method": "ping", "params": {"x": "\xe4"}}', "q-4", PARSE),
        (b'{"method": "ping", "params": {"x": tru}, "jsonrpc": "2.0", "id": 5}', 5, PARSE),
        (b'{"jsonrpc": "2.0", "id": 6, "method": "ping"', 6, PARSE),
        (b'{"jsonrpc": "2.0", "id": 6, "result": {', None, PARSE),
        (b'{"id": 7, "method": "ping", "jsonrpc": "2.0"} {"id": 8}', 7, PARSE),
        (b"17", None, INVALID),
        (b"null", None, INVALID),
        (b'"ping"', None, INVALID),
        (b"[]", None, INVALID),
        (b"[1, 2]", None, INVALID),
        (b"{}", None, INVALID),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', None, INVALID),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', None, INVALID),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', None, INVALID),
        (b'{"jsonrpc": "2.0", "id": [1], "method": "ping"}', None, INVALID),
        (b'{"jsonrpc": "2.0", "id": {"a": 1}, "method": "ping"}', None, INVALID),
        (b'{"jsonrpc": "1.0", "id": 9, "method": "ping"}', 9, INVALID),
        (b'{"id": 9, "method": "ping"}', 9, INVALID),
        (b'{"jsonrpc": "2.0", "id": 9}', 9, INVALID),
        (b'{"jsonrpc": "2.0", "id": 9, "method": 5}', 9, INVALID),
        (b'{"jsonrpc": "2.0", "id": 9, "method": "ping", "params": [1]}', 9, PARAMS),
        (b'{"jsonrpc": "2.0", "id": 9, "method": "ping", "params": "x"}', 9, PARAMS),
        (b'{"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": 5}}', 9, PARAMS),
        (b'{"jsonrpc": "2.0", "id": 9, "method": "tools/call"}', 9, PARAMS),
    ],
)
def test_what_is_no_request_is_answered_with_its_fault_and_the_id_that_can_be_read(
    server: ServerProcess, line: bytes, identifier: int | str | None, code: int
) -> None:
    (answer,) = after(server, line)
    assert (answer["id"], answer["error"]["code"]) == (identifier, code)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"   ",
        b"\r",
        b'{"jsonrpc": "2.0", "method": "notifications/initialized", "params": [1]}',
        b'{"jsonrpc": "2.0", "method": "notifications/whatever"}',
        b'{"jsonrpc": "2.0", "id": 3, "result": 5}',
        b'{"jsonrpc": "2.0", "id": [3], "error": 5}',
        b'{"jsonrpc": "2.0", "id": 3, "result": {}}',
    ],
)
def test_where_no_answer_is_due_there_is_none(server: ServerProcess, line: bytes) -> None:
    assert after(server, line) == []


def test_whoever_waits_for_a_message_of_a_batch_is_told_that_it_is_not_served(server: ServerProcess) -> None:
    ping = {"jsonrpc": "2.0", "method": "ping"}
    answers = after(server, json.dumps([{**ping, "id": 21}, {**ping, "id": "b"}, ping, 5]).encode())
    assert [(answer["id"], answer["error"]["code"]) for answer in answers] == [(21, INVALID), ("b", INVALID)]


@pytest.mark.parametrize(
    ("line", "identifier"),
    [
        (MARK + b'{"jsonrpc": "2.0", "id": 31, "method": "ping"}', 31),
        (b'\t {"jsonrpc": "2.0", "id": 32, "method": "ping"} \r', 32),
        (b'{"jsonrpc": "2.0", "id": 33.0, "method": "ping", "params": null}', 33),
        (b'{"jsonrpc": "2.0", "id": 123456789012345678901234567890, "method": "ping"}', 123456789012345678901234567890),
        (b'{"jsonrpc": "2.0", "id": "", "method": "ping"}', ""),
    ],
)
def test_what_can_mean_only_one_request_is_served(server: ServerProcess, line: bytes, identifier: int | str) -> None:
    server.write(line)
    server.wait_for(lambda: any(message.get("id") == identifier for message in server.messages))
    assert next(message for message in server.messages if message.get("id") == identifier)["result"] == {}


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        (rb'"caf\ud800"', "caf\ufffd"),
        (rb'"\udc00\ud800?"', "\ufffd\ufffd?"),
        (rb'"\ud83d\ude00"', "😀"),
        (b'"\xed\xa0\xbd\xed\xb8\x80"', "😀"),
        (b'"\xed\xb0\x80?"', "\ufffd?"),
        (rb'"\u0000\u2028"', "\0\u2028"),
    ],
)
def test_a_question_with_halves_of_characters_is_asked_with_them_mended(
    server: ServerProcess, written: bytes, asked: str
) -> None:
    number = next(_numbers)
    server.write(call("WRITTEN", number=str(number)).replace(b"WRITTEN", written))
    result = server.answer(number)["result"]
    assert not result["isError"]
    run = {"run_id": result["structuredContent"]["run_id"]}
    trace = server.ask(next(_numbers), "tools/call", name="moa_trace", arguments=run)["result"]
    assert trace["structuredContent"]["question"]["text"] == asked


def test_halves_of_characters_anywhere_else_do_not_stop_the_server(server: ServerProcess) -> None:
    half = r"\ud800"
    (unknown,) = after(server, call('"?"', tool=half))
    (renamed,) = after(server, call(f'"?", "{half}": 1'))
    (method,) = after(server, b'{"jsonrpc": "2.0", "id": 7, "method": "\\udfff"}')
    assert (unknown["error"]["code"], method["error"]["code"]) == (PARAMS, -32601)
    assert r"unknown argument '\ud800'" in renamed["result"]["content"][0]["text"]
    assert r"\ud800" in unknown["error"]["message"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r"\ud800", r"\ud800"),
        (r"a\udc00\ud83d\ude00", r"a\udc00😀"),
        (r"\ufffd", "\ufffd"),
        (r"a\u0000\u001b", r"a\x00\x1b"),
    ],
)
@pytest.mark.parametrize("tool", ["moa_wait", "moa_trace", "moa_cancel", "moa_resume"])
def test_an_error_about_a_run_id_quotes_the_id_that_was_given(
    server: ServerProcess, tool: str, written: str, shown: str
) -> None:
    (answer,) = after(server, _call_of(tool, f'{{"run_id": "{written}"}}'))
    assert f"there is no run '{shown}' in the journal" in answer["result"]["content"][0]["text"]


@pytest.mark.parametrize("depth", [200, 800])
def test_arguments_that_are_nested_deeply_are_refused_by_name(server: ServerProcess, depth: int) -> None:
    (answer,) = after(server, call("[" * depth + "]" * depth))
    assert "question must be a valid string (got a list)" in answer["result"]["content"][0]["text"]


def test_a_line_of_many_bytes_is_served_and_one_of_too_many_refused_by_its_id(server: ServerProcess) -> None:
    (long,) = after(server, call(f'"{"x" * 5_000_000}", "page": 2'))
    (first,) = after(server, call(f'"{"x" * (32 * 2**20)}"', number="41"))
    (last,) = after(server, b'{"method": "ping", "params": {"x": "%s"}, "id": 42}' % (b"x" * 32 * 2**20))
    assert "unknown argument" in long["result"]["content"][0]["text"]
    assert [(each["id"], each["error"]["code"]) for each in (first, last)] == [(41, INVALID), (42, INVALID)]
    assert "the limit is 33554432 bytes" in first["error"]["message"]


def test_two_requests_with_one_id_are_both_answered(server: ServerProcess) -> None:
    before = len(server.messages)
    for _ in range(2):
        server.write(call('"?"', number="51"))

    def answers() -> list[Wire]:
        return [message for message in server.messages[before:] if message.get("id") == 51]

    server.wait_for(lambda: len(answers()) == 2)
    assert [answer["result"]["isError"] for answer in answers()] == [False, False]


@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        {"requestId": None},
        {"requestId": [1]},
        {"requestId": {"id": 1}},
        {"requestId": 1.5},
        {"requestId": True},
        {"requestId": "no such request"},
        {"requestId": 987654321},
        {"requestId": 0},
        {"requestId": 10**40},
        {"requestId": "9" * 5000},
        {"requestId": 1, "reason": ["timeout"]},
        {"requestId": 1, "reason": None, "_meta": 5},
        [1],
    ],
)
def test_a_cancellation_that_names_no_request_is_ignored(server: ServerProcess, params: Any) -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
    line = json.dumps(message).encode()
    assert (after(server, line), after(server, line)) == ([], [])


@pytest.mark.parametrize("named", [61, "61"])
def test_a_request_that_is_cancelled_twice_ends_its_run_once(server: ServerProcess, named: int | str) -> None:
    arguments = {"question": "?", "wait_s": 30}
    token = f"t{next(_numbers)}"
    params = {"name": "together_moa", "arguments": arguments, "_meta": {"progressToken": token}}
    server.send(id=61, method="tools/call", params=params)

    def told() -> list[str]:
        reports = (each["params"] for each in server.messages if each.get("method") == "notifications/progress")
        return [each["message"] for each in reports if each["progressToken"] == token]

    server.wait_for(lambda: bool(told()))
    run_id = told()[0].rpartition("(run ")[2].rstrip(")")
    for _ in range(2):
        server.send(method="notifications/cancelled", params={"requestId": named})
    ended = server.ask(next(_numbers), "tools/call", name="moa_wait", arguments={"run_id": run_id})
    assert ended["result"]["structuredContent"]["status"] == "cancelled"


@pytest.mark.parametrize("arguments", ['{"run_id": "x"}', '{"run_id": "x", "page": null}'])
def test_arguments_may_be_the_text_of_an_object(server: ServerProcess, arguments: str) -> None:
    answer = server.ask(next(_numbers), "tools/call", name="moa_trace", arguments=arguments)
    assert "there is no run 'x'" in answer["result"]["content"][0]["text"]


@pytest.mark.parametrize("arguments", [[], "", None, {}])
def test_arguments_that_are_not_there_are_missed_by_name(server: ServerProcess, arguments: Any) -> None:
    answer = server.ask(next(_numbers), "tools/call", name="vote", arguments=arguments)
    assert answer["result"]["content"][0]["text"] == "Invalid arguments: question is missing"


@pytest.mark.parametrize("arguments", [5, "question=?", '"?"', ["?"], True])
def test_arguments_that_are_no_object_are_refused(server: ServerProcess, arguments: Any) -> None:
    error = server.ask(next(_numbers), "tools/call", name="vote", arguments=arguments)["error"]
    assert (error["code"], "arguments must be an object" in error["message"]) == (PARAMS, True)


CONFIG = """
budget.confirm_above_usd = 0.5
[models.a]
routes = [{ model = "openai/a", api_base = "http://127.0.0.1:9", usd_per_million = { prompt = 1, completion = 1000 } }]
[pipelines.dear]
steps = [{ step = "propose", agents = ["a"], max_tokens = 2000 }]
"""


@pytest.mark.parametrize("said", [{"result": 5}, {"error": "no"}, {"result": {"action": "shrug"}}])
def test_an_answer_of_the_client_that_is_none_ends_the_wait_for_it(
    nursery: Nursery, tmp_path: Path, said: Wire
) -> None:
    config = tmp_path / "pipelines.toml"
    config.write_text(CONFIG)
    with ServerProcess("--config", str(config), nursery=nursery) as server:
        client = {"name": "wire", "version": "1"}
        can_ask: Wire = {"elicitation": {}}
        server.ask(0, "initialize", protocolVersion="2025-11-25", capabilities=can_ask, clientInfo=client)
        server.send(method="notifications/initialized")
        server.send(id=71, method="tools/call", params={"name": "dear", "arguments": {"question": "?"}})
        server.wait_for(lambda: any(each.get("method") == "elicitation/create" for each in server.messages))
        question = next(each for each in server.messages if each.get("method") == "elicitation/create")
        server.send(id=question["id"], **said)
        assert "the client could not show the confirmation" in server.answer(71)["result"]["content"][0]["text"]
