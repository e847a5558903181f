"""The only way to start a run. `Admission` decides once, before it starts, what holds for all of it.

That is its budget and deadline, where its models are served, the windows of these, what it is expected to cost, and
whether a user has to confirm that cost. It calls no model and records nothing. Faces (the command line, the server)
say what they want as a `RunRequest`; only an `Admission` makes the `Ready` that `Runs.start` takes.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from moa_mcp.budget.confirmation import Confirmation, CostLimits, needed
from moa_mcp.config import Config, Pipeline, models_of
from moa_mcp.engine.execute import Reached, RunSpec, started
from moa_mcp.errors import MissingKey, RunNotResumable
from moa_mcp.events import Event, RunForked
from moa_mcp.journal.sqlite.damage import readable
from moa_mcp.middleware import Before, Usable, remembered
from moa_mcp.planning.context_windows import too_long, windows
from moa_mcp.planning.estimate import Estimate, Prices, estimate, prices
from moa_mcp.planning.plan import blocking
from moa_mcp.providers.backend import Backend
from moa_mcp.routing.routes import Route
from moa_mcp.runs.money import earlier
from moa_mcp.runs.order import Opening, Order, whole
from moa_mcp.runs.requests import ForkedRun, NewRun, ResumedRun, RunRequest, Terms
from moa_mcp.runs.stored import StoredRuns
from moa_mcp.trace import replay
from moa_mcp.values import Answer

RefusalReason: TypeAlias = Literal["no_provider", "question_too_long", "unpriced"]
_SEEDS = 2**32

_Limit = TypeVar("_Limit", Decimal, float)


class Work(NamedTuple):
    """What a run does, with what was decided for it."""

    order: Order
    opening: Opening
    """That of a resumed run is found when it starts: another process may continue it until then."""
    usable: Usable
    """Returns the routes of its models, and remembers them."""
    prices: Prices
    estimate: Estimate
    """Of the steps that are left."""


class Ready:
    """A run that may start, once, in the `Runs` that admitted it. Only `Admission` makes it."""

    __slots__ = ("admission", "request", "run_id", "started", "work")

    def __init__(self, admission: object, request: RunRequest, run_id: str, work: Work | None = None) -> None:
        if not isinstance(admission, Admission):
            raise TypeError("only Runs.admit makes a Ready")
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


@dataclass(frozen=True, slots=True)
class RunRefused:
    """A run that can't start. Nothing was recorded or spent."""

    reason: RefusalReason
    message: str
    """The cause and its remedy. The text of the value."""
    models: tuple[str, ...]
    """The aliases that it is due to."""

    def __str__(self) -> str:
        return self.message


Admitted: TypeAlias = Ready | ConfirmationRequired | RunRefused


class _Task(NamedTuple):
    """What a run has to do."""

    order: Order
    opening: Opening
    reached: Reached | None
    """What is finished; None if nothing is."""
    confirm_above_usd: Decimal | None
    """None if no one has to confirm it, whatever it costs."""
    history: Sequence[Event] = ()
    """What a resumed run did before."""

    @property
    def answers(self) -> Sequence[Answer]:
        return self.reached.state.answers if self.reached else ()

    @property
    def left(self) -> Pipeline:
        """The pipeline without its finished steps."""
        pipeline = self.order.spec.pipeline
        return pipeline.model_copy(update={"steps": pipeline.steps[self.reached.steps if self.reached else 0 :]})


