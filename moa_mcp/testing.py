"""For tests of pipelines, ours and yours: a model that says what it is told to, and a whole run in one line.

::

    model = ScriptedModel({"a": "Paris", "b": RateLimited("too many requests"), "judge": ["?", '{"answer": 1}']})
    trace = await run_pipeline('steps = [{ step = "propose", agents = ["a", "b"] }, …]', "What …?", model)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from anyio.lowlevel import checkpoint

from moa_mcp.config import Pipeline, parse
from moa_mcp.engine import RunSpec, execute
from moa_mcp.errors import CallError
from moa_mcp.events import Emit, tee
from moa_mcp.faults import as_key
from moa_mcp.model import Model, Recorded
from moa_mcp.trace import Trace
from moa_mcp.values import Call, Completion, Question

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

    def __init__(self, replies: Mapping[str, Reply | list[Reply]] | None = None, otherwise: Reply = by_place) -> None:
        """Take one reply for each agent, or a list of them for its calls, the last for all that follow.

        `otherwise` is the reply of agents that are not named.
        """
        self.calls = []
        self._replies = dict(replies or {})
        self._otherwise = otherwise
        self._asked: Counter[str] = Counter()

    async def __call__(self, call: Call) -> Completion:
        self.calls.append(call)
        reply = self._next(call.agent)
        await checkpoint()
        decided = reply(call) if callable(reply) else reply
        said = await decided if isinstance(decided, Awaitable) else decided
        if isinstance(said, CallError):
            raise said
        completion = Completion(said, _served(call)) if isinstance(said, str) else said
        if call.on_text is not None:
            for piece in re.findall(r"\S+\s*|\s+", completion.text):
                call.on_text(piece)
        return completion

    def calls_of(self, agent: str) -> list[Call]:
        """Return the calls that one agent saw."""
        return [call for call in self.calls if call.agent == agent]

    def _next(self, agent: str) -> Reply:
        told = self._replies.get(agent, self._otherwise)
        self._asked[agent] += 1
        return told[: self._asked[agent]][-1] if isinstance(told, list) else told  # pyright: ignore[reportUnknownVariableType]


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
