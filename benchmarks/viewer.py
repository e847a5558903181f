"""The page of a run: its size, and how long a browser takes to draw it, for runs of 10 to 10 000 calls.

Run it as `python benchmarks/viewer.py [--rounds 5]`; it needs playwright and Chromium. Each round opens the page from
disk, until it is drawn, then chooses a call, which draws the page again. Medians are printed. The limits are 60 kB for
the page without its run, 2 seconds to open a run of 10 000 calls and 0.3 seconds to choose one of its calls.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright
from quiet import Round, disturbed, mark, undisturbed, until_quiet, verdict

from moa_mcp.events import (
    AttemptFinished,
    AttemptStarted,
    CallFinished,
    CallStarted,
    Event,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from moa_mcp.trace.trace import Trace, trace_of
from moa_mcp.values import Answer, Completion, Message, Place, Question, Usage
from moa_mcp.viewer import compared_page, page

QUESTION = Question("Which design will hurt us first?")
CALLS = (10, 1_000, 10_000)
CODE_LIMIT_KB, OPEN_LIMIT_MS, CHOOSE_LIMIT_MS = 60, 2000, 300
DRAWN = """() => new Promise(resolve => requestAnimationFrame(() => setTimeout(() => resolve(performance.now()))))"""
CHOSEN = """async () => {
    const begin = performance.now();
    document.querySelectorAll(".call")[7].click();
    await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)));
    return performance.now() - begin;
}"""


class Drawn(NamedTuple):
    open_ms: float
    """From the start of loading until the page is drawn."""
    choose_ms: float


def run_of(calls: int) -> Trace:
    """Return a run in which all calls but one propose, and that one aggregates."""
    return trace_of(_events(calls))


def _events(calls: int) -> Iterator[Event]:
    kinds = ("propose", "aggregate")
    yield RunStarted(at=1.0, run_id="a", pipeline="benchmark", question=QUESTION, seed=1, steps=kinds)
    for step, kind in enumerate(kinds, 1):
        number = calls - 1 if step == 1 else 1
        yield StepStarted(at=float(step), step=step, step_kind=kind)
        for at in range(1, number + 1):
            yield from _call(Place(step, at), _text(step, at))
        answers = tuple(Answer(_text(step, at), f"model-{at}", Place(step, at)) for at in range(1, number + 1))
        yield StepFinished(at=step + 1.0, step=step, answers=answers, notes=(), seconds=1.0)
    yield RunFinished(at=3.0, status="complete", answer="The wide table.", error=None, seconds=2.0)


def _text(step: int, at: int) -> str:
    return f"The wide table hurts first. Locks grow with the rows. Point {at} of step {step} is new."


def _call(place: Place, text: str) -> Iterator[Event]:
    began, model = place.step + place.number / 1e5, f"model-{place.number}"
    completion = Completion(text, model, usage=Usage(300, 40))
    yield CallStarted(at=began, place=place, agent=model, messages=(Message("user", QUESTION.text),))
    yield AttemptStarted(at=began, place=place, attempt=1, model=model, parameters={"temperature": 0.7})
    yield AttemptFinished(at=began + 0.8, place=place, attempt=1, completion=completion, seconds=0.8)
    yield CallFinished(at=began + 0.8, place=place, completion=completion, seconds=0.8)


def drawn(browser: Browser, file: Path) -> Drawn:
    """Open a page in a fresh context, and choose a call."""
    with browser.new_context() as context:
        tab = context.new_page()
        tab.goto(file.as_uri())
        return Drawn(tab.evaluate(DRAWN), tab.evaluate(CHOSEN))


def measured(browser: Browser, file: Path) -> tuple[Drawn, Round]:
    """Open a page until nothing else disturbs it, a few times at most."""
    took, opening = Drawn(0, 0), Round()
    for opening in until_quiet():
        with opening:
            took = drawn(browser, file)
    return took, opening


def main() -> int:
    """Measure and print; 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    empty = {"page of a run": page(Trace()), "page of two runs": compared_page(Trace(), Trace(), ())}
    sizes = {name: len(html.encode()) / 1000 for name, html in empty.items()}
    print(f"Without its run, {' and '.join(f'the {name} has {size:.1f} kB' for name, size in sizes.items())}.\n")
    print("| calls | page | written in | drawn in | a call chosen in | disturbed |\n|---|---|---|---|---|---|")
    exceeded = [name for name, size in sizes.items() if size > CODE_LIMIT_KB]
    unclear: list[str] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for calls in CALLS:
            trace, file, began = run_of(calls), Path(folder) / "run.html", time.perf_counter()
            file.write_text(page(trace), "utf-8")
            written_ms = 1000 * (time.perf_counter() - began)
            found = [measured(browser, file) for _ in range(rounds)]
            open_ms, choose_ms = (statistics.median(each) for each in zip(*undisturbed(found), strict=True))
            of_rounds = [each for _, each in found]
            print(
                f"| {calls:,} | {file.stat().st_size / 1000:,.0f} kB | {written_ms:.0f} ms | {open_ms:.0f} ms "
                f"| {choose_ms:.0f} ms | {mark(of_rounds)} |",
                flush=True,
            )
            if disturbed(of_rounds):
                unclear.append(f"{calls:,} calls")
            elif open_ms > OPEN_LIMIT_MS or choose_ms > CHOOSE_LIMIT_MS:
                exceeded.append(f"{calls:,} calls")
        browser.close()
    return verdict(exceeded, unclear)


if __name__ == "__main__":
    sys.exit(main())
