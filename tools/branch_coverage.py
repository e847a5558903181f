"""Fails if the tests take too few branches: `coverage report` counts them together with the statements.

Run it as `python tools/branch_coverage.py FILE`, with what `coverage json -o FILE` wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LEAST_PERCENT = 97.0


def main() -> int:
    """Print the share of branches that were taken; return 1 if it is below the limit."""
    totals = json.loads(Path(sys.argv[1]).read_text("utf-8"))["totals"]
    taken, count = totals["covered_branches"], totals["num_branches"]
    percent = 100 * taken / count
    print(f"Branches: {taken} of {count} taken, {percent:.1f} %; at least {LEAST_PERCENT:g} % are required.")
    return int(percent < LEAST_PERCENT)


if __name__ == "__main__":
    sys.exit(main())
