"""The live display of a run: its steps and calls on stderr, then the answer on stdout while it arrives.

Both are views of the run's trace and events; the run does not depend on them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Self

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from moa_mcp.cli.draw import SIMULATED
from moa_mcp.cli.text import counted, line
from moa_mcp.events import AttemptFailed, CallFailed, Event, TextReceived
from moa_mcp.text.visible import Visible
from moa_mcp.trace.trace import CallTrace, StepTrace, Trace

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAMES_PER_S = 10


class Layers:
    """The steps of a run and the calls of the current step; erased from the screen when closed."""

    def __init__(self, console: Console, *, simulated: bool) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._console = console
        self._simulated = simulated
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Erase the display; later drawing has no effect."""
        with suppress(OSError):  # the terminal may be gone
            self._live.stop()

    def draw(self, trace: Trace) -> None:
        """Show the progress of the run."""
        if self._live.is_started:
            self._live.update(Group(*self._lines(trace)), refresh=True)

    def _lines(self, trace: Trace) -> Iterator[Text]:
        yield _heading(trace, time.monotonic() - self._began, simulated=self._simulated)
        room = self._console.height - len(trace.planned) - 2
        for number, kind in enumerate(trace.planned, 1):
            step = trace.steps[number - 1] if number <= len(trace.steps) else None
            yield _step(number, kind, step)
            if step is not None and step.seconds is None:
                yield from _shortened(list(_agents(step)), room)


def _heading(trace: Trace, elapsed: float, *, simulated: bool) -> Text:
    heading = _line((trace.pipeline, "bold"), (f"  {elapsed:.1f} s", "dim"), (f"  {trace.waiting}".rstrip(), "dim"))
    return heading.append("  ").append_text(SIMULATED) if simulated else heading


def _step(number: int, kind: str, step: StepTrace | None) -> Text:
    title = f"{number} {kind:<12}"
    if step is None:
        return _line((f"· {title}", "dim"))
    failed = (f", {step.failed} failed", "yellow") if step.failed else ("", "")
    if step.seconds is None:
        return _line(
            (f"{_frame()} ", "cyan"), (title, "bold"), f"{step.answered} of {len(step.calls)} answered", failed
        )
    answered = f"{step.answered} answered" if step.calls else ""
    return _line(("✓ ", "green"), title, answered, failed, (f"  {step.seconds:.1f} s", "dim"))


def _agents(step: StepTrace) -> Iterator[Text]:
    """Yield a line for each model of a step; samples share a line, of windows only the current one is shown."""
    for agent in step.models:
        calls = [call for call in step.calls if call.agent == agent]
        yield _call(calls[-1]) if len(calls) == 1 or calls[-1].window else _samples(agent, calls)


def _call(call: CallTrace) -> Text:
    name = line(call.agent) + (f"  {call.window}" if call.window else "")
    if call.failure is not None:
        return _line(("    ✗ ", "red"), name, (f"  {line(call.failure.message)}", "dim"))
    if call.completion is not None:
        return _line(("    ✓ ", "green"), name, (f"  {call.seconds or 0:.1f} s", "dim"))
    return _line((f"    {_frame()} ", "cyan"), name, (_retries(call), "yellow"))


def _retries(call: CallTrace) -> str:
    failures = [attempt.failure for attempt in call.attempts if attempt.failure is not None]
    return f"  {counted(len(failures), 'failed attempt')}: {line(failures[-1].message)}" if failures else ""


def _samples(agent: str, calls: list[CallTrace]) -> Text:
    answered = sum(call.completion is not None for call in calls)
    failed = sum(call.failure is not None for call in calls)
    mark = ("    ✓ ", "green") if answered + failed == len(calls) else (f"    {_frame()} ", "cyan")
    count = (f"  {answered} of {len(calls)}" + (f", {failed} failed" if failed else ""), "dim")
    return _line(mark, line(agent), count)


def _shortened(lines: list[Text], room: int) -> list[Text]:
    if len(lines) <= room:
        return lines
    shown = lines[: max(0, room - 1)]
    return [*shown, _line((f"    … {len(lines) - len(shown)} more", "dim"))]


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _frame() -> str:
    return _FRAMES[int(time.monotonic() * _FRAMES_PER_S) % len(_FRAMES)]


RESTARTED = "(cut off; the answer starts again)"


class Stream:
    """Writes the answer to stdout while it arrives. After a failed attempt, it prints a note and starts again."""

    def __init__(self) -> None:
        self._pending: list[str | None] = []
        self._written = ""
        self._visible = Visible()
        self._failed = False

    def add(self, event: Event) -> None:
        """Add the text of an event to the next `write`."""
        if isinstance(event, TextReceived):
            self._pending += [None, event.text] if self._failed else [event.text]
            self._failed = False
        elif isinstance(event, AttemptFailed | CallFailed):
            self._failed = bool(self._written or self._pending)

    @property
    def pending(self) -> bool:
        """Whether there is something to write."""
        return bool(self._pending)

    def write(self) -> None:
        """Write the text that arrived."""
        for piece in self._pending:
            if piece is not None:
                self._write(self._visible.add(piece))
            elif self.end():
                click.echo(RESTARTED, err=True)
        self._pending.clear()

    def _write(self, shown: str) -> None:
        click.echo(shown, nl=False)
        self._written += shown

    def end(self) -> str:
        """End the last line and return the text written so far."""
        self._write(self._visible.end())
        text, self._written, self._visible = self._written, "", Visible()
        if text and not text.endswith("\n"):
            click.echo()
        return text
