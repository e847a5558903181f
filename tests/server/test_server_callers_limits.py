"""What a shared server tells callers without a right or with too many requests, and what it writes down."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from moa_mcp.callers import Caller, CallersFile, Permissions, tokens
from moa_mcp.journal.postgres import PostgresJournal
from moa_mcp.server.audit import AuditLog
from moa_mcp.server.auth.challenges import Denied
from moa_mcp.server.auth.rates import RequestRates
from tests.support.database import Cluster
from tests.support.nursery import Nursery
from tests.support.serving import AT_ONCE, ServerProcess, content, text
from tests.support.team import Team, send

pytestmark = pytest.mark.anyio

SLOW = AT_ONCE.replace("0.0", "60.0")
QUESTION = "What does the violet elephant eat?"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Shared:
    """A server, its team and its audit log."""

    def __init__(self, team: Team, server: ServerProcess, url: str, audit: Path) -> None:
        self.team, self.server, self.url, self._audit = team, server, url, audit

    def audited(self) -> list[dict[str, Any]]:
        lines = [json.loads(each) for each in self._audit.read_text("utf-8").splitlines()]
        return [{key: value for key, value in each.items() if key not in {"time", "client"}} for each in lines]


@pytest.fixture(scope="module")
def shared(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    callers = {
        "alice": Permissions(max_runs=1),
        "bob": Permissions(),
        "carol": Permissions(requests_per_minute=2),
        "ops": Permissions(operator=True),
    }
    team, audit = Team(folder, callers), folder / "audit.jsonl"
    with team.served(nursery, "--audit", str(audit), prelude=SLOW) as (server, url):
        yield Shared(team, server, url, audit)


@pytest.mark.parametrize(
    ("headers", "status", "challenge", "description"),
    [
        ({}, 401, "Bearer", "send a token: Authorization: Bearer ..."),
        ({"Authorization": "Basic abc"}, 401, "Bearer", "send a token: Authorization: Bearer ..."),
        (
            {"Authorization": "Bearer moa_unknown"},
            401,
            'Bearer error="invalid_token", error_description="the token is unknown"',
            "the token is unknown",
        ),
    ],
)
def test_a_request_without_a_caller_is_refused_as_rfc_6750_says(
    shared: Shared, headers: dict[str, str], status: int, challenge: str, description: str
) -> None:
    refusal = send(shared.url, headers, "tools/list")
    assert (refusal.status, refusal.headers["www-authenticate"]) == (status, challenge)
    assert json.loads(refusal.text)["error_description"] == description


def test_two_tokens_in_one_request_are_refused(shared: Shared) -> None:
    tokens = [("Authorization", f"Bearer {each}") for each in shared.team.tokens.values()]
    refusal = httpx2.post(shared.url, json={}, headers=tokens[:2], timeout=10)
    assert (refusal.status_code, refusal.json()["error"]) == (400, "invalid_request")


def test_a_server_without_oauth_has_no_metadata(shared: Shared) -> None:
    found = httpx2.get(httpx2.URL(shared.url).join("/.well-known/oauth-protected-resource"), timeout=10)
    assert (found.status_code, found.json()["error_description"]) == (404, "OAuth is not configured")


def test_a_caller_with_too_many_requests_learns_when_to_try_again(shared: Shared) -> None:
    statuses = [shared.team.send(shared.url, "carol", "tools/list").status for _ in range(2)]
    refusal = shared.team.send(shared.url, "carol", "tools/list")
    assert [*statuses, refusal.status] == [200, 200, 429]
    assert 1 <= int(refusal.headers["retry-after"]) <= 30
    assert json.loads(refusal.text)["error_description"] == "more than 2 requests per minute"
    assert shared.team.send(shared.url, "bob", "tools/list").status == 200


def test_requests_per_minute_hold_over_all_servers_of_a_journal(
    nursery: Nursery, tmp_path: Path, database: str
) -> None:
    team = Team(tmp_path, {"carol": Permissions(requests_per_minute=4), "bob": Permissions(requests_per_minute=4)})
    with ExitStack() as servers:
        urls = [servers.enter_context(team.served(nursery, "--journal", database))[1] for _ in range(2)]
        replies = [team.send(urls[number % 2], "carol", "tools/list") for number in range(6)]
        assert [each.status for each in replies] == [200, 200, 200, 200, 429, 429]
        assert all(1 <= int(each.headers["retry-after"]) <= 15 for each in replies[4:])
        assert team.send(urls[0], "bob", "tools/list").status == 200


async def test_without_an_answer_of_the_journal_the_requests_to_this_process_count(
    cluster: Cluster, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    carol = Caller("carol", Permissions(requests_per_minute=2))
    journal = PostgresJournal(database)
    rates = RequestRates(journal)
    await rates.take(carol)
    cluster.stop()
    try:
        await rates.take(carol)
        with pytest.raises(Denied):
            await rates.take(carol)
    finally:
        cluster.start()
    await journal.close()
    assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
        "requests_per_minute of callers holds for this process alone: the journal does not answer"
    ]


def test_a_caller_has_no_more_runs_at_once_than_allowed(shared: Shared) -> None:
    team, url = shared.team, shared.url
    first = team.call(url, "alice", "vote", question=QUESTION, wait_s=0)["structuredContent"]["run_id"]
    second = team.call(url, "alice", "vote", question=QUESTION, wait_s=0)
    assert second["isError"]
    assert second["content"][0]["text"] == (
        f"not started: 1 of your runs is in progress, and your limit is 1 (max_runs): {first}; wait for one with "
        "moa_wait or cancel one with moa_cancel, then call again"
    )
    team.call(url, "alice", "moa_cancel", run_id=first)
    third = team.call(url, "alice", "vote", question=QUESTION, wait_s=0)["structuredContent"]
    assert third["status"] == "running"
    team.call(url, "alice", "moa_cancel", run_id=third["run_id"])


async def test_of_two_runs_that_start_together_one_gets_the_only_place(shared: Shared) -> None:
    results: list[Any] = []

    def start() -> None:
        results.append(shared.team.call(shared.url, "alice", "vote", question=QUESTION, wait_s=0))

    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(anyio.to_thread.run_sync, start)
    (started,) = [each["structuredContent"] for each in results if not each.get("isError")]
    shared.team.call(shared.url, "alice", "moa_cancel", run_id=started["run_id"])


def test_the_audit_log_says_who_did_what_and_who_was_refused_without_questions_and_tokens(shared: Shared) -> None:
    team, url = shared.team, shared.url
    before = len(shared.audited())
    run_id = team.call(url, "bob", "vote", question=QUESTION, wait_s=0)["structuredContent"]["run_id"]
    team.call(url, "alice", "moa_trace", run_id=run_id)
    team.call(url, "bob", "moa_cancel", run_id=run_id)
    team.call(url, "ops", "moa_resume", run_id=run_id, wait_s=0)
    team.call(url, "ops", "moa_cancel", run_id=run_id)
    send(url, {"Authorization": "Bearer moa_wrong"}, "tools/list")
    call = {"method": "tools/call"}
    assert shared.audited()[before:] == [
        {"audit": "start", "outcome": "done", "caller": "bob", **call, "tool": "vote", "run_id": run_id},
        {"audit": "read", "outcome": "denied", "caller": "alice", **call, "tool": "moa_trace", "run_id": run_id},
        {"audit": "cancel", "outcome": "done", "caller": "bob", **call, "tool": "moa_cancel", "run_id": run_id},
        {"audit": "resume", "outcome": "done", "caller": "ops", **call, "tool": "moa_resume", "run_id": run_id},
        {"audit": "cancel", "outcome": "done", "caller": "ops", **call, "tool": "moa_cancel", "run_id": run_id},
        {"audit": "authenticate", "outcome": "denied", "method": "POST", "reason": "the token is unknown"},
    ]
    text = json.dumps(shared.audited())
    assert QUESTION not in text
    assert [each for each in shared.team.tokens.values() if each in text] == []


def test_a_run_that_an_operator_resumes_stays_that_of_its_caller(shared: Shared) -> None:
    team, url = shared.team, shared.url
    run_id = team.call(url, "bob", "vote", question=QUESTION, wait_s=0)["structuredContent"]["run_id"]
    team.call(url, "bob", "moa_cancel", run_id=run_id)
    team.call(url, "ops", "moa_resume", run_id=run_id, wait_s=0)
    assert team.call(url, "bob", "moa_wait", run_id=run_id, wait_s=0)["structuredContent"]["status"] == "running"
    team.call(url, "bob", "moa_cancel", run_id=run_id)


def test_a_session_belongs_to_the_caller_that_began_it(shared: Shared) -> None:
    session = begin_session(shared.url, shared.team.headers("alice"))
    ask = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    statuses = {
        caller: httpx2.post(shared.url, json=ask, headers={**session, **shared.team.headers(caller)}, timeout=10)
        for caller in ("bob", "alice")
    }
    assert {caller: each.status_code for caller, each in statuses.items()} == {"bob": 404, "alice": 200}


async def test_a_caller_is_notified_of_its_own_runs_alone(nursery: Nursery, tmp_path: Path) -> None:
    team = Team(tmp_path, {"alice": Permissions(), "bob": Permissions(), "ops": Permissions(operator=True)})
    seen = {"bob": 0, "ops": 0}

    async def listen(caller: str, listens: anyio.Event) -> None:
        http = httpx2.AsyncClient(headers=team.headers(caller), timeout=20)
        client = Client(streamable_http_client(url, http_client=http))
        async with http, client, client.listen(resources_list_changed=True) as changes:
            listens.set()
            async for _ in changes:  # ends with the server
                seen[caller] += 1

    with team.served(nursery, prelude=SLOW) as (server, url):
        async with anyio.create_task_group() as tasks:
            for caller in seen:
                listens = anyio.Event()
                tasks.start_soon(listen, caller, listens)
                await listens.wait()
            for caller in ("alice", "bob"):
                await anyio.to_thread.run_sync(partial(team.call, url, caller, "vote", question=QUESTION, wait_s=0))
            server.process.terminate()
    assert seen == {"bob": 1, "ops": 2}


def test_the_audit_log_is_on_stderr_without_a_file_for_it(nursery: Nursery, tmp_path: Path) -> None:
    team = Team(tmp_path, {"alice": Permissions()})
    with team.served(nursery, prelude=AT_ONCE, MOA_MCP_TOKEN="the only token") as (server, url):
        assert send(url, {"Authorization": "Bearer the only token"}, "tools/list").status == 401
        run_id = team.call(url, "alice", "vote", question=QUESTION)["structuredContent"]["run_id"]
        server.wait_for(lambda: any(run_id in each for each in server.stderr))
    lines = [json.loads(each) for each in server.stderr if each.startswith("{")]
    assert [each["audit"] for each in lines] == ["authenticate", "start"]
    assert (lines[1]["caller"], lines[1]["run_id"]) == ("alice", run_id)
    assert server.stderr[0].startswith(
        "Note: the token in MOA_MCP_TOKEN is not accepted, since --callers has the tokens"
    )


async def test_over_sse_a_caller_sees_its_own_runs_alone(nursery: Nursery, tmp_path: Path) -> None:
    team = Team(tmp_path, {"alice": Permissions(), "bob": Permissions()})
    with team.served(nursery, transport="--sse", prelude=AT_ONCE) as (_, url):
        async with AsyncExitStack() as clients:
            alice, bob = [
                await clients.enter_async_context(Client(sse_client(url, headers=team.headers(caller)), mode="legacy"))
                for caller in ("alice", "bob")
            ]
            run_id = content(await alice.call_tool("vote", {"question": QUESTION}))["run_id"]
            denied, seen = [await each.call_tool("moa_trace", {"run_id": run_id}) for each in (bob, alice)]
    assert text(denied) == f"there is no run '{run_id}' in the journal"
    assert content(seen)["run_id"] == run_id


def test_a_removed_caller_is_refused_and_a_broken_file_changes_nothing(nursery: Nursery, tmp_path: Path) -> None:
    team = Team(tmp_path, {"alice": Permissions(), "bob": Permissions()})
    with team.served(nursery, prelude=AT_ONCE) as (server, url):

        def status(caller: str) -> int:
            return team.send(url, caller, "tools/list").status

        text = team.path.read_text("utf-8")
        team.change(text[: text.index("[callers.bob]")])
        team.wait_until(lambda: status("bob") == 401)
        team.change("[callers.alice]\ntoken_sha256 = 1\n")
        team.wait_until(lambda: status("alice") == 200 and "unchanged" in "".join(server.stderr))
        assert "line 2, callers.alice.token_sha256: 1 should be a string" in "".join(server.stderr)
        team.path.unlink()
        team.wait_until(lambda: status("alice") == 200 and "no such file" in "".join(server.stderr))


def begin_session(url: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Begin a session as clients from before 2026-07-28 do; return the headers of its requests."""
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "1"},
        },
    }
    accepted = {"Accept": "application/json, text/event-stream", **headers}
    begun = httpx2.post(url, json=hello, headers=accepted, timeout=10)
    return {"Mcp-Session-Id": begun.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-11-25", **accepted}


@pytest.mark.parametrize("change", ["is removed", "gets another token", "is no operator any more"])
async def test_the_open_streams_of_a_caller_end_when_it_is_removed_and_those_of_others_go_on(
    nursery: Nursery, tmp_path: Path, change: str
) -> None:
    team = Team(tmp_path, {"alice": Permissions(), "bob": Permissions(operator=True)})
    text, ended = team.path.read_text("utf-8"), {"alice": anyio.Event(), "bob": anyio.Event()}
    new = {
        "is removed": text[: text.index("[callers.bob]")],
        "gets another token": text.replace(tokens.hashed(team.tokens["bob"]), "0" * 64),
        "is no operator any more": text.replace("operator = true", "max_runs = 3"),
    }[change]

    async def listen(caller: str, listens: anyio.Event) -> None:
        http = httpx2.AsyncClient(timeout=30)
        async with http, http.stream("GET", url, headers=sessions[caller]) as stream:
            assert stream.status_code == 200
            listens.set()
            await stream.aread()
        ended[caller].set()

    with team.served(nursery, prelude=SLOW) as (server, url):
        sessions = {caller: begin_session(url, team.headers(caller)) for caller in ended}
        async with anyio.create_task_group() as tasks:
            for caller in sessions:
                listens = anyio.Event()
                tasks.start_soon(listen, caller, listens)
                await listens.wait()
            team.change(new)
            with anyio.fail_after(20):
                await ended["bob"].wait()
            assert not ended["alice"].is_set()
            tasks.cancel_scope.cancel()
        what = "removed" if change == "is removed" else "changed"
        words = f"the callers {team.path} were read again: {what}: bob"
        await anyio.to_thread.run_sync(server.wait_for, lambda: words in "".join(server.stderr))


async def test_a_call_of_a_removed_caller_is_refused_while_it_waits(nursery: Nursery, tmp_path: Path) -> None:
    team = Team(tmp_path, {"alice": Permissions(), "bob": Permissions()})
    replies: list[Any] = []
    call: dict[str, Any] = {"name": "vote", "arguments": {"question": QUESTION, "wait_s": 60}}
    with team.served(nursery, "--audit", str(tmp_path / "audit"), prelude=SLOW) as (_, url):
        async with anyio.create_task_group() as tasks:
            ask = partial(team.send, url, "bob", "tools/call", **call)
            tasks.start_soon(anyio.to_thread.run_sync, lambda: replies.append(ask()))
            await anyio.to_thread.run_sync(team.wait_until, lambda: '"start"' in (tmp_path / "audit").read_text())
            team.change(team.path.read_text("utf-8").partition("[callers.bob]")[0])
    assert replies[0].status in {200, 401}  # the head of a stream may have been sent
    assert '"result"' not in replies[0].text


def test_on_sighup_a_server_reads_the_callers_at_once_and_says_what_has_changed(
    nursery: Nursery, tmp_path: Path
) -> None:
    team = Team(tmp_path, {"alice": Permissions(), "bob": Permissions()})
    text, seen = team.path.read_text("utf-8"), f"the callers {team.path} were read again: "
    rarely = f"{AT_ONCE}; from moa_mcp.callers import file; file.LOOK_S = 3600"

    def said(words: str) -> bool:
        return words in "".join(server.stderr)

    with team.served(nursery, prelude=rarely) as (server, url):
        assert team.send(url, "bob", "tools/list").status == 200  # it has started
        for written, words in (
            (text, f"{seen}nothing has changed"),
            (text.replace("alice", "carol"), f"{seen}added: carol; removed: alice"),
            ("[callers]\nbob = 1\n", "the callers are unchanged: "),
            ("", f"{seen}removed: bob, carol"),
        ):
            team.change(written)
            server.signal(signal.SIGHUP)
            server.wait_for(partial(said, words))
        assert team.send(url, "bob", "tools/list").status == 401


def test_a_server_whose_file_permits_no_one_says_so_at_its_start(nursery: Nursery, tmp_path: Path) -> None:
    team = Team(tmp_path, {})
    with team.served(nursery, prelude=AT_ONCE) as (server, url):
        assert send(url, {"Authorization": "Bearer moa_any"}, "tools/list").status == 401
    assert server.stderr[0] == (
        f"Note: {team.path} has no callers, so every request is refused; add one: moa-mcp callers add NAME.\n"
    )


def test_a_file_of_callers_that_is_being_written_is_not_read_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moa_mcp.callers.file.LOOK_S", 0)
    team = Team(tmp_path, {"alice": Permissions()})
    callers, text = CallersFile(team.path), team.path.read_text("utf-8")
    team.path.write_text("", "utf-8")
    assert len(callers.current().named) == 1
    team.path.write_text(f"{text}\n[oauth]\n", "utf-8")
    assert len(callers.current().named) == 1
    team.path.write_text(text.replace("alice", "carol"), "utf-8")
    assert [each.name for each in callers.current().named.values()] == ["alice"]
    assert [each.name for each in callers.current().named.values()] == ["carol"]


def test_an_audit_log_that_can_not_be_written_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audit = AuditLog(tmp_path / "audit.jsonl")
    (tmp_path / "audit.jsonl").unlink()
    (tmp_path / "audit.jsonl").mkdir()
    for _ in range(2):
        audit.add("start", "done", caller="alice")
    (tmp_path / "audit.jsonl").rmdir()
    audit.add("start", "done", caller="bob")
    assert [each.getMessage() for each in caplog.records] == [
        f"can't write the audit log {tmp_path / 'audit.jsonl'}: Is a directory"
    ]
    assert '"caller": "bob"' in (tmp_path / "audit.jsonl").read_text("utf-8")


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({"Host": "moa.example.com"}, 200, ""),
        ({"Host": "MOA.example.com:443"}, 200, ""),
        ({"Host": "localhost:99"}, 200, ""),
        ({"Host": "moa.example.com", "Origin": "https://moa.example.com"}, 200, ""),
        ({"Host": "moa.example.com:8443"}, 421, "the Host header 'moa.example.com:8443' is not a name of this server"),
        ({"Host": "evil.example"}, 421, "start it with --public-url https://NAME"),
        ({"Host": "localhost:99.evil.example"}, 421, "is not a name of this server"),
        ({"Origin": "https://evil.example"}, 403, "web pages of 'https://evil.example' may not call this server"),
    ],
)
def test_a_request_to_another_name_is_refused_with_the_remedy(
    public: Shared, headers: dict[str, str], status: int, message: str
) -> None:
    answer = send(public.url, {**public.team.headers("alice"), **headers}, "tools/list")
    assert answer.status == status
    if message:
        assert message in json.loads(answer.text)["error_description"]


@pytest.fixture(scope="module")
def public(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("public")
    team = Team(folder, {"alice": Permissions()})
    with team.served(nursery, "--public-url", "https://moa.example.com/", "--host", "127.0.0.1") as (server, url):
        yield Shared(team, server, url, folder / "none")
