"""News of runs, in every journal: told within the process and by other processes, as hints."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from moa_mcp.journal import Journal
from moa_mcp.journal import news as told_news
from moa_mcp.journal.news import News, NewsKind
from moa_mcp.journal.spending import Commitment
from tests.support.journals import record_of, went_out
from tests.support.stores import EXPIRES, Open

pytestmark = pytest.mark.anyio
SOON_S = 5.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a journal in a file knows no other


async def heard(news: AsyncIterator[News], kind: NewsKind, run_id: str = "r") -> News:
    """Return the next news of a kind and a run; others, which may come more than once, are passed over."""
    with anyio.fail_after(SOON_S):
        async for each in news:
            if (each.kind, each.run_id) == (kind, run_id):
                return each
    raise AssertionError("the news ended")


async def test_every_process_hears_what_becomes_of_a_run(journal: Journal, rival: Journal) -> None:
    async with journal.news() as here, rival.news() as there:

        async def both(kind: NewsKind, run_id: str = "r") -> None:
            for each in (here, there):
                await heard(each, kind, run_id)

        await journal.begin(record_of())
        await both("changed")
        await journal.keep("r", went_out())
        await both("changed")
        journal.append("r", went_out(2))
        await both("changed")
        await journal.release("r")
        await both("ended")
        assert await journal.claim("r")
        await both("changed")
        await journal.release("r", requeue=True)
        await both("queued")
        assert await rival.claim("r")
        await both("changed")
        assert await journal.cancel("r")
        await both("cancelled")
        await journal.begin(record_of("s"), queued=True)
        await both("queued", "s")
        assert await journal.claim("s")
        await journal.finish("s", "complete")
        await both("ended", "s")


async def test_news_are_heard_from_entering_on_and_not_what_was_before(journal: Journal, rival: Journal) -> None:
    await journal.begin(record_of("before"))
    async with rival.news() as news:
        await journal.begin(record_of("after"))
        runs = list[str]()
        with anyio.fail_after(SOON_S):
            while "after" not in runs:
                runs.append((await anext(news)).run_id)
    assert "before" not in runs


async def test_who_asks_for_kinds_or_for_a_run_hears_no_others(journal: Journal, rival: Journal) -> None:
    async with journal.news("ended", "cancelled") as ends, journal.news("ended", run_id="s") as one:
        for run_id in ("r", "s"):
            await rival.begin(record_of(run_id))
            await rival.keep(run_id, went_out())
            await rival.finish(run_id, "complete")
        with anyio.fail_after(SOON_S):
            both = {await anext(ends), await anext(ends)}
            alone = await anext(one)
    assert both == {News("ended", "r"), News("ended", "s")}
    assert alone == News("ended", "s")


async def test_what_is_told_is_heard_by_all_who_listen_each_text_once(journal: Journal) -> None:
    pieces = [News("text", "r", piece) for piece in ("So", " ", "so", " ", "so")]
    journal.tell(News("spending"))  # nobody listens
    async with journal.news("text", run_id="r") as one, journal.news("text", "spending") as other:
        for each in (*pieces, News("spending"), News("spending")):
            journal.tell(each)
        with anyio.fail_after(SOON_S):
            assert [await anext(one) for _ in pieces] == pieces
            assert [await anext(other) for _ in range(6)] == [*pieces, News("spending")]


async def test_who_does_not_keep_up_is_told_that_news_were_missed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_news, "_MOST", 3)
    async with journal.news("changed") as news:
        for number in range(5):
            journal.tell(News("changed", str(number)))
        assert [await anext(news), await anext(news)] == [News("missed"), News("changed", "4")]


async def test_whoever_waits_for_one_run_hears_that_news_were_missed(journal: Journal) -> None:
    async with journal.news("ended", run_id="r") as news:
        journal.tell(News("missed"))
        assert await anext(news) == News("missed")


@pytest.mark.parametrize("opened", EXPIRES, indirect=True)
async def test_the_release_of_a_dead_owners_runs_is_news(opened: Open) -> None:
    dead, live, other = opened(lease_s=-1.0), opened(lease_s=0.2), opened()
    await dead.begin(record_of())
    await dead.begin(record_of("s"), queued=True)
    assert await dead.claim("s")
    async with live.news() as here, other.news() as there:
        assert await live.free_dead() == {"r", "s"}
        for news in (here, there):
            await heard(news, "ended", "r")
        async with live.news("queued") as again:
            live.tell(News("queued", "s"))
            await heard(again, "queued", "s")
    for each in (dead, live, other):
        await each.close()


@pytest.mark.parametrize("opened", EXPIRES, indirect=True)
async def test_a_commitment_of_another_process_is_news(opened: Open) -> None:
    here, there = opened(), opened()
    async with here.news("spending") as news:
        await there.commit_spending(Commitment("r", 5, None))
        with anyio.fail_after(SOON_S):
            assert await anext(news) == News("spending")
    for each in (here, there):
        await each.close()
