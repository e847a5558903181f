"""Changes to the bytes of a reply, and which of them may change its answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

from tests.shapes import Shape

Path: TypeAlias = tuple[str | int, ...]
"""The keys and positions that lead to a value of a document."""
_LINE = re.compile(r"(?m)^(data: ?)(\{.*\}|\[\{.*\])$")
_SAID = {"content", "text", "parts", "type", "message", "delta", "choices", "index", "thinking", "refusal"}
"""Keys whose values are the text, or decide what of a document is."""
_ENDS = {"finish_reason", "native_finish_reason", "error", "object", "base_resp", "code", "msg", "success", "detail"}
"""Keys whose values decide whether a text is an answer."""


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


def paths(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the way to every value inside another."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def replaced(value: Any, path: Path, new: object) -> Any:  # noqa: ANN401  JSON
    """Return a document with another value at a place."""
    if not path:
        return new
    key, *rest = path
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[key] = replaced(value[key], tuple(rest), new)
    return changed


def without(value: Any, path: Path) -> Any:  # noqa: ANN401  JSON
    """Return a document without the value at a place."""
    *rest, key = path
    holder = value
    for each in rest:
        holder = holder[each]
    kept = (
        {k: v for k, v in holder.items() if k != key}
        if isinstance(holder, dict)
        else [v for k, v in enumerate(holder) if k != key]
    )
    return replaced(value, tuple(rest), kept)


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


def reordered(value: object, order: Callable[[list[str]], list[str]]) -> Any:  # noqa: ANN401  JSON
    """Return a document with the fields of each of its objects in another order."""
    if isinstance(value, dict):
        return {key: reordered(value[key], order) for key in order(list(value))}
    return [reordered(each, order) for each in value] if isinstance(value, list) else value


def says(value: object, path: Path) -> bool:
    """Whether the value at a place is a part of the text, or decides what of the document is."""
    for key in path:
        value = value[key]  # type: ignore[index]
    return path[-1] in _SAID or any(key in _SAID - {"choices", "delta", "message"} for key in path) or _holds(value)


def ends(path: Path) -> bool:
    """Whether the value at a place decides if a text is an answer."""
    return any(key in _ENDS for key in path)


def _holds(value: object) -> bool:
    keys = {key for path in paths(value) for key in path}
    return bool(keys & (_SAID | _ENDS))
