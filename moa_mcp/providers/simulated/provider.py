"""Simulated models, which need no API key and no server, for demonstrations and tests.

Each text says that it is simulated. The same seed gives the same texts. The models differ in competence, so that a
vote or an aggregate beats a single model on small arithmetic and multiple-choice questions.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from random import Random

import anyio

from moa_mcp.providers.simulated import puzzles
from moa_mcp.steps import prompts
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.values import Call, Completion, Target, Usage

PROVIDER = "simulated"
_VERDICT = "The answer is "
_COMPETENCES = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


def target(agent: str) -> Target:
    """Return the simulated target of an alias."""
    return Target(f"{PROVIDER}/{agent}", PROVIDER)


def competence(agent: str) -> float:
    """Return the probability that the simulated model solves a small question."""
    return _COMPETENCES[hashlib.sha256(agent.encode()).digest()[0] % len(_COMPETENCES)]


class Offline:
    """Answers each call without a model."""

    def __init__(self, delay_s: float = 0.15) -> None:
        self._delay_s = delay_s
        """Mean seconds per answer, so that a display has something to show; 0 for none."""

    async def __call__(self, call: Call) -> Completion:
        prompt = "\n".join(message.content for message in call.messages)
        rng = Random(f"{call.seed}/{call.agent}/{call.place}/{prompt}")
        text = _reply(call, rng)
        await self._stream(call, text, rng)
        usage = Usage(prompt_tokens=_tokens(prompt), completion_tokens=_tokens(text))
        return Completion(text, f"{PROVIDER}/{call.agent}", usage=usage, cost_usd=Decimal(0))

    async def _stream(self, call: Call, text: str, rng: Random) -> None:
        seconds = self._delay_s * rng.uniform(0.3, 1.7)
        if call.on_text is None:
            await anyio.sleep(seconds)
            return
        pieces = text.splitlines(keepends=True) if "\n" in text else [word + " " for word in text.split(" ")]
        pieces[-1] = pieces[-1].rstrip(" ")
        for piece in pieces:
            await anyio.sleep(seconds / len(pieces))
            call.on_text(piece)


def _reply(call: Call, rng: Random) -> str:
    system = "\n".join(message.content for message in call.messages if message.role == "system")
    question = call.messages[-1].content
    answers = prompts.unfenced(system)
    own = _solved(question, call.agent, rng)
    form = prompts.asked_form(system)
    if form is not None:
        return _judged(form, answers)
    if prompts.asks_for_comments(system):
        return _comments(call.agent, answers[0], own)
    if answers:
        return _synthesis(call.agent, answers, own)
    return _proposal(call.agent, question, own)


def _solved(question: str, agent: str, rng: Random) -> str | None:
    puzzle = puzzles.read(question)
    return None if puzzle is None else puzzle.attempt(competence(agent), rng)


def _proposal(agent: str, question: str, own: str | None) -> str:
    if own is not None:
        return f"[simulated {agent}] I worked it out step by step. {_VERDICT}{own}"
    return (
        f"[simulated {agent}] No model was called. This is the offline demonstration, which only solves small "
        f"arithmetic and multiple choice. A real model would answer {_quoted(question)} here. "
        f"View {1 + hashlib.sha256((agent + question).encode()).digest()[0] % 3} of 3."
    )


def _synthesis(agent: str, answers: Sequence[str], own: str | None) -> str:
    verdicts = [verdict for verdict in map(_verdict, answers) if verdict is not None]
    ballots = Counter(verdicts)
    if own is not None:
        ballots[own] += 1
    if not ballots:
        return f"[simulated {agent}] Combined from {len(answers)} simulated answers; no model was called."
    best = max(ballots.values())
    settled = own if own is not None and ballots[own] == best else next(v for v in ballots if ballots[v] == best)
    agreed = verdicts.count(settled)
    return f"[simulated {agent}] {agreed} of {len(answers)} answers agree on this. {_VERDICT}{settled}"


def _comments(agent: str, answer: str, own: str | None) -> str:
    verdict = _verdict(answer)
    if own is None or verdict is None:
        return f"[simulated {agent}] Comments on this answer would stand here; no model was asked."
    if own == verdict:
        return f"[simulated {agent}] I checked the steps and come to {own}, too."
    return f"[simulated {agent}] I checked the steps and come to {own}, not to {verdict}."


def _judged(form: prompts.VerdictForm, answers: Sequence[str]) -> str:
    ranking = _by_agreement(answers)
    said = ranking if form.field == "ranking" else ranking[0]
    return f'{{"key": "{form.key}", "{form.field}": {said}, "simulated": true}}'


def _by_agreement(answers: Sequence[str]) -> list[int]:
    """Return the numbers of the answers, starting with those whose verdict most others share."""
    verdicts = [_verdict(answer) for answer in answers]
    shared = Counter(verdict for verdict in verdicts if verdict is not None)
    return sorted(range(1, len(answers) + 1), key=lambda number: -shared[verdicts[number - 1] or ""])


def _verdict(answer: str) -> str | None:
    return answer.rpartition(_VERDICT)[2].strip() if _VERDICT in answer else None


def _tokens(text: str) -> int:
    return max(1, EXPECTED.text(text))


def _quoted(question: str, limit: int = 80) -> str:
    line = " ".join(question.split())
    return f"“{line if len(line) <= limit else line[: limit - 1] + '…'}”"
