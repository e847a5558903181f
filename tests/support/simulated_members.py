"""Simulated models whose competence is stated and whose errors are correlated, on questions with known answers.

Whether an answer is right follows from a latent normal variable: a part that all members share (the difficulty of the
question), a part that all samples of a member share, and noise of each sample. So the share of right answers is the
stated competence, and errors go together as stated. What a model says depends only on the seed of the world, the
question and the request: the same request gets the same answers, whatever was asked before.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from statistics import NormalDist
from typing import Any, Literal, NamedTuple, TypeAlias

from moa_mcp.steps import prompts
from tests.support.known_questions import KnownQuestion

NORMAL = NormalDist()
Part: TypeAlias = Literal["answer", "merged", "verdict", "judged", "unknown"]
"""What a reply is: of a model that saw only the question, or that saw answers; of a judge in a step, or of one of an
evaluation; or to no known question."""
_SENTENCES = (
    "First, I write down what is given.",
    "Next, I look at the parts one after the other.",
    "This step follows from the one before.",
    "A quick check with rounded values gives the same order of magnitude.",
    "One part of the question is easy to overlook, so I read it again.",
    "There are 2 ways to see this, and both lead to the same place.",
    "Let me go through it in 3 steps.",
)
_ENDINGS = {
    "number": (
        "**Answer: VALUE**",
        "The answer is **VALUE**.",
        "Therefore:\n\n$$\\boxed{VALUE}$$",
        "So the final answer is VALUE.",
        "**Final answer:** VALUE",
        "Hence the result is \\(\\boxed{VALUE}\\).",
        "### Answer\n\nVALUE",
    ),
    "choice": (
        "**Answer: VALUE**",
        "The correct answer is (VALUE).",
        "So the answer is **VALUE**.",
        "Answer: VALUE",
        "$\\boxed{\\text{VALUE}}$",
    ),
    "text": ("VALUE",),
    "json": ("```json\nVALUE\n```", "VALUE"),
}
"""How real models write the value at the end, by kind of question."""
_TAIL = 400
_SEPARATED = 0.3
_CHARACTERS = 400
_JUDGE_FORM = re.compile(r'\{"key": "(?P<key>[a-z]+)", "reason": "…", "(?P<field>better|grade|score)": ')
_GRADED = re.compile(
    r"^----- answer \((?P<mark>[0-9a-f]+)\) -----\n(.*?)\n----- end of answer \((?P=mark)\) -----",
    re.MULTILINE | re.DOTALL,
)
_SCALE = re.compile(r"where N is a number from (\S+) to (\S+)")
_SEPARATOR = re.compile(r"(?<=\d),(?=\d{3})")


@dataclass(frozen=True, slots=True)
class Member:
    """A simulated model."""

    name: str
    competence: float = 0.7
    """The probability that an answer is right, over all questions."""
    shared: float = 0.3
    """The part of the variance of the latent variable that all members have in common."""
    own: float = 0.2
    """The part that all samples of this member have in common."""
    sentences: int = 3
    """Of reasoning, on average."""
    typical: float = 0.5
    """The probability that a wrong answer is the typical mistake of the question."""
    picks: float = 0.9
    """The probability that it takes a right answer, if it sees right and wrong ones."""
    discernment: float = 2.0
    """Of a judge of two answers: the logit by which it prefers a right answer to a wrong one."""
    position: float = 0.0
    """The logit by which it prefers the answer that it sees first."""
    length: float = 0.0
    """The logit by which it prefers an answer that is much longer; half of that for 220 characters more."""
    ties: float = 0.0
    """The probability of a tie if both answers are right, or both wrong."""
    unreadable: float = 0.0
    """The probability of a verdict that can't be read."""


class Said(NamedTuple):
    """What a simulated model replied, and what is known about it."""

    text: str
    part: Part
    question: str = ""
    """Its ID; empty if the request has no known question."""
    value: str = ""
    right: bool | None = None
    """None for a reply that answers no question."""