class Admission:
    """Admits runs: see the module."""

    def __init__(self, config: Config, backend: Backend, stored: StoredRuns) -> None:
        self._config = config
        self._backend = backend
        self._stored = stored

    async def admit(self, request: RunRequest) -> Admitted:
        """Return whether a run may start. Raises as `Runs.admit`."""
        task = await self._task(request)
        usable = remembered(self._backend.usable(task.order.routes))
        if not isinstance(request, ResumedRun):  # that makes the prompts that it made
            known = await windows(task.order.spec.pipeline, usable)
            task = task._replace(order=replace(task.order, spec=replace(task.order.spec, windows=known)))
        priced = await prices(task.order.spec.pipeline, usable)
        if refused := await self._refused(task, priced, usable):
            return refused
        estimated = estimate(task.left, task.order.spec.question, priced, task.answers)
        ready = Ready(self, request, task.order.spec.run_id, Work(task.order, task.opening, usable, priced, estimated))
        confirmation = None if request.consent == "given" else _confirmation(task, priced, estimated)
        if confirmation is None or (request.consent == "budget" and confirmation.covered_by(request.max_cost_usd)):
            return ready
        return ConfirmationRequired(confirmation, ready)

    def active(self, request: ResumedRun) -> Ready:
        """Admit the resumption of a run that is active in this process: there is nothing left to start."""
        return Ready(self, request, request.run_id)

    def take(self, ready: object) -> Ready:
        """Return a run that may start now, and not again.

        Raises:
            TypeError: it was not admitted.
            RuntimeError: it was started before, or admitted by other `Runs`.

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
                return self._new(request)
            case ResumedRun():
                return await self._resumed(request)
            case ForkedRun():
                return await self._forked(request)

    def _new(self, request: NewRun) -> _Task:
        pipeline = request.pipeline
        spec = RunSpec(
            secrets.token_hex(8),
            pipeline,
            whole(request.question),
            secrets.randbelow(_SEEDS) if request.seed is None else request.seed,
            max_cost_usd=_limit(request, request.max_cost_usd, self._max_cost_usd(pipeline)),
            deadline_s=_limit(request, request.deadline_s, pipeline.deadline_s),
        )
        routes = {alias: self._routes(alias) for alias in models_of(pipeline)}
        return _Task(Order(spec, routes, self._backend.simulated), Opening(), None, pipeline.confirm_above_usd)

    async def _resumed(self, request: ResumedRun) -> _Task:
        """Return what is left of a run. If its cost had to be confirmed, it was; a higher budget needs that again."""
        order = await self._stored.order(request.run_id)
        await self._stored.check_free(request.run_id)
        events = await self._stored.events(request.run_id)
        with readable(request.run_id):
            reached = replay.reached(order.spec.question, events)
        before, order = order.spec.max_cost_usd, self._capped(order, request)
        after = order.spec.max_cost_usd
        raised = before is not None and after is not None and after > before
        return _Task(
            order, Opening(), reached, self._confirm_above_usd(order.spec.pipeline) if raised else None, events
        )

    async def _forked(self, request: ForkedRun) -> _Task:
        order = await self._stored.order(request.run_id)
        events = await self._stored.events(request.run_id)
        with readable(request.run_id):
            inherited = replay.until(events, request.step)
            reached = replay.reached(order.spec.question, inherited)
        if reached.steps != request.step - 1:
            last = reached.steps + 1
            raise RunNotResumable(
                f"run {request.run_id} finished {reached.steps} steps; it can be forked from step {last} at most"
            )
        spec = replace(
            self._capped(order, request).spec,
            run_id=secrets.token_hex(8),
            pipeline=request.pipeline,
            seed=order.spec.seed if request.seed is None else request.seed,
        )
        routes = {alias: order.routes.get(alias) or self._routes(alias) for alias in models_of(request.pipeline)}
        forked = RunForked(from_run=request.run_id, steps=reached.steps)
        before = Before(seconds=replay.before(inherited).seconds)
        opening = Opening(reached, before, (started(spec), forked, *inherited))
        limit = self._confirm_above_usd(request.pipeline)
        return _Task(Order(spec, routes, order.simulated), opening, reached, limit)

    def _routes(self, alias: str) -> tuple[Route, ...]:
        named = (Route(model=alias),) if "/" in alias else ()
        return tuple(self._config.models.get(alias, named))

    def _max_cost_usd(self, pipeline: Pipeline) -> Decimal | None:
        return pipeline.max_cost_usd or self._config.budget.max_cost_usd

    def _confirm_above_usd(self, recorded: Pipeline) -> Decimal | None:
        """Return the limit that the configuration has now for a recorded pipeline."""
        return self._config.pipelines.get(recorded.name, self._config.budget).confirm_above_usd

    def _capped(self, order: Order, request: ResumedRun | ForkedRun) -> Order:
        """Return the order with the requested budget instead of its own, if the request has one."""
        if request.max_cost_usd is None:
            return order
        cap = _limit(request, request.max_cost_usd, self._max_cost_usd(order.spec.pipeline))
        return replace(order, spec=replace(order.spec, max_cost_usd=cap))

    async def _refused(self, task: _Task, priced: Prices, usable: Usable) -> RunRefused | None:
        """Return why a run can't reach its models, fit their windows or know their prices, if it can't."""
        spec, left = task.order.spec, task.left
        faults = dict(too_long(left, spec.question, spec.windows))
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


def _limit(terms: Terms, wanted: _Limit | None, configured: _Limit | None) -> _Limit | None:
    """Return the budget or the deadline of a run."""
    if wanted is None or configured is None:
        return configured if wanted is None else wanted
    return wanted if terms.overrides_limits else min(wanted, configured)


async def _missing(alias: str, usable: Usable) -> str:
    """Return what would make a model usable."""
    try:
        await usable(alias)
    except MissingKey as error:
        return str(error)
    return "its server was not there a moment ago; try again"


def _confirmation(task: _Task, priced: Prices, estimated: Estimate) -> Confirmation | None:
    if task.confirm_above_usd is None:
        return None
    spec = task.order.spec
    spent = Decimal(earlier(task.history, priced).nanodollars) / 10**9
    limits = CostLimits(task.confirm_above_usd, spec.max_cost_usd, spent)
    return needed(estimated, task.left, spec.question, priced, limits, task.answers)
