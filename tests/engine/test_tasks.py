"""Groups of tasks: plain ones on asyncio and those of anyio elsewhere do the same."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint

from moa_mcp.engine.tasks import task_group

pytestmark = pytest.mark.anyio


class Job:
    """A task that never ends by itself, and notes its end."""

    def __init__(self) -> None:
        self.began = anyio.Event()
        self.ended = False

    async def __call__(self) -> None:
        self.began.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.wait_all_tasks_blocked()  # as it writes to the journal
            self.ended = True


async def fails() -> None:
    raise ValueError("a bug")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_the_block_ends_after_its_tasks() -> None:
    done: list[str] = []

    async def work() -> None:
        await checkpoint()
        done.append("a task")

    async with task_group() as tasks:
        tasks.start_soon(work, name="call")
    assert done == ["a task"]


async def test_an_error_of_a_task_ends_the_block_and_the_other_tasks() -> None:
    job = Job()

    async def block() -> None:
        async with task_group() as tasks:
            tasks.start_soon(job, name="call")
            await job.began.wait()
            tasks.start_soon(fails, name="call")
            await anyio.sleep_forever()

    with pytest.raises(ExceptionGroup) as raised:
        await block()
    assert [str(error) for error in raised.value.exceptions] == ["a bug"]
    assert job.ended


async def test_an_error_of_the_block_ends_its_tasks() -> None:
    job = Job()

    async def block() -> None:
        async with task_group() as tasks:
            tasks.start_soon(job, name="call")
            await job.began.wait()
            await fails()

    with pytest.raises(ExceptionGroup) as raised:
        await block()
    assert [str(error) for error in raised.value.exceptions] == ["a bug"]
    assert job.ended


@pytest.mark.parametrize("waits_in_the_block", [True, False])
async def test_at_the_deadline_the_block_and_its_tasks_end_without_an_error(*, waits_in_the_block: bool) -> None:
    job = Job()
    async with task_group() as tasks:
        tasks.start_soon(job, name="call")
        await job.began.wait()
        tasks.cancel_scope.deadline = anyio.current_time()
        if waits_in_the_block:
            await anyio.sleep_forever()
    assert job.ended
    assert tasks.cancel_scope.cancelled_caught


async def test_a_cancellation_from_outside_ends_the_tasks_and_goes_on() -> None:
    job = Job()
    with anyio.CancelScope() as outside:
        async with task_group() as tasks:
            tasks.start_soon(job, name="call")
            await job.began.wait()
            outside.cancel()
        raise NotImplementedError
    assert job.ended
    assert outside.cancelled_caught


async def test_a_task_that_starts_while_the_others_end_ends_too() -> None:
    job = Job()

    async def starts_another() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            tasks.start_soon(job, name="hedge")

    with anyio.fail_after(5):
        async with task_group() as tasks:
            tasks.start_soon(starts_another, name="call")
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert job.began.is_set() is job.ended


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_second_cancellation_does_not_leave_tasks_behind() -> None:
    job = Job()

    async def block() -> None:
        async with task_group() as tasks:
            tasks.start_soon(job, name="call")

    task = asyncio.create_task(block())
    await job.began.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert job.ended
