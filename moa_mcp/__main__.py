"""What ``python -m moa_mcp`` and the console script run."""

from __future__ import annotations

from moa_mcp.cli import commands


def main() -> None:
    """Run the command line."""
    commands(prog_name="moa-mcp")


if __name__ == "__main__":
    main()
