"""Opens what runs need: the configuration, the models and the journal, as the command line does."""

from __future__ import annotations

import logging
import math
import os
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import anyio
from msgspec.structs import replace
from platformdirs import user_data_path

from moa_mcp import telemetry
from moa_mcp.batch.spending import BatchBudget
from moa_mcp.budget.worst_case import nanodollars
from moa_mcp.config import Config, JournalSettings, load
from moa_mcp.errors import ConfigError, JournalError
from moa_mcp.evaluation.execution.asker import Asker, EvalCosts
from moa_mcp.evaluation.execution.identities import RunIdentities
from moa_mcp.evaluation.inspecting.answering import Answering
from moa_mcp.evaluation.inspecting.arguments import ModelArguments
from moa_mcp.evaluation.inspecting.failures import refused
from moa_mcp.journal import Journal
from moa_mcp.journal.address import is_database
from moa_mcp.journal.memory import MemoryJournal
from moa_mcp.providers.backend import Backend, real, simulated
from moa_mcp.routing import environment
from moa_mcp.routing.keychain import Keychain
from moa_mcp.runs import Runs

BATCH = "inspect"
"""What the runs are listed under."""
_log = logging.getLogger(__name__)


def loaded(path: str | None) -> Config:
    """Return the configuration. Raises the error of `refused`."""
    try:
        return load(Path(path).expanduser() if path else None)
    except ConfigError as error:
        raise refused(f"{error}\nFix the file, or choose another with -M pipelines=PATH.") from error


def answering(arguments: ModelArguments) -> Answering:
    """Return what answers with these arguments. Its runs are not open yet. Raises the error of `refused`."""
    config = loaded(arguments.pipelines)
    # only a server resumes interrupted runs on its own, whatever the setting
    settings = config.journal.model_copy(update={"resume": "on-request"})
    config = replace(config, journal=settings)
    journal = _journal(arguments.journal, config.journal)
    runs = Runs(config, _backend(config, offline=arguments.offline), journal, telemetry.observers(os.environ))
    return Answering(_asker(runs, config, arguments.budget), config)


def _asker(runs: Runs, config: Config, budget_usd: Decimal | None) -> Asker:
    """Return what asks. Inspect limits its calls, and repeats a failed sample only if its user asks for that."""
    return Asker(
        runs,
        RunIdentities(config, "", simulated=runs.backend.simulated),
        BATCH,
        BatchBudget(None if budget_usd is None else nanodollars(budget_usd)),
        EvalCosts(),
        anyio.CapacityLimiter(math.inf),
        retry_failed=True,
    )


def _backend(config: Config, *, offline: bool) -> Backend:
    if offline:
        return simulated()
    for problem in environment.add_from_file(config.models).problems:
        _log.warning("%s", problem)
    return real(config.models, dict(os.environ), Keychain())[0]


def _journal(path: str | None, settings: JournalSettings) -> Journal:
    """Return the journal. Raises the error of `refused`."""
    if path == "none":
        return MemoryJournal()
    if settings.record != "calls":
        raise refused(
            f'an evaluation reads its answers from the journal, and record = "{settings.record}" does not store them; '
            'set record = "calls" in [journal], or add -M journal=none: nothing can be continued then'
        )
    full = settings.durability == "power"
    if is_database(path):
        return _database(path, full=full)
    from moa_mcp.journal.sqlite import SQLiteJournal  # noqa: PLC0415  not needed for databases

    file = Path(path).expanduser() if path else user_data_path("moa-mcp") / "journal.sqlite"
    try:
        return SQLiteJournal(file, synchronous="FULL" if full else "NORMAL")
    except JournalError as error:
        raise refused(f"{error}\nChoose another file with -M journal=PATH, or use -M journal=none.") from error


def _database(address: str, *, full: bool) -> Journal:
    if find_spec("psycopg") is None:
        raise refused("a journal in a database needs psycopg; install it with: pip install 'moa-mcp[team]'")
    from moa_mcp.journal.postgres import PostgresJournal  # noqa: PLC0415  the driver of an extra

    return PostgresJournal(address, synchronous="FULL" if full else "NORMAL")
