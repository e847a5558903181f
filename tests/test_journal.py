"""What must hold of every journal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from moa_mcp.events import RunFinished, RunStarted, TextReceived
from moa_mcp.journal import Journal
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.values import Place, Question

Opened = Callable[[int], Journal]
"""Makes a journal that keeps so many runs that ended."""


@pytest.fixture(params=[MemoryJournal])
def opened(request: pytest.FixtureRequest) -> Opened:
    return lambda keep: request.param(keep=keep)


def started(run_id: str) -> RunStarted:
    return RunStarted(at=1.0, run_id=run_id, pipeline="p", question=Question("Why?"), seed=0, steps=("propose",))


ENDED = RunFinished(at=2.0, status="complete", answer="So.", error=None, seconds=1.0)


def test_a_run_is_kept_as_it_happened_but_for_its_pieces_of_text(opened: Opened) -> None:
    journal = opened(9)
    journal.append("r", started("r"))
    journal.append("r", TextReceived(place=Place(1, 1), text="S"))
    assert journal.events("r") == (started("r"),)
    journal.append("r", ENDED)
    assert journal.events("r") == (started("r"), ENDED)


def test_a_run_that_is_not_there_is_none(opened: Opened) -> None:
    assert opened(9).events("r") is None
    assert opened(9).run_ids() == ()


def test_runs_are_listed_the_newest_first_and_kept_apart(opened: Opened) -> None:
    journal = opened(9)
    for run_id in ("r1", "r2", "r3"):
        journal.append(run_id, started(run_id))
    journal.append("r1", ENDED)
    assert journal.run_ids() == ("r3", "r2", "r1")
    assert [journal.events(run_id) for run_id in ("r1", "r2")] == [(started("r1"), ENDED), (started("r2"),)]


def test_of_the_runs_that_ended_only_the_latest_are_kept_and_those_under_way_always(opened: Opened) -> None:
    journal = opened(2)
    journal.append("under way", started("under way"))
    for run_id in ("r1", "r2", "r3"):
        journal.append(run_id, started(run_id))
        journal.append(run_id, ENDED)
    assert journal.run_ids() == ("r3", "r2", "under way")
    assert journal.events("r1") is None
