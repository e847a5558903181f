"""The spans of one run, from its events: run > step > agent > request to a model.

The run's span belongs to the trace of the request that started it. Events of inherited steps, which another run paid
for, are skipped. Events that come late, or twice, change nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer

from moa_mcp.events import (
    AttemptFailed,
    AttemptFinished,
    AttemptStarted,
    CallFailed,
    CallFinished,
    CallStarted,
    CallWaits,
    Event,
    RunEstimated,
    RunFinished,
    RunForked,
    RunResumed,
    RunStarted,
    StepFinished,
    StepStarted,
    TextReceived,
)
from moa_mcp.telemetry import attributes, content
from moa_mcp.telemetry.attributes import Attributes
from moa_mcp.telemetry.metrics import Instruments
from moa_mcp.telemetry.propagation import links_to, traceparent_of
from moa_mcp.values import Message, Place


class _Attempt(NamedTuple):
    span: Span
    about: dict[str, str | int]
    """The attributes of its metrics."""


class _Agent(NamedTuple):
    span: Span
    messages: tuple[Message, ...]
    """Empty unless content is exported."""


class RunSpans:
    """The spans of one run in this process."""

    def __init__(
        self, tracer: Tracer, instruments: Instruments, run_id: str, pipeline: str, *, content: bool = False
    ) -> None:
        """With `content`, spans have prompts, answers and the texts of notes and errors."""
        self.traceparent = ""
        self._tracer = tracer
        self._instruments = instruments
        self._content = content
        self._about = attributes.of_run(run_id, pipeline)
        self._name = f"invoke_workflow {pipeline}"
        self._parent = context.get_current()
        self._inherited = 0
        self._run: Span = trace.INVALID_SPAN
        self._steps: dict[int, Span] = {}
        self._agents: dict[Place, _Agent] = {}
        self._attempts: dict[tuple[Place, int], _Attempt] = {}

    def start(self, earlier: tuple[str, ...]) -> None:
        """Start the run's span, with links to those of its `earlier` parts."""
        links = links_to(earlier)
        self._run = self._tracer.start_span(self._name, self._parent, attributes=self._about, links=links)
        self.traceparent = traceparent_of(self._run)

    def add(self, event: Event) -> None:
        """Add an event of the run."""
        match event:
            case RunStarted() | RunEstimated() | RunResumed() | RunForked() | RunFinished():
                self._of_run(event)
            case StepStarted() | StepFinished():
                if event.step > self._inherited:
                    self._of_step(event)
            case _ if event.place.step <= self._inherited:
                pass
            case CallStarted() | CallFinished() | CallFailed():
                self._of_call(event)
            case AttemptStarted():
                self._start_attempt(event)
            case AttemptFinished() | AttemptFailed():
                if (attempt := self._attempts.pop((event.place, event.attempt), None)) is not None:
                    self._end_attempt(attempt, event)
            case TextReceived() | CallWaits():  # exhaustive
                pass  # the times of the attempts show them

    def end(self) -> None:
        """End all spans. A run that has not finished was interrupted, and can be resumed."""
        if self._run.is_recording():
            self._run.set_attribute("moa.run.status", "interrupted")
            self._end_all(None)

    def _of_run(self, event: RunStarted | RunEstimated | RunResumed | RunForked | RunFinished) -> None:
        match event:
            case RunStarted():
                follows = {"moa.run.continues": event.continues} if event.continues else {}
                self._run.set_attributes({"moa.run.seed": event.seed, "moa.run.steps": event.steps, **follows})
            case RunEstimated():
                self._run.set_attributes(attributes.of_estimate(event))
            case RunResumed():
                self._run.set_attribute("moa.run.resumed_after_steps", event.finished_steps)
            case RunForked():
                self._inherited = event.steps
                self._run.set_attributes(
                    {"moa.run.forked_from": event.from_run, "moa.run.inherited_steps": event.steps}
                )
            case RunFinished():  # exhaustive
                if self._run.is_recording():
                    self._finish(event)

    def _finish(self, event: RunFinished) -> None:
        self._run.set_attribute("moa.run.status", event.status)
        if event.status == "failed":
            self._fail(self._run, event.reason or "failed", event.error or "")
        self._end_all(event.at)

    def _of_step(self, event: StepStarted | StepFinished) -> None:
        if isinstance(event, StepStarted):
            about: Attributes = {"moa.step.number": event.step, "moa.step.kind": event.step_kind}
            self._steps[event.step] = self._child(f"step {event.step} {event.step_kind}", self._run, event.at, about)
        elif (span := self._steps.pop(event.step, None)) is not None:
            degraded = any(note.degrades for note in event.notes)
            span.set_attributes({"moa.step.answers": len(event.answers), "moa.step.degraded": degraded})
            if self._content:
                for note in event.notes:
                    span.add_event(content.shown(note.text), {"moa.degrades": note.degrades}, _ns(event.at))
            span.end(_ns(event.at))

    def _of_call(self, event: CallStarted | CallFinished | CallFailed) -> None:
        if isinstance(event, CallStarted):
            above = self._steps.get(event.place.step, self._run)
            span = self._child(f"invoke_agent {event.agent}", above, event.at, attributes.of_call(event))
            self._agents[event.place] = _Agent(span, event.messages if self._content else ())
        elif (agent := self._agents.pop(event.place, None)) is not None:
            if isinstance(event, CallFailed):
                self._fail(agent.span, event.failure.kind, event.failure.message)
            agent.span.end(_ns(event.at))

    def _start_attempt(self, event: AttemptStarted) -> None:
        agent = self._agents.get(event.place)
        above = self._run if agent is None else agent.span
        about = attributes.of_model(event)
        asked: Attributes = {**about, **attributes.of_request(event)}
        if agent is not None and agent.messages:
            asked.update(content.of_prompt(agent.messages))
        links = [
            Link(other.span.get_span_context()) for each in event.others if (other := self._agents.get(each.place))
        ]
        name = f"chat {about['gen_ai.request.model']}"
        span = self._child(name, above, event.at, asked, SpanKind.CLIENT, links)
        self._attempts[event.place, event.attempt] = _Attempt(span, about)

    def _end_attempt(self, attempt: _Attempt, event: AttemptFinished | AttemptFailed) -> None:
        if event.first_text_s is not None:
            streamed: Attributes = {
                "gen_ai.request.stream": True,
                "gen_ai.response.time_to_first_chunk": event.first_text_s,
            }
            attempt.span.set_attributes(streamed)
            self._instruments.first_text.record(event.first_text_s, attempt.about)
        if isinstance(event, AttemptFinished):
            reply = event.completion
            usage, cost_usd, about = reply.usage, reply.cost_usd, attempt.about
            attempt.span.set_attributes(attributes.of_reply(reply))
            if self._content:
                attempt.span.set_attributes(content.of_answers(reply))
        else:
            failure = event.failure
            usage, cost_usd, about = failure.usage, failure.cost_usd, {**attempt.about, "error.type": failure.kind}
            attempt.span.set_attributes(attributes.of_usage(usage, cost_usd))
            self._fail(attempt.span, failure.kind, failure.message)
        self._instruments.record(event.seconds, usage, cost_usd, about)
        attempt.span.end(_ns(event.at))

    def _child(
        self,
        name: str,
        above: Span,
        at: float,
        about: Attributes,
        kind: SpanKind = SpanKind.INTERNAL,
        links: list[Link] | None = None,
    ) -> Span:
        return self._tracer.start_span(
            name, self._inside(above), kind, attributes=about, links=links, start_time=_ns(at)
        )

    def _inside(self, span: Span) -> Context:
        return trace.set_span_in_context(span, self._parent)

    def _fail(self, span: Span, kind: str, message: str) -> None:
        """Mark a span as failed. The message may quote a prompt, so it is content."""
        span.set_attribute("error.type", kind)
        span.set_status(Status(StatusCode.ERROR, content.shown(message) if self._content else kind))

    def _end_all(self, at: float | None) -> None:
        """End the spans that are open, the inner ones first."""
        attempts, agents = self._attempts.values(), self._agents.values()
        still_open = [
            *(each.span for each in attempts),
            *(each.span for each in agents),
            *self._steps.values(),
            self._run,
        ]
        for span in still_open:
            span.end(None if at is None else _ns(at))
        for table in (self._attempts, self._agents, self._steps):
            table.clear()


def _ns(at: float) -> int:
    return int(at * 1e9)
