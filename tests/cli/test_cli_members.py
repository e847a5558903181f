"""Members with settings of their own, from the command to what the models receive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import environ, invoke, run
from tests.support.model_server import ModelServer, Received, RefuseParameter, Reply, Status

__all__ = ["environ"]

LAST = '{ step = "aggregate", agent = "last" }'
SCEPTIC, OPTIMIST = "You are a sceptic.", "You are an optimist."
REFUSED = "Unsupported value: 'reasoning_effort' does not support 'max'. Supported values are: 'low' and 'high'."
NAMED = (
    "temperature",
    "max_tokens",
    "reasoning_effort",
    "thinking_tokens",
    "thinking",
    "reasoning",
    "top_p",
    "seed",
    "n",
)


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


class Asked:
    """The answer to a question, and what the models received for it."""

    def __init__(self, models: ModelServer, output: str) -> None:
        self.trace: dict[str, Any] = json.loads(output)
        self.requests: tuple[Received, ...] = models.requests

    def sent(self, model: str) -> list[dict[str, Any]]:
        """Return the parameters of the requests to a model, in order."""
        return [
            {name: each.body[name] for name in NAMED if name in each.body}
            for each in self.requests
            if each.model == model
        ]

    def system(self, model: str) -> list[str | None]:
        """Return the system messages that a model got, in order."""
        firsts = [each.body["messages"][0] for each in self.requests if each.model == model]
        return [first["content"] if first["role"] == "system" else None for first in firsts]

    @property
    def notes(self) -> list[str]:
        return [note for step in self.trace["steps"] for call in step["calls"] for note in call["notes"]]


def configured(
    models: ModelServer, folder: Path, *steps: str, route: str = "", defaults: str = "", first: str = "openai"
) -> str:
    """Write a configuration with one pipeline, `one`. `route` adds to the route of the model `first`."""
    lines = [
        "[models]",
        f'first.routes = [{{ model = "{first}/first", api_base = "{models.url}", n = 8{route} }}]',
        f'last.routes = [{{ model = "openai/last", api_base = "{models.url}" }}]',
        "[defaults]",
        defaults,
        "[pipelines.one]",
        f"steps = [{', '.join(steps)}]",
    ]
    path = folder / "members.toml"
    path.write_text("\n".join(lines), "utf-8")
    return str(path)


def ask(environ: dict[str, str], models: ModelServer, config: str, *options: str) -> Asked:
    """Ask, and return what came of it, from the journal beside the configuration."""
    journal = str(Path(config).with_name("runs.sqlite"))
    done = run(environ, "--config", config, "ask", "one", "Why?", "-q", "--journal", journal, *options)
    assert done.returncode in {0, 3}, done.stderr
    return Asked(models, invoke("runs", "export", "last", "--journal", journal).stdout)


def test_a_route_overrides_a_member_that_overrides_its_step_that_overrides_the_defaults(
    environ: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    defaults = 'temperature = 0.1\nmax_tokens = 900\nreasoning_effort = "minimal"'
    members = '"first", "last", { model = "last", temperature = 1.0, reasoning_effort = "high", extra = { seed = 7 } }'
    propose = (
        f'{{ step = "propose", agents = [{members}], reasoning_effort = "low", extra = {{ top_p = 0.9, seed = 1 }} }}'
    )
    route = ', reasoning_effort = "max", extra = { seed = 9 }'
    asked = ask(environ, models, configured(models, tmp_path, propose, LAST, route=route, defaults=defaults))
    assert asked.sent("first") == [
        {"temperature": 0.1, "max_tokens": 900, "reasoning_effort": "max", "top_p": 0.9, "seed": 9}
    ]
    *proposals, aggregated = asked.sent("last")
    assert sorted(proposals, key=lambda sent: sent["temperature"]) == [
        {"temperature": 0.1, "max_tokens": 900, "reasoning_effort": "low", "top_p": 0.9, "seed": 1},
        {"temperature": 1.0, "max_tokens": 900, "reasoning_effort": "high", "top_p": 0.9, "seed": 7},
    ]
    assert aggregated == {"temperature": 0.1, "max_tokens": 900, "reasoning_effort": "minimal"}


def test_a_member_alone_gets_its_system_prompt_and_the_question_keeps_its_own(
    environ: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    members = f'{{ model = "first", system = "{SCEPTIC}" }}, {{ model = "first", system = "{OPTIMIST}" }}, "first"'
    judge = f'{{ step = "aggregate", agent = {{ model = "last", system = "{SCEPTIC}" }} }}'
    config = configured(models, tmp_path, f'{{ step = "propose", agents = [{members}] }}', judge)
    asked = ask(environ, models, config, "--system", "Be brief.")
    own = "Be brief."
    assert sorted(asked.system("first"), key=str) == [own, f"{SCEPTIC}\n\n{own}", f"{OPTIMIST}\n\n{own}"]
    (system,) = asked.system("last")
    assert system is not None
    assert system.startswith(f"{SCEPTIC}\n\nBe brief.\n\nSeveral assistants have answered")


@pytest.mark.parametrize(
    "step",
    [
        '{{ step = "synthesize", agents = [{member}] }}',
        '{{ step = "refine", agents = [{member}] }}',
        '{{ step = "critique", agents = [{member}] }}',
        '{{ step = "vote", method = "restate", agent = {member} }}',
        '{{ step = "rank", agent = {member}, n = 1 }}',
        '{{ step = "vote", agent = {member} }}',
    ],
)
def test_members_of_every_layer_have_settings(
    environ: dict[str, str], models: ModelServer, tmp_path: Path, step: str
) -> None:
    member = f'{{ model = "last", system = "{SCEPTIC}", reasoning_effort = "low" }}'
    propose = '{ step = "propose", agents = ["first", "first"] }'
    asked = ask(
        environ, models, configured(models, tmp_path, propose, step.format(member=member), '{ step = "take", n = 1 }')
    )
    assert {str(system).startswith(f"{SCEPTIC}\n\n") for system in asked.system("last")} == {True}
    assert {sent["reasoning_effort"] for sent in asked.sent("last")} == {"low"}


def test_equal_members_share_a_request_and_others_do_not(
    environ: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    members = (
        '"first", "first", { model = "first", reasoning_effort = "low", samples = 2 }, '
        f'{{ model = "first", system = "{SCEPTIC}", samples = 3 }}, {{ model = "first", extra = {{ seed = 1 }} }}'
    )
    asked = ask(environ, models, configured(models, tmp_path, f'{{ step = "propose", agents = [{members}] }}', LAST))
    found = [
        (sent.get("n", 1), sent.get("reasoning_effort"), sent.get("seed"), system)
        for sent, system in zip(asked.sent("first"), asked.system("first"), strict=True)
    ]
    assert sorted(found, key=str) == [
        (1, None, 1, None),
        (2, "low", None, None),
        (2, None, None, None),
        (3, None, None, SCEPTIC),
    ]
    assert asked.trace["steps"][0]["calls"][4]["messages"][0]["content"] == SCEPTIC


def test_a_fallback_has_its_own_settings(environ: dict[str, str], models: ModelServer, tmp_path: Path) -> None:
    models.script("last", Status(400, "no more"))
    fallback = f'{{ model = "first", system = "{OPTIMIST}", reasoning_effort = "low" }}'
    agent = '{ model = "last", reasoning_effort = "high" }'
    step = f'{{ step = "aggregate", agent = {agent}, fallback_agent = {fallback} }}'
    asked = ask(environ, models, configured(models, tmp_path, '{ step = "propose", agents = ["first"] }', step))
    assert asked.sent("last")[0]["reasoning_effort"] == "high"
    assert asked.sent("first")[-1]["reasoning_effort"] == "low"
    assert str(asked.system("first")[-1]).startswith(OPTIMIST)


def test_a_model_that_takes_no_effort_answers_without_it_and_the_trace_says_so(
    environ: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    models.script("last", RefuseParameter("reasoning_effort"))
    step = '{ step = "propose", agents = [{ model = "last", reasoning_effort = "high" }] }'
    asked = ask(environ, models, configured(models, tmp_path, step))
    assert [sent.get("reasoning_effort") for sent in asked.sent("last")] == ["high", None]
    assert asked.notes == ["openai/last does not take reasoning_effort; left out"]


def test_an_effort_that_a_model_does_not_take_is_replaced_by_the_nearest(
    environ: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    models.script("last", Status(400, REFUSED), Reply("So."))
    step = '{ step = "propose", agents = [{ model = "last", reasoning_effort = "max" }] }'
    asked = ask(environ, models, configured(models, tmp_path, step))
    assert [sent.get("reasoning_effort") for sent in asked.sent("last")] == ["max", "high"]
    assert asked.notes == ["openai/last takes low, high for reasoning_effort, not max; sent high"]


@pytest.mark.parametrize(
    "told",
    ["Unrecognized request argument supplied: top_k", "Model grok-4 does not support parameter topK.", "'top_k' is no"],
)
def test_a_further_parameter_that_is_refused_is_left_out(
    environ: dict[str, str], models: ModelServer, tmp_path: Path, told: str
) -> None:
    models.script("last", Status(400, told), Reply("So."))
    step = '{ step = "propose", agents = [{ model = "last", extra = { top_k = 3, seed = 1 } }] }'
    asked = ask(environ, models, configured(models, tmp_path, step))
    assert [(each.body.get("top_k"), each.body["seed"]) for each in asked.requests] == [(3, 1), (None, 1)]
    assert asked.notes == ["openai/last does not take top_k; left out"]


def test_a_refusal_that_names_none_of_the_parameters_fails(
    environ: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    models.script("last", Status(400, "stop asking that"))
    config = configured(models, tmp_path, '{ step = "propose", agents = ["last"], extra = { stop = ["\\n\\n"] } }')
    done = run(environ, "--config", config, "ask", "one", "Why?")
    assert done.returncode == 1
    assert "stop asking that" in done.stderr
    assert [each.body["stop"] for each in models.requests] == [["\n\n"]]


def test_tokens_for_reasoning_go_to_a_provider_that_counts_them_and_the_effort_to_others(
    environ: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    settings = 'max_tokens = 6000, thinking_tokens = 4000, reasoning_effort = "low"'
    step = f'{{ step = "propose", agents = ["first", "last"], {settings} }}'
    asked = ask(environ, models, configured(models, tmp_path, step, LAST, first="openrouter"))
    limits = {"temperature": 0.7, "max_tokens": 6000}
    assert asked.sent("openrouter/first") == [{**limits, "reasoning": {"max_tokens": 4000}}]
    assert asked.sent("last")[0] == {**limits, "reasoning_effort": "low"}
    assert asked.notes == []


def test_tokens_for_reasoning_leave_half_of_the_limit_for_an_answer_if_a_route_sets_too_many(
    environ: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    step = '{ step = "propose", agents = ["first"], max_tokens = 3000 }'
    config = configured(models, tmp_path, step, route=", thinking_tokens = 9000", first="openrouter")
    asked = ask(environ, models, config)
    assert asked.sent("openrouter/first")[0]["reasoning"] == {"max_tokens": 1500}
    (note,) = asked.notes
    assert note.endswith("thinking_tokens = 9000 leaves no room for an answer within 3000 tokens; sent 1500")


def test_tokens_for_reasoning_are_left_out_where_no_form_is_known(
    environ: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    step = '{ step = "propose", agents = ["last"], max_tokens = 3000, thinking_tokens = 2000 }'
    asked = ask(environ, models, configured(models, tmp_path, step))
    assert asked.sent("last") == [{"temperature": 0.7, "max_tokens": 3000}]
    assert asked.notes == ["openai/last does not take thinking_tokens; left out"]


def test_the_estimate_grows_with_system_prompts_and_effort(models: ModelServer, tmp_path: Path) -> None:
    def estimated(member: str) -> tuple[int, int, int]:
        step = f'{{ step = "propose", agents = [{{ model = "first"{member} }}] }}'
        told = invoke("--config", configured(models, tmp_path, step), "ask", "one", "Why?", "--estimate", "--json")
        data = json.loads(told.stdout)
        return (
            data["prompt_tokens"]["expected"],
            data["completion_tokens"]["expected"],
            data["completion_tokens"]["max"],
        )

    prompt, expected, most = estimated("")
    assert estimated(f', system = "{"x" * 400}"') == (prompt + 104, expected, most)
    assert estimated(', reasoning_effort = "low"') == (prompt, expected + 409, most)
    assert estimated(', reasoning_effort = "max"') == (prompt, most, most)
    assert estimated(", thinking_tokens = 1000") == (prompt, expected + 600, most)


def test_a_fork_replaces_a_member_with_its_settings(
    environ: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    judge = f'{{ step = "aggregate", agent = {{ model = "last", system = "{SCEPTIC}", reasoning_effort = "high" }} }}'
    config = configured(models, tmp_path, '{ step = "propose", agents = ["first"] }', judge)
    kept = {**environ, "MOA_MCP_JOURNAL": str(tmp_path / "runs.sqlite")}
    ask(kept, models, config)

    def forked(*settings: str) -> dict[str, Any]:
        options = [part for each in settings for part in ("--set", each)]
        done = run(kept, "--config", config, "runs", "fork", "last", "--from", "2", *options, "--json", "-q")
        assert done.returncode == 0, done.stderr
        return models.requests[-1].body

    other = forked('agent={ model = "last", reasoning_effort = "low" }')
    assert (other["reasoning_effort"], SCEPTIC in str(other)) == ("low", False)
    same = forked("temperature=0.3", "extra={ seed = 2 }")
    assert (same["reasoning_effort"], same["temperature"], same["seed"], SCEPTIC in str(same)) == ("low", 0.3, 2, False)
    assert forked("agent=first").get("reasoning_effort") is None


def test_a_resumed_run_keeps_the_settings_of_its_members(
    environ: dict[str, str], models: ModelServer, tmp_path: Path
) -> None:
    models.script("last", Status(400, "no more"))
    judge = f'{{ step = "aggregate", agent = {{ model = "last", system = "{SCEPTIC}", extra = {{ seed = 3 }} }} }}'
    config = configured(models, tmp_path, '{ step = "propose", agents = ["first"] }', judge)
    kept = {**environ, "MOA_MCP_JOURNAL": str(tmp_path / "runs.sqlite")}
    assert run(kept, "--config", config, "ask", "one", "Why?").returncode == 1
    models.script("last", Reply("So."))
    done = run(kept, "--config", config, "runs", "resume", "last")
    assert done.returncode == 0, done.stderr
    asked = models.requests[-1]
    assert asked.body["seed"] == 3
    assert asked.body["messages"][0]["content"].startswith(SCEPTIC)


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (
            'reasoning_effort = "hihg"',
            (
                "reasoning_effort: 'hihg' should be one of 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'; "
                "did you mean 'high'?"
            ),
        ),
        ("reasoning_effort = 3", "reasoning_effort: 3 should be a string"),
        ("thinking_tokens = 0", "thinking_tokens: 0 should be at least 1"),
        (
            "thinking_tokens = 4000",
            (
                "thinking_tokens: 4000 should be less than max_tokens = 2048, which covers reasoning and answer; "
                "raise max_tokens, or lower it"
            ),
        ),
        ("extra = 3", "extra: 3 should be a table, { top_p = 0.9 }"),
        ("extra = { stream = true }", "extra: should not contain stream; moa-mcp decides whether it streams"),
        ("extra = { max_tokens = 1 }", "extra: should not contain max_tokens; set max_tokens of the step"),
        ("extra = { API_KEY = 'sk-1' }", "extra: should not contain API_KEY; set api_key_env of the route"),
        ("extra = { since = 2026-01-01 }", "extra: since should be text, a number, true or false, a list or a table"),
        ("extra = { top_p = inf }", "extra: top_p should be text, a number, true or false, a list or a table"),
    ],
)
def test_a_faulty_setting_is_named_with_its_place(models: ModelServer, tmp_path: Path, step: str, fault: str) -> None:
    config = configured(models, tmp_path, f'{{ step = "propose", agents = ["first"], {step} }}')
    told = invoke("--config", config, "check", "--offline")
    assert told.exit_code == 2
    assert f"pipelines.one, step 1, {fault}" in " ".join(told.stderr.split())


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        (
            '{ step = "propose", agents = [{ model = "first", thinking_tokens = 2048 }] }',
            "step 1, agent 1, thinking_tokens: 2048 should be less than max_tokens = 2048",
        ),
        ('{ step = "propose", agents = [{ model = "first", sytem = "x" }] }', "unknown key, did you mean 'system'?"),
        (
            '{ step = "propose", agents = ["first"] }, { step = "aggregate", agent = { model = "last", samples = 2 } }',
            "step 2, agent.samples: unknown key",
        ),
        (
            '{ step = "propose", agents = ["first"] }, { step = "aggregate", agent = { modle = "last" } }',
            "step 2, agent.modle: unknown key, did you mean 'model'?",
        ),
        (
            '{ step = "propose", agents = ["first"] }, { step = "aggregate", agent = 3 }',
            "step 2, agent: 3 should be a model",
        ),
        ('{ step = "propose", agents = ["first"] }, { step = "aggregate", agent = "" }', "step 2, agent: is empty"),
    ],
)
def test_a_faulty_member_is_named_with_its_place(models: ModelServer, tmp_path: Path, steps: str, fault: str) -> None:
    told = invoke("--config", configured(models, tmp_path, steps), "check", "--offline")
    assert told.exit_code == 2
    assert fault in " ".join(told.stderr.split())
