"""``moa-mcp runs show`` and ``export``: a stored run, for people and for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path

import anyio
import click
from rich.console import Console
from rich.text import Text

from moa_mcp.cli import draw
from moa_mcp.cli.options import Refused, config_unread, journal_option
from moa_mcp.cli.runs.record import find, journal_of, run_argument
from moa_mcp.cli.text import counted, json_text, line
from moa_mcp.cli.timeline import Timeline
from moa_mcp.images.describing import listed
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.runs import differences, traced, was_simulated
from moa_mcp.text import money
from moa_mcp.text.visible import visible
from moa_mcp.trace import json
from moa_mcp.trace.trace import AttemptTrace, CallTrace, Trace
from moa_mcp.values import Message
from moa_mcp.viewer.data import shown_content

_LEAST_LINES, _OTHER_LINES = 8, 14
"""Lines of a terminal for the timeline, and for the question, the summary and the answer."""
_PARENT = "parent"
"""Stands for the run that a fork is from."""


@click.command("show", epilog="Exit codes: 0 success, 2 wrong usage or unusable journal.")
@run_argument
@click.option("--full", is_flag=True, help="Show the prompt and answer of every call, in a pager.")
@click.option("--reasoning", is_flag=True, help="Like --full, with the reasoning of every call.")
@journal_option
@config_unread
def show(run_id: str, full: bool, reasoning: bool, journal: str | None) -> None:
    """Show the question, answer and trace of a run.

    ID is a run ID, the start of one, or 'last'.
    """
    record, trace = _read(run_id, journal)
    out = draw.console()
    full = full or reasoning
    if full and sys.stdout.isatty():
        with out.capture() as captured:
            _show(out, record, trace, full=True, reasoning=reasoning)
        click.echo_via_pager(captured.get())
    else:
        _show(out, record, trace, full=full, reasoning=reasoning)


@click.command("export", epilog="Exit codes: 0 success, 2 wrong usage or unusable journal.")
@run_argument
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE instead of stdout."
)
@click.option(
    "--html",
    "html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write one HTML page to FILE, for a browser; it needs no server.",
)
@click.option("--compare", "other", metavar="ID", help="With --html: show run ID beside it, or its 'parent'.")
@journal_option
@config_unread
def export(run_id: str, output: Path | None, html: Path | None, other: str | None, journal: str | None) -> None:
    """Print a stored run as JSON, or write it as a page for a browser.

    It has all prompts, answers, errors and prices. ID is a run ID, the start of one, or 'last'.
    """
    if other is not None and html is None:
        raise Refused("--compare needs a page to write", "Add --html FILE.")
    record, trace = _read(run_id, journal)
    if html is not None:
        beside = None if other is None else _read(_named(other, trace), journal)
        _write(html, _page(record, trace, beside), "--html")
    if output is not None:
        _write(output, f"{json_text(json.full(trace))}\n", "-o")
    elif html is None:
        click.echo(json_text(json.full(trace)))


def _named(other: str, trace: Trace) -> str:
    if other != _PARENT:
        return other
    if trace.forked_from is None:
        raise Refused(f"run {trace.run_id} is not a fork, so it has no parent", "Name another run with --compare ID.")
    return trace.forked_from


def _page(record: RunRecord, trace: Trace, beside: tuple[RunRecord, Trace] | None) -> str:
    from moa_mcp.viewer import compared_page, page  # noqa: PLC0415 - its parser takes time that JSON does not need

    if beside is None:
        return page(trace)
    first, earlier = beside
    return compared_page(earlier, trace, differences(first, record))


def _write(path: Path, text: str, option: str) -> None:
    try:
        path.write_text(text, "utf-8", errors="replace")
    except OSError as error:
        raise Refused(f"can't write {path}: {error.strerror}", f"Choose another file with {option}.") from error


def _read(run_id: str, journal: str | None) -> tuple[RunRecord, Trace]:
    with journal_of(journal) as kept:
        return anyio.run(_found, kept, run_id)


async def _found(journal: Journal, run_id: str) -> tuple[RunRecord, Trace]:
    record = await find(journal, run_id)
    trace = traced(record, (await journal.events(record.run_id)).events)
    was_simulated(record)  # raises here, not while the run is printed
    return record, trace


def _show(out: Console, record: RunRecord, trace: Trace, *, full: bool, reasoning: bool) -> None:
    """Print the question, what happened, and the answer last: at a terminal, that is what stays in sight."""
    _show_question(out, record, trace, full=full)
    if full:
        for text in _calls(trace, reasoning=reasoning):
            out.print(text, soft_wrap=True)
    if was_simulated(record):
        out.print(draw.SIMULATED)
    now = time.time() if trace.status == "running" and not trace.interrupted else None
    lines = max(_LEAST_LINES, out.height - _OTHER_LINES) if out.is_terminal and not full else None
    for part in (Timeline(trace, now, lines), "", *draw.summary(trace)):
        out.print(part)
    for note in chain(_history(record, trace), () if full else _thoughts(trace)):
        out.print(Text(note, "dim"))
    for reason in (*([trace.error] if trace.error else []), *trace.degradations):
        out.print(Text.assemble(("! ", "yellow"), line(reason)))
    if trace.answer is not None:
        out.print()
        _block(out, "Answer", trace.answer)


def _show_question(out: Console, record: RunRecord, trace: Trace, *, full: bool) -> None:
    question = trace.question
    parts = {"Question": question.text or record.title, "System": question.system}
    if question.turns and not full:
        parts["Conversation"] = f"({counted(len(question.turns), 'earlier turn')}; --full shows them)"
    if question.context:
        parts["Context"] = question.context if full else f"({len(question.context):,} characters; --full shows it)"
    parts["Images"] = listed(question.images)
    for title, text in parts.items():
        if text:
            _block(out, title, text)
            out.print()


def _block(out: Console, title: str, text: str) -> None:
    out.print(Text(title, "bold"))
    out.print(Text(visible(text)), soft_wrap=True)


def _history(record: RunRecord, trace: Trace) -> Iterator[str]:
    began = datetime.fromtimestamp(record.created_at).astimezone()
    resumed = f", resumed {counted(trace.resumed, 'time')}" if trace.resumed else ""
    yield f"started {began:%Y-%m-%d %H:%M:%S}{resumed}"
    if trace.continues:
        yield f"continues run {trace.continues}"
    if trace.forked_from:
        yield f"forked from run {trace.forked_from}, reusing its first {counted(trace.inherited, 'step')}"
    yield f"in a browser: moa-mcp view {record.run_id}"
    if trace.interrupted:
        yield f"to resume it: moa-mcp runs resume {record.run_id}"


def _thoughts(trace: Trace) -> Iterator[str]:
    lengths = [length for step in trace.steps for call in step.calls if (length := sum(map(len, _reasoning(call))))]
    if lengths:
        yield f"reasoning of {counted(len(lengths), 'call')}: {_hidden(sum(lengths))}"


def _hidden(characters: int) -> str:
    return f"{characters:,} characters, hidden; --reasoning shows it"


def _calls(trace: Trace, *, reasoning: bool) -> Iterator[Text]:
    """Yield every call; a prompt that was already shown is not repeated."""
    seen: dict[tuple[Message, ...], CallTrace] = {}
    for step in trace.steps:
        for call in step.calls:
            first = seen.setdefault(call.messages, call)
            yield _heading(call, step.kind)
            if first is call:
                yield from (_section(message.role, shown_content(message)) for message in call.messages)
            else:
                yield Text(f"same prompt as call {first.place}\n", "dim")
            yield from _outcome(call, reasoning=reasoning)


def _heading(call: CallTrace, kind: str) -> Text:
    usage = call.usage
    took = f"{draw.seconds(call.seconds)} s  {usage.prompt_tokens:,} in  {usage.completion_tokens:,} out"
    return Text.assemble(
        (f"Call {call.place}  {line(call.agent)}", "bold cyan"),
        (f"  {kind}  {took}  {money.dollars(call.cost_usd)}", "dim"),
    )


def _section(title: str, text: str) -> Text:
    return Text.assemble((f"{title}\n", "bold"), visible(text).rstrip(), "\n")


def _reasoning(call: CallTrace) -> list[str]:
    """Return the reasoning of each attempt that has some, with or without an answer."""
    ends = [attempt.completion or attempt.failure for attempt in call.attempts]
    return [end.reasoning for end in ends if end is not None and end.reasoning]


def _outcome(call: CallTrace, *, reasoning: bool) -> Iterator[Text]:
    for number, attempt in enumerate(call.attempts, 1):
        if attempt.failure is not None:
            yield Text(f"attempt {number}, {_model(attempt)}: {line(attempt.failure.message)}\n", "yellow")
    for thought in _reasoning(call):
        yield _section("reasoning", thought) if reasoning else Text(f"reasoning: {_hidden(len(thought))}\n", "dim")
    if call.completion is not None:
        yield _section("answer", call.completion.text)
    elif call.failure is not None:
        yield Text(f"no answer: {line(call.failure.message)}\n", "red")
    elif answers := [attempt.completion.text for attempt in call.attempts if attempt.completion]:
        yield _section("answer (paid for; the call did not finish)", answers[-1])
    else:
        yield Text("no answer yet\n", "dim")


def _model(attempt: AttemptTrace) -> str:
    return line(attempt.model)