class World:
    """Members and questions. It has no state, so that it can be started again at any time."""

    def __init__(self, members: Sequence[Member], questions: Sequence[KnownQuestion], seed: int = 0) -> None:
        self.members = {each.name: each for each in members}
        self.questions = {each.id: each for each in questions}
        self.seed = seed
        self._by_text = {each.text: each for each in questions}
        self._longest_first = sorted(questions, key=lambda each: -len(each.text))
        self._found = lru_cache(4096)(self._find)

    def right(self, member: Member, question: KnownQuestion, sample: str) -> bool:
        """Whether a sample of a member is right."""
        parts = (
            (member.shared, f"difficulty {question.cluster or question.id}"),
            (member.own, f"own {member.name} {question.id}"),
            (1 - member.shared - member.own, f"noise {member.name} {question.id} {sample}"),
        )
        latent = sum(math.sqrt(part) * NORMAL.inv_cdf(self._rng(key).random()) for part, key in parts if part > 0)
        return latent < NORMAL.inv_cdf(member.competence)

    def value(self, member: Member, question: KnownQuestion, sample: str) -> str:
        """Return the value that a sample of a member states."""
        if self.right(member, question, sample):
            return question.right
        rng = self._rng(f"mistake {member.name} {question.id} {sample}")
        return question.wrong[0] if rng.random() < member.typical else rng.choice(question.wrong)

    def answer(self, member: Member, question: KnownQuestion, value: str, sample: str) -> str:
        """Return an answer in prose that ends with the value; a text or an object without reasoning."""
        rng = self._rng(f"words {member.name} {question.id} {sample}")
        ending = rng.choice(_ENDINGS[question.kind]).replace("VALUE", _written(value, question, rng))
        if question.kind in {"text", "json"}:
            return ending
        count = max(0, round(rng.gauss(member.sentences, member.sentences / 4)))
        return "\n\n".join((" ".join(rng.choices(_SENTENCES, k=count)), ending)).strip()

    def reply(self, body: dict[str, Any], index: int, repeat: int = 0) -> Said:
        """Return the reply to a request, which asks for several answers by `n`; `index` is the number of this one.

        With `repeat`, the request is one of several equal ones that get different answers.
        """
        member = self.members.get(body.get("model", "")) or Member(body.get("model", ""))
        system, user = _texts(body)
        question = self._found(system, user)
        if question is None:
            return Said("I do not know this question.", "unknown")
        sample = _digest(system, user, *(str(body.get(name)) for name in ("temperature", "n")), str(index), str(repeat))
        if judged := _JUDGE_FORM.search(system):
            return Said(self._judged(member, judged, question, (system, user), sample), "judged", question.id)
        shown = prompts.unfenced(system)
        form = prompts.asked_form(system)
        if form is not None:
            return Said(self._verdict(member, form, question, shown, sample), "verdict", question.id)
        if shown:
            value = self.merged(member, question, [stated(question, text) for text in shown], sample)
            part: Part = "merged"
        else:
            value, part = self.value(member, question, sample), "answer"
        text = self.answer(member, question, value, sample)
        return Said(text, part, question.id, value, value == question.right)

    def _find(self, system: str, user: str) -> KnownQuestion | None:
        exact = self._by_text.get(user)
        both = f"{user}\n{system}"
        return exact or next((each for each in self._longest_first if each.text in both), None)

    def merged(self, member: Member, question: KnownQuestion, values: Sequence[str | None], sample: str) -> str:
        """Return the value of an answer written from others: see `Member.picks`; else the most frequent wrong one."""
        known = [value for value in values if value is not None]
        wrong = [value for value in known if value != question.right]
        if not known:
            return self.value(member, question, sample)
        if not wrong:
            return question.right
        rng = self._rng(f"merged {member.name} {question.id} {sample}")
        if question.right in known and rng.random() < member.picks:
            return question.right
        return max(wrong, key=Counter(wrong).__getitem__)

    def _verdict(
        self, member: Member, form: prompts.VerdictForm, question: KnownQuestion, shown: Sequence[str], sample: str
    ) -> str:
        """Return the JSON that a judge of a step is asked for."""
        values = [stated(question, text) for text in shown]
        if form.field == "equivalent":
            return json.dumps({"key": form.key, "equivalent": len({*values}) == 1})
        if form.field == "consensus":
            empty: dict[str, list[str]] = {
                name: [] for name in ("contradictions", "partial_coverage", "unique_insights", "blind_spots")
            }
            points = [{"point": "The question is the same.", "answers": [*range(1, len(shown) + 1)]}]
            return json.dumps({"key": form.key, "consensus": points, **empty})
        chosen = self.merged(member, question, values, sample)
        order = sorted(range(1, len(shown) + 1), key=lambda number: values[number - 1] != chosen)
        return json.dumps({"key": form.key, form.field: order if form.field == "ranking" else order[0]})

    def _judged(
        self, member: Member, form: re.Match[str], question: KnownQuestion, asked: tuple[str, str], sample: str
    ) -> str:
        """Return the reply of a judge of an evaluation, which compares two answers or grades one."""
        rng = self._rng(f"judged {member.name} {question.id} {sample}")
        if rng.random() < member.unreadable:
            return "Both have their merits, and it depends on what one is looking for."
        system, user = asked
        if form["field"] == "better":
            said: object = self.better(member, question, prompts.unfenced(user), rng)
        else:
            graded = _GRADED.search(user)
            right = graded is not None and stated(question, graded[2]) == question.right
            believed = right == (rng.random() < member.picks)
            low, high = (float(each) for each in scale.groups()) if (scale := _SCALE.search(system)) else (0.0, 1.0)
            said = (high if believed else low) if form["field"] == "score" else "correct" if believed else "incorrect"
        return json.dumps({"key": form["key"], "reason": "This is what I see.", form["field"]: said})

    def better(self, judge: Member, question: KnownQuestion, shown: Sequence[str], rng: Random) -> int:
        """Return which of two answers a judge prefers: 1, 2, or 0 for a tie."""
        first, second = (stated(question, text) == question.right for text in shown)
        if first == second and rng.random() < judge.ties:
            return 0
        longer = math.tanh((len(shown[0]) - len(shown[1])) / _CHARACTERS)
        logit = judge.discernment * (first - second) + judge.position + judge.length * longer
        return 1 if rng.random() < 1 / (1 + math.exp(-logit)) else 2

    def _rng(self, key: str) -> Random:
        return Random(f"{self.seed} {key}")


