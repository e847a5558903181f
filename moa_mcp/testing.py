"""Helpers to test pipelines: a model with scripted replies, and a whole run in one line.

::

    model = ScriptedModel({"a": "Paris", "b": RateLimited("too many requests"), "judge": ["?", '{"answer": 1}']})
    trace = await run_pipeline('steps = [{ step = "propose", agents = ["a", "b"] }, …]', "What …?", model)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import TypeAlias

from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from moa_mcp.config import Pipeline, models_of, parse
from moa_mcp.config.problems import as_key
from moa_mcp.engine.execute import RunSpec, execute
from moa_mcp.errors import CallError
from moa_mcp.events import Emit, tee
from moa_mcp.middleware import Model, Recorded
from moa_mcp.panels.makers import known_maker
from moa_mcp.trace.trace import Trace
from moa_mcp.values import Call, Completion, Question, Usage

Scripted: TypeAlias = str | Completion | CallError
"""The outcome of a call: a text, a whole completion, or an error."""
Reply: TypeAlias = Scripted | Callable[[Call], Scripted | Awaitable[Scripted]]
"""The reply of an agent: an outcome, or a function that returns one for each call."""

_STRING = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)'")


def by_place(call: Call) -> str:
    """Reply with the agent's name and the call's place, which is unique in a run."""
    return f"{call.agent} at {call.place}"


class ScriptedModel:
    """Replies from a script for each agent, and records its calls."""

    calls: list[Call]
    """In order of arrival."""

    def __init__(
        self,
        replies: Mapping[str, Reply | list[Reply]] | None = None,
        otherwise: Reply = by_place,
        *,
        most: int | None = None,
    ) -> None:
        """Take a reply, or a list of replies, for each agent. The last of a list repeats.

        `otherwise` is the reply of all other agents. `most` is the maximum number of answers to a call that requests
        several; without it, all are returned.
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
        completions = [
            await _completion(reply, call._replace(place=place)) for place, reply in zip(places, replies, strict=True)
        ]
        if call.on_text is not None:
            for piece in re.findall(r"\S+\s*|\s+", completions[0].text):
                call.on_text(piece)
        return _joined(*completions)

    def calls_of(self, agent: str) -> list[Call]:
        """Return the calls of one agent."""
        return [call for call in self.calls if call.agent == agent]

    def _next(self, agent: str) -> Reply:
        script = self._replies.get(agent, self._otherwise)
        self._asked[agent] += 1
        return script[: self._asked[agent]][-1] if isinstance(script, list) else script  # pyright: ignore[reportUnknownVariableType]


async def _completion(reply: Reply, call: Call) -> Completion:
    returned = reply(call) if callable(reply) else reply
    outcome = await returned if isinstance(returned, Awaitable) else returned
    if isinstance(outcome, CallError):
        raise outcome
    return Completion(outcome, _served(call)) if isinstance(outcome, str) else outcome


def _joined(first: Completion, *others: Completion) -> Completion:
    """Return several answers as one response, whose prompt tokens count once."""
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
    """Return the pipeline whose table contains this TOML, ``steps = [...]``. Its models need no tables.

    Raises:
        ConfigError: the TOML is invalid.

    """
    strings = {double or single for double, single in _STRING.findall(text)}  # each of them may be the name of a model
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
    """Run a pipeline, or TOML for `pipeline`, with a model instead of providers and middleware; return its trace.

    `watch` receives all events, including the text of the last answer as it arrives.
    """
    trace = Trace()
    emit = tee(trace.add, *((watch,) if watch else ()))
    chosen = pipeline(steps) if isinstance(steps, str) else steps
    asked = Question(question) if isinstance(question, str) else question
    makers = {alias: maker for alias in models_of(chosen) if (maker := known_maker(alias)) is not None}
    spec = RunSpec("test", chosen, asked, seed, stream=watch is not None, deadline_s=chosen.deadline_s, makers=makers)
    await execute(spec, Recorded(model, emit), emit)
    return trace
