"""What ``python -m moa_mcp`` and the console script run."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from moa_mcp.cli import commands  # noqa: PLC0415  so that an interrupt while it loads ends it quietly

        commands(prog_name="moa-mcp")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
