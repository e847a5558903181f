"""Parses JSON with comments and trailing commas into a tree with the place of each value."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from msgspec import Struct

from moa_mcp.clients.documents import NotEditable

_BLANK = re.compile(r"(?:[ \t\r\n]|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(r"(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?![\w.+-])")
_CLOSING = {"{": "}", "[": "]"}
_DEEPEST = 100
BYTE_ORDER_MARK = "\ufeff"


class Node(Struct, frozen=True):
    """A value of a text, with its place as offsets in characters."""

    start: int
    end: int
    value: Any
    members: tuple[KeyedNode, ...] | None = None
    """The members of an object, in their order; None for other values."""


class KeyedNode(NamedTuple):
    """A member of an object."""

    key: str
    start: int
    """Where the key begins."""
    node: Node


def skipped(text: str, offset: int) -> int:
    """Return the offset after blanks and comments."""
    match = _BLANK.match(text, offset)
    return match.end() if match else offset


def tree(text: str) -> Node | None:
    """Return the value of a text; None if it has comments alone. Raises `NotEditable`."""
    start = skipped(text, len(BYTE_ORDER_MARK) if text.startswith(BYTE_ORDER_MARK) else 0)
    if start == len(text):
        return None
    node = _value(text, start, 0)
    end = skipped(text, node.end)
    if end != len(text):
        raise NotEditable.at(text, end, "expected the end of the file")
    return node


def _value(text: str, start: int, depth: int) -> Node:
    first = text[start : start + 1]
    if first == '"':
        value, end = _string(text, start)
        return Node(start, end, value)
    if first in _CLOSING:
        if depth == _DEEPEST:
            raise NotEditable.at(text, start, f"more than {_DEEPEST} levels")
        return _object(text, start, depth) if first == "{" else _list(text, start, depth)
    match = _SCALAR.match(text, start)
    if match is None:
        raise NotEditable.at(text, start, "expected a value")
    return Node(start, match.end(), json.loads(match[0]))


def _string(text: str, start: int) -> tuple[str, int]:
    match = _STRING.match(text, start)
    if match is None:
        raise NotEditable.at(text, start, "a string without its closing quote")
    try:
        value: str = json.loads(match[0])
    except ValueError as error:
        raise NotEditable.at(text, start, "a string with an invalid escape") from error
    return value, match.end()


def _object(text: str, start: int, depth: int) -> Node:
    members: list[KeyedNode] = []
    at = skipped(text, start + 1)
    while text[at : at + 1] != "}":
        if text[at : at + 1] != '"':
            raise NotEditable.at(text, at, "expected a key in double quotes, or }")
        key, end = _string(text, at)
        colon = skipped(text, end)
        if text[colon : colon + 1] != ":":
            raise NotEditable.at(text, colon, "expected a colon")
        node = _value(text, skipped(text, colon + 1), depth + 1)
        members.append(KeyedNode(key, at, node))
        at = _next(text, node.end, "}")
    return Node(start, at + 1, {key: node.value for key, _, node in members}, tuple(members))


def _list(text: str, start: int, depth: int) -> Node:
    values: list[Any] = []
    at = skipped(text, start + 1)
    while text[at : at + 1] != "]":
        node = _value(text, at, depth + 1)
        values.append(node.value)
        at = _next(text, node.end, "]")
    return Node(start, at + 1, values)


def _next(text: str, end: int, closing: str) -> int:
    """Return where the next member or the closing bracket begins."""
    at = skipped(text, end)
    if text[at : at + 1] == ",":
        return skipped(text, at + 1)
    if text[at : at + 1] != closing:
        raise NotEditable.at(text, at, f"expected a comma or {closing}")
    return at
