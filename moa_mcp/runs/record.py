"""Stored runs: conversion to and from the records of the journal, and the point from which a run starts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from msgspec import Struct
from pydantic import TypeAdapter, ValidationError

from moa_mcp.engine.execute import Checkpoint, RunSpec, started
from moa_mcp.errors import RunNotResumable
from moa_mcp.events import Event, RunResumed
from moa_mcp.journal import RunRecord
from moa_mcp.journal.codec import digest, reference, referred
from moa_mcp.journal.damage import damaged_run, readable
from moa_mcp.middleware import PaidCalls
from moa_mcp.routing.routes import Route
from moa_mcp.runs.requests import Owner
from moa_mcp.runs.run import Run
from moa_mcp.text.surrogates import mended
from moa_mcp.trace import replay
from moa_mcp.trace.trace import Trace, trace_of
from moa_mcp.values import ACTIVE, Price, Question, images_of

_TITLE = 80
_CONTENT = 1
"""The position of the text in a message as JSON."""
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
    entire: bool = False
    """Whether it fails if a shared cap does not allow all its calls."""


class StartPoint(Struct, frozen=True):
    """Where a run starts: at the beginning, or at a checkpoint."""

    checkpoint: Checkpoint | None = None
    paid_calls: PaidCalls = PaidCalls()
    events: tuple[Event, ...] = ()
    """Events to emit first. Used with a checkpoint; otherwise a run starts with `RunStarted`."""
    history: tuple[Event, ...] = ()
    """Earlier events of a resumed run."""
    new: bool = True
    """Whether the run is not in the journal yet."""
    traceparents: tuple[str, ...] = ()
    """Trace contexts of the earlier parts of a resumed run, or of the run that it forks."""


@cache
def _definition() -> TypeAdapter[StoredRun]:
    return TypeAdapter(StoredRun)


@cache
def _routes() -> TypeAdapter[Mapping[str, tuple[Route, ...]]]:
    return TypeAdapter(Mapping[str, tuple[Route, ...]])


def whole(question: Question) -> Question:
    """Return a question without lone surrogates: command arguments may have them, and providers reject them."""
    context, system = (text and mended(text) for text in (question.context, question.system))
    turns = tuple(turn._replace(content=mended(turn.content)) for turn in question.turns)
    return replace(question, text=mended(question.text), context=context, system=system, turns=turns)


def record_of(stored: StoredRun, *, texts: bool) -> RunRecord:
    """Return the record of a new run; without `texts`, it does not contain the question."""
    spec = stored.spec
    kept = stored if texts else replace(stored, spec=replace(spec, question=Question("")))
    now = time.time()
    text, turns = _untold(_definition().dump_json(kept, by_alias=True).decode(), kept.spec.question)
    title = " ".join(kept.spec.question.text.split())[:_TITLE]
    caller, batch = stored.owner.name, stored.batch
    return RunRecord(
        spec.run_id, spec.pipeline.name, text, "running", title, now, now, caller=caller, batch=batch, texts=turns
    )


def _untold(spec: str, question: Question) -> tuple[str, Mapping[str, str]]:
    """Return a definition with hashes for earlier turns and images, and their texts by hash: later runs repeat them."""
    images = (*question.images, *images_of(question.turns))
    if not (question.turns or images):
        return spec, {}
    dumped = json.loads(spec)
    for held, key in _long_texts(dumped["spec"]["question"]):
        held[key] = reference(held[key])
    texts = (*(turn.content for turn in question.turns), *(image.url for image in images))
    return json.dumps(dumped, ensure_ascii=False, separators=(",", ":")), {digest(text): text for text in texts}


def _long_texts(question: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401  JSON
    """Yield where a question as JSON has the texts of earlier turns and images: a container and a key."""
    yield from ((image, "url") for image in question.get("images", ()))
    for turn in question.get("turns", ()):
        yield turn, _CONTENT
        yield from ((image, "url") for image in (turn[_CONTENT + 1 :] or [()])[0])


def _told(record: RunRecord) -> str:
    """Return a definition with the texts of its earlier turns. Raises `LookupError` if one is missing."""
    if not record.texts:
        return record.spec
    dumped = json.loads(record.spec)
    for held, key in _long_texts(dumped["spec"]["question"]):
        held[key] = record.texts[referred(held[key])]
    return json.dumps(dumped)


def stored_run(record: RunRecord, *, simulated: bool) -> StoredRun:
    """Return a run from its record, to continue it with real or `simulated` models.

    Raises:
        RunNotResumable: it can't be continued in this process.

    """
    with readable(record.run_id):
        spec = _told(record)
    try:
        stored = _definition().validate_json(spec)
    except ValidationError as error:
        raise RunNotResumable(
            f"run {record.run_id} was recorded by another version of moa-mcp, which must resume it"
        ) from error
    if not stored.spec.question.text:
        raise RunNotResumable(
            f'run {record.run_id} can\'t be resumed here: its question was not stored (record = "hashes"); only the '
            "process that started it can resume it"
        )
    check_simulated(record, simulated=simulated)
    return stored


def check_simulated(record: RunRecord, *, simulated: bool) -> None:
    """Raise `RunNotResumable` for a run of simulated models where models are real, and the other way round."""
    if was_simulated(record) != simulated:
        how = "used real models; remove --offline" if simulated else "was simulated; add --offline"
        raise RunNotResumable(f"run {record.run_id} {how}")


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
        trace.question, trace.continues = Question(question_of(record)), _continues(record)
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


def _continues(record: RunRecord) -> str | None:
    with readable(record.run_id):
        return json.loads(record.spec)["spec"].get("continues") or None


def prices_of(record: RunRecord) -> Mapping[str, Price]:
    """Return the configured prices of a recorded run, by the name of a model. Raises `JournalError` as above."""
    with readable(record.run_id):
        recorded = _routes().validate_json(json.dumps(json.loads(record.spec)["routes"]))
    routes = [route for each in recorded.values() for route in each]
    return {each.model: each.usd_per_million.price for each in routes if each.usd_per_million}


def was_simulated(record: RunRecord) -> bool:
    """Whether a recorded run used simulated models. Raises `JournalError` if the record can't be read."""
    with readable(record.run_id):
        return bool(json.loads(record.spec)["simulated"])
