"""Every fault of a pipeline's steps with the exact place and message that its author gets."""

from __future__ import annotations

import pytest

from moa_mcp.config import Pipeline
from moa_mcp.steps import Propose
from tests.support.tables import KINDS, XY, X, faults, pipe

Z = '{ step = "aggregate", agent = "openai/z" }'
PROPOSE_KEYS = ", ".join(sorted(Propose.model_fields))
PIPELINE_KEYS = ", ".join(sorted(Pipeline.model_fields.keys() - {"name"}))
EXTRACT = 'should be "text", "last_number", "choice", { json = "field" } or { regex = "pattern" }'
AGENT = 'should be a model, "name" or { model = "name", samples = 2 }'
LAST = "end with aggregate or vote, or with rank or take and n = 1"
SUCH_AS = 'such as {step = "propose", agents = [...]}'


def no_model(name: str, near: str | None = None) -> str:
    table = f'"{name}"' if "/" in name else name
    remedy = f", did you mean {near!r}? A" if near else "; a"
    return f"unknown model {name!r}{remedy}dd a table [models.{table}], or use a route such as openai/gpt-5-nano"


STEPS = [
    ("[pipelines]\np = 3", ["pipelines.p: 3 should be a table, [pipelines.p]"]),
    ("[pipelines.p]", [f"pipelines.p.steps: is missing; a pipeline needs steps, {SUCH_AS}"]),
    ("[pipelines.p]\nsteps = []", [f"pipelines.p.steps: is empty; a pipeline needs steps, {SUCH_AS}"]),
    ("[pipelines.p]\nsteps = {}", [f"pipelines.p.steps: {{  }} should be a list; a pipeline needs steps, {SUCH_AS}"]),
    (pipe("3"), [f"pipelines.p, step 1: 3 should be a table, {SUCH_AS}"]),
    (pipe("{}"), [f"pipelines.p, step 1, step: is missing; the steps are {KINDS}"]),
    (
        pipe(X, '{ stp = "vote" }'),
        [f"pipelines.p, step 2, stp: unknown key, did you mean 'step'? The steps are {KINDS}"],
    ),
    (
        pipe('{ step = "propos" }'),
        [f"pipelines.p, step 1, step: unknown step 'propos', did you mean 'propose'? The steps are {KINDS}"],
    ),
    (pipe("{ step = 3 }"), [f"pipelines.p, step 1, step: unknown step 3; the steps are {KINDS}"]),
    (
        "[pipelines.p]\ndescripton = 'x'\nsteps = [" + X + "]",
        [f"pipelines.p.descripton: unknown key, did you mean 'description'? Valid keys: {PIPELINE_KEYS}"],
    ),
    ("[pipelines.p]\ntitle = 3\nsteps = [" + X + "]", ["pipelines.p.title: 3 should be a string"]),
    (
        "[pipelines.p]\nname = 'p'\nsteps = [" + X + "]",
        ["pipelines.p.name: unknown key; the table's name is the pipeline's name"],
    ),
    (pipe(Z), ["pipelines.p, step 1: aggregate needs answers from a previous step; start with propose"]),
    (
        pipe('{ step = "propose", agents = ["openai/x"], keep = 1 }'),
        ["pipelines.p, step 1: propose needs answers from a previous step; remove keep"],
    ),
    (
        pipe(XY),
        [f"pipelines.p.steps: the last step must return 1 answer, not 2; {LAST}"],
    ),
]

