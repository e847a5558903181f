"""The journal in PostgreSQL: its tables, who may use it, and what is particular to it."""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from moa_mcp.errors import JournalDamaged, JournalError
from moa_mcp.journal.news import News
from moa_mcp.journal.postgres import PostgresJournal
from moa_mcp.journal.postgres.migrating import migrations
from moa_mcp.journal.spending import Commitment, Committed
from tests.support.database import PASSWORD, USER, Cluster, free_port, rows, wait_for
from tests.support.journals import asked, record_of, went_out

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the driver knows no other


@pytest.fixture
async def journal(database: str) -> AsyncIterator[PostgresJournal]:
    journal = PostgresJournal(database)
    yield journal
    await journal.close()


async def refusal(url: str) -> str:
    """Return why a journal can't be opened; the password is not in it."""
    journal = PostgresJournal(url)
    with pytest.raises(JournalError) as refused:
        await journal.open()
    await journal.close()
    assert PASSWORD not in str(refused.value)
    return str(refused.value)


async def test_processes_that_open_a_new_database_at_once_make_its_tables_once(cluster: Cluster) -> None:
    url = cluster.create()
    async with AsyncExitStack() as stack:
        journals = [PostgresJournal(url) for _ in range(5)]
        for each in journals:
            stack.push_async_callback(each.close)
        await anyio.amap(lambda each: each.open(), journals)
        assert await journals[0].begin(record_of())
        assert [await each.record("r") for each in journals] == [await journals[0].record("r")] * 5
    assert rows(url, "SELECT version FROM moa.migrations") == [(1,), (2,), (3,)]


async def test_what_callers_had_spent_before_an_upgrade_counts_after_it(cluster: Cluster) -> None:
    url = cluster.create()
    rows(url, "CREATE SCHEMA moa; CREATE TABLE moa.migrations(version INTEGER PRIMARY KEY)")
    for number, statements in enumerate(migrations()[:2], 1):
        rows(url, statements.decode())
        rows(url, f"INSERT INTO moa.migrations VALUES({number})")
    for run_id, caller in (("a", "alice"), ("b", "alice"), ("c", "")):
        values = f"'{run_id}', 'p', '', 'complete', '', '{caller}', '', '', NULL, 0, false, 1, 1"
        rows(url, f"INSERT INTO moa.runs OVERRIDING USER VALUE VALUES(0, {values})")
        rows(url, f"INSERT INTO moa.spending VALUES('2026-01-01', '{run_id}', 7, 0)")
    rows(url, "INSERT INTO moa.days VALUES('2026-01-01', 21)")
    journal = PostgresJournal(url)
    assert [await journal.spending("2026-01-01", each) for each in (None, "alice")] == [21, 14]
    done = await journal.commit_spending(Commitment("a", 8, day="2026-01-01", caller_cap=14))
    await journal.close()
    assert done == Committed(accepted=False, day="2026-01-01", total=14, held=0, spent=7, by_caller=True)


async def test_tables_of_a_newer_version_are_refused(cluster: Cluster) -> None:
    url = cluster.create()
    journal = PostgresJournal(url)
    await journal.open()
    await journal.close()
    rows(url, "INSERT INTO moa.migrations VALUES(99)")
    assert "was upgraded by a newer moa-mcp (version 99, this one knows" in await refusal(url)


async def test_a_database_that_can_not_hold_all_texts_is_refused(cluster: Cluster) -> None:
    url = cluster.create("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    assert "has the encoding LATIN1, which can't hold all texts; create one with: createdb" in await refusal(url)


async def test_a_database_that_can_not_be_reached_is_named_with_what_is_wrong_and_what_helps(cluster: Cluster) -> None:
    wrong = f"postgresql://moa:***@127.0.0.1:{cluster.port}/postgres"
    refused = await refusal(cluster.url("postgres", password=f"{PASSWORD}2"))
    assert refused.startswith(
        f"the journal {wrong} can't be used: the server refuses the user or the password; correct them in the address. "
    )
    assert "the database does not exist; create it with: createdb" in await refusal(cluster.url("nothing"))
    assert "refuses the user or the password" in await refusal(cluster.url("postgres", user="nobody"))
    port = 1
    refused = await refusal(cluster.url("postgres", port=port))
    assert f"127.0.0.1:{port}/postgres can't be used: connection refused; see whether the server runs" in refused
    assert "the host name is not known" in await refusal(f"postgresql://moa:{PASSWORD}@no.such.host.invalid/postgres")
    assert "no server listens there" in await refusal("postgresql:///postgres?host=/nowhere")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://moa:secret:@@host/db", "postgresql://moa:***@host/db"),
        ("postgresql://host:secret/db", "postgresql://host:***/db"),
        ("postgresql://host/db?password=secret&nonsense=1", "postgresql://host/db?password=***&nonsense=1"),
        ("postgres://moa:se/cret@host:x/db", "postgres://moa:***@host:x/db"),
    ],
)
async def test_an_address_that_is_none_is_refused_without_its_password(address: str, shown: str) -> None:
    with pytest.raises(JournalError) as refused:
        await PostgresJournal(address).open()
    assert "secret" not in str(refused.value)
    assert "se/cret" not in str(refused.value)
    assert shown in str(refused.value)


