"""Decides what counts in a judge's reply.

The rules, in this order:

1. An object with the key of this prompt counts, at any position. If there are several, they must agree.
2. Without such an object: an object that is the whole reply counts, with or without a code fence. Otherwise, an object
   counts if the judge's prompt does not contain it, because an answer may contain a verdict to be quoted. An object
   with another key never counts.
3. Without an object: a reply counts that is nothing but a number, a list for a ranking, or yes or no for equivalence.
   A verdict that is also read in words (`prose`) counts where the reply states it, and the prompt does not.
4. An ambiguous reply has no verdict: several numbers that differ, fractions, or a number that no answer has.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import cached_property
from typing import Generic, Literal, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from moa_mcp.values import Message
from moa_mcp.verdicts import values
from moa_mcp.verdicts.objects import Object, Value, alone, objects, pairs, value
from moa_mcp.verdicts.replies import bare, spoken, unwrapped
from moa_mcp.verdicts.values import name

Verdict = TypeVar("Verdict", bound=Hashable)

_DEEPEST = 6
_OTHER_WORDS = {
    "number", "answernumber", "answerid", "choice", "vote", "verdict", "best", "bestanswer", "winner", "selected",
    "selection", "selectedanswer", "chosen", "chosenanswer", "finalanswer", "pick", "response", "option", "result",
    "答案", "回答", "antwort", "réponse", "respuesta", "risposta", "resposta", "ответ",
}  # fmt: skip
_OTHER_ORDERS = {
    "rankings", "ranked", "rank", "order", "ordering", "finalranking", "rankedanswers", "result", "answers",
    "numbers", "排名", "rangfolge", "classement",
}  # fmt: skip
_OTHER_TRUTHS = {
    "equivalence", "areequivalent", "allequivalent", "equal", "same", "agree", "agreement", "verdict", "answer",
    "result",
}  # fmt: skip


class Asked(NamedTuple):
    """The question to a judge."""

    answers: int
    """Number of answers in its prompt."""
    key: str
    shown: str
    """The whole prompt, to detect quotes from it."""

    @classmethod
    def of(cls, answers: int, key: str, messages: Iterable[Message]) -> Asked:
        """Return the question that these messages ask."""
        return cls(answers, key, "\n".join(message.content for message in messages))


def read_vote(reply: str, asked: Asked) -> int | None:
    """Return the number that a judge chose; None if the reply is ambiguous or has none."""
    form = VerdictField("answer", _OTHER_WORDS, lambda held: values.number(held, asked.answers))
    return _Reply(reply, asked, form).verdict()


def read_ranking(reply: str, asked: Asked, at_least: int) -> tuple[int, ...] | None:
    """Return a judge's ranking as answer numbers, best first; None if the reply is ambiguous or has none.

    A ranking may omit answers, but needs `at_least` this many.
    """
    form = VerdictField("ranking", _OTHER_ORDERS, lambda held: values.ranking(held, asked.answers))
    ranking = _Reply(reply, asked, form).verdict()
    return ranking if ranking is not None and len(ranking) >= at_least else None


def read_equivalence(reply: str, asked: Asked) -> bool | None:
    """Return whether a judge finds the answers equivalent; None if the reply is ambiguous or does not say it."""
    return _Reply(reply, asked, VerdictField("equivalent", _OTHER_TRUTHS, values.truth)).verdict()


def read_verdict(reply: str, asked: Asked, field: VerdictField[Verdict]) -> Verdict | None:
    """Return the value of the field in a reply; None if the reply is ambiguous or has none."""
    return _Reply(reply, asked, field).verdict()


class VerdictField(Struct, Generic[Verdict], frozen=True):
    """The field of the JSON that a prompt asks for, and how its value is read."""

    field: str
    others: set[str]
    """Other field names that are accepted if the requested one is missing."""
    read: Callable[[Value], Verdict | None]
    prose: Callable[[str, str], Verdict | None] | None = None
    """Reads a reply without such a field, from its text and the prompt; None if only the bare value counts."""


class _Statement(Struct, Generic[Verdict], frozen=True):
    """A verdict that an object states."""

    verdict: Verdict | None
    """None if it can't be read."""
    key: Literal["right", "wrong"] | None
    source: Object
    aside: bool = False
    """Whether it is part of an object with other content."""
    loose: bool = False
    """Whether its field has another name than requested."""


