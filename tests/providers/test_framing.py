"""The objects in a reply are the same however a server frames them and a network cuts them."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from moa_mcp.providers.openai.framing import DONE, Frames, Garbled

A, B = b'{"a": 1}', b'{"b": 2}'
READ_A, READ_B = {"a": 1}, {"b": 2}

FRAMED: dict[str, tuple[bytes, list[Any]]] = {
    "a document": (A, [READ_A]),
    "a document after a byte order mark": (b"\xef\xbb\xbf" + A, [READ_A]),
    "a document in UTF-16": ('{"a": 1}'.encode("utf-16"), [READ_A]),
    "a document after blank lines": (b"  \r\n\r\n" + A, [READ_A]),
    "a document before the end of a stream": (A + b"\n\ndata: [DONE]\n\n", [READ_A]),
    "a document after comments": (b": PROCESSING\n\n: PROCESSING\n\n" + A, [READ_A]),
    "a document over lines after a comment": (b": PROCESSING\n\n{\n  " + A[1:] + b"\n", [READ_A]),
    "a list": (b"[" + A + b",\r\n" + B + b"]", [[READ_A, READ_B]]),
    "lines of JSON": (A + b"\n" + B + b"\n", [READ_A, READ_B]),
    "what is no UTF-8": (b'{"a": "\xff"}', [{"a": "\ufffd"}]),
    "half a character": (b'{"a": "\\ud83d"}', [{"a": "\ud83d"}]),
    "no number": (b'{"a": 1, "p": NaN}', [{"a": 1, "p": pytest.approx(float("nan"), nan_ok=True)}]),
    "events": (b"data: " + A + b"\n\ndata: " + B + b"\n\ndata: [DONE]\n\n", [READ_A, READ_B, DONE]),
    "events after a byte order mark": (b"\xef\xbb\xbfdata: " + A + b"\n\n", [READ_A]),
    "events with CRLF": (b"data:" + A + b"\r\n\r\ndata:" + B + b"\r\n\r\n", [READ_A, READ_B]),
    "events with CR": (b"data: " + A + b"\r\rdata: " + B + b"\r\r", [READ_A, READ_B]),
    "events without blank lines": (b"data: " + A + b"\ndata: " + B + b"\ndata: [DONE]", [READ_A, READ_B, DONE]),
    "an event over several lines": (b'data: {"a":\ndata: 1}\n\n', [READ_A]),
    "an event of which only the first line is marked": (b'data: {\n"a": 1\n}\n\n', [READ_A]),
    "events with names and numbers": (b"event: chunk\nid: 7\nretry: 5\ndata: " + A + b"\n\n", [READ_A]),
    "comments between events": (b": hi\n\ndata: " + A + b"\n\n:\n\ndata: " + B + b"\n\n", [READ_A, READ_B]),
    "events without data": (b"event: ping\n\ndata:\n\ndata: " + A + b"\n\n", [READ_A]),
    "an event that is named an error": (b'event: error\ndata: {"message": "no"}\n\n', [{"error": {"message": "no"}}]),
    "a JSON text sequence": (b"\x1e" + A + b"\n\x1e" + B + b"\n", [READ_A, READ_B]),
    "a document behind a prefix": (b")]}'\n" + A, [READ_A]),
    "a document behind a loop": (b"for (;;);" + A, [READ_A]),
    "a document behind an error": (b"throw 1; <dont be evil>\n" + A, [READ_A]),
    "a document behind an empty one": (b"{}&&" + A, [READ_A]),
    "a document in a comment": (b"/*" + A + b"*/", [READ_A]),
    "a document in a string": (b'"{\\"a\\": 1}"', [READ_A]),
    "a string": (b'"Paris"', ["Paris"]),
    "a document in a string in a string": (json.dumps(json.dumps(A.decode())).encode(), [READ_A]),
    "a document in as many strings as are looked into": (
        json.dumps(json.dumps(json.dumps(A.decode()))).encode(),
        [READ_A],
    ),
    "a string that only begins like a document": (b'"{no"', ["{no"]),
    "events with strings": (b'event: ping\ndata: "ping"\n\ndata: "{\\"a\\": 1}"\n\n', ["ping", READ_A]),
    "nothing": (b"", []),
}
GARBLED = (
    b"<html>",
    b'{"a": 1',
    b'data: {"a": 1',
    b"data: no\n\n",
    b"data: {\ndata: no\n\n",
    b" \n",
    A + b" and more",
    b"[" * 100_000,
)


def objects(raw: bytes, rng: Random | None = None) -> list[Any]:
    frames, found, at = Frames(), list[Any](), 0
    while at < len(raw):
        size = len(raw) if rng is None else rng.choice([1, 2, 3, 17])
        found += frames.take(raw[at : at + size])
        at += size
    return [*found, *frames.end()]


@pytest.mark.parametrize(("raw", "read"), FRAMED.values(), ids=FRAMED)
def test_a_reply_holds_the_same_objects_however_it_is_framed_and_cut(raw: bytes, read: list[Any]) -> None:
    assert objects(raw) == read
    for seed in range(10):
        assert objects(raw, Random(seed)) == read


@pytest.mark.parametrize("raw", GARBLED, ids=lambda raw: repr(raw[:12]))
def test_what_is_no_json_is_told_as_such(raw: bytes) -> None:
    with pytest.raises(Garbled):
        objects(raw)
