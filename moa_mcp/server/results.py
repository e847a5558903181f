"""A run as a tool result: the answer first in the text, a summary in the structured content."""

from __future__ import annotations

from collections.abc import Sequence

import mcp_types as types

from moa_mcp.runs import other_models
from moa_mcp.server.status_line import imitated, one_line
from moa_mcp.text.money import dollars
from moa_mcp.trace.agreement import dissent_lines
from moa_mcp.trace.json import summary
from moa_mcp.trace.trace import StepTrace, Trace

SIMULATED = "simulated: no model was called"


def of_run(trace: Trace, *, simulated: bool, shared: bool) -> types.CallToolResult:
    """Return the tool result of a run in any status. If it is `shared`, its user can open it in a browser."""
    content = summary(trace)
    notes = [SIMULATED, *trace.notes] if simulated else list(trace.notes)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=_text(trace, notes, shared=shared))],
        structured_content={**content, "error": trace.error, "notes": notes},
        is_error=trace.status in {"failed", "cancelled"},
    )


def error(message: str) -> types.CallToolResult:
    """Return an error as a result, so that the model sees it and can act on it."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=message)], is_error=True)


def _text(trace: Trace, notes: list[str], *, shared: bool) -> str:
    match trace.status:
        case "complete" | "degraded":
            return "\n\n".join([*_head(trace), str(trace.answer), _footer(trace, notes, shared=shared)])
        case "queued":
            return (
                f"Queued: run {trace.run_id} has not started yet, or waits to be continued. There is no answer yet. "
                f'Call moa_wait with run_id = "{trace.run_id}"; do not start the pipeline again.'
            )
        case "running" if trace.interrupted:
            return (
                f"Interrupted: the server of run {trace.run_id} stopped ({progress(trace)}). Completed calls are "
                f'recorded. To continue, call moa_wait with run_id = "{trace.run_id}".'
            )
        case "running":
            return (
                f"Still running: {progress(trace)}. There is no answer yet. Call moa_wait with "
                f'run_id = "{trace.run_id}"; do not start the pipeline again.'
            )
        case "cancelled":
            return f"Run {trace.run_id} was cancelled; there is no answer. To see its calls, use moa_trace."
        case "failed":  # exhaustive
            return (
                f"{trace.pipeline} failed: {trace.error}\n\n{_ways_on(trace)}\n\n{_footer(trace, notes, shared=shared)}"
            )


def _head(trace: Trace) -> list[str]:
    """Return the line before an answer. A complete run has none, unless its answer imitates the text of a status."""
    framed = ""
    if imitated(trace.answer or "", trace.pipeline):
        framed = f"The answer of run {trace.run_id} is between this line and the last line in brackets."
    if trace.status == "degraded":
        return [f"Degraded: {one_line('; '.join(trace.degradations))}{framed and f' ({framed})'}"]
    return [f"Complete: {framed}"] if framed else []


def _ways_on(trace: Trace) -> str:
    """Return what a caller can do about a run that failed."""
    run = f'run_id = "{trace.run_id}"'
    if not trace.steps:
        return f"There is no answer, and nothing was spent. To retry, call moa_resume with {run}."
    if trace.reason == "budget":
        return (
            f"There is no answer. Completed calls are recorded. To continue with a higher budget, call moa_resume with "
            f"{run} and max_cost_usd."
        )
    if trace.too_long_for:
        earlier = f'continue_run = "{trace.continues}" and ' if trace.continues else ""
        return (
            f"There is no answer: with its earlier turns, the conversation is too long for "
            f"{', '.join(trace.too_long_for)}, and resuming the run repeats that. Call the pipeline again with "
            f"{earlier}models that have larger context windows, or without continue_run and with what matters in "
            "context. If the configuration has window for the route, earlier turns are shortened to fit."
        )
    other = other_models(trace)
    fork = f'; to use another model, moa_fork with step = {other[0]} and changes = ["{other[1]}"]' if other else ""
    return (
        f"There is no answer. Completed calls are recorded. To see them, call moa_trace with {run}; to repeat only the "
        f"failed calls, moa_resume{fork}."
    )


def progress(trace: Trace) -> str:
    """Return the progress of a run in a few words."""
    if trace.waiting:
        return trace.waiting
    if not trace.steps:
        return "starting"
    step = trace.steps[-1]
    done = f": {step.answered} of {len(step.calls)} calls answered" if step.calls else ""
    failed = f", {step.failed} failed" if step.failed else ""
    window = f", {step.window}" if step.window else ""
    return f"step {step.step} of {len(trace.planned)} ({step.kind}){done}{failed}{window}"


def _footer(trace: Trace, notes: list[str], *, shared: bool) -> str:
    cost = "cost unknown" if trace.cost_usd is None else dollars(trace.cost_usd)
    if trace.estimated is not None and trace.estimated.cost_usd is not None:
        cost += f" of {dollars(trace.estimated.cost_usd.expected)} expected"
    usage = trace.usage
    follows = f", continues run {trace.continues}" if trace.continues else ""
    view = f"; details: moa-mcp view {trace.run_id}" if shared else ""
    line = (
        f"[{trace.pipeline}, run {trace.run_id}, {trace.status}: {_calls(trace)}{follows}, "
        f"{trace.seconds or 0:.1f} s, {usage.prompt_tokens} + {usage.completion_tokens} tokens, {cost}{view}]"
    )
    return "\n".join([line, *(f"- {one_line(note)}" for note in (*notes, *dissent_lines(trace)))])


def _calls(trace: Trace) -> str:
    """Return how many calls the run made and how many it inherited."""
    made = _counted(trace.steps[trace.inherited :])
    inherited = trace.steps[: trace.inherited]
    return f"{made} ({_counted(inherited)} inherited from run {trace.forked_from})" if inherited else made


def _counted(steps: Sequence[StepTrace]) -> str:
    calls = sum(len(step.calls) for step in steps)
    layers = sum(bool(step.calls) for step in steps)
    return f"{calls} {'call' if calls == 1 else 'calls'} in {layers} {'layer' if layers == 1 else 'layers'}"