@pytest.fixture
def pooler(cluster: Cluster) -> Iterator[Callable[[str, str], str]]:
    """PgBouncer; returns the address of a database behind it in a mode."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("PgBouncer is not installed")
    with ExitStack() as stack:
        yield lambda url, mode: stack.enter_context(pooled(cluster, program, url, mode))


@contextmanager
def pooled(cluster: Cluster, program: str, url: str, mode: str) -> Iterator[str]:
    name, port, users = url.rpartition("/")[2], free_port(), cluster.folder / "users.txt"
    users.write_text(f'"{USER}" "{PASSWORD}"\n')
    settings = cluster.folder / f"{mode}.ini"
    settings.write_text(
        f"[databases]\n{name} = host=127.0.0.1 port={cluster.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = md5\n"
        f"auth_file = {users}\npool_mode = {mode}\n"
    )
    with cluster.spawn(program, str(settings)):
        behind = url.replace(f":{cluster.port}/", f":{port}/")
        wait_for(behind)
        yield behind


async def test_a_pooler_through_which_no_news_come_is_refused(database: str, pooler: Callable[[str, str], str]) -> None:
    assert "a connection pooler such as PgBouncer is in between" in await refusal(pooler(database, "transaction"))
    journal = PostgresJournal(pooler(database, "session"))
    assert await journal.begin(record_of())
    await journal.close()


async def test_a_user_without_rights_can_use_a_schema_that_an_administrator_made(cluster: Cluster) -> None:
    url = cluster.create()
    name = url.rpartition("/")[2]
    cluster.execute(f"CREATE ROLE poor_{name} LOGIN PASSWORD '{PASSWORD}'")
    poor = cluster.url(name, user=f"poor_{name}")
    refused = await refusal(poor)
    assert f"permission denied for database {name}; grant the user this right" in refused
    rows(url, f"CREATE SCHEMA moa AUTHORIZATION poor_{name}")
    journal = PostgresJournal(poor)
    assert await journal.begin(record_of())
    await journal.close()
    cluster.execute(f"CREATE ROLE reader_{name} LOGIN PASSWORD '{PASSWORD}'")
    rows(url, f"GRANT USAGE ON SCHEMA moa TO reader_{name}; GRANT SELECT ON ALL TABLES IN SCHEMA moa TO reader_{name}")
    reader = PostgresJournal(cluster.url(name, user=f"reader_{name}"))
    assert [each.run_id for each in await reader.records()] == ["r"]
    with pytest.raises(JournalError, match="permission denied for table runs"):
        await reader.begin(record_of("s"))
    await reader.close()


async def test_characters_that_postgresql_refuses_are_kept(journal: PostgresJournal) -> None:
    record = replace(record_of(), title="a\0b\\c\\u0041 \ud83d Ω", caller="c\0", batch="\\", spec='{"a": "\\u0000"}')
    assert await journal.begin(record)
    assert await journal.record("r") == replace(record, owned=True)
    assert await journal.records(caller="c\0", batch="\\") == (replace(record, owned=True),)
    await journal.keep("r", asked(1, "a\0\ud83d"))
    assert [
        event.messages[0].content for event in (await journal.events("r")).events if event.kind == "call_started"
    ] == ["a\0\ud83d"]
    for run_id in ("a\0b", "\ud83d"):
        assert await journal.record(run_id) is None
        assert await journal.claim(run_id) is None
        assert not await journal.cancel(run_id)
        with pytest.raises(JournalError):
            await journal.begin(record_of(run_id))


async def test_without_texts_only_their_hashes_are_stored(database: str) -> None:
    journal = PostgresJournal(database, texts=False)
    await journal.begin(record_of())
    await journal.keep("r", asked(1, "a secret question"))
    (event,) = (await journal.events("r")).events
    await journal.close()
    assert event.kind == "call_started"
    assert event.messages[0].content.startswith("[text not stored; sha256 ")
    assert rows(database, "SELECT count(*) FROM moa.texts") == [(0,)]
    assert rows(database, "SELECT count(*) FROM moa.events WHERE body LIKE '%secret%'") == [(0,)]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE moa.events SET body = replace(body, 'user', 'usar') WHERE run_id = 'r'",
        "UPDATE moa.texts SET body = 'something else' WHERE run_id = 'r'",
        "DELETE FROM moa.texts WHERE run_id = 'r'",
        "UPDATE moa.runs SET status = 'nonsense' WHERE run_id = 'r'",
    ],
)
async def test_a_run_that_was_changed_by_others_is_damaged_and_no_other_run_is(
    journal: PostgresJournal, database: str, damage: str
) -> None:
    for run_id in ("r", "s"):
        await journal.begin(record_of(run_id))
        await journal.keep(run_id, asked())
    rows(database, damage)
    with pytest.raises(JournalDamaged, match="the record of run r can't be read"):
        await journal.events("r")
    assert len((await journal.events("s")).events) == 1
    assert {each.run_id: each.damaged for each in await journal.records()} == {"r": "status" in damage, "s": False}


class Queue:
    """Puts runs into a table, and can refuse to."""

    def __init__(self) -> None:
        self.refuses = False

    async def migrate(self, connection: Any) -> None:
        await connection.execute("CREATE TABLE IF NOT EXISTS queue(run_id TEXT)")

    async def put(self, run_ids: Sequence[str], connection: Any) -> None:
        for run_id in run_ids:
            await connection.execute("INSERT INTO queue VALUES(%s)", (run_id,))
        if self.refuses:
            raise JournalError("the queue is full")

    async def work(self, *_: object, **__: object) -> None:
        raise NotImplementedError

    async def revive(self) -> int:
        raise NotImplementedError


@pytest.fixture
async def queue(database: str) -> AsyncIterator[Queue]:
    rows(database, "DROP TABLE IF EXISTS queue")
    yield Queue()
    rows(database, "DROP TABLE IF EXISTS queue")


async def test_a_run_is_queued_in_the_transaction_that_stores_it_or_not_stored(database: str, queue: Queue) -> None:
    journal = PostgresJournal(database, delivery=queue)
    assert await journal.begin(record_of("q"), queued=True)
    assert not await journal.begin(record_of("q"), queued=True)
    queue.refuses = True
    with pytest.raises(JournalError, match="the queue is full"):
        await journal.begin(record_of("x"), queued=True)
    assert await journal.record("x") is None
    queue.refuses = False
    claimed = await journal.claim("q")
    assert claimed is not None
    assert not claimed.began
    await journal.release("q", requeue=True)
    assert rows(database, "SELECT run_id FROM queue") == [("q",), ("q",)]
    left = await journal.record("q")
    assert left is not None
    assert (left.status, left.owned) == ("queued", False)
    await journal.close()


async def test_runs_of_a_dead_owner_are_freed_and_those_from_the_queue_are_queued_again(
    database: str, queue: Queue
) -> None:
    dead = PostgresJournal(database, lease_s=-1000.0)
    for run_id, queued in (("q", True), ("own", False)):
        await dead.begin(record_of(run_id), queued=queued)
    await dead.claim("q")
    await dead.keep("q", went_out())
    journal = PostgresJournal(database, lease_s=0.0, delivery=queue)
    await journal.begin(record_of("alive"))
    rows(database, "UPDATE moa.runs SET lease_until = lease_until + 1000 WHERE run_id = 'alive'")
    assert await journal.free_dead() == {"q", "own"}
    assert await journal.free_dead() == frozenset()
    assert rows(database, "SELECT run_id FROM queue") == [("q",)]
    assert {each.run_id: each.status for each in await journal.records()} == {
        "q": "queued",
        "own": "running",
        "alive": "running",
    }
    claimed = await journal.claim("q")
    assert claimed is not None
    assert claimed.began
    with pytest.raises(JournalError, match="is owned by another process now"):
        await dead.keep("q", went_out(2))
    await dead.close()
    await journal.close()


async def test_runs_are_deleted_by_size_oldest_first(journal: PostgresJournal, database: str) -> None:
    for number in range(4):
        await journal.begin(record_of(f"r{number}"))
        await journal.keep(f"r{number}", asked(1, random.Random(number).randbytes(100_000).hex()))
        await journal.finish(f"r{number}", "complete")
    rows(database, "UPDATE moa.runs SET updated_at = created_at + right(run_id, 1)::int")
    assert await journal.forget(beyond_bytes=10**9) == 0
    assert await journal.forget(beyond_bytes=450_000, dry=True) == 2
    assert await journal.forget(beyond_bytes=450_000) == 2
    assert [each.run_id for each in await journal.records()] == ["r3", "r2"]
    assert rows(database, "SELECT count(*) FROM moa.texts") == [(2,)]


async def test_a_long_text_reaches_other_processes_in_order(journal: PostgresJournal, database: str) -> None:
    other = PostgresJournal(database)
    text = "".join(f"{number} Ω\0 " for number in range(5000))
    got = ""
    async with other.news("text", run_id="r") as news:
        journal.tell(News("text", "r", text[:10]))
        journal.tell(News("text", "r", text[10:]))
        with anyio.fail_after(10):
            async for each in news:
                got += each.text
                if len(got) >= len(text):
                    break
    assert got == text
    await other.close()


async def test_news_of_another_version_are_told_as_missed(journal: PostgresJournal, database: str) -> None:
    async with journal.news("ended") as news:
        rows(database, "SELECT pg_notify('moa', 'something new')")
        with anyio.fail_after(10):
            assert await anext(aiter(news)) == News("missed")


async def test_a_closed_journal_refuses_writes_and_ignores_news(journal: PostgresJournal) -> None:
    await journal.begin(record_of())
    await journal.close()
    await journal.close()
    journal.append("r", asked())
    journal.tell(News("changed", "r"))
    with pytest.raises(JournalError, match="is closed"):
        await journal.keep("r", asked())
