"""The fields of a question in a file: checks each value and returns the question. It knows no other lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import isfinite
from string import ascii_uppercase
from typing import cast

from msgspec.structs import replace
from pydantic import JsonValue

from moa_mcp.batch.items import KINDS, InvalidItem, Raw, check_names, item, question_in, shown, text_of
from moa_mcp.evaluation.question import EvalQuestion
from moa_mcp.text.surrogates import mended
from moa_mcp.text.visible import quoted

_OF_ITEM = ("question", "id", "context", "images", "system")
FIELDS = (*_OF_ITEM, "answer", "choices", "cluster")
"""What a question may have."""
_ANSWERS = ("target", "label", "answer_key", "answerkey", "expected", "ideal", "gold", "solution", "correct")
"""What data sets also call the answer, in lower case."""
_OPTIONS = ("options", "mc1_targets", "mcq_options")
_FEWEST = 2


def question_of(raw: Raw, line: int) -> EvalQuestion:
    """Return the question of a line, whose ID is the number of the line if it has none. Raises `InvalidItem`."""
    check_names(raw, FIELDS)
    question_in(raw)  # raises with all fields
    read = item({name: raw[name] for name in _OF_ITEM if name in raw}, line)
    _check_other_names(raw)
    choices = _choices(raw.get("choices"))
    answer = _answer(raw.get("answer"))
    return EvalQuestion(
        str(line) if read.id is None else str(read.id),
        replace(read, id=None, question=shown_with_choices(read.question, choices)),
        _letter(answer, choices) if choices and answer is not None else answer,
        choices,
        _cluster(raw.get("cluster")),
        _others(raw),
    )


def shown_with_choices(question: str, choices: Sequence[str]) -> str:
    """Return a question with its options below it, each on a line with its letter: ``A) Paris``."""
    if not choices:
        return question
    options = "\n".join(f"{letter}) {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False))
    return f"{question}\n\n{options}"


def _check_other_names(raw: Raw) -> None:
    """Raise `InvalidItem` for an answer or choices under another usual name: they would not be used."""
    for field, names in (("answer", _ANSWERS), ("choices", _OPTIONS)):
        other = next((name for name in raw if name.lower() in names), None)
        if other is not None and field not in raw:
            raise InvalidItem(f'it has no "{field}"; rename {quoted(other)} to "{field}"')


def _answer(value: object) -> str | None:
    """Return the answer as a text; that of another JSON value is its JSON."""
    if isinstance(value, str):
        return text_of("answer", value)
    if isinstance(value, float) and not isfinite(value):
        raise InvalidItem(f"its answer is {value}; write a finite number, or a text")
    return None if value is None else mended(json.dumps(value, ensure_ascii=False))


def _choices(value: object) -> tuple[str, ...]:
    """Return the options: a list, which a cell of a CSV file has as JSON."""
    if isinstance(value, str) and value.strip():
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        return ()
    if not isinstance(value, list):
        raise InvalidItem(f'its choices are {shown(value)}; write a list of texts, such as ["Paris", "Rome"]')
    choices = tuple(_choice(each) for each in cast("list[object]", value))
    if len(choices) < _FEWEST:
        raise InvalidItem(f"its choices are {len(choices)}; write at least {_FEWEST}, or leave them out")
    if len(choices) > len(ascii_uppercase):
        raise InvalidItem(f"its choices are {len(choices)}; write at most {len(ascii_uppercase)}")
    for letter, choice in zip(ascii_uppercase, choices, strict=False):
        first = choices.index(choice)
        if ascii_uppercase[first] != letter:
            raise InvalidItem(f"its choices {ascii_uppercase[first]} and {letter} are the same: {shown(choice)}")
    return choices


def _choice(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return mended(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    found = "empty" if isinstance(value, str) else KINDS[type(value)]
    raise InvalidItem(f"one of its choices is {found}; write texts")


def _letter(answer: str, choices: Sequence[str]) -> str:
    """Return the letter of the right option, which the file has as a letter or as the text of the option."""
    given = answer.strip()
    letters = ascii_uppercase[: len(choices)]
    named = given.upper() if len(given) == 1 and given.upper() in letters else None
    same = letters[choices.index(given)] if given in choices else None
    if named and same and named != same:
        raise InvalidItem(
            f"its answer {shown(given)} is the letter of one option and the text of option {same}; write {same} if "
            f"you mean that one, and change the texts of the options"
        )
    if named or same:
        return str(same or named)
    if len(given) == 1 and given.upper() in ascii_uppercase:
        raise InvalidItem(f"its answer is {shown(given)}, and its choices go from A to {letters[-1]}")
    raise InvalidItem(
        f"its answer {shown(given)} is not among its choices; write a letter from A to {letters[-1]}, or the text of "
        "an option"
    )


def _cluster(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_of("cluster", value)


def _others(raw: Raw) -> Mapping[str, JsonValue]:
    return cast("Mapping[str, JsonValue]", {name: value for name, value in raw.items() if name not in FIELDS})
