"""Validates JSON by `jsonschema`, draft 2020-12, within limits of steps and time, and without any network or files.

The only module that knows `jsonschema`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from pydantic import JsonValue

from moa_mcp.schemas.patterns import occurs
from moa_mcp.schemas.strict_json import dumped, parsed
from moa_mcp.schemas.walking import Place

_MOST_STEPS = 100_000
"""Keywords that one validation may evaluate. Schemas of a few hundred characters can need any number of them."""
_TIME_LIMIT_S = 2.0
"""For one validation."""
_MOST_FAULTS = 5
_SHOWN = 200

_Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Any]
"""Evaluates a keyword of a schema: a validator, its value, an instance, the schema."""


class Mismatch(NamedTuple):
    """What is wrong with a value."""

    place: Place
    message: str

    def __str__(self) -> str:
        at = "".join(f"/{name}" for name in self.place)
        return f"at {at}: {self.message}" if at else self.message


class _TooMuch(Exception):
    """A validation exceeds its limits."""


def _library() -> Any:  # noqa: ANN401  it holds no types
    import jsonschema  # noqa: PLC0415  slow to import

    return jsonschema


def fault_of_schema(schema: dict[str, JsonValue]) -> Mismatch | None:
    """Return why something is not a JSON Schema; None if it is one."""
    library = _library()
    try:
        library.Draft202012Validator.check_schema(schema)
    except library.SchemaError as error:
        return Mismatch(tuple(map(str, error.absolute_path)), _message(error))
    except (OverflowError, RecursionError):
        return Mismatch((), "a regular expression in it is nested too deeply, or repeats too much")
    return None


def faults(schema: str, value: JsonValue) -> tuple[Mismatch, ...]:
    """Return what is wrong with a value by a checked schema, the first five; empty if it is valid."""
    try:
        return tuple(_Validator(parsed(schema)).faults(value))
    except RecursionError:
        return (Mismatch((), "it is nested too deeply for the schema"),)
    except ArithmeticError:
        return (Mismatch((), "a number in it is too large to calculate with"),)
    except (_TooMuch, TimeoutError):
        return (Mismatch((), "to validate it takes too long: the schema is too complex for this value"),)


class _Validator:
    """One validation by a schema, and what is left of its limits."""

    def __init__(self, schema: JsonValue) -> None:
        from referencing.jsonschema import EMPTY_REGISTRY  # noqa: PLC0415  as above

        library, standard = _library(), _library().Draft202012Validator
        known: Mapping[str, _Keyword] = {
            **standard.VALIDATORS,
            "pattern": self._pattern,
            "patternProperties": self._pattern_properties,
            "additionalProperties": self._additional_properties,
            "uniqueItems": _unique_items,
        }
        limited = {keyword: self._counted(evaluate) for keyword, evaluate in known.items()}
        kind = library.validators.extend(standard, limited)
        # this registry retrieves nothing; the default one would fetch what a reference names
        self._inner: Any = kind(schema, registry=EMPTY_REGISTRY)
        self._left = _MOST_STEPS
        self._ends = time.monotonic() + _TIME_LIMIT_S

    def faults(self, value: JsonValue) -> Iterator[Mismatch]:
        found: list[Mismatch] = []
        for error in self._inner.iter_errors(value):
            deepest = _library().exceptions.best_match([error])
            found.append(Mismatch(tuple(map(str, deepest.absolute_path)), _message(deepest)))
            if len(found) == _MOST_FAULTS:
                break
        yield from sorted(found)

    def _counted(self, evaluate: _Keyword) -> _Keyword:
        def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Any:  # noqa: ANN401  as jsonschema calls it
            self._left -= 1
            if self._left < 0 or time.monotonic() > self._ends:
                raise _TooMuch
            return evaluate(validator, value, instance, schema)

        return counted

    def _occurs(self, pattern: str, text: str) -> bool:
        return occurs(pattern, text, self._ends - time.monotonic())

    def _pattern(self, validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[Any]:  # noqa: ANN401
        if validator.is_type(instance, "string") and not self._occurs(pattern, instance):
            yield _error(f"{instance!r} does not match {pattern!r}")

    def _pattern_properties(self, validator: Any, named: Any, instance: Any, _: Any) -> Iterator[Any]:  # noqa: ANN401
        if not validator.is_type(instance, "object"):
            return
        for pattern, inner in named.items():
            for name, held in instance.items():
                if self._occurs(pattern, name):
                    yield from validator.descend(held, inner, path=name, schema_path=pattern)

    def _additional_properties(self, validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:  # noqa: ANN401
        if not validator.is_type(instance, "object"):
            return
        others = [name for name in instance if not self._declared(schema, name)]
        if allowed is False and others:
            names = ", ".join(map(repr, others))
            yield _error(f"additional properties are not allowed: {names}")
        elif isinstance(allowed, dict):
            for name in others:
                yield from validator.descend(instance[name], allowed, path=name)

    def _declared(self, schema: Any, name: str) -> bool:  # noqa: ANN401
        patterns: Sequence[str] = schema.get("patternProperties", ())
        return name in schema.get("properties", ()) or any(self._occurs(each, name) for each in patterns)


def _unique_items(validator: Any, wanted: bool, instance: Any, _: Any) -> Iterator[Any]:  # noqa: ANN401
    """Compare items by their text, since comparing all pairs of them may take very long."""
    if wanted and validator.is_type(instance, "array"):
        texts = [canonical(item) for item in instance]
        if len(set(texts)) < len(texts):
            yield _error(f"{instance!r} has equal items")


def canonical(value: JsonValue) -> str:
    """Return a text that equal values share: 1 and 1.0, and objects in any order."""
    match value:
        case dict():
            return f"{{{','.join(sorted(f'{name!r}:{canonical(held)}' for name, held in value.items()))}}}"
        case list():
            return f"[{','.join(map(canonical, value))}]"
        case float() if value.is_integer():
            return repr(int(value))
        case _:
            return repr(value)


def _error(message: str) -> Any:  # noqa: ANN401
    return _library().ValidationError(message)


def _message(error: Any) -> str:  # noqa: ANN401
    """Return the message of an error; if it quotes a long value, a shorter one."""
    message = str(error.message)
    if len(message) <= _SHOWN:
        return message
    wanted = _short(dumped(error.validator_value), _SHOWN // 2)
    return f"{_short(dumped(error.instance), _SHOWN // 2)} is not valid by {error.validator}: {wanted}"


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
