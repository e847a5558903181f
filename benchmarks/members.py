"""Servers and workers of a team, as processes that are killed and started again. They share a database."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.database import free_port, rows  # noqa: E402  the folder above is not on the path before
from tests.support.namespaces import elsewhere  # noqa: E402

WORKER_AT_ONCE = 32
_LOOK_S = 0.02


class Member:
    """A server or worker that is killed and started again. Its output is in a file."""

    def __init__(self, log: Path, arguments: Sequence[object], *, port: int = 0, before: Sequence[str] = ()) -> None:
        """`before` is the command that starts it in another namespace."""
        listening = ("--http", "--port", port) if port else ()
        self._command = [*before, sys.executable, "-m", "moa_mcp", *map(str, (*arguments, *listening))]
        self._log = log
        self.elsewhere = bool(before)
        self.url = f"http://127.0.0.1:{port}/mcp" if port else ""
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": os.devnull}
            )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its process; without one that runs yet, that of the command that starts it."""
        own = self._process.pid
        if not self.elsewhere:
            return own
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return int(children[0]) if children else own

    @property
    def owner(self) -> str:
        """How the names of the owners of its runs contain it, as a pattern of SQL."""
        space = Path(f"/proc/{self.pid}/ns/pid").stat().st_ino
        found = re.search(r"^NSpid:.*?(\d+)$", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        return f"%/{space}:{found[1] if found else self.pid}:%"

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Team:
    """Servers and workers on one database."""

    def __init__(self, folder: Path, config: Path, database: str) -> None:
        options = ("--config", config, "--journal", database)
        self.database = database
        self.servers = [
            Member(folder / f"server{number}.log", (*options, "serve", "--submit"), port=free_port())
            for number in range(2)
        ]
        work = (*options, "worker", "--concurrency", WORKER_AT_ONCE)
        self.workers = [
            Member(folder / f"worker{number}.log", work, before=() if number else elsewhere()) for number in range(3)
        ]
        self.clients = [each.url for each in self.servers]

    def close(self) -> None:
        for each in (*self.servers, *self.workers):
            each.kill()

    def taken_over_s(self, dead: str, late_s: float) -> float | None:
        """Return the seconds until the runs of a dead worker have another owner, or have ended; None without any."""
        began = time.monotonic()
        theirs = [run_id for (run_id,) in rows(self.database, "SELECT run_id FROM moa.runs WHERE owner LIKE %s", dead)]
        waiting = (
            "SELECT count(*) FROM moa.runs WHERE run_id = ANY(%s) AND status IN ('queued', 'running') "
            "AND (owner IS NULL OR owner LIKE %s)"
        )
        while theirs and rows(self.database, waiting, theirs, dead)[0][0]:
            if time.monotonic() - began > late_s:
                return float("inf")
            time.sleep(_LOOK_S)
        return time.monotonic() - began if theirs else None
