"""Texts in JSON with comments, each with its value, and a reader that shares no code with the package."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

Written = tuple[str, Any]
"""A text and its value."""
BLANKS = st.lists(
    st.sampled_from(["", " ", "\t", "\n", "\n  ", "\n\t", " // it's } here\n", '/* , } " */', "/* a\n b */"]),
    max_size=2,
).map("".join)
SCALARS = st.one_of(
    st.sampled_from([("-1.5e3", -1500.0), ("0", 0), ("true", True), ("null", None)]),
    st.text('ab,}{]\\"/*# é\u2028\U0001f600\n', max_size=6).map(lambda text: (json.dumps(text), text)),
)
KEYS = st.sampled_from(["a", "moa", "mcpServers", "b // c", 'q"q', ""])


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[Written]) -> Written:
    pairs: st.SearchStrategy[list[tuple[str, Written]]] = st.lists(
        st.tuples(KEYS, values), max_size=3, unique_by=lambda each: each[0]
    )
    members = draw(pairs)
    texts = [
        "".join([draw(BLANKS), json.dumps(key), draw(BLANKS), ":", draw(BLANKS), text, draw(BLANKS)])
        for key, (text, _) in members
    ]
    trailing: bool = draw(st.booleans())
    end = "," if members and trailing else ""
    return "{" + ",".join(texts) + end + draw(BLANKS) + "}", {key: value for key, (_, value) in members}


@st.composite
def lists(draw: st.DrawFn, values: st.SearchStrategy[Written]) -> Written:
    found = draw(st.lists(values, max_size=3))
    texts = [draw(BLANKS) + text + draw(BLANKS) for text, _ in found]
    return "[" + ",".join(texts) + draw(BLANKS) + "]", [value for _, value in found]


VALUES = st.recursive(SCALARS, lambda inner: st.one_of(objects(inner), lists(inner)), max_leaves=8)


@st.composite
def documents(draw: st.DrawFn) -> Written:
    """Draw an object with comments around it, with a byte order mark or with other newlines."""
    text, value = draw(objects(VALUES))
    before, after = draw(BLANKS), draw(BLANKS)
    whole = draw(st.sampled_from(["", "\ufeff"])) + before + text + after
    return (whole.replace("\n", "\r\n") if draw(st.booleans()) else whole), value


def value_of(text: str) -> Any:
    """Return the value of a text: comments and trailing commas are removed, the rest is JSON."""
    kept: list[str] = []
    at = 0
    text = text.removeprefix("\ufeff")
    while at < len(text):
        if text[at] == '"':
            end = at + 1
            while text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            kept.append(text[at : end + 1])
            at = end + 1
        elif text.startswith("//", at):
            at = min(end for end in (text.find("\n", at), len(text)) if end >= 0)
        elif text.startswith("/*", at):
            at = text.index("*/", at) + 2
        else:
            if text[at] in "}]" and kept and kept[-1] == ",":
                kept.pop()
            if not text[at].isspace():
                kept.append(text[at])
            at += 1
    return json.loads("".join(kept))
