"""The only way to start a run. `Admission` decides everything that is fixed for its duration.

That is the budget and deadline, the routes and context windows of the models, the expected cost, and whether a user
has to confirm that cost. It calls no model and records nothing. Callers (the command line, the server)
send a `RunRequest`; only an `Admission` creates the `Ready` that `Runs.start` accepts.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from msgspec import Struct

from moa_mcp.budget.confirmation import Confirmation, CostLimits, needed
from moa_mcp.config import Config, Pipeline, models_of
from moa_mcp.engine.execute import Checkpoint, RunSpec, started
from moa_mcp.errors import MissingKey, RunNotResumable
from moa_mcp.events import Event, RunForked
from moa_mcp.journal.damage import readable
from moa_mcp.middleware import PaidCalls, Usable, remembered
from moa_mcp.panels import makers
from moa_mcp.planning.context_windows import largest, too_long, windows
from moa_mcp.planning.earlier_turns import fitted
from moa_mcp.planning.estimate import Estimate, Prices, drafts_of, estimate, prices
from moa_mcp.planning.forecast import Drafts
from moa_mcp.planning.plan import blocking
from moa_mcp.planning.slow_calls import reasoning
from moa_mcp.planning.unseen import unseen
from moa_mcp.providers.backend import Backend
from moa_mcp.runs.caps import earlier
from moa_mcp.runs.record import StartPoint, StoredRun, whole
from moa_mcp.runs.requests import ForkedRun, NewRun, Owner, ResumedRun, RunRequest, Terms
from moa_mcp.runs.store import RunStore, not_resumable
from moa_mcp.schemas import checked, fault_of_answer_schema
from moa_mcp.trace import replay
from moa_mcp.values import COMPLETE, Analysis, Answer, Question

RefusalReason: TypeAlias = Literal[
    "no_provider", "question_too_long", "unpriced", "images_not_taken", "draining", "answer_schema"
]
_SEEDS = 2**32

_Limit = TypeVar("_Limit", Decimal, float)


class Work(NamedTuple):
    """A run and the results of its admission."""

    stored: StoredRun
    start: StartPoint
    """Unused for a resumed run, which reads it at its start: another process may continue the run until then."""
    usable: Usable
    """Returns the routes of a model, from a cache after the first call."""
    prices: Prices
    estimate: Estimate
    """Covers the remaining steps."""
    drafts: Drafts
    """The prompts with empty answers, written once for all forecasts of the run."""


class Ready:
    """A run that may start, once, in the `Runs` that admitted it. Only `Admission` creates it."""

    __slots__ = ("admission", "request", "run_id", "started", "work")

    def __init__(self, admission: object, request: RunRequest, run_id: str, work: Work | None = None) -> None:
        if not isinstance(admission, Admission):
            raise TypeError("only Runs.admit creates a Ready")
        self.admission = admission
        self.request = request
        self.run_id = run_id
        self.work = work
        """None for a run to resume that is active in this process already."""
        self.started = False


@dataclass(frozen=True, slots=True)
class ConfirmationRequired:
    """A run that may start when a user has confirmed its cost."""

    confirmation: Confirmation
    _ready: Ready = field(repr=False)

    def __str__(self) -> str:
        return f"confirmation required: {self.confirmation}"

    def confirmed(self) -> Ready:
        """Return the run that may start. Call it only if a user has seen `confirmation` and accepts the cost."""
        return self._ready


class RunRefused(Struct, frozen=True):
    """A run that can't start. Nothing was recorded or spent."""

    reason: RefusalReason
    message: str
    """The cause and its remedy."""
    models: tuple[str, ...]
    """The aliases that cause it."""

    def __str__(self) -> str:
        return self.message


Admitted: TypeAlias = Ready | ConfirmationRequired | RunRefused


class _Task(NamedTuple):
    """A requested run before its admission."""

    stored: StoredRun
    start: StartPoint
    checkpoint: Checkpoint | None
    """None if no step is finished."""
    confirm_above_usd: Decimal | None
    """None if no cost needs a confirmation."""
    history: Sequence[Event] = ()
    """The earlier events of a resumed run."""

    @property
    def answers(self) -> Sequence[Answer]:
        return self.checkpoint.state.answers if self.checkpoint else ()

    @property
    def analysis(self) -> Analysis | None:
        return self.checkpoint.state.analysis if self.checkpoint else None

    @property
    def left(self) -> Pipeline:
        """The pipeline without its finished steps."""
        pipeline = self.stored.spec.pipeline
        if self.checkpoint is None:
            return pipeline
        return pipeline.model_copy(update={"steps": pipeline.steps[self.checkpoint.steps :]})


