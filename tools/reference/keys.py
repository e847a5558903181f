"""The keys of a table of the configuration, read from its pydantic model: type, range, default and meaning."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from moa_mcp.parameters import EFFORTS
from tools.reference.markdown import code, prose, table

WRITTEN: Mapping[str, str] = {
    "Agent": "[agents](steps.md#agents)",
    "Member": "[agent](steps.md#agents)",
    "Route": "[routes](settings.md#routes)",
    "PerMillion": "[prices](settings.md#prices)",
    "JsonOutput": "[paths](settings.md#output-of-programs)",
    "Stop": "[stop](steps.md#stop)",
    "Ahead": "[stop](steps.md#stop)",
    "JsonField": "`{ json = … }`",
    "Pattern": "`{ regex = … }`",
}
"""What is written in place of a nested model, by the name of its class."""
_SPECIAL: Mapping[str, str] = {
    "answer_schema": "table or JSON as a string",
    "extra": "table",
    "reasoning_effort": code(*map(json.dumps, EFFORTS)),
    "steps": "list of [steps](steps.md)",
}
"""Keys whose value is another one in the file than in the model."""
_PLAIN: Mapping[str, tuple[str, str]] = {
    "integer": ("integer", "integers"),
    "number": ("number", "numbers"),
    "string": ("string", "strings"),
    "boolean": ("`true` or `false`", "booleans"),
}


class Key(NamedTuple):
    """A key of a table."""

    names: tuple[str, ...]
    """The name, then other spellings."""
    kind: str
    default: str
    meaning: str


def rows(model: type[BaseModel], leaving_out: Collection[str] = ()) -> list[Key]:
    """Return the keys of a model, those of its base classes first."""
    schemas: Mapping[str, dict[str, Any]] = model.model_json_schema(by_alias=False)["properties"]
    return [
        Key(_names(name, field), _SPECIAL.get(name) or kind(schemas[name]), _default(field), _meaning(model, name))
        for name, field in model.model_fields.items()
        if name not in leaving_out
    ]


def tabulated(keys: list[Key]) -> str:
    """Return a table of keys."""
    named = ((code(each.names[0]) + _also(each.names[1:]), each.kind, each.default, each.meaning) for each in keys)
    return table(("key", "value", "default", "meaning"), named)


def _also(names: tuple[str, ...]) -> str:
    return f" (or {code(*names)})" if names else ""


def _names(name: str, field: FieldInfo) -> tuple[str, ...]:
    if isinstance(field.validation_alias, AliasChoices):
        return tuple(map(str, field.validation_alias.choices))
    return (field.alias or name,)


def kind(schema: Mapping[str, Any], *, many: bool = False) -> str:
    """Return the type and the range of a value, as its JSON schema states them."""
    if "anyOf" in schema:
        return _any_of(schema["anyOf"])
    if "$ref" in schema:
        return WRITTEN[schema["$ref"].rpartition("/")[2]]
    if "const" in schema or "enum" in schema:
        return code(*map(json.dumps, schema.get("enum") or [schema["const"]]))
    match schema["type"]:
        case "array":
            return f"list of {kind(schema['items'], many=True)}"
        case "object":
            values = schema.get("additionalProperties")
            return f"table of {kind(values, many=True)}" if values else "object"
        case plain:
            return f"{_PLAIN[plain][many]}{_range(schema)}"


def _any_of(choices: list[dict[str, Any]]) -> str:
    types = [each.get("type") for each in choices]
    exact = types[:2] == ["number", "string"] and "const" not in choices[1]  # a decimal, which TOML writes as a number
    written = [each for each in choices if each.get("type") != "null" and not (exact and each.get("type") == "string")]
    return " or ".join(map(kind, written))


def _range(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    match (least, most, above, below):
        case (None, None, None, None):
            return ""
        case (_, None, None, None):
            return f", at least {least:g}"
        case (None, None, _, None):
            return f" above {above:g}"
        case (None, _, _, None):
            return f" above {above:g}, {most:g} at most"
        case (_, _, None, None):
            return f", {least:g} to {most:g}"
        case _:
            return f", at least {least:g}, less than {below:g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default()
    if value is None or value in ((), {}):
        return "none"
    shown = int(value) if isinstance(value, float) and value.is_integer() else value
    return code(json.dumps(shown))


def _meaning(model: type[BaseModel], name: str) -> str:
    """Return the docstring under a field, of the nearest class that has one."""
    for each in model.__mro__:
        if issubclass(each, BaseModel) and each is not BaseModel and (found := _docstrings(each).get(name)):
            return prose(found)
    return ""


@cache
def _docstrings(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the docstrings under the fields that a class itself declares, by name."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    return dict(_documented(tree)) if isinstance(tree, ast.ClassDef) else {}


def _documented(tree: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, text
            case _:
                pass
