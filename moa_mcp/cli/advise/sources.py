"""What the advice is about: evaluations from files or the store, and the facts of recorded runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import anyio
from msgspec import Struct

from moa_mcp.cli.options import Refused, loaded, nearest
from moa_mcp.cli.runs.record import absent, journal_of
from moa_mcp.cli.text import counted
from moa_mcp.config import Config
from moa_mcp.errors import JournalDamaged
from moa_mcp.evaluation.advice.facts import RunFacts, facts_of
from moa_mcp.evaluation.report.json_file import EvaluationUnreadable, read
from moa_mcp.evaluation.report.store import EvaluationStore
from moa_mcp.evaluation.result import Evaluation
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.runs import traced, was_simulated
from moa_mcp.runs.lookup import every
from moa_mcp.values import Status

MOST_RUNS = 2000
"""The newest runs are read: reading all of a large journal takes minutes."""
_ENDED: frozenset[Status] = frozenset({"complete", "degraded", "failed"})
_NEEDED = ("numpy", "scipy", "statsmodels")


def check_installed() -> None:
    """Raise `Refused` if the packages of the statistics are missing."""
    missing = [each for each in _NEEDED if find_spec(each) is None]
    if missing:
        raise Refused(f"advice needs {', '.join(missing)}, which are not installed", 'Run pip install "moa-mcp[eval]".')


class Sources(Struct, frozen=True):
    """Where to look."""

    files: tuple[Path, ...]
    """Of evaluations; empty for the store."""
    pipelines: tuple[str, ...]
    """Empty for all."""
    since: float
    """Seconds since the epoch."""
    journal: str | None
    config_path: Path | None


class Material(NamedTuple):
    """What was found: all with real models, or all with simulated ones."""

    config: Config
    evaluations: dict[str, Evaluation]
    """By file, the newest first."""
    runs: tuple[RunFacts, ...]
    simulated: bool
    notes: tuple[str, ...]


def gathered(sources: Sources) -> Material:
    """Return the evaluations and runs. Raises `Refused`."""
    config, notes = loaded(sources.config_path), list[str]()
    evaluations = dict(_given(sources.files) if sources.files else _stored(sources.since, notes))
    known = {each.name for one in evaluations.values() for each in one.contestants if each.kind == "pipeline"}
    _check_names(sources.pipelines, {*config.pipelines, *known})
    wanted = {*(sources.pipelines or (*config.pipelines, *known))}
    runs = () if sources.journal == "none" or absent(sources.journal) else _recorded(sources, wanted, notes)
    simulated = _is_simulated(sources, evaluations, runs)
    left = {file: each for file, each in evaluations.items() if each.settings.simulated == simulated}
    facts = tuple(fact for fact, was in runs if was == simulated)
    others = len(evaluations) - len(left) + len(runs) - len(facts)
    if others:
        notes.append(f"left out: {others} with {'real' if simulated else 'simulated'} models")
    return Material(config, left, facts, simulated, tuple(notes))


def _check_names(pipelines: tuple[str, ...], known: set[str]) -> None:
    for each in pipelines:
        if each not in known:
            raise Refused(
                f"there is no pipeline {each!r} in --pipelines{nearest(each, known)}",
                f"Pipelines: {', '.join(sorted(known))}.",
            )


def _is_simulated(
    sources: Sources, evaluations: dict[str, Evaluation], runs: tuple[tuple[RunFacts, bool], ...]
) -> bool:
    """Whether the advice is about simulated models: those of the given files, or else if nothing is real."""
    given = [each.settings.simulated for each in evaluations.values()]
    if sources.files:
        return all(given)
    return bool(given or runs) and all(given) and all(was for _, was in runs)


def _given(files: tuple[Path, ...]) -> Iterator[tuple[str, Evaluation]]:
    try:
        found = [(str(path), read(path)) for path in files]
    except EvaluationUnreadable as error:
        raise Refused(str(error), "Give files that moa-mcp eval … --json FILE wrote.") from error
    yield from sorted(found, key=lambda each: _created(each[1]), reverse=True)


def _stored(since: float, notes: list[str]) -> Iterator[tuple[str, Evaluation]]:
    for path in EvaluationStore().every():
        try:
            evaluation = read(path)
        except EvaluationUnreadable as error:
            notes.append(f"a stored evaluation was not read: {error}")
            continue
        if _created(evaluation) >= since:
            yield str(path), evaluation


def _created(evaluation: Evaluation) -> float:
    return datetime.fromisoformat(evaluation.created_at).timestamp()


def _recorded(sources: Sources, pipelines: set[str], notes: list[str]) -> tuple[tuple[RunFacts, bool], ...]:
    with journal_of(sources.journal) as journal:
        return anyio.run(_facts, journal, pipelines, sources.since, notes)


async def _facts(
    journal: Journal, pipelines: set[str], since: float, notes: list[str]
) -> tuple[tuple[RunFacts, bool], ...]:
    """Return the facts of the newest runs, each with whether its models were simulated."""
    found, damaged, left_out = list[tuple[RunFacts, bool]](), 0, False
    async for record in every(journal, _ENDED, since):
        if record.pipeline not in pipelines or (since and record.created_at < since):
            continue
        if len(found) == MOST_RUNS:
            left_out = True
            break
        try:
            found.append(await _fact(journal, record))
        except JournalDamaged:
            damaged += 1
    if left_out:
        notes.append(f"only the newest {MOST_RUNS} runs of the journal were read")
    if damaged:
        notes.append(f"{counted(damaged, 'damaged run')} left out")
    return tuple(found)


async def _fact(journal: Journal, record: RunRecord) -> tuple[RunFacts, bool]:
    trace = traced(record, (await journal.events(record.run_id)).events)
    return facts_of(trace), was_simulated(record)
