"""Sets and removes a value in YAML. PyYAML says where values are; all other characters are kept."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, TypeAlias, cast

import yaml

from moa_mcp.clients.documents import BY_HAND, Keys, NotEditable

_Node: TypeAlias = Any
"""A node of PyYAML, with its start and end in the text."""


def read(text: str) -> dict[str, Any]:
    """Return the value of a text."""
    try:
        value: object = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise NotEditable(f"{place}{error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NotEditable(f"not valid YAML ({type(error).__name__})") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise NotEditable("line 1, column 1: the file is not a mapping")
    return cast("dict[str, Any]", value)


def put(text: str, keys: Keys, value: object) -> str:
    """Set a value, and the mappings that lead to it. A new key comes last in its mapping."""
    read(text)
    node = _root(text)
    gap = _Gap(text, len(text.splitlines()), 0)
    for depth, key in enumerate(keys[:-1]):
        pair = _pair(node, key)
        if pair is None:
            return gap.filled(_nested(keys[depth:], value))
        gap, node = _inside(text, *pair), pair[1]
    pair = _pair(node, keys[-1])
    if pair is None:
        return gap.filled({keys[-1]: value})
    return _replaced(text, *pair, value)


def drop(text: str, keys: Keys) -> str:
    """Remove a value with its key, which must be on lines of their own."""
    pairs: list[tuple[_Node, _Node]] = []
    node = _root(text)
    for key in keys:
        pair = _pair(node, key)
        if pair is None or node.flow_style:
            raise NotEditable(BY_HAND)
        pairs.append(pair)
        node = pair[1]
    lines = text.splitlines(keepends=True)
    del lines[pairs[-1][0].start_mark.line : _last_line(node) + 1]
    rest = "".join(lines)
    if len(pairs) == 1 or len(pairs[-2][1].value) > 1:
        return rest
    end = pairs[-2][0].end_mark.index + 1
    return f"{rest[:end]} {{}}{rest[end:]}"


class _Gap(NamedTuple):
    """A place for new lines."""

    text: str
    line: int
    """Before which line, from 0."""
    indent: int

    def filled(self, value: object) -> str:
        newline = "\r\n" if "\r\n" in self.text else "\n"
        body: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=2**31)
        new = [f"{' ' * self.indent}{line}{newline}" for line in body.splitlines()]
        lines = self.text.splitlines(keepends=True)
        before = lines[: self.line]
        if before and not before[-1].endswith("\n"):
            before[-1] += newline
        return "".join([*before, *new, *lines[self.line :]])


def _inside(text: str, name: _Node, node: _Node) -> _Gap:
    """Return the place for a further key in the mapping with this name."""
    line, indent = name.end_mark.line + 1, name.start_mark.column + 2
    is_mapping = isinstance(node, yaml.MappingNode)
    if is_mapping and node.value and not node.flow_style:
        return _Gap(text, _last_line(node) + 1, node.value[0][0].start_mark.column)
    if is_mapping and not node.value:
        return _Gap(text[: node.start_mark.index].rstrip(" ") + text[node.end_mark.index :], line, indent)
    if isinstance(node, yaml.ScalarNode) and not node.value:
        return _Gap(text, line, indent)
    raise NotEditable.at(text, node.start_mark.index, f"{name.value} is not a mapping of lines")


def _replaced(text: str, name: _Node, node: _Node, value: object) -> str:
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        return text[: node.start_mark.index] + json.dumps(value, ensure_ascii=False) + text[node.end_mark.index :]
    start = name.start_mark.line
    lines = text.splitlines(keepends=True)
    del lines[start : _last_line(node) + 1]
    return _Gap("".join(lines), start, name.start_mark.column).filled({name.value: value})


def _root(text: str) -> _Node:
    library: Any = yaml  # its stubs are incomplete
    return library.compose(text, Loader=yaml.SafeLoader)


def _pair(node: _Node, key: str) -> tuple[_Node, _Node] | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    pairs: list[tuple[_Node, _Node]] = node.value
    return next((pair for pair in reversed(pairs) if pair[0].value == key), None)


def _nested(keys: Keys, value: object) -> object:
    for key in reversed(keys):
        value = {key: value}
    return value


def _last_line(node: _Node) -> int:
    """Return the number of the last line of a value, from 0. A block of text ends before the line of its end."""
    while _has_lines(node):
        last: _Node = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    is_block = getattr(node, "style", None) in {"|", ">"} and node.end_mark.column == 0
    line: int = node.end_mark.line
    return line - 1 if is_block else line


def _has_lines(node: _Node) -> bool:
    """Return whether a value is a mapping or list with a line for each of its values."""
    return isinstance(node, yaml.CollectionNode) and bool(node.value) and not node.flow_style