class Admission:
    """Admits runs. See the module."""

    def __init__(self, config: Config, backend: Backend, store: RunStore) -> None:
        self._store = store
        self.use(config, backend)

    def use(self, config: Config, backend: Backend) -> None:
        """Use another configuration for requests that are admitted from now on."""
        self._config = config
        self._backend = backend
        self.resolver = backend.resolver(config)

    async def admit(self, request: RunRequest) -> Admitted:
        """Return whether a run may start. Raises as `Runs.admit`."""
        if isinstance(request, NewRun):
            asked = request.pipeline.asked(request.question)
            if fault := fault_of_answer_schema(asked.answer_schema):
                return RunRefused("answer_schema", fault, ())
        task = await self._task(request)
        usable = remembered(self._backend.usable(task.stored.routes))
        if not isinstance(request, ResumedRun):  # a resumed run repeats its earlier prompts
            pipeline = task.stored.spec.pipeline
            known, reason = await windows(pipeline, usable), await reasoning(pipeline, usable)
            spec = replace(task.stored.spec, windows=known, reasoning=reason, makers=await makers(pipeline, usable))
            spec = _within(spec) if isinstance(request, NewRun) else spec
            task = task._replace(stored=replace(task.stored, spec=spec))
        priced = await prices(task.stored.spec.pipeline, usable)
        spec, left = task.stored.spec, task.left
        drafts = drafts_of(spec.question, priced)
        if refused := await self._refused(spec, left, drafts, priced, usable):
            return refused
        if not task.answers and (lost := await unseen(left, spec.question, usable)):
            return RunRefused("images_not_taken", lost.message, lost.models)
        estimated = estimate(left, spec.question, priced, task.answers, drafts, task.analysis)
        ready = Ready(self, request, spec.run_id, Work(task.stored, task.start, usable, priced, estimated, drafts))
        confirmation = None if request.consent == "given" else _confirmation(task, left, priced, estimated)
        if confirmation is None or (request.consent == "budget" and confirmation.covered_by(request.max_cost_usd)):
            return ready
        return ConfirmationRequired(confirmation, ready)

    def active(self, request: ResumedRun) -> Ready:
        """Admit the resumption of a run that is active in this process: nothing has to start."""
        return Ready(self, request, request.run_id)

    def take(self, ready: object) -> Ready:
        """Mark an admitted run as started and return it.

        Raises:
            TypeError: the value is not a `Ready`.
            RuntimeError: the run was started before, or admitted by other `Runs`.

        """
        if not isinstance(ready, Ready):
            raise TypeError(f"a run starts from what Runs.admit returned as Ready, not from {type(ready).__name__}")
        if ready.admission is not self:
            raise RuntimeError("a run starts in the Runs that admitted it")
        if ready.started:
            raise RuntimeError("the run was started before; admit it again")
        ready.started = True
        return ready

    async def _task(self, request: RunRequest) -> _Task:
        match request:
            case NewRun():
                return await self._new(request)
            case ResumedRun():
                return await self._resumed(request)
            case ForkedRun():  # exhaustive
                return await self._forked(request)

    async def _new(self, request: NewRun) -> _Task:
        resolved = await self.resolver.resolve(request.pipeline)
        pipeline = resolved.pipeline
        spec = RunSpec(
            request.run_id or secrets.token_hex(8),
            pipeline,
            whole(await self._store.following(request.continues, _asked(request))),
            secrets.randbelow(_SEEDS) if request.seed is None else request.seed,
            max_cost_usd=_limit(request, request.max_cost_usd, self._max_cost_usd(pipeline)),
            deadline_s=_limit(request, request.deadline_s, pipeline.deadline_s),
            notes=resolved.notes,
            continues=request.continues,
        )
        owner = request.owner or Owner()
        stored = StoredRun(spec, resolved.routes, self._backend.simulated, owner, request.batch, entire=request.entire)
        return _Task(stored, StartPoint(), None, pipeline.confirm_above_usd)

    async def _resumed(self, request: ResumedRun) -> _Task:
        """Return the rest of a run. Its cost was confirmed at its start; a higher budget needs a new confirmation."""
        stored = await self._store.load(request.run_id)
        events, _, record = await self._store.events(request.run_id)
        if record.status in COMPLETE or record.owned:  # whether an expired lease is over is found out at the start
            raise not_resumable(record)
        with readable(request.run_id):
            checkpoint = replay.checkpoint(stored.spec.question, events)
        if request.owner is not None:
            owner = replace(stored.owner, max_cost_usd_per_day=request.owner.max_cost_usd_per_day)
            stored = replace(stored, owner=owner)
        before, stored = stored.spec.max_cost_usd, self._capped(stored, request)
        after = stored.spec.max_cost_usd
        raised = before is not None and after is not None and after > before
        return _Task(
            stored, StartPoint(), checkpoint, self._confirm_above_usd(stored.spec.pipeline) if raised else None, events
        )

    async def _forked(self, request: ForkedRun) -> _Task:
        stored = await self._store.load(request.run_id)
        events = (await self._store.events(request.run_id)).events
        with readable(request.run_id):
            inherited = replay.until(events, request.step)
            checkpoint = replay.checkpoint(stored.spec.question, inherited)
        if checkpoint.steps != request.step - 1:
            last = checkpoint.steps + 1
            raise RunNotResumable(
                f"run {request.run_id} finished {checkpoint.steps} steps; it can be forked from step {last} at most"
            )
        resolved = await self.resolver.resolve(request.pipeline, stored.routes)
        spec = replace(
            self._capped(stored, request).spec,
            run_id=secrets.token_hex(8),
            pipeline=resolved.pipeline,
            seed=stored.spec.seed if request.seed is None else request.seed,
            notes=(*stored.spec.notes, *resolved.notes),
        )
        forked = RunForked(from_run=request.run_id, steps=checkpoint.steps)
        paid_calls = PaidCalls(seconds=replay.paid_calls(inherited).seconds)
        first = (started(spec), forked, *inherited)
        start = StartPoint(checkpoint, paid_calls, first, traceparents=replay.traceparents(events))
        limit = self._confirm_above_usd(request.pipeline)
        forked_run = StoredRun(spec, resolved.routes, stored.simulated, request.owner or Owner())
        return _Task(forked_run, start, checkpoint, limit)

    def _max_cost_usd(self, pipeline: Pipeline) -> Decimal | None:
        return pipeline.max_cost_usd or self._config.budget.max_cost_usd

    def _confirm_above_usd(self, recorded: Pipeline) -> Decimal | None:
        """Return the limit in the current configuration for a recorded pipeline."""
        return self._config.pipelines.get(recorded.name, self._config.budget).confirm_above_usd

    def _capped(self, stored: StoredRun, request: ResumedRun | ForkedRun) -> StoredRun:
        """Return the run with the requested budget instead of its own, if the request has one."""
        if request.max_cost_usd is None:
            return stored
        cap = _limit(request, request.max_cost_usd, self._max_cost_usd(stored.spec.pipeline))
        return replace(stored, spec=replace(stored.spec, max_cost_usd=cap))

    async def _refused(
        self, spec: RunSpec, left: Pipeline, drafts: Drafts, priced: Prices, usable: Usable
    ) -> RunRefused | None:
        """Return the refusal if a model has no route, a prompt is too long, or a required price is unknown."""
        faults = dict(too_long(left, drafts, spec.windows, await largest(left, usable)))
        unreached = {alias for alias in models_of(left) if priced[alias].route is None}
        if blocked := blocking(left, {*faults, *unreached}):
            lost = unreached.intersection(blocked)
            faults.update([(alias, await _missing(alias, usable)) for alias in blocked if alias in lost])
            reasons = "; ".join(f"{alias}: {faults[alias]}" for alias in blocked)
            if lost:
                return RunRefused("no_provider", f"no usable provider: {reasons}", blocked)
            return RunRefused("question_too_long", reasons, blocked)
        unpriced = tuple(alias for alias in models_of(left) if priced[alias].price is None and alias not in unreached)
        if unpriced and self._config.budget.unpriced == "refuse":
            message = (
                f'the price of {", ".join(unpriced)} is not known, and unpriced = "refuse"; give its route '
                'usd_per_million, or set unpriced = "allow"'
            )
            return RunRefused("unpriced", message, unpriced)
        return None


