"""A server that several callers share: none sees a run of another one through any door, whatever it asks.

The doors are those that the server itself has registered: a new one without a case here fails a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from moa_mcp.callers import Permissions
from moa_mcp.config import load
from moa_mcp.server.app import App
from moa_mcp.server.listing import own_tools, view_tool
from moa_mcp.server.resources import _TEMPLATES
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE
from tests.support.team import APPS, TASKS, Reply, Team

QUESTION = "What does the violet elephant eat?"
SLOW = AT_ONCE.replace("0.0", "60.0")
UNKNOWN = "0123456789abcdef"
KINDS = ("complete", "cancelled", "running")


class House(NamedTuple):
    """A server with runs of alice: a complete, a cancelled and an active one."""

    team: Team
    url: str
    runs: Mapping[str, str]
    """Her runs by kind."""


@pytest.fixture(scope="module")
def house(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    operator = Permissions(operator=True)
    team = Team(folder, {"alice": Permissions(), "bob": Permissions(pipelines=("refine",)), "ops": operator})
    journal = ("--journal", str(folder / "journal.sqlite"))
    with team.served(nursery, *journal, prelude=AT_ONCE) as (_, url):
        runs = {"complete": team.call(url, "alice", "vote", question=QUESTION)["structuredContent"]["run_id"]}
    with team.served(nursery, *journal, prelude=SLOW) as (_, url):
        for kind in ("cancelled", "running"):
            run = team.call(url, "alice", "vote", question=QUESTION, wait_s=0)["structuredContent"]
            runs[kind] = run["run_id"]
        team.call(url, "alice", "moa_cancel", run_id=runs["cancelled"])
        yield House(team, url, runs)


Ask = Callable[..., Reply]
"""Sends a request to the house: the method and its parameters."""


def tool(name: str, **arguments: Any) -> Callable[[Ask, str], Reply]:
    return lambda ask, run_id: ask("tools/call", name=name, arguments={"run_id": run_id, **arguments})


OWN: Mapping[str, Callable[[Ask, str], Reply]] = {
    "moa_wait": tool("moa_wait", wait_s=0),
    "moa_resume": tool("moa_resume", wait_s=0),
    "moa_fork": tool("moa_fork", step=1, wait_s=0),
    "moa_cancel": tool("moa_cancel"),
    "moa_trace": tool("moa_trace"),
    "moa_view": tool("moa_view"),
}
"""The tools that take the ID of a run."""
WITHOUT_RUNS = {"moa_estimate"}
BY_ID: Mapping[str, Callable[[Ask, str], Reply]] = {
    **OWN,
    "a task": lambda ask, run_id: ask("tasks/get", taskId=run_id, extensions=(TASKS,)),
    "answers to a task": lambda ask, run_id: ask("tasks/update", taskId=run_id, inputResponses={}, extensions=(TASKS,)),
    "the end of a task": lambda ask, run_id: ask("tasks/cancel", taskId=run_id, extensions=(TASKS,)),
    "waiting as a task": lambda ask, run_id: ask(
        "tools/call", name="moa_wait", arguments={"run_id": run_id}, extensions=(TASKS,)
    ),
    "run": lambda ask, run_id: ask("resources/read", uri=f"moa://runs/{run_id}"),
    "run_page": lambda ask, run_id: ask("resources/read", uri=f"moa://runs/{run_id}/1"),
    "a question that follows it": lambda ask, run_id: ask(
        "tools/call", name="refine", arguments={"question": "Why?", "continue_run": run_id, "wait_s": 0}
    ),
    "the estimate of such a question": lambda ask, run_id: ask(
        "tools/call", name="moa_estimate", arguments={"pipeline": "refine", "continue_run": run_id}
    ),
    "the cursor of a list": lambda ask, run_id: ask("resources/list", cursor=f"moa://runs/{run_id}"),
}
"""What takes the ID of a run."""
LISTS: Mapping[str, Callable[[Ask], Reply]] = {
    "server/discover": lambda ask: ask("server/discover"),
    "tools/list": lambda ask: ask("tools/list"),
    "tools/list in a chat": lambda ask: ask("tools/list", extensions=(APPS,)),
    "resources/list": lambda ask: ask("resources/list"),
    "resources/templates/list": lambda ask: ask("resources/templates/list"),
    "prompts/list": lambda ask: ask("prompts/list"),
    "prompts/get": lambda ask: ask("prompts/get", name="choose_pipeline", arguments={"task": "Any"}),
    "completion of run IDs": lambda ask: ask(
        "completion/complete",
        ref={"type": "ref/resource", "uri": "moa://runs/{run_id}"},
        argument={"name": "run_id", "value": ""},
    ),
    "completion of pipelines": lambda ask: ask(
        "completion/complete",
        ref={"type": "ref/resource", "uri": "moa://pipelines/{name}"},
        argument={"name": "name", "value": ""},
    ),
    "the last run": lambda ask: ask("tools/call", name="moa_trace", arguments={"run_id": "last"}),
    "the run of a call": lambda ask: ask(
        "tools/call",
        name="moa_view",
        arguments={"tool": "vote", "arguments": {"question": QUESTION, "wait_s": 0}, "mark": 0},
    ),
}
"""What may show runs or pipelines without an ID."""
METHODS = {
    "completion/complete",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/templates/list",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/update",
    "tools/call",
    "tools/list",
}
"""The methods that the cases above and `test_a_caller_is_notified_of_its_own_runs_alone` use."""
WITHOUT_CALLERS = {"initialize", "ping"}


def asked_by(house: House, caller: str) -> Ask:
    return lambda method, **params: house.team.send(house.url, caller, method, **params)


def test_every_door_of_the_server_has_a_case_here() -> None:
    server = App(load(), offline=True).server
    assert {*server._request_handlers} - WITHOUT_CALLERS == METHODS
    assert {each.name for each in (*own_tools(), view_tool())} == OWN.keys() | WITHOUT_RUNS
    assert {each.name for each in _TEMPLATES} <= {"pipeline", *BY_ID}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("door", BY_ID)
def test_a_run_of_another_caller_is_answered_word_for_word_as_an_unknown_one(
    house: House, door: str, kind: str
) -> None:
    run_id = house.runs[kind]
    answer, unknown = (BY_ID[door](asked_by(house, "bob"), each) for each in (run_id, UNKNOWN))
    assert answer.status == unknown.status
    assert answer.text == unknown.text.replace(UNKNOWN, run_id)
    assert QUESTION not in answer.text


@pytest.mark.parametrize("length", [4, 8, 15])
@pytest.mark.parametrize("name", OWN)
def test_the_start_of_an_id_finds_no_run_of_another_caller(house: House, name: str, length: int) -> None:
    run_id = house.runs["complete"]
    text = OWN[name](asked_by(house, "bob"), run_id[:length]).text
    assert run_id not in text
    assert f"there is no run '{run_id[:length]}' in the journal" in text


@pytest.mark.parametrize("door", LISTS)
def test_no_list_shows_the_runs_or_pipelines_of_another_caller(house: House, door: str) -> None:
    text = LISTS[door](asked_by(house, "bob")).text
    assert [run_id for run_id in house.runs.values() if run_id in text] == []
    assert QUESTION not in text
    assert "moa_lite" not in text  # a pipeline that bob may not call


@pytest.mark.parametrize("caller", ["alice", "ops"])
@pytest.mark.parametrize("door", [each for each in BY_ID if each not in {"the end of a task", "moa_cancel"}])
def test_the_owner_of_a_run_and_an_operator_see_it_through_every_door(house: House, door: str, caller: str) -> None:
    answer = BY_ID[door](asked_by(house, caller), house.runs["complete"])
    assert "there is no run" not in answer.text
    assert "not found" not in answer.text
    assert answer.status == 200


@pytest.mark.parametrize("caller", ["alice", "ops"])
def test_lists_show_the_runs_of_their_caller_and_an_operator_all(house: House, caller: str) -> None:
    ask = asked_by(house, caller)
    for door in ("resources/list", "completion of run IDs"):
        text = LISTS[door](ask).text
        assert all(run_id in text for run_id in house.runs.values())


def test_after_all_that_others_tried_the_run_is_still_active(house: House) -> None:
    run = house.team.call(house.url, "alice", "moa_wait", run_id=house.runs["running"], wait_s=0)
    assert run["structuredContent"]["status"] == "running"


@pytest.mark.parametrize("name", ["vote", "moa_lite"])
def test_a_pipeline_that_is_not_allowed_can_not_be_told_from_an_unknown_one(house: House, name: str) -> None:
    ask, unknown = asked_by(house, "bob"), "zzzz"
    called = [ask("tools/call", name=each, arguments={"question": "Why?"}) for each in (name, unknown)]
    looked = [ask("resources/read", uri=f"moa://pipelines/{each}") for each in (name, unknown)]
    prompted = [
        ask("prompts/get", name="ask_panel", arguments={"question": "Why?", "pipeline": each})
        for each in (name, unknown)
    ]
    for given, other in (called, looked, prompted):
        assert "error" in given.message
        assert given.text == other.text.replace(unknown, name)


def test_a_run_of_a_pipeline_that_is_no_longer_allowed_can_be_read_and_not_continued(house: House) -> None:
    run_id = house.runs["complete"]
    file = house.team.path
    before = file.read_text("utf-8")
    house.team.change(before.replace("[callers.alice]", '[callers.alice]\npipelines = ["refine"]'))
    house.team.wait_until(lambda: "vote" not in LISTS["tools/list"](asked_by(house, "alice")).text)
    try:
        fork = house.team.call(house.url, "alice", "moa_fork", run_id=run_id, step=1)
        assert fork["content"][0]["text"] == f"run {run_id} can't continue: its pipeline is not available to you"
        assert house.team.call(house.url, "alice", "moa_trace", run_id=run_id)["structuredContent"]["run_id"] == run_id
    finally:
        house.team.change(before)
        house.team.wait_until(lambda: "vote" in LISTS["tools/list"](asked_by(house, "alice")).text)


def test_an_estimate_knows_the_allowed_pipelines_alone(house: House) -> None:
    result = house.team.call(house.url, "bob", "moa_estimate", pipeline="vote")
    assert result["content"][0]["text"] == "unknown pipeline 'vote' (available: refine)"
