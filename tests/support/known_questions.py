"""Questions whose right answers are known, each with plausible wrong ones: from reasoning-gym, Inspect, or made here.

`file` writes them as `moa-mcp eval` reads them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["number", "choice", "text", "json"]
LETTERS = "ABCDEFGHIJ"
NUMBERS = ("basic_arithmetic", "chain_sum", "gsm_symbolic", "leg_counting", "lcm", "count_primes")
"""Generators of reasoning-gym whose answers are numbers."""
TEXTS = ("spell_backward", "sentence_reordering", "number_format", "caesar_cipher")
"""Those whose answers are short texts."""


@dataclass(frozen=True, slots=True)
class KnownQuestion:
    """A question with its right answer and wrong ones."""

    id: str
    text: str
    kind: Kind
    right: str
    wrong: tuple[str, ...]
    """The first one is the typical mistake."""
    choices: tuple[str, ...] = ()
    cluster: str | None = None
    """Questions of a cluster are of similar difficulty."""
    extra: dict[str, Any] = field(default_factory=dict)

    def line(self, *, answered: bool = True) -> dict[str, Any]:
        """Return its line in a question file; without its answer, it is an open question."""
        given: dict[str, Any] = {"id": self.id, "question": self.text, **self.extra}
        if answered:
            given["answer"] = json.loads(self.right) if self.kind == "json" else self.right
        if self.choices:
            given["choices"] = [*self.choices]
        return given if self.cluster is None else given | {"cluster": self.cluster}


def file(questions: Iterable[KnownQuestion], path: Path, *, answered: bool = True) -> Path:
    """Write a question file as JSON Lines and return its path."""
    path.write_text("".join(f"{json.dumps(each.line(answered=answered))}\n" for each in questions), "utf-8")
    return path


def dumped(questions: Iterable[KnownQuestion]) -> list[dict[str, Any]]:
    """Return the questions for `loaded`."""
    return [asdict(each) for each in questions]


def loaded(given: Iterable[dict[str, Any]]) -> list[KnownQuestion]:
    """Return the questions from `dumped`, also after they were JSON."""
    return [
        KnownQuestion(**{**each, "wrong": tuple(each["wrong"]), "choices": tuple(each["choices"])}) for each in given
    ]


def sums(count: int, *, seed: int = 1, clusters: int = 0) -> list[KnownQuestion]:
    """Return sums, made here: what needs no other package. With `clusters`, of that many clusters of equal size."""
    rng = Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        a, b, c = rng.randint(12, 99), rng.randint(12, 99), rng.randint(2, 999)
        found[f"What is {a} * {b} + {c}?"] = str(a * b + c)
    return [
        KnownQuestion(f"q{number}", text, "number", right, wrong_numbers(right), cluster=_cluster(number, clusters))
        for number, (text, right) in enumerate(found.items(), 1)
    ]


def _cluster(number: int, clusters: int) -> str | None:
    return f"c{number % clusters}" if clusters else None


def gym(count: int, *names: str, seed: int = 1) -> list[KnownQuestion]:
    """Return questions of reasoning-gym, the same number of each generator as far as possible.

    A generator whose answers are neither numbers nor short texts gives none; a question that occurs twice is left out.
    """
    import reasoning_gym  # noqa: PLC0415  it takes a second to load

    chosen = names or (*NUMBERS, *TEXTS)
    found: dict[str, tuple[str, str]] = {}
    state = random.getstate()
    try:
        for number, name in enumerate(chosen):
            size = count // len(chosen) + (number < count % len(chosen))
            made = reasoning_gym.create_dataset(name, seed=seed, size=4 * size + 8)
            entries = {each["question"].strip(): str(each["answer"]).strip() for each in made}
            found |= {text: (name, answer) for text, answer in [*entries.items()][:size] if answer}
    finally:
        random.setstate(state)
    return _of_answers(found)


def as_choices(questions: Sequence[KnownQuestion], *, seed: int = 1, options: int = 4) -> list[KnownQuestion]:
    """Return questions as multiple choice: the right answer among wrong ones, in random order."""
    return [_as_choice(each, Random(f"{seed} {each.id}"), options) for each in questions]


def in_json(questions: Sequence[KnownQuestion]) -> list[KnownQuestion]:
    """Return questions that ask for an object with the answer."""
    ask = ' Reply with JSON: {"result": …}.'
    return [
        KnownQuestion(each.id, each.text + ask, "json", _object(each.right), tuple(map(_object, each.wrong)))
        for each in questions
    ]


def shipped_with_inspect(name: str) -> list[KnownQuestion]:
    """Return a small set that inspect-ai ships: `theory_of_mind` (texts) or `security_guide` (texts to be judged)."""
    from inspect_ai.dataset import example_dataset  # noqa: PLC0415  it takes seconds to load

    samples = example_dataset(name)
    found = {_asked(each.input).strip(): (name, str(each.target).strip()) for each in samples}
    return _of_answers(found)


def _asked(given: Any) -> str:
    return given if isinstance(given, str) else str(given[-1].text)


def wrong_numbers(right: str) -> tuple[str, ...]:
    """Return six plausible wrong values of a number: slips of one, ten or a factor, and swapped digits."""
    value = Decimal(right)
    one = Decimal(1).scaleb(min(0, int(value.as_tuple().exponent)))
    swapped = Decimal(re.sub(r"(\d)(\d)$", r"\2\1", right))
    slips = (value + 10 * one, value - one, swapped, value + one, 2 * value, -value, value - 10 * one, value + 2 * one)
    different = dict.fromkeys(f"{each:f}" for each in slips if each not in {value, Decimal(0)})
    return tuple(different)[:6]


def _of_answers(found: dict[str, tuple[str, str]]) -> list[KnownQuestion]:
    texts = [answer for _, answer in found.values() if not _is_number(answer)]
    made = []
    for number, (text, (name, answer)) in enumerate(found.items(), 1):
        kind: Kind = "number" if _is_number(answer) else "text"
        wrong = wrong_numbers(answer) if kind == "number" else _wrong_texts(answer, texts)
        made.append(KnownQuestion(f"{name}-{number}", text, kind, answer, wrong))
    return made


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def _wrong_texts(right: str, others: Sequence[str]) -> tuple[str, ...]:
    """Return wrong texts: the right one with a slip, and answers to other questions."""
    drawn = Random(right).sample([*others], min(6, len(others)))
    found = dict.fromkeys((right[1:] + right[:1], right[::-1], *drawn))
    return tuple(each for each in found if _letters(each) not in {_letters(right), ""})[:6]


def _letters(text: str) -> str:
    """Return what is left of a text for those who ignore case, spaces and signs."""
    return re.sub(r"[\W_]", "", text).casefold()


def _as_choice(question: KnownQuestion, rng: Random, options: int) -> KnownQuestion:
    shown = [question.right, *question.wrong[: options - 1]]
    order = rng.sample(range(len(shown)), len(shown))
    letters = {original: LETTERS[place] for place, original in enumerate(order)}
    wrong = tuple(letters[number] for number in range(1, len(shown)))
    choices = tuple(shown[number] for number in order)
    return KnownQuestion(question.id, question.text, "choice", letters[0], wrong, choices, question.cluster)


def _object(value: str) -> str:
    return json.dumps({"result": int(value) if re.fullmatch(r"-?\d+", value) else value})
