"""A PostgreSQL server for tests: one of their own for each process of the tests, and a new database for each test."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

import anyio
import psycopg
import pytest

from moa_mcp.journal.postgres import PostgresJournal

_DEBIAN = Path("/usr/lib/postgresql")
_LATE_S = 30.0
USER, PASSWORD = "moa", "pass-of-tests"
MISSING = (
    "PostgreSQL IS MISSING: the tests of its journal are skipped. Install it (Debian: apt-get install postgresql) "
    "or put initdb and postgres on the PATH"
)
_SPEED = ("fsync=off", "full_page_writes=off")
"""What a crash of the machine would need and a test does not; a crash of the server loses nothing without them."""
_SETTINGS = (
    "password_encryption=md5",  # which is faster
    "listen_addresses=127.0.0.1",
    "shared_buffers=32MB",
    "max_connections=100",
    "log_statement=none",
)


@cache
def programs() -> Path | None:
    """Return the folder with the programs of PostgreSQL; None if there is none."""
    on_path = shutil.which("initdb")
    found = [Path(os.path.realpath(on_path)).parent] if on_path else []
    found += sorted(_DEBIAN.glob("*/bin"), key=lambda each: int(each.parent.name.partition(".")[0]), reverse=True)
    return next((each for each in found if (each / "initdb").exists() and (each / "postgres").exists()), None)


def _unprivileged() -> dict[str, Any]:
    """Return the arguments that start a process as a user without privileges: PostgreSQL refuses root."""
    if os.geteuid():
        return {}
    with suppress(KeyError):
        return {"user": "postgres", "group": pwd.getpwnam("postgres").pw_gid, "extra_groups": ()}
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": ()}


_DISCONNECT = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
_TABLES = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
    "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND tablename <> 'migrations'"
)


class Cluster:
    """A server in a folder of its own, started and stopped at will, inside a `with` block."""

    def __init__(self, *settings: str) -> None:
        found = programs()
        if found is None:
            if os.environ.get("MOA_MCP_TESTS_NEED_POSTGRESQL"):
                pytest.fail(MISSING)
            pytest.skip(MISSING)
        self._programs = found
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="moa-postgresql-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.shared = ""
        self._as = _unprivileged()

    def __enter__(self) -> Self:
        self.give(self.folder)
        password = self.folder / "password"
        password.write_text(PASSWORD)
        self._run("initdb", "-D", self.data, "-N", "-A", "md5", f"--pwfile={password}", "-U", USER, "-E", "UTF8")
        rules = self.data / "pg_hba.conf"
        rules.write_text(f"host all trusted 127.0.0.1/32 trust\n{rules.read_text()}")  # a user without a password
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_LATE_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def give(self, folder: Path) -> None:
        """Let the server use a folder."""
        if self._as:
            shutil.chown(folder, self._as["user"], self._as["group"])

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        done = subprocess.run(command, **self._as, cwd="/", capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start the server, and return when it accepts connections."""
        settings = [f"-c{each}" for each in (*_SPEED, *_SETTINGS, *self._settings)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, "-p", str(self.port), "-k", self.folder, *settings],
                **self._as,
                cwd="/",
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self.url("postgres"))

    @contextmanager
    def spawn(self, *command: str) -> Iterator[None]:
        """Run a program as the server's user."""
        with subprocess.Popen(command, **self._as, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as it:
            try:
                yield
            finally:
                it.kill()

    def stop(self) -> None:
        """Stop the server and end its connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_LATE_S)
            self._process = None

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD, port: int | None = None) -> str:
        """Return the address of a database."""
        return f"postgresql://{user}:{password}@127.0.0.1:{port or self.port}/{database}"

    def execute(self, statement: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Execute a statement as the administrator; return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(statement.encode(), values or None)
            return found.fetchall() if found.description else []

    def emptied(self) -> str:
        """Return the address of a database with empty tables: always the same one, since a new one takes longer."""
        if not self.shared:
            self.shared = self.create()
            with ThreadPoolExecutor() as threads:  # a test may run an event loop in this one
                threads.submit(anyio.run, _open, self.shared).result()
            return self.shared
        with psycopg.connect(self.shared, autocommit=True) as connection:
            connection.execute(_DISCONNECT)
            tables = ", ".join(name for (name,) in connection.execute(_TABLES))
            connection.execute(f"TRUNCATE {tables} RESTART IDENTITY".encode())
        return self.shared

    def create(self, options: str = "") -> str:
        """Create a database; return its address."""
        self._databases += 1
        name = f"test{self._databases}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def crash(self) -> None:
        """Kill the process of a connection: the server ends all others too, recovers, and accepts new ones."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            with suppress(psycopg.OperationalError):
                while True:  # until the death of the process is noticed
                    connection.execute("SELECT 1")
        wait_for(self.url("postgres"))

    def disconnect(self) -> None:
        """End all connections to the database that `emptied` returns."""
        with psycopg.connect(self.shared, autocommit=True) as connection:
            connection.execute(_DISCONNECT)


async def _open(url: str) -> None:
    journal = PostgresJournal(url)
    await journal.open()
    await journal.close()


def wait_for(url: str) -> None:
    """Return when a server accepts connections."""
    last = time.monotonic() + _LATE_S
    while not _answers(url):
        assert time.monotonic() < last, url
        time.sleep(0.02)


def _answers(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
        return True
    return False


def rows(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Execute a statement in a database; return its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(statement.encode(), values or None)
        return found.fetchall() if found.description else []


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
