"""Runs all benchmarks, one after the other: `python benchmarks`. Takes about an hour on two cores.

It prints the tables of docs/benchmarks.md. The exit code is 1 if a limit is exceeded. Results that other work on the
machine disturbed, in spite of repetitions, say so and exceed none.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TITLES = {
    "server": "The model server",
    "overhead": "Overhead",
    "transport": "Transport",
    "tail": "Slow calls",
    "cost": "Billed tokens",
    "cascade": "A cascade",
    "memory": "Memory",
    "startup": "Start-up",
    "journal": "Journal",
    "batch": "Batches and kills",
    "team": "A team and kills",
    "viewer": "The page of a run",
    "interval_coverage": "Evaluations with a known truth",
    "evaluation": "Evaluations",
}


def main() -> int:
    """Run them; 1 if a limit is passed."""
    passed: list[str] = []
    for name, title in TITLES.items():
        print(f"\n## {title}: `python benchmarks/{name}.py`\n", flush=True)
        if subprocess.run([sys.executable, Path(__file__).with_name(f"{name}.py")], check=False).returncode:
            passed.append(name)
    print(f"\nLimits passed: {', '.join(passed) or 'none'}.")
    return int(bool(passed))


if __name__ == "__main__":
    sys.exit(main())
