"""Short words for the pipelines that tests write, for their faults and for what their models were told."""

from __future__ import annotations

import pytest

from moa_mcp.config import STEP_TYPES, parse
from moa_mcp.errors import ConfigError
from moa_mcp.steps.prompts import unfenced
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Call

PROPOSE = '{ step = "propose", agents = ["a", "b", "c"] }'
AGGREGATE = '{ step = "aggregate", agent = "z" }'


def steps(*tables: str) -> str:
    return f"steps = [{', '.join(tables)}]"


def shown(call: Call) -> tuple[str, ...]:
    """Return the answers that a call's messages hold."""
    return unfenced("\n".join(message.content for message in call.messages))


def asked(model: ScriptedModel, step: int) -> list[tuple[str, tuple[str, ...]]]:
    """Return whom a step asked and what answers it showed them, in the order of its calls."""
    calls = sorted((call for call in model.calls if call.place.step == step), key=lambda call: call.place)
    return [(call.agent, shown(call)) for call in calls]


KINDS = ", ".join(STEP_TYPES)
X = '{ step = "propose", agents = ["openai/x"] }'
XY = '{ step = "propose", agents = ["openai/x", "openai/y"] }'


def pipe(*tables: str) -> str:
    """Return a configuration with one pipeline, `p`."""
    return f"[pipelines.p]\n{steps(*tables)}\n"


def faults(text: str) -> list[str]:
    """Return what a configuration's author is told."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]
