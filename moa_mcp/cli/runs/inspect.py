"""``moa-mcp runs show`` and ``export``: one run on record, for a reader and for a program."""

from __future__ import annotations

import sys
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
from moa_mcp.journal import Journal, RunRecord
from moa_mcp.runs import traced, was_simulated
from moa_mcp.text import money
from moa_mcp.text.visible import visible
from moa_mcp.trace import json
from moa_mcp.trace.trace import AttemptTrace, CallTrace, Trace
from moa_mcp.values import Message


@click.command("show", epilog="Exit codes: 0 shown, 2 wrong usage or a journal that can't be used.")
@run_argument
@click.option("--full", is_flag=True, help="Show every call with its prompt and answer, a page at a time.")
@click.option("--reasoning", is_flag=True, help="Show every call with the reasoning before its answer, too.")
@journal_option
@config_unread
def show(run_id: str, full: bool, reasoning: bool, journal: str | None) -> None:
    """Show a run: its question, its answer and how it came about.

    ID may be the beginning of a run's id, or 'last'.
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


@click.command("export", epilog="Exit codes: 0 exported, 2 wrong usage or a journal that can't be used.")
@run_argument
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not to stdout.")
@journal_option
@config_unread
def export(run_id: str, output: Path | None, journal: str | None) -> None:
    """Print all that is on record of a run as JSON: every prompt, answer, failure and price.

    ID may be the beginning of a run's id, or 'last'.
    """
    _, trace = _read(run_id, journal)
    text = json_text(json.full(trace))
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(f"{text}\n", "utf-8")
    except OSError as error:
        raise Refused(f"{output} can't be written: {error.strerror}", "Name another file with -o.") from error


def _read(run_id: str, journal: str | None) -> tuple[RunRecord, Trace]:
    with journal_of(journal) as kept:
        return anyio.run(_found, kept, run_id)


async def _found(journal: Journal, run_id: str) -> tuple[RunRecord, Trace]:
    record = await find(journal, run_id)
    trace = traced(record, await journal.events(record.run_id))
    was_simulated(record)  # whoever shows it asks that, too
    return record, trace


def _show(out: Console, record: RunRecord, trace: Trace, *, full: bool, reasoning: bool) -> None:
    question = trace.question
    _block(out, "Question", question.text or record.title)
    if question.system:
        _block(out, "System", question.system)
    if question.context:
        _block(out, "Context", question.context if full else f"({len(question.context):,} characters; --full shows it)")
    if trace.answer is not None:
        _block(out, "Answer", trace.answer)
    for reason in (*([trace.error] if trace.error else []), *trace.degradations):
        out.print(Text.assemble(("! ", "yellow"), line(reason)))
    if trace.error or trace.degradations:
        out.print()
    if full:
        for text in _calls(trace, reasoning=reasoning):
            out.print(text, soft_wrap=True)
    for part in draw.conclusion(trace, simulated=was_simulated(record)):
        out.print(part)
    for said in chain(_history(record, trace), () if full else _thoughts(trace)):
        out.print(Text(said, "dim"))


def _block(out: Console, title: str, text: str) -> None:
    out.print(Text(title, "bold"))
    out.print(Text(visible(text)), soft_wrap=True)
    out.print()


def _history(record: RunRecord, trace: Trace) -> Iterator[str]:
    began = datetime.fromtimestamp(record.created_at).astimezone()
    resumed = f", resumed {counted(trace.resumed, 'time')}" if trace.resumed else ""
    yield f"started {began:%Y-%m-%d %H:%M:%S}{resumed}"
    if trace.forked_from:
        yield f"forked from run {trace.forked_from}, with its first {counted(trace.inherited, 'step')}"
    if trace.interrupted:
        yield f"nobody drives it; moa-mcp runs resume {record.run_id} goes on with it"


def _thoughts(trace: Trace) -> Iterator[str]:
    lengths = [length for step in trace.steps for call in step.calls if (length := sum(map(len, _reasoning(call))))]
    if lengths:
        yield f"reasoning of {counted(len(lengths), 'call')}: {_hidden(sum(lengths))}"


def _hidden(characters: int) -> str:
    return f"{characters:,} characters, hidden; --reasoning shows it"


def _calls(trace: Trace, *, reasoning: bool) -> Iterator[Text]:
    """Yield every call; a prompt that stood before is not repeated."""
    seen: dict[tuple[Message, ...], CallTrace] = {}
    for step in trace.steps:
        for call in step.calls:
            first = seen.setdefault(call.messages, call)
            yield _heading(call, step.kind)
            if first is call:
                yield from (_said(message.role, message.content) for message in call.messages)
            else:
                yield Text(f"asked the same as call {first.place}\n", "dim")
            yield from _outcome(call, reasoning=reasoning)


def _heading(call: CallTrace, kind: str) -> Text:
    usage = call.usage
    took = f"{draw.seconds(call.seconds)} s  {usage.prompt_tokens:,} in  {usage.completion_tokens:,} out"
    return Text.assemble(
        (f"Call {call.place}  {line(call.agent)}", "bold cyan"),
        (f"  {kind}  {took}  {money.dollars(call.cost_usd)}", "dim"),
    )


def _said(title: str, text: str) -> Text:
    return Text.assemble((f"{title}\n", "bold"), visible(text).rstrip(), "\n")


def _reasoning(call: CallTrace) -> list[str]:
    """Return what a model thought in each attempt that it answered, or thought in without an answer."""
    ends = [attempt.completion or attempt.failure for attempt in call.attempts]
    return [end.reasoning for end in ends if end is not None and end.reasoning]


def _outcome(call: CallTrace, *, reasoning: bool) -> Iterator[Text]:
    for number, attempt in enumerate(call.attempts, 1):
        if attempt.failure is not None:
            yield Text(f"attempt {number}, {_model(attempt)}: {line(attempt.failure.message)}\n", "yellow")
    for thought in _reasoning(call):
        yield _said("reasoning", thought) if reasoning else Text(f"reasoning: {_hidden(len(thought))}\n", "dim")
    if call.completion is not None:
        yield _said("answer", call.completion.text)
    elif call.failure is not None:
        yield Text(f"no answer: {line(call.failure.message)}\n", "red")
    elif answers := [attempt.completion.text for attempt in call.attempts if attempt.completion]:
        yield _said("answer, paid for and on record", answers[-1])
    else:
        yield Text("no answer yet\n", "dim")


def _model(attempt: AttemptTrace) -> str:
    return line(attempt.model)
