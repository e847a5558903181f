"""``moa-mcp worker``: executes the runs that servers put into the queue of a database."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from moa_mcp import telemetry
from moa_mcp.cli.monitored import log_options, metrics_option, monitoring_at
from moa_mcp.cli.options import (
    Refused,
    add_keys,
    config_option,
    journal_option,
    loaded,
    offline_option,
    opened_with_queue,
    show_notes,
)
from moa_mcp.cli.signals import INTERRUPTED
from moa_mcp.cli.text import counted
from moa_mcp.config import Config
from moa_mcp.errors import MoaError
from moa_mcp.garbage import collect_seldom
from moa_mcp.journal import Journal
from moa_mcp.journal.delivery import Delivery
from moa_mcp.providers.backend import Backend, real, simulated
from moa_mcp.providers.transports import Real
from moa_mcp.routing.keychain import Keychain
from moa_mcp.runs import Runs
from moa_mcp.runs.executor import Executor
from moa_mcp.runs.observers import Observer
from moa_mcp.server.health import Health
from moa_mcp.server.logs import Level, LogFormat, LogSettings
from moa_mcp.server.reloading import Reloading
from moa_mcp.server.run_log import RunLog
from moa_mcp.server.sessions import Sessions

if TYPE_CHECKING:
    from moa_mcp.server.monitoring import Monitoring


@click.command(
    "worker",
    epilog="Exit codes: 0 stopped by SIGTERM, 2 wrong usage, unusable journal or error in the configuration, 130 "
    "interrupted.",
)
@click.option(
    "--concurrency",
    "at_once",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="Maximum number of runs at once.",
)
@click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(0),
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds that active runs may go on after SIGTERM; then other workers continue them.",
)
@log_options
@metrics_option
@offline_option
@journal_option
@config_option
def command(
    at_once: int,
    drain_s: float,
    log_level: Level,
    log_format: LogFormat,
    metrics: str | None,
    offline: bool,
    journal: str | None,
    config_path: Path | None,
) -> None:
    """Execute the runs that servers with --submit put into the queue of a PostgreSQL journal."""
    config = loaded(config_path)
    show_notes(config)
    keys = None if offline else add_keys(config)
    kept, queue = opened_with_queue(journal, config.journal)
    log = LogSettings(log_level, log_format)
    log.start()
    reloading = Reloading(config, config_path, keys, say=log.announce)
    monitoring = None if metrics is None else monitoring_at(metrics, log)
    collect_seldom()
    log.announce(f"moa-mcp worker executes {counted(at_once, 'run')} at once")
    try:
        work = partial(
            _work, config, kept, queue, monitoring, reloading, at_once=at_once, drain_s=drain_s, offline=offline
        )
        interrupted = anyio.run(work)
    except MoaError as error:
        raise Refused(str(error), "See moa-mcp worker --help.") from error
    if interrupted:
        raise click.exceptions.Exit(INTERRUPTED)


async def _work(
    config: Config,
    journal: Journal,
    queue: Delivery,
    monitoring: Monitoring | None,
    reloading: Reloading,
    *,
    at_once: int,
    drain_s: float,
    offline: bool,
) -> bool:
    """Work until a signal. Return whether it was an interruption."""
    from moa_mcp.workers import Worker  # noqa: PLC0415  the libraries of an extra

    provider = Real()

    def backend(config: Config) -> Backend:
        return simulated() if offline else real(config.models, dict(os.environ), Keychain(), provider)[0]

    counted_by = () if monitoring is None else (monitoring.observer,)
    observers: Sequence[Observer] = (*telemetry.observers(os.environ), RunLog(), *counted_by)
    stop, hurry = anyio.Event(), anyio.Event()
    interrupted = False

    async def listen() -> None:
        nonlocal interrupted
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                interrupted |= number == signal.SIGINT
                if stop.is_set() or number == signal.SIGINT:
                    hurry.set()
                stop.set()

    async def use(config: Config) -> None:
        runs.use(config, backend(config))

    runs = Runs(config, backend(config), journal, observers, partial(Executor, requeues=True))
    async with runs.open(), _monitored(runs, monitoring), anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        tasks.start_soon(reloading.keep_current, use)
        await Worker(runs, queue, at_once=at_once, drain_s=drain_s).work(stop, hurry)
        tasks.cancel_scope.cancel()
    return interrupted


def _monitored(runs: Runs, monitoring: Monitoring | None) -> AbstractAsyncContextManager[None]:
    """Return the block in which metrics are served, if they are wanted."""
    if monitoring is None:
        return nullcontext()
    return monitoring.serve(runs, Health(runs, _always), Sessions())


async def _always() -> bool:
    return True  # which pipelines can run is the matter of the servers
