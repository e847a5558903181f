"""The page of the step types: what each does, a drawing of an example, and its keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from moa_mcp.config import STEP_TYPES, Pipeline, parse
from moa_mcp.steps import Agent, ModelStep, MultiAgentStep, SingleAgentStep, Stop
from tools.reference.drawing import drawn
from tools.reference.keys import rows as keys
from tools.reference.keys import tabulated
from tools.reference.layers import in_words, rows
from tools.reference.markdown import code, page, prose

_NANO, _OSS, _FLASH = '"openai/gpt-5-nano"', '"groq/openai/gpt-oss-20b"', '"gemini/gemini-2.5-flash"'
_THREE = f"[{_NANO}, {_OSS}, {_FLASH}]"
_PROPOSE = f'{{ step = "propose", agents = {_THREE} }}'
_AGGREGATE = f'{{ step = "aggregate", agent = {_NANO} }}'
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "propose": (_PROPOSE, _AGGREGATE),
    "synthesize": (_PROPOSE, f'{{ step = "synthesize", agents = {_THREE} }}', _AGGREGATE),
    "aggregate": (_PROPOSE, f'{{ step = "aggregate", agent = {_NANO}, fallback_agent = {_OSS} }}'),
    "refine": (_PROPOSE, f'{{ step = "refine", agents = [{_NANO}] }}', _AGGREGATE),
    "critique": (_PROPOSE, f'{{ step = "critique", agents = [{_NANO}, {_OSS}] }}', _AGGREGATE),
    "analyze": (_PROPOSE, f'{{ step = "analyze", agent = {_NANO} }}', _AGGREGATE),
    "review": (_PROPOSE, f'{{ step = "review", agents = {_THREE} }}', _AGGREGATE),
    "rank": (_PROPOSE, f'{{ step = "rank", agent = {_NANO}, n = 2 }}', _AGGREGATE),
    "vote": (_PROPOSE, f'{{ step = "vote", agent = {_NANO} }}'),
    "agree": (
        f'{{ step = "propose", agents = [{_OSS}, {_FLASH}] }}',
        f'{{ step = "agree", agent = {_FLASH} }}',
        f'{{ step = "propose", agents = [{_NANO}], keep = "all" }}',
        _AGGREGATE,
    ),
    "shuffle": (_PROPOSE, '{ step = "shuffle" }', _AGGREGATE),
    "dropout": (_PROPOSE, '{ step = "dropout", rate = 0.3 }', _AGGREGATE),
    "sample": (_PROPOSE, '{ step = "sample", n = 1 }'),
    "take": (_PROPOSE, f'{{ step = "synthesize", agents = {_THREE} }}', '{ step = "take", n = 1 }'),
}
"""For each step type, the steps of a pipeline that uses it."""
_INTRODUCTION = """\
Every step type with its keys. [Steps](../steps.md) explains failures, votes, early stop and hedging. In the drawings, a
dot is a call of a model, and the lines show what it reads. A ring is an answer that is kept; a dashed one may be
dropped."""
_AGENT = """\
An agent is the name of a [model](settings.md#modelsname), a [route](settings.md#routes), a panel such as
`{ panel = "balanced", members = 4 }` ([Panels](../panels.md)), or a table with these keys. `samples` is only for
`agents`, which is a list; `agent` and `fallback_agent` take one agent."""


def written() -> str:
    """Return the page."""
    return page(
        "All keys of steps",
        _INTRODUCTION,
        *(part for name, kind in STEP_TYPES.items() for part in _section(name, kind)),
        "## Keys of all layers",
        f"All steps that call models have them: {code(*_named(ModelStep))}. A key that is not set has the value of "
        "[`[defaults]`](settings.md#defaults).",
        tabulated(keys(ModelStep)),
        f"Steps with several agents also have ({code(*_named(MultiAgentStep))}):",
        tabulated(keys(MultiAgentStep, ModelStep.model_fields)),
        f"Steps with one agent also have ({code(*_named(SingleAgentStep))}):",
        tabulated(keys(SingleAgentStep, ModelStep.model_fields)),
        "## Agents",
        _AGENT,
        tabulated(keys(Agent)),
        "## Stop",
        "The table `stop` of `propose`; that of `vote` has only `ahead_by` and `posterior`.",
        tabulated(keys(Stop)),
    )


def drawings() -> Mapping[str, str]:
    """Return the drawings of the examples, by the name of the step type."""
    return {name: drawn(name, rows(_example(name))) for name in STEP_TYPES}


def _named(base: type[BaseModel]) -> Iterator[str]:
    yield from (name for name, kind in STEP_TYPES.items() if issubclass(kind, base))


def _written(name: str) -> str:
    steps = "".join(f"    {step},\n" for step in EXAMPLES[name])
    return f'[pipelines.{name}_example]\ndescription = "An example."\nsteps = [\n{steps}]'


def _example(name: str) -> Pipeline:
    (pipeline,) = parse(_written(name)).pipelines.values()
    return pipeline


def _section(name: str, kind: type[BaseModel]) -> Iterator[str]:
    yield f"## {name}"
    yield prose(kind.__doc__)
    yield f"![{in_words(rows(_example(name)))}](../drawings/step-{name}.svg)"
    yield f"```toml\n{_written(name)}\n```"
    base = next((each for each in (MultiAgentStep, SingleAgentStep, ModelStep) if issubclass(kind, each)), None)
    own = keys(kind, {"step", *(base.model_fields if base else ())})
    yield tabulated(own) or "It has no keys of its own." if base is None or own else ""
    if base is not None:
        yield "It also has the [keys of all layers](#keys-of-all-layers)."
