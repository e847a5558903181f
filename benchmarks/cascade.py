"""Calls, tokens and right answers of `cascade` beside those of `fusion`, whose panel is always asked.

Run it as `python benchmarks/cascade.py [--questions 600]`. The models are simulated, so it says what the shape of a
pipeline saves and where it errs, not how good a model is. A question is easy (60 %) or hard. A cheap model answers
right with probability 0.95 or 0.45, a balanced one with 0.98 or 0.70. Errors are correlated: a wrong answer is the
typical mistake of the question with probability 0.3, or 0.8 for the second model of a maker whose first one made it;
else it is one of a thousand others. The judge of `agree` errs in 3 % of its verdicts. Who merges takes the most
frequent answer, and its own in a tie. Answers have 400 tokens.

Fusion has the steps of the shipped pipeline: four answer, one compares them in 200 tokens, one merges. A wrong early
stop is a run that ended with a wrong answer on which the cheap models agreed. The limit for `cascade` is 70 % of the
tokens of `fusion`; 1 is the exit code where it is passed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from functools import partial
from random import Random
from typing import NamedTuple

import anyio

from moa_mcp.steps import prompts
from moa_mcp.testing import pipeline, run_pipeline
from moa_mcp.values import Call, Completion, Usage

EASY, JUDGE_ERRS = 0.6, 0.03
COMPETENCE = {"cheap": (0.95, 0.45), "balanced": (0.98, 0.70)}
SHARED, SHARED_BY_MAKER = 0.3, 0.8
CHEAP, SAME_MAKER = ("gpt-6-luna", "claude-haiku-5-5"), ("gpt-6-luna", "gpt-oss-20b")
PANEL = ("claude-sonnet-5-5", "gpt-6.1-terra", "gemini-3.8-flash", "mistral-medium-3-5")
LIMIT = 0.7
RIGHT, TYPICAL = 7, 13
FILLER = "because of this and that, " * 64

REST = f"""{{ step = "propose", agents = {[*PANEL]}, keep = "all" }}, {{ step = "aggregate", agent = "{PANEL[0]}" }}"""


def cascade(cheap: tuple[str, ...], agree: str) -> str:
    """Return the steps of a cascade."""
    return f'steps = [{{ step = "propose", agents = {[*cheap]} }}, {{ step = "agree", {agree} }}, {REST}]'


JUDGED, COMPARED = f'agent = "{CHEAP[0]}"', 'extract = "last_number"'
PIPELINES = {
    "`fusion`": f"""steps = [{{ step = "propose", agents = {[*PANEL]} }},
        {{ step = "analyze", agent = "{PANEL[0]}" }}, {{ step = "aggregate", agent = "{PANEL[0]}" }}]""",
    "`cascade`": cascade(CHEAP, JUDGED),
    '`cascade`, `extract = "last_number"`': cascade(CHEAP, COMPARED),
    "`cascade`, one maker, `makers = 1`": cascade(SAME_MAKER, f"{JUDGED}, makers = 1"),
}


class Simulated:
    """The models for one question. What a model answers does not depend on the pipeline."""

    def __init__(self, number: int) -> None:
        rng = Random(f"question {number}")
        self._number = number
        self._hard = rng.random() >= EASY

    def _says(self, agent: str) -> int:
        rng = Random(f"{self._number} {agent}")
        tier = "balanced" if agent in PANEL else "cheap"
        if rng.random() < COMPETENCE[tier][self._hard]:
            return RIGHT
        same = agent == SAME_MAKER[1] and self._says(SAME_MAKER[0]) == TYPICAL
        return TYPICAL if rng.random() < (SHARED_BY_MAKER if same else SHARED) else rng.randint(1000, 1999)

    async def __call__(self, call: Call) -> Completion:
        """Answer, judge or merge, as the prompt asks."""
        system = call.messages[0].content if call.messages[0].role == "system" else ""
        shown = [int(re.findall(r"\d+", text)[-1]) for text in prompts.unfenced(system)]
        form = prompts.asked_form(system)
        text = self._verdict(form, shown) if form else f"{FILLER}the answer is {self._settled(call.agent, shown)}"
        sent = sum(len(message.content) for message in call.messages)
        return Completion(text, call.agent, usage=Usage(sent // 4, len(text) // 4))

    def _verdict(self, form: prompts.VerdictForm, shown: list[int]) -> str:
        if form.field == "consensus":
            found = {
                "consensus": [{"point": FILLER[:800], "answers": [1, 2]}],
                "contradictions": [],
                "partial_coverage": [],
            }
            return json.dumps({"key": form.key, **found, "unique_insights": [], "blind_spots": []})
        errs = Random(f"{self._number} judge").random() < JUDGE_ERRS
        return json.dumps({"key": form.key, "equivalent": (len({*shown}) == 1) != errs})

    def _settled(self, agent: str, shown: list[int]) -> int:
        counts = Counter(shown).most_common()
        own = self._says(agent)
        best = [value for value, count in counts if count == counts[0][1]]
        return own if not best or own in best else best[0] if len(best) == 1 else own


class Total(NamedTuple):
    """What a pipeline took for all questions."""

    calls: int = 0
    tokens: int = 0
    right: int = 0
    early: int = 0
    wrong_early: int = 0


async def total(steps: str, questions: int) -> Total:
    """Ask all questions, and add up."""
    chosen, sums = pipeline(steps), Total()
    for number in range(questions):
        trace = await run_pipeline(chosen, f"Question {number}: which number?", Simulated(number))
        right, early = str(trace.answer).endswith(f" {RIGHT}"), bool(trace.not_needed)
        calls = sum(len(step.calls) for step in trace.steps)
        tokens = trace.usage.prompt_tokens + trace.usage.completion_tokens
        added = (calls, tokens, right, early, early and not right)
        sums = Total(*map(sum, zip(sums, added, strict=True)))
    return sums


def main() -> int:
    """Measure and print; 1 if the limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=600)
    questions = parser.parse_args().questions
    print(f"{questions} questions, {EASY:.0%} of them easy.\n")
    print("| pipeline | calls per question | tokens per question | right | ended early | wrong early stops |")
    print("|---|---|---|---|---|---|")
    totals = {name: anyio.run(partial(total, steps, questions)) for name, steps in PIPELINES.items()}
    for name, each in totals.items():
        calls, tokens, right, early, wrong = (figure / questions for figure in each)
        print(f"| {name} | {calls:.1f} | {tokens:,.0f} | {right:.1%} | {early:.1%} | {wrong:.1%} |")
    return int(totals["`cascade`"].tokens > LIMIT * totals["`fusion`"].tokens)


if __name__ == "__main__":
    sys.exit(main())
