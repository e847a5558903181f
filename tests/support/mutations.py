"""Changes to the bytes of a reply, and which of them may change its answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

from tests.support.shapes import Shape

Path: TypeAlias = tuple[str | int, ...]
"""The keys and positions that lead to a value of a document."""
_LINE = re.compile(r"(?m)^(data: ?)(\{.*\}|\[\{.*\])$")
_SAID = {"content", "text", "parts", "type", "message", "delta", "choices", "index", "thinking", "refusal"}
"""Keys whose values are the text, or decide what of a document is."""
_ENDS = {
    *("finish_reason", "native_finish_reason", "stop_reason", "done", "error", "object", "base_resp", "code", "msg"),
    *("success", "detail", "status", "incomplete_details"),
}
"""Keys whose values decide whether a text is an answer."""


_TEXTS = {"content", "text", "thinking", "reasoning", "reasoning_content", "refusal", "summary", "arguments"}
_THOUGHTS = ("reasoning", "thinking")


class Document(NamedTuple):
    """A JSON value of a body, and what stands before it there."""

    before: str
    value: Any


class Body(NamedTuple):
    """A body as the documents in it."""

    documents: tuple[Document, ...]
    after: str

    def text(self, at: int = -1, write: Callable[[Any], str] = json.dumps) -> str:
        """Return the body, in which one document is written by `write`."""
        written = (
            each.before + (write(each.value) if number == at else json.dumps(each.value))
            for number, each in enumerate(self.documents)
        )
        return "".join(written) + self.after

    def with_twice(self, at: int) -> Body:
        """Return the body in which an event comes twice."""
        again = Document("\n\ndata: ", self.documents[at].value)
        return Body((*self.documents[: at + 1], again, *self.documents[at + 1 :]), self.after)

    def holds(self, word: str) -> bool:
        """Whether a word stands in one of the texts, outside of the fields that are for thoughts."""
        return any(
            isinstance(text, str) and word in text and not any(str(key).startswith(_THOUGHTS) for key in path)
            for each in self.documents
            for path, text in values(each.value)
        )


def is_silent(document: Document) -> bool:
    """Whether an event adds nothing to a text, so that it may come twice."""
    said = (text for path, text in values(document.value) if path[-1] in _TEXTS and isinstance(text, str))
    return document.before.rstrip().endswith("data:") and not any(said)


def body_of(shape: Shape) -> Body | None:
    """Return the documents of a shape's body; None where it has none."""
    if shape.encoding != "utf-8" or shape.framing == "short":
        return None
    try:
        return Body((Document("", json.loads(shape.body)),), "\n")
    except ValueError:
        pass
    documents: list[Document] = []
    at = 0
    for found in _LINE.finditer(shape.body):
        try:
            value = json.loads(found[2])
        except ValueError:
            continue
        documents.append(Document(shape.body[at : found.start(2)], value))
        at = found.end(2)
    return Body(tuple(documents), shape.body[at:]) if documents else None


def values(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield every value inside another, with the way to it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key), inner
        yield from values(inner, (*path, key))


def paths(value: object) -> list[Path]:
    """Return the way to every value inside another."""
    return [path for path, _ in values(value)]


def replaced(value: Any, path: Path, new: object) -> Any:
    """Return a document with another value at a place."""
    if not path:
        return new
    key, *rest = path
    changed: Any = value.copy()
    changed[key] = replaced(value[key], tuple(rest), new)
    return changed


def without(value: Any, path: Path) -> Any:
    """Return a document without the value at a place."""
    key, *rest = path
    changed: Any = value.copy()
    if rest:
        changed[key] = without(value[key], tuple(rest))
    else:
        del changed[key]
    return changed


def doubled(value: object, path: Path) -> str:
    """Return a document, as text, in which the field at a place stands twice."""
    if isinstance(value, dict):
        fields: list[str] = []
        for key, inner in value.items():
            is_it, rest = path == (key,), path[1:] if path[:1] == (key,) else ()
            fields += [f"{json.dumps(key)}: {doubled(inner, rest)}"] * (2 if is_it else 1)
        return "{" + ", ".join(fields) + "}"
    if isinstance(value, list):
        inside = (doubled(inner, path[1:] if path[:1] == (n,) else ()) for n, inner in enumerate(value))
        return "[" + ", ".join(inside) + "]"
    return json.dumps(value)


def reordered(value: object, order: Callable[[list[str]], list[str]]) -> Any:
    """Return a document with the fields of each of its objects in another order."""
    if isinstance(value, dict):
        return {key: reordered(value[key], order) for key in order(list(value))}
    return [reordered(each, order) for each in value] if isinstance(value, list) else value


def says(value: object, path: Path) -> bool:
    """Whether the value at a place is a part of the text, or decides what of the document is."""
    inside = any(key in _SAID - {"choices", "delta", "message"} for key in path)
    return inside or path[-1] in _SAID or _holds(dict(values(value))[path])


def ends(path: Path) -> bool:
    """Whether the value at a place decides if a text is an answer."""
    return any(key in _ENDS for key in path)


def _holds(value: object) -> bool:
    keys = {key for path in paths(value) for key in path}
    return bool(keys & (_SAID | _ENDS))
