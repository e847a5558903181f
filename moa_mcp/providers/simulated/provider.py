"""Simulated models, which need no API key and no server, for demonstrations and tests.

Each text says that it is simulated. The same seed gives the same texts. The models differ in competence, so that a
vote or an aggregate beats a single model on arithmetic. To any other question, each text says what its step would do.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from random import Random

import anyio

from moa_mcp.providers.simulated import judges, puzzles
from moa_mcp.providers.simulated.documents import document
from moa_mcp.steps import prompts
from moa_mcp.text.tokens import EXPECTED
from moa_mcp.values import Call, Completion, Target, Usage, images_of

PROVIDER = "simulated"
_VERDICT = "The answer is "
_ASKS_FOR_VERDICT = "Verdict: yes, Verdict: no"
_SIGNATURE = re.compile(r"\[simulated (.*?)\] ")
_SCOPE = "Simulated models only answer plain arithmetic, such as “What is 17 * 23?”."
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
    puzzle = puzzles.read(question)
    own = None if puzzle is None else puzzle.attempt(competence(call.agent), rng)
    form = prompts.asked_form(system)
    if form is not None and form.field == "consensus":
        return _analyzed(form.key, answers)
    if form is not None and form.field in judges.FIELDS:
        return judges.verdict(form, system, question, rng)
    if form is not None:
        return _judged(form, answers, solved=own is not None)
    if own is None and not answers and _ASKS_FOR_VERDICT in system:
        return _decided(call.agent, rng) + _confidence(system, rng)
    comments = prompts.asks_for_comments(system)
    if own is None:
        text = _explained(question, answers, comments=comments)
    else:
        text = _compared(answers[0], own) if comments else _settled(answers, own)
    seen = _seen(len(images_of(call.messages)))
    text = f"[simulated {call.agent}] {_earlier(call)}{text}{seen}{_confidence(system, rng)}"
    return document(call.reply_schema.json_schema, text) if prompts.asks_for_json(call.reply_schema) else text


def _seen(images: int) -> str:
    return f" This call received {images} image{'s' * (images > 1)}." if images else ""


def _decided(agent: str, rng: Random) -> str:
    """Return a random verdict, for a question that is not a puzzle."""
    verdict = rng.choice(("yes", "yes", "no", "unsure"))
    return f"Verdict: {verdict}\nReason: [simulated {agent}] No model was called; this verdict is random."


def _confidence(system: str, rng: Random) -> str:
    """Return the line that states a confidence, if the prompt asks for one."""
    return f"\nConfidence: {rng.randint(50, 99)}" if prompts.asks_for_confidence(system) else ""


def _earlier(call: Call) -> str:
    """Return which earlier questions of the conversation the call received; empty if there are none."""
    earlier = [message.content for message in call.messages[:-1] if message.role == "user"]
    if not earlier:
        return ""
    count = "1 earlier question" if len(earlier) == 1 else f"{len(earlier)} earlier questions, the last one"
    return f"After {count} {_quoted(earlier[-1])}: "


def _explained(question: str, answers: Sequence[str], *, comments: bool) -> str:
    """Return what the call received and what a model would do with it, for a question that is not a puzzle."""
    if not answers:
        return f"No model was called. A model would answer {_quoted(question)} here. {_SCOPE}"
    received = f"No model was called. This call received {_counted(answers)}."
    if comments:
        return f"{received} A model would criticize it here."
    does = "combine them into one answer" if len(answers) > 1 else "write a better version of it"
    return f"{received} A model would {does} here, for the question {_quoted(question)}. {_SCOPE}"


def _counted(answers: Sequence[str]) -> str:
    """Return the number of answers and, where their texts state them, who gave them."""
    signed = Counter(found[1] for found in map(_SIGNATURE.match, answers) if found)
    names = [name if count == 1 else f"{name} ({count})" for name, count in signed.items()]
    total = f"{len(answers)} simulated answer{'s' * (len(answers) > 1)}"
    return f"{total} from {', '.join(names)}" if names else total


def _settled(answers: Sequence[str], own: str) -> str:
    """Return the result of a puzzle: its own, or the one that most answers and its own agree on."""
    if not answers:
        return f"No model was called. {_VERDICT}{own}"
    verdicts = [verdict for verdict in map(_verdict, answers) if verdict is not None]
    ballots = Counter([*verdicts, own])
    best = max(ballots.values())
    settled = own if ballots[own] == best else next(v for v in ballots if ballots[v] == best)
    return f"{verdicts.count(settled)} of {len(answers)} answers agree on this. {_VERDICT}{settled}"


def _compared(answer: str, own: str) -> str:
    verdict = _verdict(answer)
    contrast = "" if verdict is None else ", as in this answer" if own == verdict else f", not {verdict}"
    return f"No model was called. The simulated check results in {own}{contrast}."


def _judged(form: prompts.VerdictForm, answers: Sequence[str], *, solved: bool) -> str:
    if form.field == "equivalent":
        equivalent = len({_verdict(answer) or _SIGNATURE.sub("", answer) for answer in answers}) == 1
        return f'{{"key": "{form.key}", "equivalent": {str(equivalent).lower()}, "simulated": true}}'
    ranking = _by_agreement(answers) if solved else list(range(1, len(answers) + 1))
    text = ranking if form.field == "ranking" else ranking[0]
    return f'{{"key": "{form.key}", "{form.field}": {text}, "simulated": true}}'


def _analyzed(key: str, answers: Sequence[str]) -> str:
    """Return the comparison of the results that answers state."""
    stated: dict[str, list[int]] = {}
    for number, verdict in enumerate(map(_verdict, answers), 1):
        if verdict is not None:
            stated.setdefault(verdict, []).append(number)
    positions = [{"position": f"{_VERDICT}{verdict}", "answers": numbers} for verdict, numbers in stated.items()]
    shared = [each for each in positions if len(each["answers"]) > 1]
    unclear = "No model was called. A model would compare the answers here."
    analysis = {
        "consensus": [{"point": each["position"], "answers": each["answers"]} for each in shared],
        "contradictions": [{"topic": "The result", "positions": positions}] if len(stated) > 1 else [],
        "partial_coverage": [],
        "unique_insights": [],
        "blind_spots": ["No simulated answer shows how it was calculated."] if stated else [unclear],
    }
    return json.dumps({"key": key, **analysis, "simulated": True})


def _by_agreement(answers: Sequence[str]) -> list[int]:
    """Return the numbers of the answers, starting with those whose verdict most others share."""
    verdicts = [_verdict(answer) for answer in answers]
    shared = Counter(verdict for verdict in verdicts if verdict is not None)
    return sorted(range(1, len(answers) + 1), key=lambda number: -shared[verdicts[number - 1] or ""])


def _verdict(answer: str) -> str | None:
    return answer.rpartition(_VERDICT)[2].strip() if _VERDICT in answer and _SIGNATURE.match(answer) else None


def _tokens(text: str) -> int:
    return max(1, EXPECTED.text(text))


def _quoted(question: str, limit: int = 80) -> str:
    line = " ".join(question.split())
    return f"“{line if len(line) <= limit else line[: limit - 1] + '…'}”"
