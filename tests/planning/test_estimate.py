from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from mcp import Client

from moa_mcp.cli import commands
from moa_mcp.config import Pipeline, load, models_of, parse, shipped
from moa_mcp.errors import MissingKey
from moa_mcp.planning.estimate import UNROUTED, Estimate, ModelEstimate, Priced, StepEstimate, estimate, prices
from moa_mcp.planning.forecast import assumed, prompt_tokens
from moa_mcp.planning.plan import plan
from moa_mcp.providers.backend import Backend, simulated
from moa_mcp.routing import catalog
from moa_mcp.routing.catalog import source
from moa_mcp.server.app import App
from moa_mcp.server.output_schemas import ESTIMATE
from moa_mcp.steps import prompts
from moa_mcp.testing import ScriptedModel, pipeline, run_pipeline
from moa_mcp.trace.trace import Trace
from moa_mcp.values import (
    Analysis,
    Answer,
    Call,
    Completion,
    Dollars,
    Message,
    Place,
    Price,
    Question,
    Rates,
    Target,
    Tokens,
    token_limit,
)
from tests.support.serving import content, text
from tests.support.tables import steps

WHY = Question("Why?")
CENT = Price(Rates(Decimal("0.01"), Decimal("0.1"), Decimal("0.001"), Decimal("0.1")), "the test")
SHIPPED = load(shipped()).pipelines


def at(price: Price | None, pipeline: Pipeline) -> Mapping[str, Priced]:
    return dict.fromkeys(models_of(pipeline), Priced("p/m", price, "the test"))


def of(*tables: str, question: Question = WHY, price: Price | None = CENT) -> Estimate:
    chosen = pipeline(steps(*tables))
    return estimate(chosen, question, at(price, chosen))


def propose(*models: str, tokens: int = 100, more: str = "") -> str:
    return f'{{ step = "propose", agents = {list(models)}, max_tokens = {tokens}{more} }}'


def aggregate(agent: str = "z", tokens: int = 100) -> str:
    return f'{{ step = "aggregate", agent = "{agent}", max_tokens = {tokens} }}'


LAST = aggregate()


def test_a_message_is_its_characters_by_four_and_four_tokens_more() -> None:
    assert prompt_tokens([Message("system", "x" * 9), Message("user", "x" * 8)]) == 3 + 4 + 2 + 4
    assert prompt_tokens([Message("system", "x" * 9), Message("user", "x" * 8)], unwritten=10) == 13 + 4 + 2 + 4


def test_a_step_without_answers_before_it_sends_the_question_and_gets_what_its_limit_allows() -> None:
    first = of(propose("a", "a", "b"), LAST).steps[0]
    assert [(each.model, each.calls, each.prompt, each.completion) for each in first.models] == [
        ("a", 2, Tokens(10, 10, 10), Tokens(2, 120, 200)),
        ("b", 1, Tokens(5, 5, 5), Tokens(1, 60, 100)),
    ]
    assert first.models[0].cost_usd == Dollars(Decimal("0.3"), Decimal("12.1"), Decimal("20.1"))
    assert (first.calls, first.prompt, first.completion) == (3, Tokens(15, 15, 15), Tokens(3, 180, 300))
    assert first.cost_usd == Dollars(Decimal("0.45"), Decimal("18.15"), Decimal("30.15"))


