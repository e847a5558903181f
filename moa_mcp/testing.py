"""For tests of pipelines, ours and yours: a model that says what it is told to, and a whole run in one line.

::

    model = ScriptedModel({"a": "Paris", "b": RateLimited("too many requests"), "judge": ["?", '{"answer": 1}']})
    trace = await run_pipeline('steps = [{ step = "propose", agents = ["a", "b"] }, …]', "What …?", model)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TypeAlias

from anyio.lowlevel import checkpoint

from moa_mcp.config import Pipeline, parse
from moa_mcp.config.problems import as_key
from moa_mcp.engine.execute import RunSpec, execute
from moa_mcp.errors import CallError
from moa_mcp.events import Emit, tee
from moa_mcp.middleware import Model, Recorded
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call, Completion, Question, Usage

Said: TypeAlias = str | Completion | CallError
"""How a call ends: with a text, a whole completion, or an error."""
Reply: TypeAlias = Said | Callable[[Call], Said | Awaitable[Said]]
"""What an agent does with a call: always the same, or what a function of the call decides."""

_STRING = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)'")


def by_place(call: Call) -> str:
    """Reply with a line that no other call of a run gets: the agent's name and the call's place."""
    return f"{call.agent} at {call.place}"


class ScriptedModel:
    """Replies as it is told, agent by agent, and keeps the calls that it saw."""

    calls: list[Call]
    """In the order in which they came."""

    def __init__(
        self,
        replies: Mapping[str, Reply | list[Reply]] | None = None,
        otherwise: Reply = by_place,
        *,
        most: int | None = None,
    ) -> None:
        """Take one reply for each agent, or a list of them for its answers, the last for all that follow.

        `otherwise` is the reply of agents that are not named; `most`, how many answers one call brings that asks for
        several, without it as many as are asked for.
        """
        self.calls = []
        self._replies = dict(replies or {})
        self._otherwise = otherwise
        self._most = most
        self._asked: Counter[str] = Counter()

    async def __call__(self, call: Call) -> Completion:
        self.calls.append(call)
        places = call.places[: self._most]
        replies = [self._next(call.agent) for _ in places]
        await checkpoint()
        said = [await _said(reply, call._replace(place=place)) for place, reply in zip(places, replies, strict=True)]
        if call.on_text is not None:
            for piece in re.findall(r"\S+\s*|\s+", said[0].text):
                call.on_text(piece)
        return _joined(*said)

    def calls_of(self, agent: str) -> list[Call]:
        """Return the calls that one agent saw."""
        return [call for call in self.calls if call.agent == agent]

    def _next(self, agent: str) -> Reply:
        told = self._replies.get(agent, self._otherwise)
        self._asked[agent] += 1
        return told[: self._asked[agent]][-1] if isinstance(told, list) else told  # pyright: ignore[reportUnknownVariableType]


async def _said(reply: Reply, call: Call) -> Completion:
    decided = reply(call) if callable(reply) else reply
    said = await decided if isinstance(decided, Awaitable) else decided
    if isinstance(said, CallError):
        raise said
    return Completion(said, _served(call)) if isinstance(said, str) else said


def _joined(first: Completion, *others: Completion) -> Completion:
    """Return the answers of one request: its prompt counts once."""
    if not others:
        return first
    usages = [first.usage, *(each.usage and replace(each.usage, prompt_tokens=0, cached_tokens=0) for each in others)]
    costs = [each.cost_usd for each in (first, *others) if each.cost_usd is not None]
    return replace(
        first,
        usage=sum((usage for usage in usages if usage), Usage()) if any(usages) else None,
        cost_usd=sum(costs, Decimal(0)) if len(costs) == 1 + len(others) else None,
        others=tuple(replace(each, usage=None, cost_usd=None) for each in others),
    )


def _served(call: Call) -> str:
    return call.target.model if call.target else call.agent


def pipeline(text: str) -> Pipeline:
    """Return the pipeline of which a table holds this TOML, ``steps = [...]``; the models it names need no table.

    Raises:
        ConfigError: the text has faults.

    """
    strings = {double or single for double, single in _STRING.findall(text)}  # any of them may name a model
    named = sorted(string for string in strings if string and not {'"', "\\"} & {*string})
    models = "".join(f'[models.{as_key(name)}]\nroutes = ["openai/{name}"]\n' for name in named)
    return parse(f"{models}[pipelines.test]\n{text}").pipelines["test"]


async def run_pipeline(
    steps: Pipeline | str,
    question: Question | str,
    model: Model,
    *,
    seed: int = 0,
    watch: Emit | None = None,
) -> Trace:
    """Run a pipeline, or the TOML that `pipeline` takes, with a model in place of all layers; return the trace.

    With `watch`, events go there too, the last answer's text included.
    """
    trace = Trace()
    emit = tee(trace.add, *((watch,) if watch else ()))
    chosen = pipeline(steps) if isinstance(steps, str) else steps
    asked = Question(question) if isinstance(question, str) else question
    spec = RunSpec("test", chosen, asked, seed, stream=watch is not None, deadline_s=chosen.deadline_s)
    await execute(spec, Recorded(model, emit), emit)
    return trace
