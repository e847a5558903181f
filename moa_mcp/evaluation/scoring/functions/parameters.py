"""What a scoring function takes, by its signature: the question, the answer, the right answer, and further facts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter

from msgspec import Struct

from moa_mcp.evaluation.question import EvalQuestion

FIRST = ("question", "answer", "expected")
FURTHER = ("id", "choices", "context", "system", "cluster", "metadata")
"""What a function may take besides, by name."""
_FORM = "score(question, answer, expected)"


class SignatureRefused(ValueError):
    """A function can't be called with what is known. The message follows its name."""


class Signature(Struct, frozen=True):
    """How a function is called."""

    positional: bool
    """Whether question, answer and right answer are its first three arguments, whatever their names."""
    names: tuple[str, ...]
    """The arguments that it takes by name."""

    def arguments(self, question: EvalQuestion, answer: str) -> tuple[Sequence[object], Mapping[str, object]]:
        """Return the positional and the named arguments for an answer."""
        item = question.item
        known: Mapping[str, object] = {
            "question": question.text,
            "answer": answer,
            "expected": question.answer,
            "id": question.id,
            "choices": list(question.choices),
            "context": item.context,
            "system": item.system,
            "cluster": question.cluster,
            "metadata": dict(question.metadata),
        }
        first = [known[name] for name in FIRST] if self.positional else []
        return first, {name: known[name] for name in self.names}


def parameters_of(function: Callable[..., object]) -> Signature:
    """Return how a function is called.

    A function whose parameters have known names gets these by name; else the first three get question, answer and
    right answer.

    Raises:
        SignatureRefused: it takes too few arguments, or needs one that is not known.

    """
    try:
        taken = [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):  # of a function in C
        return Signature(positional=True, names=())
    every = any(each.kind is Parameter.VAR_KEYWORD for each in taken)
    named = [each for each in taken if each.kind in {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}]
    own = [each for each in taken if each.kind is Parameter.POSITIONAL_ONLY]
    needed = [each.name for each in named if each.default is Parameter.empty]
    if not own and {*needed} <= {*FIRST, *FURTHER} and ("answer" in {each.name for each in named} or every):
        wanted = (*FIRST, *FURTHER) if every else tuple(each.name for each in named)
        return Signature(positional=False, names=tuple(name for name in wanted if name in {*FIRST, *FURTHER}))
    return _by_position(taken, every=every)


def _by_position(taken: Sequence[Parameter], *, every: bool) -> Signature:
    places = [each for each in taken if each.kind in {Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD}]
    if len(places) < len(FIRST) and not any(each.kind is Parameter.VAR_POSITIONAL for each in taken):
        raise SignatureRefused(f"takes {_listed(taken)}; write it as {_FORM}")
    rest = [*places[len(FIRST) :], *(each for each in taken if each.kind is Parameter.KEYWORD_ONLY)]
    unknown = [each.name for each in rest if each.default is Parameter.empty and each.name not in FURTHER]
    if unknown:
        further = ", ".join(FURTHER)
        raise SignatureRefused(f"needs {unknown[0]!r}, which is unknown; besides {_FORM} it can take {further}")
    names = FURTHER if every else tuple(each.name for each in rest if each.name in FURTHER)
    return Signature(positional=True, names=names)


def _listed(taken: Sequence[Parameter]) -> str:
    return f"({', '.join(map(str, taken))})" if taken else "no arguments"
