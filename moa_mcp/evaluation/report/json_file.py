"""An evaluation as JSON, in a file or a text. The text is in ASCII, so that no encoding can break it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TypeVar, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from moa_mcp.errors import MoaError
from moa_mcp.evaluation.report.files import write_file
from moa_mcp.evaluation.result import FORMAT, Comparison, Duel, Evaluation, Verdict
from moa_mcp.text.visible import quoted

Value = TypeVar("Value")
_SHOWN = 60
"""Characters of a wrong value that a message quotes."""


class EvaluationUnreadable(MoaError):
    """A file is not an evaluation that this version can read. The message names the file, the place and the remedy."""


def encoded(evaluation: Evaluation) -> str:
    """Return the JSON text of an evaluation, with a final newline."""
    return f"{json.dumps(evaluation.model_dump(), default=_decimal, allow_nan=False, indent=1)}\n"


def write(evaluation: Evaluation, path: Path, *, private: bool = False) -> None:
    """Write an evaluation to a file as a whole; a private one can be read by its owner alone.

    Raises:
        OSError: it can't be written.

    """
    write_file(path, encoded(evaluation).encode(), private=private)


def read(path: Path) -> Evaluation:
    """Read an evaluation from a file.

    Raises:
        EvaluationUnreadable: there is no such file, it is damaged, of a later format or not an evaluation.

    """
    try:
        return decoded(path.read_bytes(), str(path))
    except OSError as error:
        raise EvaluationUnreadable(f"can't read {path}: {error.strerror}") from error


def decoded(content: bytes, name: str) -> Evaluation:
    """Return the evaluation of a JSON text; messages call it `name`. Raises `EvaluationUnreadable`."""
    try:
        data: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EvaluationUnreadable(
            f"{name} is not JSON or is cut off ({error}); write it again with moa-mcp eval … --json FILE"
        ) from error
    _check_format(data, name)
    try:
        evaluation = Evaluation.model_validate(data)
    except ValidationError as error:
        raise _unreadable(name, _described(error.errors()[0])) from error
    problem = next(_inconsistent(evaluation), None)
    if problem is not None:
        raise _unreadable(name, problem)
    return evaluation


def _decimal(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"an evaluation has a {type(value).__name__}, which JSON can't have")


def _unreadable(name: str, problem: str) -> EvaluationUnreadable:
    return EvaluationUnreadable(f"{name} is a damaged evaluation: {problem}; write it again with moa-mcp eval")


def _check_format(data: object, name: str) -> None:
    found = cast("dict[str, object]", data).get("format") if isinstance(data, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        raise EvaluationUnreadable(f"{name} is not an evaluation: it has no format; give a file of moa-mcp eval --json")
    if found > FORMAT:
        raise EvaluationUnreadable(
            f"{name} has format {found}, and this version of moa-mcp reads formats up to {FORMAT}; update moa-mcp"
        )


def _described(error: ErrorDetails) -> str:
    place = ".".join(map(str, error["loc"])) or "the whole file"
    if error["type"] in {"missing", "extra_forbidden"}:
        return f"{place}: {error['msg'].lower()}"
    return f"{place} is {quoted(str(error['input'])[:_SHOWN])}: {error['msg'].lower()}"


def _inconsistent(evaluation: Evaluation) -> Iterator[str]:
    """Yield what refers to a question or contestant that the evaluation does not have, or has twice."""
    questions = [each.id for each in evaluation.questions]
    contestants = [each.name for each in evaluation.contestants]
    yield from (f"question {quoted(each)} occurs twice" for each in _repeated(questions))
    yield from (f"contestant {quoted(each)} occurs twice" for each in _repeated(contestants))
    asked = [(each.question, each.contestant) for each in evaluation.outcomes]
    yield from (f"question {quoted(one)} has two outcomes of {quoted(two)}" for one, two in _repeated(asked))
    orders = [(each.question, each.contestant, each.against, each.first) for each in evaluation.verdicts]
    yield from (f"question {quoted(each[0])} has two verdicts in one order" for each in _repeated(orders))
    used = [*(name for _, name in asked), *_named(evaluation)]
    yield from (f"there is no contestant {quoted(each)}" for each in _missing(used, contestants))
    about = [*(question for question, _ in asked), *(each.question for each in evaluation.verdicts)]
    yield from (f"there is no question {quoted(each)}" for each in _missing(about, questions))


def _named(evaluation: Evaluation) -> Iterator[str]:
    yield from (each.contestant for each in evaluation.standings)
    pairs: list[Comparison | Duel | Verdict] = [*evaluation.comparisons, *evaluation.duels, *evaluation.verdicts]
    for pair in pairs:
        yield from (pair.contestant, pair.against)


def _repeated(values: Iterable[Value]) -> Iterator[Value]:
    return (value for value, number in Counter(values).items() if number > 1)


def _missing(used: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    return iter(dict.fromkeys(used).keys() - set(known))