KEYS = [
    ("agents = []", "agents: is empty; name at least one"),
    ("", "agents: is missing"),
    ("agents = 'openai/x'", "agents: 'openai/x' should be a list"),
    ("agents = [3]", f"agent 1: 3 {AGENT}"),
    ("agents = ['']", "agent 1, model: is empty"),
    (
        "agents = [{ model = 'openai/x', sample = 2 }]",
        (
            "agent 1, sample: unknown key, did you mean 'samples'? "
            "Valid keys: extra, model, reasoning_effort, samples, system, temperature, thinking_tokens"
        ),
    ),
    ("agents = [{ model = 'openai/x', samples = 0 }]", "agent 1, samples: 0 should be at least 1"),
    ("agents = [{ samples = 2 }]", "agent 1, model: is missing"),
    (
        "agents = ['openai/x'], tempe = 1",
        f"tempe: unknown key, did you mean 'temp'? Valid keys: {PROPOSE_KEYS}",
    ),
    (
        "agents = ['openai/x'], temp = 1, temperature = 1",
        "temp: is short for temperature, which is also set; remove one of them",
    ),
    (
        "agents = ['openai/x'], max_token = 1",
        f"max_token: unknown key, did you mean 'max_tokens'? Valid keys: {PROPOSE_KEYS}",
    ),
    ("agents = ['openai/x'], prompt = ''", "prompt: is empty"),
    ("agents = ['openai/x'], quorum = 2", "quorum: 2 can't be reached with 1 call"),
    ("agents = ['openai/x'], quorum = true", "quorum: true should be a whole number"),
    ("agents = ['openai/x'], keep = 101", 'keep: 101 should be a number of copies from 0 to 100, or "all"'),
    ("agents = ['opnai/x']", f"agent 1: {no_model('opnai/x', near='openai/x')}"),
    ("agents = ['openai/x', 'nono']", f"agent 2: {no_model('nono')}"),
    ("agents = ['mistrel-l']", f"agent 1: {no_model('mistrel-l', near='mistral-l')}"),
    ("agents = ['openai/']", f"agent 1: {no_model('openai/')}"),
]

OTHER_STEPS = [
    ("rank", "agent = 'openai/x', n = 0", "n: 0 should be at least 1"),
    ("rank", "agent = 'openai/x', n = '3'", "n: '3' should be a whole number"),
    ("rank", "agent = 'openai/x', passes = 21", "passes: 21 should be at most 20"),
    ("rank", "agent = ''", "agent: is empty"),
    ("dropout", "", "rate: is missing"),
    ("dropout", "rate = 1", "rate: 1 should be less than 1"),
    ("sample", "n = 2.5", "n: 2.5 should be a whole number"),
    ("take", "n = -1", "n: -1 should be at least 1"),
    ("shuffle", "seed = 3", "seed: unknown key; valid keys: step"),
    ("shuffle", "temp = 1", "temp: unknown key; valid keys: step"),
    ("vote", "", 'agent: is missing; method = "judge" calls a model'),
    ("vote", "method = 'restate'", 'agent: is missing; method = "restate" calls a model'),
    ("vote", "method = 'judg', agent = 'openai/x'", "method: 'judg' should be 'judge', 'majority' or 'restate'"),
    (
        "vote",
        "method = 'majority', agent = 'openai/x'",
        "agent: 'openai/x' would not be called: method = \"majority\" only counts; remove agent",
    ),
    (
        "vote",
        "agent = 'openai/x', extract = 'choice'",
        'extract: is only used with method = "majority"; remove it, or set that method',
    ),
    ("vote", "method = 'majority', extract = 'number'", f"extract: 'number' {EXTRACT}"),
    ("vote", "method = 'majority', extract = { jsn = 'x' }", f"extract: {{ jsn = 'x' }} {EXTRACT}"),
    ("vote", "method = 'majority', extract = { json = 3 }", f"extract: {{ json = 3 }} {EXTRACT}"),
    (
        "vote",
        "method = 'majority', extract = { regex = '(' }",
        "extract: '(' is not a regular expression: missing ), unterminated subpattern at position 0",
    ),
]


@pytest.mark.parametrize(("text", "expected"), STEPS)
def test_faulty_steps(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


@pytest.mark.parametrize(("keys", "fault"), KEYS)
def test_a_faulty_panel(keys: str, fault: str) -> None:
    models = "[models]\nmistral-l = { routes = ['mistral/mistral-large'] }\n"
    assert faults(models + pipe(XY, f"{{ step = 'propose'{', ' * bool(keys)}{keys} }}")) == [
        f"pipelines.p, step 2, {fault}"
    ]


@pytest.mark.parametrize(("kind", "keys", "fault"), OTHER_STEPS)
def test_a_faulty_step_of_another_kind(kind: str, keys: str, fault: str) -> None:
    assert faults(pipe(XY, f"{{ step = '{kind}'{', ' * bool(keys)}{keys} }}")) == [f"pipelines.p, step 2, {fault}"]
