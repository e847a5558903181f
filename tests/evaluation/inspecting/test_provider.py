"""Pipelines as models of Inspect, in this process, whose models answer over HTTP."""

from __future__ import annotations

import pytest
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import includes
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver, system_message

from tests.support.inspecting import Bench, samples_of
from tests.support.model_server import Reply, Status


def sums(count: int = 2) -> Task:
    samples = [Sample(id=number, input=f"What is {number} + 1?", target="4") for number in range(count)]
    return Task(dataset=samples, solver=generate(), scorer=includes())


def test_a_pipeline_and_one_call_of_a_model_answer_a_task(bench: Bench) -> None:
    bench.models.script("small", Reply("3"))
    bench.models.script("large", Reply("The answer is 4."))

    logs = bench.evaluated(sums(), "mix", "one:large")

    assert [log.status for log in logs.values()] == ["success", "success"]
    assert bench.asked == {"small": 6, "large": 4}
    mixed = samples_of(logs["mix"])[0]
    assert mixed.output.completion == "The answer is 4."
    assert mixed.scores is not None
    assert mixed.scores["includes"].value == "C"


def test_the_log_has_tokens_cost_and_how_the_answer_came_about(bench: Bench) -> None:
    bench.models.script("small", Reply("3", cached_tokens=2, reasoning_tokens=1))
    bench.models.script("large", Reply("4"))

    (sample,) = bench.samples(sums(1), "mix")

    metadata, usage = sample.output.metadata, sample.output.usage
    assert metadata is not None
    assert usage is not None
    assert (metadata["pipeline"], metadata["status"], metadata["calls"]) == ("mix", "complete", 4)
    assert (metadata["failed_calls"], metadata["unknown_costs"], metadata["recorded"]) == (0, 0, False)
    assert [each["text"] for each in metadata["samples"]] == ["3", "3", "3"]
    assert metadata["cost_usd"] > 0
    assert usage.total_cost == pytest.approx(metadata["cost_usd"])
    assert (usage.input_tokens_cache_read, usage.reasoning_tokens) == (6, 3)
    assert usage.total_tokens == usage.input_tokens + 6 + usage.output_tokens


def test_an_unknown_cost_stays_unknown(bench: Bench) -> None:
    bench.configure(price="")

    (sample,) = bench.samples(sums(1), "one:small")

    assert sample.output.metadata is not None
    assert sample.output.metadata["cost_usd"] is None
    assert sample.output.metadata["unknown_costs"] == 1
    assert sample.output.usage is not None
    assert sample.output.usage.total_cost is None


def test_what_was_answered_is_not_asked_again(bench: Bench) -> None:
    first = bench.samples(sums(), "mix", epochs=2)
    bench.models.clear()

    again = bench.samples(sums(), "mix", epochs=3)

    assert bench.asked == {"small": 6, "large": 2}
    known = [each.output.metadata["run_id"] for each in first if each.output.metadata]
    assert len(set(known)) == 4
    shown = [each.output.metadata for each in again if each.output.metadata]
    assert [each["recorded"] for each in shown] == [True, True, False] * 2
    assert {each["run_id"] for each in shown if each["recorded"]} == set(known)


def test_equal_calls_of_one_sample_have_runs_of_their_own(bench: Bench) -> None:
    @solver
    def twice() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            asked = [*state.messages]
            await generate(state)
            state.messages = asked
            return await generate(state)

        return solve

    task = Task(dataset=[Sample(id="a", input="Why?", target="x")], solver=twice(), scorer=includes())
    (sample,) = bench.samples(task, "one:small")

    assert bench.asked == {"small": 2}
    assert sample.output.completion == "answer 2 from small"
    bench.models.clear()
    (again,) = bench.samples(task, "one:small")
    assert (again.output.completion, bench.asked) == ("answer 2 from small", {})


def test_few_shot_examples_are_earlier_turns_and_system_messages_the_system_prompt(bench: Bench) -> None:
    shots: list[ChatMessage] = [
        ChatMessageSystem(content="Answer with a number."),
        ChatMessageUser(content="1 + 1?"),
        ChatMessageAssistant(content="2"),
        ChatMessageUser(content="2 + 2?"),
    ]
    task = Task(dataset=[Sample(input=shots, target="4")], solver=[system_message("Be brief."), generate()])

    bench.samples(task, "one:small")

    (request,) = bench.models.requests
    sent = [(each["role"], each["content"]) for each in request.body["messages"]]
    assert sent[1:] == [("user", "1 + 1?"), ("assistant", "2"), ("user", "2 + 2?")]
    assert sent[0][0] == "system"
    assert sent[0][1].split() == ["Answer", "with", "a", "number.", "Be", "brief."]


def test_a_failed_run_is_an_error_of_its_sample_without_keys(bench: Bench) -> None:
    bench.models.script("small", Status(500, "broken sk-secret-0123456789abcdef"))
    log = bench.evaluated(sums(1), "mix")["mix"]

    (sample,) = samples_of(log)
    assert sample.error is not None
    assert sample.error.message.startswith("mix failed: ")
    assert "moa-mcp runs show" in sample.error.message
    assert "sk-secret" not in log.model_dump_json()
    assert bench.asked == {"small": 3}
