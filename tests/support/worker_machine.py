"""Servers that submit runs, workers that execute them, and their database."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from moa_mcp.events import Event
from moa_mcp.journal import RunRecord
from moa_mcp.journal.postgres import PostgresJournal
from tests.support.database import rows
from tests.support.lives import Machine
from tests.support.nursery import Forked
from tests.support.serving import ServerProcess


@dataclass(frozen=True)
class WorkerMachine(Machine):
    """Processes with one configuration and one database, with models at a model server."""

    database: str = ""

    @property
    def options(self) -> tuple[str, ...]:
        return ("--config", str(self.folder / "pipelines.toml"), "--journal", self.database)

    def server(self, *arguments: str) -> ServerProcess:
        """Return a server on stdio that submits its runs."""
        return self.serve("--submit", *arguments)

    def worker(self, *arguments: str, prelude: str = "") -> Forked:
        """Start a worker."""
        return self.start("worker", *arguments, prelude=prelude)

    def kept(self) -> int:
        found = rows(self.database, 'SELECT count(*) FROM moa.events WHERE body LIKE \'%"kind":"attempt_finished"%\'')
        return int(found[0][0])

    def owners(self) -> int:
        """Return how many runs have an owner."""
        return int(rows(self.database, "SELECT count(*) FROM moa.runs WHERE owner IS NOT NULL")[0][0])

    def messages(self) -> list[tuple[str, str]]:
        """Return the messages in the queue: the run and the state of each."""
        sql = "SELECT args->>'run_id', status::text FROM moa_queue.procrastinate_jobs ORDER BY id"
        return [(run_id, status) for run_id, status in rows(self.database, sql)]

    def look(self) -> tuple[RunRecord, tuple[Event, ...]]:
        ((run_id,),) = rows(self.database, "SELECT run_id FROM moa.runs")
        return self.look_at(run_id)

    def look_at(self, run_id: str) -> tuple[RunRecord, tuple[Event, ...]]:
        """Return a run on record and what happened in it."""

        async def work() -> tuple[RunRecord, tuple[Event, ...]]:
            journal = PostgresJournal(self.database)
            page = await journal.events(run_id)
            await journal.close()
            return page.record, page.events

        return anyio.run(work)
