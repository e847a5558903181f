"""The timeline that `ask` and `runs show` print: a bar for each call, to scale."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from moa_mcp.cli.timeline import Timeline
from moa_mcp.errors import STOPPED
from moa_mcp.events import (
    AttemptFailed,
    AttemptFinished,
    AttemptStarted,
    CallFinished,
    CallStarted,
    RunResumed,
    RunStarted,
    StepStarted,
)
from moa_mcp.trace.trace import trace_of
from moa_mcp.values import Completion, Message, Place, Question
from tests.cli.test_cli import environ, run, served
from tests.support.model_server import Hang, ModelServer, Reply, Status
from tests.support.nursery import Nursery

__all__ = ["environ"]

TWO = '{step="propose", agents=["first", "second"], quorum=1, grace_s=0}'
AGGREGATE = '{step="aggregate", agent="last"}'
PLACE = Place(1, 1)


def shown(nursery: Nursery, environ: dict[str, str], folder: Path, server: ModelServer, *steps: str) -> list[str]:
    """Ask, and return the lines that `runs show` prints on 80 columns."""
    options = ("--config", served(server, folder, *steps), "--journal", str(folder / "runs.sqlite"))
    assert nursery.run(*options, "ask", "one", "Why?", "-q", environ=environ).returncode == 0
    return printed(environ, folder)


def printed(environ: dict[str, str], folder: Path, **variables: str) -> list[str]:
    journal = str(folder / "runs.sqlite")
    done = run({**environ, "COLUMNS": "80", **variables}, "runs", "show", "last", "--journal", journal)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def row(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.startswith(f"  {name} "))


def test_each_call_has_a_bar_that_shows_requests_failures_and_waits(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("first", Reply("one", delay_s=0.3))
        server.script("second", Hang())
        server.script("last", Status(500, "sorry"), Reply("so", delay_s=0.3))
        lines = shown(nursery, environ, tmp_path, server, TWO, AGGREGATE)
        first, second, last = (row(lines, name) for name in ("first", "second", "last"))
    assert "━" in first
    assert "╌" not in first
    assert "━" not in second
    assert second.rstrip().endswith("StragglerDropped")
    assert last.index("╌") < last.index("━")
    assert first.rindex("━") <= last.index("╌")
    assert last.rstrip().endswith("2 attempts")
    assert any(line.startswith("━ request  ╌ failed request  ") for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_terminal_without_unicode_gets_bars_in_ascii(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("first", Reply("one", delay_s=0.2))
        one = '{step="propose", agents=["first"]}'
        shown(nursery, environ, tmp_path, server, one)
    lines = printed(environ, tmp_path, PYTHONIOENCODING="ascii")
    assert "=====" in row(lines, "first")
    assert any(line.startswith("= request") for line in lines)


def test_of_a_large_step_the_calls_that_failed_or_took_longest_are_shown(
    nursery: Nursery, environ: dict[str, str], tmp_path: Path
) -> None:
    with ModelServer() as server:
        server.script("first", Reply("one"))
        server.script("second", Status(401, "who are you?"))
        many = '{step="propose", agents=[{model="first", samples=30}, "second"], quorum=1}'
        lines = shown(nursery, environ, tmp_path, server, many, AGGREGATE)
    assert sum(line.startswith("  first ") for line in lines) == 11
    assert row(lines, "second").rstrip().endswith("AuthFailed")
    assert "  and 19 more" in [line.rstrip() for line in lines]


@pytest.mark.parametrize("pause_s", [1, 100_000])
def test_the_time_before_a_resume_takes_no_room(pause_s: int) -> None:
    failed = AttemptFailed(at=2, place=PLACE, attempt=1, failure=STOPPED, seconds=1)
    completion = Completion("so", "m")
    began = CallStarted(at=1, place=PLACE, agent="a", messages=(Message("user", "Why?"),))
    second = Place(1, 2)
    then = 3 + pause_s
    trace = trace_of(
        [
            RunStarted(at=1, run_id="r", pipeline="p", question=Question("Why?"), seed=1, steps=("propose",)),
            StepStarted(at=1, step=1, step_kind="propose"),
            began,
            AttemptStarted(at=1, place=PLACE, attempt=1, model="m", parameters={}),
            CallStarted(at=1, place=second, agent="b", messages=(Message("user", "Why?"),)),
            AttemptStarted(at=1, place=second, attempt=1, model="m", parameters={}),
            AttemptFinished(at=3, place=second, attempt=1, completion=completion, seconds=2),
            CallFinished(at=3, place=second, completion=completion, seconds=2),
            failed,
            RunResumed(at=then, finished_steps=0),
            CallStarted(at=then, place=PLACE, agent="a", messages=(Message("user", "Why?"),)),
            AttemptStarted(at=then, place=PLACE, attempt=2, model="m", parameters={}),
            AttemptFinished(at=then + 2, place=PLACE, attempt=2, completion=completion, seconds=2),
            CallFinished(at=then + 2, place=PLACE, completion=completion, seconds=2),
        ]
    )
    out = Console(width=80, color_system=None, legacy_windows=False)
    with out.capture() as captured:
        out.print(Timeline(trace))
    lines = captured.get().splitlines()
    resumed, other = row(lines, "a"), row(lines, "b")
    assert "╌" not in resumed
    assert other.rindex("━") + 1 == resumed.index("━")
    assert abs(other.count("━") - resumed.count("━")) <= 1
    assert other.count("━") > 20
    assert lines[-1].endswith("4.0 s in all")
