"""A run as it was asked for, as the journal keeps it; and how a run begins here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter, ValidationError

from moa_mcp.engine.execute import Reached, RunSpec, started
from moa_mcp.errors import RunNotResumable
from moa_mcp.events import Event, RunResumed
from moa_mcp.journal import RunRecord
from moa_mcp.journal.sqlite.damage import damaged_run, readable
from moa_mcp.middleware import Before
from moa_mcp.routing.routes import Route
from moa_mcp.runs.run import Run
from moa_mcp.text.surrogates import mended
from moa_mcp.trace import replay
from moa_mcp.trace.trace import Trace, trace_of
from moa_mcp.values import Question

_TITLE = 80


@dataclass(frozen=True, slots=True)
class Order:
    """A run as it was asked for, with all that decides it: this is what a resume goes by."""

    spec: RunSpec
    routes: Mapping[str, tuple[Route, ...]]
    """Where its models are served."""
    simulated: bool


@dataclass(frozen=True, slots=True)
class Opening:
    """How a run begins here: from nothing, or from what was done before."""

    reached: Reached | None = None
    before: Before = field(default_factory=Before)
    events: tuple[Event, ...] = ()
    """What is told of the beginning, besides what the engine tells of a run from nothing."""
    history: tuple[Event, ...] = ()
    """What it did before, and paid for."""
    new: bool = True
    """Whether it is yet to be put on record."""


_orders = TypeAdapter(Order)


def whole(question: Question) -> Question:
    """Return a question without half characters, as a command's arguments may hold: no provider takes them."""
    context, system = (text and mended(text) for text in (question.context, question.system))
    return Question(mended(question.text), context, system)


def recorded(order: Order, *, texts: bool) -> RunRecord:
    """Return the record of a new run; without `texts`, its question is not in it."""
    spec = order.spec
    kept = order if texts else replace(order, spec=replace(spec, question=Question("")))
    now = time.time()
    text = _orders.dump_json(kept, by_alias=True).decode()
    title = " ".join(kept.spec.question.text.split())[:_TITLE]
    return RunRecord(spec.run_id, spec.pipeline.name, text, "running", title, now, now)


def ordered(record: RunRecord, *, simulated: bool) -> Order:
    """Return the order of a run on record, to go on with it at real or simulated models.

    Raises:
        RunNotResumable: it can't be gone on with from here.

    """
    try:
        order = _orders.validate_json(record.spec)
    except ValidationError as error:
        raise RunNotResumable(
            f"run {record.run_id} was recorded by another version of moa-mcp, which must resume it"
        ) from error
    if not order.spec.question.text:
        raise RunNotResumable(
            f'run {record.run_id} can\'t be resumed here: its question was not kept (record = "hashes"); only the '
            "process that began it can go on with it"
        )
    if order.simulated != simulated:
        how = "was simulated; add --offline" if order.simulated else "asked real models; leave --offline out"
        raise RunNotResumable(f"run {record.run_id} {how}")
    return order


def reopened(order: Order, events: tuple[Event, ...]) -> tuple[Run, Opening]:
    """Return a run that goes on, and how, from what is on record. Raises `JournalError` if that makes no sense."""
    spec = order.spec
    with readable(spec.run_id):
        reached = replay.reached(spec.question, events)
        beginning = () if events else (started(spec),)  # it was left before even that was on record
        told = (*beginning, RunResumed(finished_steps=reached.steps))
        trace = trace_of(events)
        opening = Opening(reached, replay.before(events), told, history=events, new=False)
    trace.run_id, trace.pipeline, trace.status = spec.run_id, spec.pipeline.name, "running"
    return Run(spec.run_id, trace, on_record=True), opening


def traced(record: RunRecord, events: Iterable[Event]) -> Trace:
    """Return the trace of a run on record; how it stands is told by its record, since another process may have said.

    Raises `JournalError` if what is on record makes no sense.
    """
    if record.damaged:
        raise damaged_run(record.run_id)
    with readable(record.run_id):
        trace = trace_of(events)
    trace.run_id, trace.pipeline, trace.status = record.run_id, record.pipeline, record.status
    trace.interrupted = record.status == "running" and not record.owned
    if trace.status != "running" or trace.interrupted:
        trace.leave()
    if trace.status != "running" and trace.seconds is None:
        trace.seconds = record.updated_at - record.created_at
    return trace


def was_simulated(record: RunRecord) -> bool:
    """Whether a run on record asks no real model. Raises `JournalError` if that can't be read."""
    with readable(record.run_id):
        return bool(json.loads(record.spec)["simulated"])
