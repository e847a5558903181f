"""Images in every journal: stored once, in no record that lists show, and there again when a run goes on."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from moa_mcp.engine.execute import RunSpec
from moa_mcp.errors import ServerFailed
from moa_mcp.images import image_of_bytes, read_image
from moa_mcp.journal import Journal
from moa_mcp.journal.sqlite import SQLiteJournal
from moa_mcp.providers.backend import Backend
from moa_mcp.runs import Run, Runs
from moa_mcp.runs.in_memory import InMemoryRuns
from moa_mcp.runs.record import StoredRun, record_of
from moa_mcp.runs.store import RunStore
from moa_mcp.testing import ScriptedModel
from moa_mcp.values import Call, Image, Message, Question, images_of
from tests.support.journals import CALLS, config_of
from tests.support.layers import at
from tests.support.pictures import png
from tests.support.starting import fork_run, resume_run, start_run

pytestmark = pytest.mark.anyio

ADDRESS = read_image("https://example.com/a.png")
PICTURE = image_of_bytes(png(noise=300_000))
EARLIER = image_of_bytes(png(5, 5))
Q = Question(
    "Why?", turns=(Message("user", "Look.", (EARLIER,)), Message("assistant", "Yes.")), images=(PICTURE, ADDRESS)
)
SEEN = (EARLIER, PICTURE, ADDRESS)
ONE_TRY = config_of(settings="limits.attempts = 1")
PIPELINE = ONE_TRY.pipelines["p"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def runs_of(model: ScriptedModel, journal: Journal) -> Runs:
    """Return runs whose every agent is a model that takes images at any address."""
    return Runs(ONE_TRY, Backend(model, lambda _: at("anthropic/claude-opus-5")), journal)


async def ended(run: Run) -> Run:
    with anyio.fail_after(20):
        await run.ended.wait()
    return run


def seen(model: ScriptedModel) -> set[tuple[Image, ...]]:
    return {images_of(call.messages) for call in model.calls}


def content_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_a_run_goes_on_and_is_forked_in_another_process_with_its_images(journal: Journal, rival: Journal) -> None:
    def breaks(call: Call) -> str:
        if call.place.step > 1:
            raise ServerFailed("down")
        return "So."

    async with runs_of(ScriptedModel(otherwise=breaks), journal).open() as runs:
        run = await ended(await start_run(runs, PIPELINE, Q))
        assert run.trace.status == "failed"
    for record in await rival.records():
        assert len(record.spec) < len(PICTURE.url) / 10
    model = ScriptedModel()
    async with runs_of(model, rival).open() as runs:
        assert (await ended(await resume_run(runs, run.run_id))).trace.status == "complete"
        assert (await ended(await fork_run(runs, run.run_id, 2, PIPELINE))).trace.question == Q
        assert (await runs.trace(run.run_id)).question == Q
    assert len(model.calls) > CALLS - 3
    assert seen(model) == {SEEN}


async def test_a_queued_run_has_its_images_for_the_process_that_takes_it(journal: Journal, rival: Journal) -> None:
    spec = RunSpec("r", PIPELINE, Q, 1)
    assert await journal.begin(record_of(StoredRun(spec, {}, simulated=False), texts=True), queued=True)
    loaded = await RunStore(rival, InMemoryRuns(), simulated=False).load("r")
    assert loaded.spec == spec


async def test_an_image_is_stored_once_however_many_calls_have_it(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path / "j.sqlite")
    async with runs_of(ScriptedModel(), journal).open() as runs:
        for _ in range(3):
            await ended(await start_run(runs, PIPELINE, Q))
    await journal.close()
    assert PICTURE.size < len(content_of(tmp_path)) < 2 * PICTURE.size


async def test_with_hashes_no_image_is_stored(tmp_path: Path) -> None:
    journal = SQLiteJournal(tmp_path / "j.sqlite", texts=False)
    async with runs_of(ScriptedModel(), journal).open() as runs:
        run = await ended(await start_run(runs, PIPELINE, Q))
        assert run.trace.status == "complete"
    await journal.close()
    stored = content_of(tmp_path)
    assert len(stored) < PICTURE.size
    assert EARLIER.url.encode() not in stored
    assert b"example.com" not in stored
    assert PICTURE.content_sha256.encode() in stored
