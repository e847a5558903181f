"""Sets and removes a value in JSON with comments; all other characters are kept."""

from __future__ import annotations

import json
import re
from typing import Any

from moa_mcp.clients.documents import Keys, NotEditable
from moa_mcp.clients.jsonc_tree import KeyedNode, Node, skipped, tree

_INDENTED = re.compile(r"^([ \t]+)\S", re.MULTILINE)
_END_OF_LINE = re.compile(r"[ \t]*(?:/\*(?:(?!\*/)[^\r\n])*\*/[ \t]*)*(?://[^\r\n]*)?(?=\r?\n)")
"""The comments in the rest of a line."""
_SPACED = re.compile(r"[:,]\s")


def read(text: str) -> dict[str, Any]:
    """Return the object of a text; an empty one for a text without content."""
    root = tree(text)
    return {} if root is None else _as_object(text, root, "the file").value


def put(text: str, keys: Keys, value: object) -> str:
    """Set a value, and the objects that lead to it."""
    text = _with_root(text)
    node = _as_object(text, tree(text), "the file")
    for depth, key in enumerate(keys[:-1], 1):
        above = _last(node, key)
        if above is None:
            return _added(text, node, key, _nested(keys[depth:], value))
        node = _as_object(text, above.node, key)
    member = _last(node, keys[-1])
    if member is None:
        return _added(text, node, keys[-1], value)
    body = _written(value, text, _indentation(text, member.start))
    return text[: member.node.start] + body + text[member.node.end :]


def drop(text: str, keys: Keys) -> str:
    """Remove a member of an object with its comma, and with its line if nothing else is on it."""
    while True:
        node = _as_object(text, tree(text), "the file")
        for key in keys[:-1]:
            member = _last(node, key)
            if member is None:
                return text
            node = _as_object(text, member.node, key)
        member = _last(node, keys[-1])
        if member is None:
            return text
        text = _removed(text, node, member)


def _as_object(text: str, node: Node | None, name: str) -> Node:
    if node is None or node.members is None:
        raise NotEditable.at(text, node.start if node else 0, f"{name} is not an object")
    return node


def _last(node: Node, key: str) -> KeyedNode | None:
    """Return the member of a key. Of several, the last one counts."""
    return next((each for each in reversed(node.members or ()) if each.key == key), None)


def _nested(keys: Keys, value: object) -> object:
    for key in reversed(keys):
        value = {key: value}
    return value


def _with_root(text: str) -> str:
    if tree(text) is not None:
        return text
    newline = _newline(text)
    return text + (newline if text.rstrip("\ufeff") and not text.endswith("\n") else "") + "{}" + newline


def _added(text: str, node: Node, key: str, value: object) -> str:
    """Return the text with a further member, after the others."""
    start = json.dumps(key, ensure_ascii=False) + ": "
    if not node.members:
        outer = _indentation(text, node.start)
        inner = outer + _step(text)
        pad = _newline(text) + inner
        inside = text[node.start + 1 : node.end - 1]
        closing = _newline(text) + outer if not inside.strip() else inside
        return f"{text[: node.start + 1]}{pad}{start}{_written(value, text, inner)}{closing}{text[node.end - 1 :]}"
    last = node.members[-1]
    if "\n" not in text[node.start : node.end]:
        return _added_inline(text, node, last, key, value)
    inner = (
        _indentation(text, last.start) if _is_first(text, last.start) else _indentation(text, node.start) + _step(text)
    )
    member = f"{_newline(text)}{inner}{start}{_written(value, text, inner)}"
    comma = skipped(text, last.node.end)
    if text[comma] == ",":
        at = _line_end(text, comma + 1)
        return f"{text[:at]}{member},{text[at:]}"
    at = _line_end(text, last.node.end)
    return f"{text[: last.node.end]},{text[last.node.end : at]}{member}{text[at:]}"


def _added_inline(text: str, node: Node, last: KeyedNode, key: str, value: object) -> str:
    space = " " if _SPACED.search(text, node.start, node.end) else ""
    body = json.dumps({key: value}, ensure_ascii=False, separators=(f",{space}", f":{space}"))[1:-1]
    comma = skipped(text, last.node.end)
    if text[comma] == ",":
        return f"{text[: comma + 1]}{space}{body},{text[comma + 1 :]}"
    return f"{text[: last.node.end]},{space}{body}{text[last.node.end :]}"


def _removed(text: str, node: Node, member: KeyedNode) -> str:
    members = node.members or ()
    number = members.index(member)
    before = members[number - 1] if number else None
    gap = skipped(text, before.node.end) + 1 if before else node.start + 1
    end = skipped(text, member.node.end)
    has_comma = text[end] == ","
    end = end + 1 if has_comma else member.node.end
    start = _start_of_removal(text, gap, member.start, end)
    kept = text[:start]
    if before and not has_comma:
        comma = skipped(text, before.node.end)
        kept = text[:comma] + text[comma + 1 : start]
    if len(members) == 1:
        inside = kept[node.start + 1 :] + text[end : node.end - 1]
        if not inside.strip():
            return kept[: node.start + 1] + text[node.end - 1 :]
    return kept + text[end:]


def _start_of_removal(text: str, gap: int, start: int, end: int) -> int:
    """Return where the blanks before a member begin, with the newline unless a comment or the rest needs it."""
    begin = start
    while begin > gap and text[begin - 1] in " \t":
        begin -= 1
    if text[begin - 1] != "\n" or begin <= gap:
        return begin
    if "//" in text[gap:start] and text[end : end + 1] not in {"\r", "\n"}:
        return start
    return begin - (2 if text[begin - 2] == "\r" else 1)


def _line_end(text: str, offset: int) -> int:
    match = _END_OF_LINE.match(text, offset)
    return match.end() if match else offset


def _is_first(text: str, offset: int) -> bool:
    return not text[text.rfind("\n", 0, offset) + 1 : offset].strip(" \t")


def _indentation(text: str, offset: int) -> str:
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _step(text: str) -> str:
    """Return what one level is indented by."""
    match = _INDENTED.search(text)
    return match[1] if match else "  "


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _written(value: object, text: str, indentation: str) -> str:
    body = json.dumps(value, ensure_ascii=False, indent=_step(text))
    return body.replace("\n", _newline(text) + indentation)