def test_a_step_after_others_sends_their_answers_too() -> None:
    found = of(propose("a", "b"), LAST)
    blank = Answer("", "", Place(1, 1))
    frame = len(prompts.synthesize(WHY, [blank, blank], None)[0].content)
    cut = 2 * len(", cut off at its token limit")

    def sent(answers: int, more: int = 0) -> int:
        return -(-(frame + more + 4 * answers) // 4) + 4 + 5

    assert found.steps[1].prompt == Tokens(sent(2), sent(120), sent(200, cut))
    assert found.prompt == Tokens(10 + sent(2), 10 + sent(120), 10 + sent(200, cut))
    assert (found.calls, found.completion, found.unknown) == (3, Tokens(3, 180, 300), ())


@pytest.mark.parametrize(
    ("limit", "said"), [(1, Tokens(1, 1, 1)), (1000, Tokens(1, 600, 1000)), (9000, Tokens(1, 700, 9000))]
)
def test_an_answer_is_expected_to_use_a_part_of_its_limit_and_no_more_than_is_usual(limit: int, said: Tokens) -> None:
    assert of(propose("a", tokens=limit)).completion == said


@pytest.mark.parametrize(
    "judge",
    ['{ step = "rank", agent = "j", n = 1, max_tokens = 90 }', '{ step = "vote", agent = "j", max_tokens = 90 }'],
)
def test_a_judge_replies_one_line_and_hands_on_an_answer(judge: str) -> None:
    found = of(propose("a", "b", tokens=300), judge, LAST)
    one, both = found.steps[2].prompt, of(propose("a", "b", tokens=300), LAST).steps[1].prompt
    assert found.steps[1].completion == Tokens(1, 20, 90)
    assert 180 <= both.expected - one.expected < 180 + 30


def test_prompts_grow_through_the_layers_with_the_answers_before_them() -> None:
    synthesize = '{ step = "synthesize", agents = ["a", "b", "c"], max_tokens = 400 }'
    found = of(propose("a", "b", "c", tokens=200), synthesize, aggregate(tokens=10))
    proposed, synthesized, aggregated = (step.models[0].prompt for step in found.steps)
    assert synthesized.max - proposed.max > 3 * 200
    assert aggregated.max - synthesized.max == 3 * (400 - 200)
    assert aggregated.expected - synthesized.expected == 3 * (240 - 120)
    assert aggregated.min == synthesized.min


@pytest.mark.parametrize(
    ("tables", "calls"),
    [
        ((propose("a", "b", "c"), '{ step = "refine", agents = ["x", "y"] }', LAST), [3, 3, 1]),
        ((propose("a", "b", "c"), '{ step = "rank", agent = "j", n = 2, passes = 5 }', LAST), [3, 5, 1]),
        ((propose("a", "b", "c"), '{ step = "vote", method = "majority" }'), [3, 0]),
        ((propose("a", "b", "c"), '{ step = "vote", method = "restate", agent = "j" }'), [3, 1]),
        ((propose("a", "b", "c"), '{ step = "shuffle" }', '{ step = "take", n = 1 }'), [3, 0, 0]),
        ((propose("a"), '{ step = "vote", agent = "j" }'), [1, 0]),
    ],
    ids=["refine", "passes", "majority", "restate", "selecting", "nothing to judge"],
)
def test_calls_are_those_that_are_made(tables: tuple[str, ...], calls: list[int]) -> None:
    assert [step.calls for step in of(*tables).steps] == calls


def shown(*between: str) -> Tokens:
    """Return about how many of five answers, each of a thousand tokens, are shown after these steps."""
    frame = -(-len(prompts.SYNTHESIZE) // 4)
    five = propose("a", "b", "c", "d", "e", tokens=1000)
    sent = of(five, *between, LAST).steps[-1].prompt
    return Tokens(round((sent.min - frame) / 40), round(sent.expected / 700), round(sent.max / 1000))


def test_what_leaves_answers_out_shortens_the_prompts_that_follow() -> None:
    assert shown()[1:] == (5, 5)
    assert shown('{ step = "dropout", rate = 0.4 }')[1:] == (3, 5)
    assert shown('{ step = "dropout", rate = 0 }') == shown()
    assert shown('{ step = "dropout", rate = 0.4 }').min < shown().min
    for step in ('"sample", n = 2', '"take", n = 2', '"rank", n = 2, agent = "j"'):
        assert shown(f"{{ step = {step} }}")[1:] == (2, 2)


def test_of_answers_in_an_unknown_order_the_longest_may_be_kept() -> None:
    again = propose("a", tokens=10, more=", keep = 1")
    last = of(propose("a", tokens=1000), again, '{ step = "shuffle" }', '{ step = "take", n = 1 }', LAST).steps[-1]
    assert last.prompt.min < 300
    assert 300 < last.prompt.expected < 600
    assert last.prompt.max > 1000


def test_context_and_system_text_and_an_instruction_of_its_own_are_in_the_prompt() -> None:
    whole = of(propose("a", more=', prompt = "12345678"'), question=Question("Why?", "x" * 400, "y" * 80))
    assert of(propose("a")).prompt.min == 5
    assert whole.prompt.min > 5 + 100 + 20 + 2


def test_a_long_prompt_has_the_price_of_long_prompts() -> None:
    tiered = CENT._replace(tiers=((1000, Rates(Decimal(1), Decimal(2), Decimal(1), Decimal(2))),))
    found = of(propose("a", "b", tokens=600), LAST, price=tiered).steps[1]
    assert found.cost_usd == Dollars(
        found.prompt.min * CENT.rates.prompt + CENT.rates.completion,
        found.prompt.expected * CENT.rates.prompt + 60 * CENT.rates.completion,
        found.prompt.max * Decimal(1) + 100 * Decimal(2),
    )


def test_of_more_steps_than_are_cached_each_has_its_own_estimate() -> None:
    tokens = range(10, 710)
    estimated = of(*(propose("a", tokens=each) for each in tokens))
    assert [step.completion.max for step in estimated.steps] == [*tokens]


def test_an_unknown_price_makes_the_cost_of_its_step_and_of_the_whole_unknown() -> None:
    chosen = pipeline(steps(propose("a", "b"), LAST))
    prices = {"a": Priced("p/a", CENT, "the test"), "b": Priced("p/b", None, "no price"), "z": at(CENT, chosen)["z"]}
    found = estimate(chosen, WHY, prices)
    assert [each.cost_usd is None for each in found.steps[0].models] == [False, True]
    assert [step.cost_usd is None for step in found.steps] == [True, False]
    assert (found.cost_usd, found.unknown) == (None, ("b",))
    assert estimate(chosen, WHY, {}).unknown == ("a", "b", "z")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_pipeline_takes_the_calls_of_its_plan_and_its_ranges_are_in_order(name: str) -> None:
    found = estimate(SHIPPED[name], assumed(), at(CENT, SHIPPED[name]))
    assert [step.calls for step in found.steps] == [step.calls for step in plan(SHIPPED[name]).steps]
    models = [model for step in found.steps for model in step.models]
    parts: list[Estimate | StepEstimate | ModelEstimate] = [found, *found.steps, *models]
    for each in parts:
        assert each.cost_usd is not None
        for low, expected, high in (each.prompt, each.completion, each.cost_usd):
            assert low <= expected <= high


def longest(call: Call) -> Completion:
    """Reply with as many characters as the call's limit stands for; a judge with a verdict."""
    system = call.messages[0].content
    if call.agent == "j" and '"ranking"' in system:
        count = len(prompts.unfenced(system))
        return Completion(json.dumps({"ranking": list(range(count, 0, -1))}), "j")
    if call.agent == "j":
        return Completion('{"answer": 1}', "j")
    return Completion("x" * 4 * (token_limit(call.parameters) or 0), call.agent, "length")


async def run_longest(chosen: Pipeline, question: Question, seed: int) -> Trace:
    return await run_pipeline(chosen, question, ScriptedModel(otherwise=longest), seed=seed)


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["together_moa", "self_moa_seq_paper", "refine"])
async def test_the_greatest_prompts_of_a_shipped_pipeline_are_exactly_those_of_its_longest_answers(name: str) -> None:
    trace = await run_longest(SHIPPED[name], WHY, 0)
    found = estimate(SHIPPED[name], WHY, {})
    sent = [sum(prompt_tokens(call.messages) for call in step.calls) for step in trace.steps]
    assert sent == [step.prompt.max for step in found.steps]


@pytest.mark.anyio
async def test_prices_are_those_of_the_routes_that_would_be_taken_now() -> None:
    served = {"a": "openai/gpt-4o-mini", "b": "openai/none", "c": "simulated/c"}

    async def usable(alias: str) -> tuple[Target, ...]:
        if alias not in served:
            raise MissingKey("no route can be used here; set X")
        model = served[alias]
        return (Target(model, model.partition("/")[0]), Target("openai/gpt-4o", "openai"))

    found = await prices(pipeline(steps(propose("a", "b", "c"), LAST)), usable)
    price = found["a"].price
    assert price is not None
    assert 0 < price.rates.cached < price.rates.prompt < price.rates.completion
    assert found == {
        "a": Priced("openai/gpt-4o-mini", price, source()),
        "b": Priced("openai/none", None, f"no price in the {source()}"),
        "c": Priced("simulated/c", catalog.price("simulated/c"), "simulated"),
        "z": UNROUTED,
    }


CONFIG = """
models.known.routes = [{ model = "openai/gpt-4o-mini", api_key_env = "ONE_KEY" }]
models.strange.routes = [{ model = "openai/none", api_base = "http://127.0.0.1:1/v1" }]
[pipelines.known]
description = "x"
steps = [{ step = "propose", agents = [{ model = "known", samples = 2 }] }, { step = "aggregate", agent = "known" }]
[pipelines.strange]
description = "x"
steps = [{ step = "propose", agents = ["known", "strange"] }, { step = "aggregate", agent = "known" }]
"""


def invoke(folder: Path, *args: str) -> str:
    path = folder / "pipelines.toml"
    path.write_text(CONFIG, "utf-8")
    environ = {"ONE_KEY": "s3cr3t", "COLUMNS": "80", "MOA_MCP_JOURNAL": str(folder / "journal.sqlite")}
    result = CliRunner().invoke(commands, [*args, "--config", str(path)], env=environ)
    assert result.exit_code == 0, result.output
    assert "s3cr3t" not in result.output
    assert "--json" in args or [row for row in result.stdout.splitlines() if len(row) > 80] == []
    assert not (folder / "journal.sqlite").exists()
    return result.stdout


def test_ask_with_estimate_prints_what_a_question_would_take(tmp_path: Path) -> None:
    shown = invoke(tmp_path, "ask", "known", "Why?", "--estimate")
    rows = {row.split()[0]: row.split()[1:] for row in shown.splitlines() if row.strip()}
    data: dict[str, Any] = json.loads(invoke(tmp_path, "ask", "known", "Why?", "--estimate", "--json"))
    cost = data["cost_usd"]
    assert (data["calls"], data["steps"][0]["prompt_tokens"]) == (3, {"min": 10, "expected": 10, "max": 10})
    assert rows["total"][:1] == ["3"]
    assert rows["total"][-2:] == [f"${cost['expected']:.6f}", f"${cost['max']:.6f}"]
    assert f"Expected cost: ${cost['expected']:.6f} (minimum ${cost['min']:.6f}, maximum ${cost['max']:.6f})." in shown
    assert "openai/gpt-4o-mini" in shown
    assert f"litellm {source().split()[1]}" in shown


def test_ask_with_estimate_names_the_models_whose_price_is_unknown(tmp_path: Path) -> None:
    shown = invoke(tmp_path, "ask", "strange", "Why?", "--estimate")
    data = json.loads(invoke(tmp_path, "ask", "strange", "Why?", "--estimate", "--json"))
    assert "Expected cost: unknown, because no price is known for strange." in shown
    assert (data["cost_usd"], data["unknown"], data["enough_usd"]) == (None, ["strange"], None)
    assert "--max-cost" not in shown
    assert [each["cost_usd"] is None for each in data["steps"][0]["models"]] == [False, True]


def test_a_wide_pipeline_is_shown_whole_and_simulation_costs_nothing(tmp_path: Path) -> None:
    path = str(shipped())
    environ = {"COLUMNS": "80"}
    args = ["ask", "together_moa", "Why?", "--estimate", "--offline", "--config", path]
    shown = CliRunner().invoke(commands, args, env=environ).stdout.splitlines()
    assert max(map(len, shown)) <= 80
    assert "…" not in "".join(shown)
    assert "Expected cost: $0 (minimum $0, maximum $0)." in shown


def test_check_with_cost_adds_dollars_to_every_pipeline(tmp_path: Path) -> None:
    pipelines = invoke(tmp_path, "check", "--cost").partition("model ")[0]
    rows = {row.split()[0]: row.split() for row in pipelines.splitlines() if row.strip()}
    data = json.loads(invoke(tmp_path, "check", "--cost", "--json"))["pipelines"]
    cost = data[0]["estimate"]["cost_usd"]
    assert rows["known"][3:5] == [f"${cost['expected']:.6f}", f"${cost['max']:.6f}"]
    assert rows["strange"][3:] == ["unknown", "ready"]
    assert data[1]["estimate"]["unknown"] == ["strange"]
    assert "estimate" not in json.loads(invoke(tmp_path, "check", "--json"))["pipelines"][0]
    offline = json.loads(invoke(tmp_path, "check", "--cost", "--json", "--offline"))["pipelines"][1]["estimate"]
    assert offline["cost_usd"] == {"min": 0, "expected": 0, "max": 0}


def test_an_estimate_does_not_load_litellm() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "moa_mcp", "ask", "self_moa", "Why?", "--estimate"]
    done = subprocess.run(
        [*command, "--config", str(shipped())],
        env={**os.environ, "OPENAI_API_KEY": "k"},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    loaded = {row.rpartition("|")[2].strip().partition(".")[0] for row in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "Expected cost: $" in done.stdout
    assert "rich" in loaded
    assert "litellm" not in loaded


def backend() -> Backend:
    """Serve every alias at the model of its own name at OpenAI's; asking any is a fault."""

    async def usable(alias: str) -> tuple[Target, ...]:
        return (Target(f"openai/{alias}", "openai"),)

    def refuse(call: Call) -> str:
        raise NotImplementedError

    return Backend(ScriptedModel(otherwise=refuse), lambda _: usable)


SERVED = parse(
    '[models]\n"gpt-4o-mini".routes = ["openai/gpt-4o-mini"]\nnone.routes = ["openai/none"]\n'
    "[pipelines.known]\n" + steps(propose("gpt-4o-mini"), aggregate("gpt-4o-mini")) + "\n"
    "[pipelines.strange]\n" + steps(propose("none"), '{ step = "shuffle" }', aggregate("gpt-4o-mini"))
)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("era", ["auto", "legacy"])
class TestTool:
    async def test_tools_that_ask_models_say_so_and_one_that_starts_a_run_with_each_call_too(self, era: Any) -> None:
        async with Client(App(SERVED, backend=backend()).server, mode=era) as client:
            hints = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
        assert {name for name, each in hints.items() if each and each.open_world_hint} == {
            *("known", "strange", "moa_wait", "moa_resume", "moa_fork")
        }
        assert {name for name, each in hints.items() if each and not each.idempotent_hint} == {
            *("known", "strange", "moa_fork")
        }

    async def test_it_is_described_as_one_that_only_looks(self, era: Any) -> None:
        async with Client(App(SERVED, backend=backend()).server, mode=era) as client:
            tool = next(tool for tool in (await client.list_tools()).tools if tool.name == "moa_estimate")
        hints = tool.annotations
        assert hints is not None
        assert (hints.read_only_hint, hints.idempotent_hint, hints.open_world_hint, hints.destructive_hint) == (
            True,
            True,
            False,
            False,
        )
        assert tool.output_schema == ESTIMATE
        assert tool.input_schema == {
            "type": "object",
            "properties": {
                "models": {"type": "string"},
                "aggregator": {"type": "string"},
                "pipeline": {
                    "type": "string",
                    "description": "Tool name of the pipeline.",
                },
                "question": {
                    "type": "string",
                    "description": "If omitted, 200 tokens are assumed.",
                },
                "context": {"type": "string", "description": "Source material: files, data, history."},
                "images": {"type": "array", "items": {"type": "string"}, "description": "As in the call."},
                "system": {"type": "string", "description": "System prompt."},
                "continue_run": {"type": "string"},
                "answer_schema": {"type": "object"},
            },
            "required": ["pipeline"],
            "additionalProperties": False,
        }

    async def test_text_and_data_tell_the_cost_and_its_source(self, era: Any) -> None:
        async with Client(App(SERVED, backend=backend()).server, mode=era) as client:
            result = await client.call_tool("moa_estimate", {"pipeline": "known", "question": "Why?"})
            assumed = await client.call_tool("moa_estimate", {"pipeline": "known"})
            longer = await client.call_tool("moa_estimate", {"pipeline": "known", "context": "x" * 4000, "system": "y"})
        data = content(result)
        Draft202012Validator(ESTIMATE).validate(data)
        cost = data["cost_usd"]
        assert (result.is_error, data["pipeline"], data["calls"]) == (False, "known", 2)
        assert data["enough_usd"] >= cost["max"] > 0
        assert data["steps"][0]["models"][0]["route"] == "openai/gpt-4o-mini"
        assert data["steps"][0]["models"][0]["source"] == source()
        assert text(result).startswith(
            f"known: 2 calls, ${cost['expected']:.6f} (${cost['min']:.6f} to ${cost['max']:.6f}), prompt tokens "
        )
        assert f"\n- gpt-4o-mini at openai/gpt-4o-mini: {source()}\n" in text(result)
        sent = [content(each)["steps"][0]["prompt_tokens"]["min"] for each in (result, assumed, longer)]
        assert sent[:2] == [5, 204]
        assert sent[2] > 204 + 1000

    async def test_an_unknown_price_is_named_and_is_not_zero(self, era: Any) -> None:
        async with Client(App(SERVED, backend=backend()).server, mode=era) as client:
            result = await client.call_tool("moa_estimate", {"pipeline": "strange", "question": "Why?"})
        data = content(result)
        Draft202012Validator(ESTIMATE).validate(data)
        assert (data["cost_usd"], data["unknown"], data["enough_usd"]) == (None, ["none"], None)
        assert "max_cost_usd" not in text(result)
        assert text(result).startswith("strange: 2 calls, cost unknown, prompt tokens ")
        assert f"\n- none at openai/none: price unknown, no price in the {source()}\n" in text(result)

    async def test_an_unknown_pipeline_is_an_error_that_names_the_nearest(self, era: Any) -> None:
        async with Client(App(SERVED, backend=backend()).server, mode=era) as client:
            near = await client.call_tool("moa_estimate", {"pipeline": "strnge"})
            far = await client.call_tool("moa_estimate", {"pipeline": "x"})
        assert (near.is_error, far.is_error) == (True, True)
        assert text(near) == "unknown pipeline 'strnge', did you mean strange? (available: known, strange)"
        assert text(far) == "unknown pipeline 'x' (available: known, strange)"

    async def test_simulated_models_cost_nothing(self, era: Any) -> None:
        async with Client(App(load(shipped()), backend=simulated(0)).server, mode=era) as client:
            result = await client.call_tool("moa_estimate", {"pipeline": "robust_moa"})
        data = content(result)
        Draft202012Validator(ESTIMATE).validate(data)
        assert (data["calls"], data["cost_usd"]) == (5, {"min": 0, "expected": 0, "max": 0})
        assert {model["source"] for step in data["steps"] for model in step["models"]} == {"simulated"}
        assert "max_cost_usd" not in text(result)


def test_the_estimate_of_a_fork_has_the_analysis_that_its_next_step_sees() -> None:
    answers = tuple(Answer(f"{agent} says so", agent, Place(1, number)) for number, agent in enumerate("abc", 1))
    analysis = Analysis(tuple(each.place for each in answers), blind_spots=("It depends on the weather.",) * 9)
    whole = pipeline(steps(propose("a", "b", "c"), LAST))
    left = whole.model_copy(update={"steps": whole.steps[1:]})
    found = estimate(left, WHY, {}, answers, analysis=analysis)
    sent = prompt_tokens(prompts.synthesize(WHY, answers, None, analysis))
    assert sent <= found.prompt.expected <= sent + 8
