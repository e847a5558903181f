"""Stored runs: conversion to and from the records of the journal, and the point from which a run starts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter, ValidationError

from moa_mcp.engine.execute import Checkpoint, RunSpec, started
from moa_mcp.errors import RunNotResumable
from moa_mcp.events import Event, RunResumed
from moa_mcp.journal import RunRecord
from moa_mcp.journal.damage import damaged_run, readable
from moa_mcp.middleware import PaidCalls
from moa_mcp.routing.routes import Route
from moa_mcp.runs.images import detached
from moa_mcp.runs.requests import Owner
from moa_mcp.runs.run import Run
from moa_mcp.text.surrogates import mended
from moa_mcp.trace import replay
from moa_mcp.trace.trace import Trace, trace_of
from moa_mcp.values import ACTIVE, Price, Question

_TITLE = 80
_QUEUED = "waiting in the queue"


@dataclass(frozen=True, slots=True)
class StoredRun:
    """The definition of a run, complete enough to resume it."""

    spec: RunSpec
    routes: Mapping[str, tuple[Route, ...]]
    """By alias, in order of preference."""
    simulated: bool
    owner: Owner = field(default_factory=Owner)
    batch: str = ""
    """The batch that the run belongs to; empty for none."""
    traceparent: str = ""
    """Trace context of the request that put the run into the queue; empty for none."""


@dataclass(frozen=True, slots=True)
class StartPoint:
    """Where a run starts: at the beginning, or at a checkpoint."""

    checkpoint: Checkpoint | None = None
    paid_calls: PaidCalls = field(default_factory=PaidCalls)
    events: tuple[Event, ...] = ()
    """Events to emit first. Used with a checkpoint; otherwise a run starts with `RunStarted`."""
    history: tuple[Event, ...] = ()
    """Earlier events of a resumed run."""
    new: bool = True
    """Whether the run is not in the journal yet."""
    traceparents: tuple[str, ...] = ()
    """Trace contexts of the earlier parts of a resumed run, or of the run that it forks."""


_adapter = TypeAdapter(StoredRun)


def whole(question: Question) -> Question:
    """Return a question without lone surrogates: command arguments may have them, and providers reject them."""
    context, system = (text and mended(text) for text in (question.context, question.system))
    turns = tuple(turn._replace(content=mended(turn.content)) for turn in question.turns)
    return replace(question, text=mended(question.text), context=context, system=system, turns=turns)


def record_of(stored: StoredRun, *, texts: bool) -> RunRecord:
    """Return the record of a new run; without `texts`, it does not contain the question."""
    spec = stored.spec
    question, long_texts = detached(spec.question if texts else Question(""))
    kept = replace(stored, spec=replace(spec, question=question))
    now = time.time()
    text = _adapter.dump_json(kept, by_alias=True).decode()
    title = " ".join(question.text.split())[:_TITLE]
    record = RunRecord(spec.run_id, spec.pipeline.name, text, "running", title, now, now)
    return replace(record, caller=stored.owner.name, batch=stored.batch, texts=long_texts)


def stored_run(record: RunRecord, *, simulated: bool) -> StoredRun:
    """Return a run from its record, to continue it with real or `simulated` models.

    Raises:
        RunNotResumable: it can't be continued in this process.

    """
    try:
        stored = _adapter.validate_json(record.spec)
    except ValidationError as error:
        raise RunNotResumable(
            f"run {record.run_id} was recorded by another version of moa-mcp, which must resume it"
        ) from error
    if not stored.spec.question.text:
        raise RunNotResumable(
            f'run {record.run_id} can\'t be resumed here: its question was not stored (record = "hashes"); only the '
            "process that started it can resume it"
        )
    if stored.simulated != simulated:
        how = "was simulated; add --offline" if stored.simulated else "used real models; remove --offline"
        raise RunNotResumable(f"run {record.run_id} {how}")
    return stored


def reopened(stored: StoredRun, events: tuple[Event, ...]) -> tuple[Run, StartPoint]:
    """Return a run to resume, and its start point. Raises `JournalError` if the recorded events are inconsistent."""
    spec = stored.spec
    with readable(spec.run_id):
        checkpoint = replay.checkpoint(spec.question, events)
        beginning = () if events else (started(spec),)  # it stopped before its start was recorded
        first = (*beginning, RunResumed(finished_steps=checkpoint.steps))
        trace = trace_of(events)
        start = StartPoint(
            checkpoint,
            replay.paid_calls(events),
            first,
            history=events,
            new=False,
            traceparents=replay.traceparents(events),
        )
    trace.run_id, trace.pipeline, trace.status = spec.run_id, spec.pipeline.name, "running"
    return Run(spec.run_id, trace, stored.owner.name), start


def traced(record: RunRecord, events: Iterable[Event]) -> Trace:
    """Return the trace of a recorded run. Raises `JournalError` if the recorded events are inconsistent."""
    if record.damaged:
        raise damaged_run(record.run_id)
    with readable(record.run_id):
        trace = trace_of(events)
    if record.status == "queued" and not trace.started_at:  # no event tells its question yet
        trace.question = Question(question_of(record))
    settle(trace, record)
    return trace


def settle(trace: Trace, record: RunRecord) -> None:
    """Give a trace the status of its run's record, which another process may have set."""
    trace.run_id, trace.pipeline, trace.status = record.run_id, record.pipeline, record.status
    trace.interrupted = record.status == "running" and not record.owned
    trace.waiting = _QUEUED if record.status == "queued" else ""
    if trace.status != "running" or trace.interrupted:
        trace.leave()
    if trace.status not in ACTIVE and trace.seconds is None:
        trace.seconds = record.updated_at - record.created_at


def question_of(record: RunRecord) -> str:
    """Return the question of a recorded run; empty if texts are not stored. Raises `JournalError` as above."""
    with readable(record.run_id):
        return str(json.loads(record.spec)["spec"]["question"]["text"])


def prices_of(record: RunRecord) -> Mapping[str, Price]:
    """Return the configured prices of a recorded run, by the name of a model. Raises `JournalError` as above."""
    with readable(record.run_id):
        routes = [route for each in _adapter.validate_json(record.spec).routes.values() for route in each]
    return {each.model: each.usd_per_million.price for each in routes if each.usd_per_million}


def was_simulated(record: RunRecord) -> bool:
    """Whether a recorded run used simulated models. Raises `JournalError` if the record can't be read."""
    with readable(record.run_id):
        return bool(json.loads(record.spec)["simulated"])
