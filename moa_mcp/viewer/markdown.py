"""Markdown as a tree of plain lists, which the page builds element by element. HTML in the text stays text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeAlias

from markdown_it import MarkdownIt
from markdown_it.token import Token

LONGEST = 40_000
"""Maximum characters of a text to parse; a longer one is shown as it is written."""

Node: TypeAlias = "str | list[Node]"
"""A text, or an element: its tag, then its children. A link is `["a", address, *children]`."""


def tree(text: str) -> list[Node] | None:
    """Return the elements of a Markdown text, or None if it is too long."""
    if len(text) > LONGEST:
        return None
    return _built(_parser().parse(text))


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def _built(tokens: Sequence[Token]) -> list[Node]:
    root: list[Node] = []
    opened: list[list[Node]] = [root]
    for token in tokens:
        if token.type == "inline":
            opened[-1].extend(_built(token.children or ()))
        elif token.nesting > 0:
            element = _element(token)
            opened[-1].append(element)
            opened.append(element)
        elif token.nesting < 0:
            opened.pop()
        else:
            opened[-1].append(_leaf(token))
    return root


def _element(token: Token) -> list[Node]:
    if token.tag == "a":
        return ["a", str(token.attrs.get("href", ""))]
    return [token.tag]


def _leaf(token: Token) -> Node:
    if token.type in {"fence", "code_block"}:
        return ["pre", token.content]
    if token.type == "code_inline":
        return ["code", token.content]
    if token.type == "image":
        return ["a", str(token.attrs.get("src", "")), f"image: {token.content}"]
    if token.type == "softbreak":
        return "\n"
    return [token.tag] if token.tag else token.content
