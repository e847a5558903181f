"""The ways of scoring, as the command line writes them."""

from __future__ import annotations

import tomllib
from typing import Literal, TypeAlias, cast, get_args

from pydantic import TypeAdapter, ValidationError

from moa_mcp.evaluation.scoring.comparing import shown
from moa_mcp.steps.extracting import JsonField, Pattern, compilable
from moa_mcp.text.suggest import similar

Named: TypeAlias = Literal["auto", "text", "number", "choice", "json", "judge", "pairwise"]
NAMES: tuple[Named, ...] = get_args(Named)
_SAME: dict[str, Named] = {"exact": "text", "last_number": "number", "numeric": "number"}
_FORMS = """{json = "FIELD"}, {regex = 'PATTERN'} or FILE.py:FUNCTION"""
_TABLE: TypeAdapter[JsonField | Pattern] = TypeAdapter(JsonField | Pattern)


class WayRefused(ValueError):
    """A way of scoring can't be read. The message has it, and valid ones."""


class FunctionFile(str):
    """``FILE.py:FUNCTION``."""

    __slots__ = ()


Way: TypeAlias = Named | JsonField | Pattern | FunctionFile


def way_of(written: str) -> Way:
    """Return a way of scoring. Raises `WayRefused`."""
    plain = written.strip()
    name = _SAME.get(plain, plain)
    if name in NAMES:
        return name
    if plain.startswith("{"):
        return _table(plain)
    path, colon, function = plain.rpartition(":")
    if plain.endswith(".py") or (colon and function.isidentifier() and path.endswith(".py")):
        return FunctionFile(plain)
    near = similar(plain, NAMES, most=1)
    hint = f"did you mean {near[0]}? Use" if near else "use"
    raise WayRefused(f"there is no scoring {shown(plain)}; {hint} {', '.join(NAMES)}, {_FORMS}")


def _table(written: str) -> JsonField | Pattern:
    try:
        table: object = tomllib.loads(f"it = {written}")["it"]
        return cast("JsonField | Pattern", compilable(_TABLE.validate_python(table)))
    except ValidationError:
        pass
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise WayRefused(f"the scoring {shown(written)} can't be read: {error}; write {_FORMS}") from error
    raise WayRefused(f"the scoring {shown(written)} has unknown names or values; write {_FORMS}")
