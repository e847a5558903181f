"""The commands with a journal in PostgreSQL: each works, and none says the password."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.database import PASSWORD, Cluster, rows
from tests.support.lives import CALLS, POOL, Machine, begun, called, until

SHOWN = re.compile(r"postgresql://moa:\*\*\*@127\.0\.0\.1:\d+/\w+")


@pytest.fixture
def team(machine: Machine, database: str) -> Iterator[Machine]:
    """A machine whose journal is a database."""
    machine.answers(CALLS)
    yield machine
    assert not machine.path.exists()


def said(machine: Machine, *arguments: str, code: int = 0, prelude: str = "") -> str:
    """Run a command to its end; return all that it says, in which the password is not."""
    done = machine.run(*arguments, prelude=prelude)
    assert PASSWORD not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def answers(database: str) -> int:
    """Return how many answers are on record."""
    ((count,),) = rows(database, 'SELECT count(*) FROM moa.events WHERE body LIKE \'%"kind":"attempt_finished"%\'')
    return int(count)


def test_a_run_is_asked_listed_shown_exported_and_deleted(team: Machine, database: str) -> None:
    journal = ("--journal", database)
    assert SHOWN.search(said(team, "runs", *journal))
    said(team, "ask", POOL, "Why?", "-q", *journal)
    (listed,) = json.loads(said(team, "runs", "list", "--json", *journal))
    assert (listed["status"], listed["pipeline"]) == ("complete", POOL)
    assert "complete" in said(team, "runs", "show", listed["run_id"][:8], *journal)
    assert json.loads(said(team, "runs", "export", "last", *journal))["run_id"] == listed["run_id"]
    assert "1 run" in said(team, "runs", "gc", "--older-than", "0d", *journal)
    assert rows(database, "SELECT count(*) FROM moa.runs") == [(0,)]
    assert rows(database, "SELECT count(*) FROM moa.texts") == [(0,)]


def test_an_interrupted_run_is_cancelled_or_resumed_and_answers_on_record_are_used(
    team: Machine, database: str
) -> None:
    journal = ("--journal", database)
    team.answers(7)
    with team.start("ask", POOL, "Why?", "-q", *journal) as process:
        team.waits(lambda seen: len(seen) == 12)
        until(lambda: answers(database) == 7)
        process.kill()
        process.wait(10)
    assert "interrupted" in said(team, "runs", *journal)
    assert "Cancelled" in said(team, "runs", "cancel", "last", *journal)
    before = team.asked
    team.answers_all()
    said(team, "runs", "resume", "last", "-q", *journal)
    assert (before + team.asked).total() - CALLS == 5  # those in flight when it was killed


def test_a_server_keeps_its_runs_in_the_database_and_its_pages_show_them(team: Machine, database: str) -> None:
    with team.serve("--journal", database) as server:
        run_id = begun(server)
        ended = called(server, 2, "moa_wait", run_id=run_id)
        assert ended["status"] == "complete"
    with team.start("view", "--no-open", "--journal", database) as process:
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(address, timeout=10) as page:
            assert page.status == 200
        process.terminate()
        process.wait(10)
    assert PASSWORD not in address


def test_a_database_that_can_not_be_used_is_refused_with_a_remedy(team: Machine, cluster: Cluster) -> None:
    wrong = cluster.url("postgres", password=f"{PASSWORD}-wrong")
    for command in (("ask", POOL, "Why?"), ("runs",), ("serve",), ("view", "--no-open")):
        refused = said(team, *command, "--journal", wrong, code=2)
        assert "the server refuses the user or the password; correct them in the address" in refused
        assert SHOWN.search(refused)
    assert team.asked.total() == 0


def test_without_the_driver_the_command_that_installs_it_is_shown(team: Machine, database: str) -> None:
    refused = said(team, "runs", "--journal", database, code=2, prelude="import sys; sys.modules['psycopg'] = None")
    assert "needs psycopg, which is not installed" in refused
    assert "pip install 'moa-mcp[team]'" in refused


def test_a_password_is_not_written_into_the_file_of_a_client(team: Machine, database: str) -> None:
    refused = said(team, "install", "cursor", "--yes", "--journal", database, code=2)
    assert "has a password, which the client's file would show" in refused
    assert "~/.pgpass" in refused


def test_doctor_says_whether_the_database_can_be_used(team: Machine, database: str, cluster: Cluster) -> None:
    trusted = re.sub("//.*@", "//trusted@", database)
    without = re.sub("//.*@", "//moa@", database)
    assert "the server refuses the user or the password" in " ".join(
        said(team, "doctor", "--journal", without, code=1).split()
    )
    cluster.execute("CREATE ROLE trusted SUPERUSER LOGIN")
    assert "the database can be used" in " ".join(said(team, "doctor", "--journal", trusted).split())