def _within(spec: RunSpec) -> RunSpec:
    """Return a run whose earlier turns fit the windows of its models."""
    question, note = fitted(spec.pipeline, spec.question, spec.windows)
    return replace(spec, question=question, notes=(*spec.notes, note)) if note else spec


def _asked(request: NewRun) -> Question:
    """Return the question as its pipeline answers it. Raises `SchemaRefused`."""
    question = request.pipeline.asked(request.question)
    schema = question.answer_schema
    return question if schema is None else replace(question, answer_schema=checked(schema))


def _limit(terms: Terms, wanted: _Limit | None, configured: _Limit | None) -> _Limit | None:
    """Return the budget or deadline of a run, from the requested and the configured one."""
    if wanted is None or configured is None:
        return configured if wanted is None else wanted
    return wanted if terms.overrides_limits else min(wanted, configured)


async def _missing(alias: str, usable: Usable) -> str:
    """Return the message for a model without a usable route."""
    try:
        await usable(alias)
    except MissingKey as error:
        return str(error)
    return "its server did not respond a moment ago; try again"


def _confirmation(task: _Task, left: Pipeline, priced: Prices, estimated: Estimate) -> Confirmation | None:
    if task.confirm_above_usd is None:
        return None
    spec = task.stored.spec
    spent = Decimal(earlier(task.history, priced).nanodollars) / 10**9
    limits = CostLimits(task.confirm_above_usd, spec.max_cost_usd, spent)
    return needed(estimated, left, spec.question, priced, limits, task.answers, task.analysis)
