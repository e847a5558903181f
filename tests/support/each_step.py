"""Steps of every kind in the union, generated from the fields of their classes: a new step is among them by itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from moa_mcp.config import STEP_TYPES, Pipeline, StepDefaults
from moa_mcp.parameters import EFFORTS
from moa_mcp.steps import Step

ALIASES = ("a", "b", "c")
_RANGES = {"max_tokens": 60}
"""By key: how far above the smallest value generated integers go; 3 for all others."""

_WORDS = {"reasoning_effort": EFFORTS}
"""By key: the words that it takes; names of models for all others."""

_LEFT_OUT = {"grace_s"}
"""Keys with which answers may be left behind."""


@cache  # to build a strategy takes longer than to draw from it
def steps_of(kind: str) -> st.SearchStrategy[Step]:
    """Return a strategy of valid steps of a kind, completed with the configuration's defaults."""
    return _models(STEP_TYPES[kind]).map(lambda step: step.completed(StepDefaults(max_tokens=40)))


def any_step() -> st.SearchStrategy[Step]:
    """Return a strategy of valid steps of all kinds."""
    return st.sampled_from(sorted(STEP_TYPES)).flatmap(steps_of)


def pipeline_of(*steps: Step) -> Pipeline:
    """Return a pipeline of these steps."""
    return Pipeline(name="test", title="Test", description="", steps=steps)


def _models(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for key in sorted(model.model_fields.keys() - _LEFT_OUT):
        field = model.model_fields[key]
        (required if field.is_required() else optional)[key] = _values(key, field.annotation, field.metadata)
    tables = st.fixed_dictionaries(required, optional=optional)
    return tables.map(lambda table: _valid(model, table)).filter(lambda step: step is not None)


def _valid(model: type[BaseModel], table: dict[str, Any]) -> BaseModel | None:
    """Return the table as a value, without the keys that do not go with the others; None if it can't be one."""
    try:
        return model.model_validate(table)
    except ValidationError as error:
        wrong = {each["loc"][0] for each in error.errors()} & table.keys()
    return _valid(model, {key: value for key, value in table.items() if key not in wrong}) if wrong else None


def _values(key: str, kind: Any, bounds: list[Any]) -> st.SearchStrategy[Any]:
    inner: tuple[Any, ...] = get_args(kind)
    match get_origin(kind):
        case origin if origin is Annotated:
            return _values(key, inner[0], [*bounds, *_flat(inner[1:])])
        case origin if origin in {Union, UnionType}:
            return st.one_of([_values(key, each, bounds) for each in inner])
        case origin if origin is Literal:
            return st.sampled_from(inner)
        case origin if origin is tuple:
            return st.lists(_values(key, inner[0], []), min_size=1, max_size=4)
        case _:
            return _models(kind) if issubclass(kind, BaseModel) else _plain(key, kind, bounds)


def _flat(metadata: tuple[Any, ...]) -> Iterator[Any]:
    for each in metadata:
        yield from each.metadata if isinstance(each, FieldInfo) else [each]


def _plain(key: str, kind: type, bounds: list[Any]) -> st.SearchStrategy[Any]:
    low = max([getattr(each, name) for each in bounds for name in ("ge", "gt") if hasattr(each, name)], default=0)
    high = min(
        [getattr(each, name) for each in bounds for name in ("le", "lt") if hasattr(each, name)], default=low + 9
    )
    strategies: dict[type, st.SearchStrategy[Any]] = {
        NoneType: st.none(),
        bool: st.booleans(),
        int: st.integers(low, min(high, low + _RANGES.get(key, 3)) if isinstance(high, int) else high),
        float: st.floats(low, high, exclude_min=any(hasattr(each, "gt") for each in bounds), exclude_max=True),
        str: st.sampled_from(_WORDS.get(key, ALIASES)),
    }
    return strategies[kind]