def stated(question: KnownQuestion, text: str) -> str | None:
    """Return which of the values of a question an answer of a member ends with; None if none."""
    values = sorted((question.right, *question.wrong), key=len, reverse=True)
    if question.kind in {"text", "json"}:
        return next((value for value in values if value.casefold() in text.casefold()), None)
    tail = _SEPARATOR.sub("", text[-_TAIL:])
    found = {value: [*re.finditer(rf"(?<![\w.,-]){re.escape(value)}(?![\w])(?!\.\d)", tail)] for value in values}
    return max((value for value in values if found[value]), key=lambda value: found[value][-1].end(), default=None)


def _written(value: str, question: KnownQuestion, rng: Random) -> str:
    """Return a value as it is written: a large number often has separators of thousands."""
    large = question.kind == "number" and re.fullmatch(r"-?\d{4,}", value)
    return f"{int(value):,}" if large and rng.random() < _SEPARATED else value


def _texts(body: dict[str, Any]) -> tuple[str, str]:
    """Return all system messages of a request as one text, and the last message of the user."""
    messages = [(each.get("role"), _content(each)) for each in body.get("messages", ())]
    system = "\n\n".join(text for role, text in messages if role == "system")
    return system, next((text for role, text in reversed(messages) if role == "user"), "")


def _content(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