class _Reply(Generic[Verdict]):
    """A judge's reply to one prompt."""

    def __init__(self, text: str, asked: Asked, form: VerdictField[Verdict]) -> None:
        self._asked = asked
        self._form = form
        visible, self._sure = spoken(text)
        self._text = unwrapped(visible)

    def verdict(self) -> Verdict | None:
        """Return the verdict if it is unambiguous."""
        found = objects(self._text)
        if found is None:
            return None
        whole = alone(self._text, found) is not None or self._list is not None
        statements = [each for one in found for each in self._statements(one) if whole or not _merely_loose(each)]
        keyed = [each for each in statements if each.key == "right"]
        counted = [each for each in keyed or statements if self._counts(each, whole=whole and self._sure)]
        if statements:
            return _agreed(each.verdict for each in counted)
        return self._plain()

    @cached_property
    def _list(self) -> list[Value] | None:
        """The list, if the reply is exactly one; else None."""
        held = value(self._text) if self._text.startswith("[") else None
        return held if isinstance(held, list) else None

    def _counts(self, statement: _Statement[Verdict], *, whole: bool) -> bool:
        if statement.key == "wrong":
            return False
        own = (whole or statement.key == "right") and not statement.aside
        return own or not self._planted(statement)

    def _planted(self, statement: _Statement[Verdict]) -> bool:
        """Whether the judge's prompt contained the same verdict, ignoring spaces and quotes."""
        source = bare(self._text[statement.source.start : statement.source.end])
        return self._shown is None or statement.verdict in self._shown or source in self._bare_shown

    @cached_property
    def _shown(self) -> set[Verdict] | None:
        found = objects(self._asked.shown)
        if found is None:
            return None
        found_verdicts = {each.verdict for one in found for each in self._statements(one)}
        return {each for each in found_verdicts if each is not None}

    @cached_property
    def _bare_shown(self) -> str:
        return bare(self._asked.shown)

    def _plain(self) -> Verdict | None:
        """Read a reply without objects: a list, lines of names and values, the bare value, or words."""
        bare_value = self._bare_value()
        if bare_value is None and self._form.prose is not None:
            return self._form.prose(self._text, self._asked.shown)
        return bare_value

    def _bare_value(self) -> Verdict | None:
        text = self._text.replace("*", "").strip()
        if self._list is not None:
            return self._form.read(self._list)
        named = pairs(text)
        if named is not None and {name(field) for field, _ in named.fields} <= {"key", self._form.field}:
            return _agreed(each.verdict for each in self._statements(named) if each.key != "wrong")
        return self._form.read(text)

    def _statements(self, found: Object, depth: int = 0) -> Iterator[_Statement[Verdict]]:
        """Yield the verdicts of an object itself, else those of the objects inside it."""
        key = self._key(found)
        fields = [(name(field), held) for field, held in found.fields]
        named = [held for field, held in fields if field == self._form.field]
        loose = [held for field, held in fields if field in self._form.others and not isinstance(held, Object)]
        verdicts = {self._form.read(held) for held in named or loose}
        nested = [held for _, held in fields if isinstance(held, Object | list)]
        if named or (verdicts - {None}):
            yield _Statement(verdicts.pop() if len(verdicts) == 1 else None, key, found, loose=not named)
        elif depth < _DEEPEST:
            inner = [each for held in nested for each in self._within(held, depth + 1)]
            others = len(fields) - any(field == "key" for field, _ in fields)
            for each in inner:
                inherits = len(inner) == 1 or key == "wrong"
                handed = each.key or (key if inherits else None)
                yield replace(each, key=handed, aside=each.aside or others > 1)

    def _within(self, held: Object | list[Value], depth: int) -> Iterator[_Statement[Verdict]]:
        if isinstance(held, Object):
            yield from self._statements(held, depth)
        elif depth < _DEEPEST:
            for item in held:
                if isinstance(item, Object | list):
                    yield from self._within(item, depth + 1)

    def _key(self, found: Object) -> Literal["right", "wrong"] | None:
        keys = {name(held) if isinstance(held, str) else "" for field, held in found.fields if name(field) == "key"}
        if not keys:
            return None
        return "right" if keys == {self._asked.key} else "wrong"


def _merely_loose(statement: _Statement[Verdict]) -> bool:
    return statement.loose and statement.key != "right"


def _agreed(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    """Return the common value; None if they differ or one can't be read."""
    different = set(verdicts)
    return different.pop() if len(different) == 1 else None
