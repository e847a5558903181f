"""Evaluations: what they take beside bare runs, whether kills cost answers, and whether their figures are honest.

Run it as `python benchmarks/evaluation.py [--questions 1000] [--kills 15] [--evaluations 400]`, with the extra `eval`.
All models are simulated members with stated competence and correlated errors (tests/support/simulated_members.py), so
the truth is known. The limits are 1.5 times the time of bare runs, no recorded answer requested again, intervals
that contain the true gain in 93 to 97 % of cases, a gate that passes in at most 5 % of evaluations without a gain, and
planted biases of a judge that are found and corrected. The exit code is 1 if one is exceeded.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from evaluation_runs import MEMBER, Took, bare, command, killed, prepared, timed  # noqa: E402
from quiet import Round, disturbed, mark, until_quiet, verdict  # noqa: E402  the folders are not on the path before
from simulated_evaluations import Design, coverage  # noqa: E402
from simulated_judges import FAIR, judged, truth  # noqa: E402

from tests.support.known_questions import sums  # noqa: E402
from tests.support.member_server import serving  # noqa: E402

MOST_RATIO = 1.5
COVERED = (0.93, 0.97)
MOST_PASSED = 0.05
LATENCY_S = 0.2
KILLED_QUESTIONS = 200
DESIGNS = (
    Design("a gain", 100),
    Design("a gain, 40 questions", 40),
    Design("a gain, 200 questions in 50 clusters", 200, clusters=50),
    Design("no gain", 100, gains=False),
    Design("no gain, 200 questions in 50 clusters", 200, clusters=50, gains=False),
)
JUDGES = {
    "no bias": FAIR,
    "the first answer": replace(FAIR, position=1.0),
    "long answers": replace(FAIR, length=2.0),
    "both, and 10 % of replies unreadable": replace(FAIR, position=1.0, length=2.0, unreadable=0.1),
}
"""By what they prefer."""


def speed(questions: int) -> Iterator[tuple[str, bool]]:
    """Print what an evaluation takes beside the same runs without one; yield exceeded limits, or unclear ones."""
    print("| 1000 questions: `self_moa`, 7 answers each | time | CPU time | memory | time to bare runs | disturbed |")
    print("|---|---|---|---|---|---|")
    known = sums(questions)
    took: dict[str, Took] = {}
    rounds: list[Round] = []
    for how in ("bare `Runs`", "OpenAI's SDK in a loop", "`moa-mcp eval`"):
        for each in until_quiet(2):
            with serving([MEMBER], known, latency_s=LATENCY_S) as server, tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                prepared(folder, server.url, known)
                asked = {"bare `Runs`": "runs", "OpenAI's SDK in a loop": "sdk"}.get(how)
                with each:
                    took[how] = timed(bare(folder, server.url, asked) if asked else command(folder), folder)
                if took[how].exit_code:
                    raise SystemExit(f"{how}: {(folder / 'printed.txt').read_text()}")
        rounds.append(each)
        seconds, cpu_s, most_mb, _ = took[how]
        ratio = seconds / took["bare `Runs`"].seconds
        print(
            f"| {how} | {seconds:.1f} s | {cpu_s:.1f} s | {most_mb:.0f} MB | {ratio:.2f} | {mark([each])} |", flush=True
        )
    if ratio > MOST_RATIO:
        yield "time of an evaluation", disturbed(rounds[::2])


def kills(times: int) -> Iterator[str]:
    """Print what kills cost; yield exceeded limits."""
    known = sums(KILLED_QUESTIONS)
    share = 7 * KILLED_QUESTIONS // (times + 1)
    with serving([MEMBER], known, latency_s=0.02) as server, tempfile.TemporaryDirectory() as name:
        prepared(Path(name), server.url, known)
        found = killed(Path(name), server, times, share)
    print("\n| questions | kills | answers | recorded answers requested again | exit code |\n|---|---|---|---|---|")
    print(f"| {KILLED_QUESTIONS} | {times} | {found.answers} | {found.repeated} | {found.exit_code} |", flush=True)
    if found.repeated or found.exit_code:
        yield "answers after kills"


def intervals(evaluations: int) -> Iterator[str]:
    """Print how often intervals contain the truth, and how often the gate passes; yield exceeded limits."""
    print(f"\n| {evaluations} evaluations each | true gain | mean gain | intervals with the true gain | gate passed |")
    print("|---|---|---|---|---|")
    for design in DESIGNS:
        found, points = coverage(design, evaluations), 100 * design.true_gain
        measured = f"{points:.1f} | {100 * found.mean_gain:.1f} | {found.covered:.1%} | {found.passed:.1%}"
        print(f"| {design.name} | {measured} |", flush=True)
        if not COVERED[0] <= found.covered <= COVERED[1]:
            yield f"coverage with {design.name}"
        if not design.gains and found.passed > MOST_PASSED:
            yield f"the gate with {design.name}"


def judges(questions: int, times: int) -> Iterator[str]:
    """Print what the analysis makes of judges with planted biases; yield those that are not found or not corrected."""
    print("\n| the judge prefers | an unbiased judge | win rate | length-controlled | position bias | planted |")
    print("|---|---|---|---|---|---|")
    for name, judge in JUDGES.items():
        known = truth(judge)
        found = [judged(judge, questions, seed) for seed in range(times)]
        plain = fmean(each.win_rate or 0.0 for each in found)
        controlled = fmean(each.length_controlled or 0.0 for each in found)
        position = round(median(each.position_bias or 0.0 for each in found), 3) + 0.0
        print(
            f"| {name} | {known.win_rate:.3f} | {plain:.3f} | {controlled:.3f} | {position:+.3f} | {known.first:+.3f} |"
        )
        if abs(position - known.first) > 0.03 or abs(controlled - known.win_rate) > 0.03:
            yield f"the judge who prefers {name}"


def main() -> int:
    """Measure and print; 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--evaluations", type=int, default=400)
    given = parser.parse_args()
    timing = [*speed(given.questions)]
    exceeded = [*kills(given.kills), *intervals(given.evaluations), *judges(400, 10)]
    late = [name for name, unclear in timing if not unclear]
    return verdict([*late, *exceeded], [name for name, unclear in timing if unclear])


if __name__ == "__main__":
    sys.exit(main())
